using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Certificates;

/// <summary>What a certificate is for.</summary>
public enum CertificateRole
{
    /// <summary>A root that proxies trust.</summary>
    Root,

    /// <summary>What a control plane signs workloads' certificates with, and its issuers.</summary>
    Authority,

    /// <summary>What API servers trust webhooks of the mesh by.</summary>
    WebhookBundle,

    /// <summary>What a control plane serves proxies and API servers with.</summary>
    ControlPlane,

    /// <summary>What a proxy proves its identity with.</summary>
    Workload,

    /// <summary>What a gateway serves clients with.</summary>
    Gateway,

    /// <summary>What a gateway trusts clients by.</summary>
    ClientAuthority,

    /// <summary>What a proxy calls servers outside of the mesh with.</summary>
    Origination,

    /// <summary>What a proxy checks such servers by.</summary>
    ServerAuthority,

    /// <summary>The token with which a control plane reads another cluster.</summary>
    RemoteToken,
}

/// <summary>One certificate, or token, that the mesh lives by.</summary>
/// <param name="Cluster">The context of its cluster.</param>
/// <param name="Owner">The object that holds it, as <c>Kind namespace/name</c>.</param>
/// <param name="Subject">Whom it names.</param>
/// <param name="Ends">Null: it does not expire.</param>
public sealed record MeshCertificate(string Cluster, CertificateRole Role, string Owner, string Subject, DateTimeOffset? Begins, DateTimeOffset? Ends)
{
    /// <summary>The SHA-256 digest; empty for a token.</summary>
    public string Fingerprint { get; init; } = "";

    public string Issuer { get; init; } = "";

    /// <summary>Whether something uses it at present: a Secret may hold one that was refused, or that waits.</summary>
    public bool IsInForce { get; init; } = true;

    /// <summary>Whether a control plane signs workloads' certificates with it at present.</summary>
    public bool Signs { get; init; }

    /// <summary>Why it cannot be used, apart from its time; empty when it can.</summary>
    public string Fault { get; init; } = "";

    /// <summary>What clients do not get with it. Null if they need nothing more, or if that is not known.</summary>
    public ChainGap? Gap { get; init; }

    /// <summary>The cipher suites with which it is served are for other keys. Null if they are not, or if that is not known.</summary>
    public SuiteGap? Suites { get; init; }

    /// <summary>The field that names it; empty when the object itself holds it.</summary>
    public string Field { get; init; } = "";

    /// <summary>The DNS names that it is valid for.</summary>
    public ValueList<string> Names { get; init; }

    /// <summary>The hosts that it is served for; none: any.</summary>
    public ValueList<string> Hosts { get; init; }

    /// <summary>The digests of the roots that its owner trusts.</summary>
    public ValueList<string> Trusts { get; init; }

    /// <summary>The digest of the root that it leads to; empty when it leads to none that is known.</summary>
    public string Root { get; init; } = "";

    /// <summary>Who depends on it.</summary>
    public string NeededBy { get; init; } = "";

    /// <summary>The object whose findings tell its fault too, as <c>Kind namespace/name</c>; empty when there is none.</summary>
    public string User { get; init; } = "";

    /// <summary>What renews it.</summary>
    public string RenewedBy { get; init; } = "";

    /// <summary>Whether a control plane or proxy renews it on its own.</summary>
    public bool IsRenewed => Role is CertificateRole.ControlPlane or CertificateRole.Workload or CertificateRole.WebhookBundle;
}
