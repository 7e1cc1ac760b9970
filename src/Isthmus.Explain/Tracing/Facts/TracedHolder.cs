using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Wire.Tls;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>A Secret or ConfigMap that an object names for TLS, or the ServiceAccount that must be allowed to list the Secrets of its namespace.</summary>
/// <param name="Context">Of its cluster.</param>
internal readonly record struct HolderRef(string Context, string Kind, string Namespace, string Name);

/// <summary>What is known of a Secret or ConfigMap with certificates, without its values.</summary>
/// <param name="Problem">Why it cannot be used, as the end of a sentence about it; empty: nothing is wrong, or nobody may read it.</param>
/// <param name="Keys">The keys that it has.</param>
internal sealed record TracedHolder(string Problem, IReadOnlyList<string> Keys)
{
    public static readonly TracedHolder Unreadable = new("", []);

    private const string DoesNotExist = "does not exist";

    /// <summary>Why a control plane cannot sign with it; empty: it can, or nobody knows.</summary>
    public string CaProblem { get; private init; } = "";

    /// <summary>The keys of certificates of a control plane's CA, each with the end of its certificate, the first to end first; empty: nobody knows.</summary>
    public IReadOnlyList<(string Key, DateTimeOffset End)> AuthorityEnds { get; private init; } = [];

    /// <summary>The CAs of a Secret, as PEM; empty: it has none, or nobody knows.</summary>
    public string Authorities { get; private init; } = "";

    public bool IsMissing => Problem == DoesNotExist;

    /// <summary>A certificate and its key.</summary>
    /// <param name="secret">Null: it does not exist.</param>
    public static TracedHolder Of(Secret? secret) => secret is null ? new(DoesNotExist, [])
        : Of(SecretFacts.Of(secret), [.. secret.Data.Keys.Order(StringComparer.Ordinal)]);

    private static TracedHolder Of(SecretFacts read, IReadOnlyList<string> keys) => new(read.KeyPairProblem, keys)
    {
        CaProblem = read.CaProblem, Authorities = read.First("ca.crt", "cacert") ?? "",
        AuthorityEnds = [.. from key in (string[])["ca-cert.pem", "tls.crt", "cert-chain.pem", "root-cert.pem", "ca.crt"]
                            where read.First(key) is not null
                            from certificate in Read(read.First(key)!)
                            orderby certificate.NotAfter
                            select (key, new DateTimeOffset(certificate.NotAfter.ToUniversalTime()))],
    };

    private static IEnumerable<X509Certificate2> Read(string pem)
    {
        try { return CertificateText.ReadAny(pem, "CA"); }
        catch (ProblemException) { return []; }
    }

    /// <summary>An account that must be allowed to list Secrets, to be sent some.</summary>
    public static TracedHolder Of(bool listsSecrets) => new(listsSecrets ? "" : "may not list Secrets there", []);

    /// <summary>CAs.</summary>
    /// <param name="map">Null: it does not exist.</param>
    public static TracedHolder Of(ConfigMap? map) => map is null ? new(DoesNotExist, [])
        : new(map.Data.GetValueOrDefault("ca.crt") is { Length: > 0 } ? "" : "has no ca.crt", [.. map.Data.Keys.Order(StringComparer.Ordinal)]);
}
