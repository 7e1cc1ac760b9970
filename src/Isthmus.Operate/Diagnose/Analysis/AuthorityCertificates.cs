using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Certificates;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Roots and intermediates of a cluster: in force, in its Secret, refused. Pure.</summary>
/// <param name="Roots">What proxies trust, of ConfigMap <c>istio-ca-root-cert</c>.</param>
/// <param name="Issuer">What signs, of the same ConfigMap; empty below a control plane that does not say so.</param>
/// <param name="Given">Secret <c>cacerts</c>; null when there is none, or nobody may read it.</param>
/// <param name="Own">Secret <c>istio-ca-secret</c>.</param>
internal sealed record AuthorityCertificates(string Cluster, string Namespace, string Roots, string Issuer, SecretFacts? Given, SecretFacts? Own)
{
    private const string Proxies = "all proxies of the cluster", ProxiesElsewhere = "all proxies of the cluster that it serves",
        Nobody = "nobody: the control plane of the cluster is elsewhere", Rotate = "you: isthmus ca rotate",
        Replace = "you: a new Secret cacerts (isthmus ca intermediate)";

    /// <summary>Whether the control plane serves another cluster, and writes no ConfigMap here.</summary>
    private bool ServesElsewhere { get; init; }

    /// <summary>Whether the Secrets of the namespace are left over: what signs is elsewhere. That no control plane runs here just now is not enough: while
    /// one is installed anew, its Secrets wait for it.</summary>
    public bool IsServedFromElsewhere { get; init; }

    private string Map => ServesElsewhere ? Secret : $"ConfigMap {Namespace}/{WellKnown.RootCertConfigMap}";

    private string Secret => $"Secret {Namespace}/{WellKnown.CaCerts}";

    /// <summary>Those of a control plane that serves another cluster: what it uses is in the ConfigMap there, and what it is to use, in Secrets here.</summary>
    public static AuthorityCertificates OfHosted(string cluster, string ns, SecretFacts? given, SecretFacts? own)
    {
        var self = own?.Certificates.GetValueOrDefault("ca-cert.pem") ?? "";
        return (given?.First("root-cert.pem", "ca.crt") is { } roots ? new AuthorityCertificates(cluster, ns, roots, "", given, own)
            : new(cluster, ns, self, self, given, own)) with { ServesElsewhere = true };
    }

    public IEnumerable<MeshCertificate> All(DateTimeOffset now)
    {
        var roots = Read(CertificateRole.Root, Map, Roots).ToList();
        var own = Read(CertificateRole.Root, $"Secret {Namespace}/{WellKnown.SelfSignedCa}", Own?.Certificates.GetValueOrDefault("ca-cert.pem"))
            .Select(one => one.Fingerprint).ToHashSet(StringComparer.Ordinal);
        var issuing = Read(CertificateRole.Authority, Map, Issuer).FirstOrDefault() is { } signing
            ? signing with { Signs = true, Root = CertificateRecord.RootOf(Issuer + (Given?.Certificates.GetValueOrDefault("cert-chain.pem") ?? ""), Roots) }
            : null;
        foreach (var root in roots)
            yield return root with
            {
                Owner = own.Contains(root.Fingerprint) ? $"Secret {Namespace}/{WellKnown.SelfSignedCa}" : root.Owner,
                Signs = root.Fingerprint == issuing?.Fingerprint, Root = root.Fingerprint
            };
        var trusted = roots.Select(root => root.Fingerprint).ToHashSet(StringComparer.Ordinal);
        var stored = Stored("ca-cert.pem", "tls.crt").Take(1).ToList();
        var isStored = issuing is not null && stored.Exists(one => one.Fingerprint == issuing.Fingerprint);
        if (issuing is not null && !trusted.Contains(issuing.Fingerprint)) yield return isStored ? issuing with { Owner = Secret } : issuing;

        foreach (var certificate in stored)
        {
            if (IsServedFromElsewhere)
            {
                yield return certificate with { IsInForce = false, NeededBy = Nobody };
                continue;
            }
            var fault = Given!.CaProblem.Length > 0 ? Given.CaProblem : certificate.Ends <= now ? $"it expired at {certificate.Ends:u}" : "";
            if (issuing is null)
                yield return certificate with
                {
                    Fault = Given.CaProblem, Signs = Given.CaProblem.Length == 0,
                    Root = CertificateRecord.RootOf((Given.First("ca-cert.pem", "tls.crt") ?? "")
                        + (Given.Certificates.GetValueOrDefault("cert-chain.pem") ?? ""),
                        Roots)
                };
            else if (!isStored || Given.CaProblem.Length > 0) yield return certificate with { IsInForce = false, Fault = fault };
        }
        // Between the CA and its root there may be others.
        foreach (var above in Stored("cert-chain.pem", "tls.crt")
            .Where(one => !trusted.Contains(one.Fingerprint) && stored.TrueForAll(other => other.Fingerprint != one.Fingerprint) && one.Issuer != one.Subject)
            .DistinctBy(one => one.Fingerprint))
            yield return above with { IsInForce = isStored || (issuing is null && !IsServedFromElsewhere) };
        foreach (var root in Stored("root-cert.pem", "ca.crt").Where(root => !trusted.Contains(root.Fingerprint)))
            yield return root with { Role = CertificateRole.Root, IsInForce = false, RenewedBy = Rotate };
    }

    private IEnumerable<MeshCertificate> Stored(string key, string other) =>
        Read(CertificateRole.Authority, Secret, Given?.Certificates.GetValueOrDefault(key) ?? Given?.Certificates.GetValueOrDefault(other));

    private IEnumerable<MeshCertificate> Read(CertificateRole role, string owner, string? pem) =>
        CertificateRecord.All(Cluster, role, owner, pem)
            .Select(one => one with { NeededBy = ServesElsewhere ? ProxiesElsewhere : Proxies, RenewedBy = role == CertificateRole.Root ? Rotate : Replace });
}
