using System.Security.Cryptography;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A root as somebody has it, or several in a bundle: the SHA-256 of the certificates, joined by plus signs; empty when there is none or it cannot be read.</summary>
public readonly record struct Root(string Fingerprint)
{
    public static readonly Root None = new("");

    public bool IsKnown => !string.IsNullOrEmpty(Fingerprint);

    public static Root Of(string? pem)
    {
        if (string.IsNullOrWhiteSpace(pem)) return None;
        try
        {
            var digests = CertificateText.ReadAny(pem, "root").Select(certificate => certificate.GetCertHashString(HashAlgorithmName.SHA256)).Distinct().Order(StringComparer.Ordinal).ToList();
            return digests.Count == 0 ? None : new(string.Join('+', digests));
        }
        catch (ProblemException)
        {
            return None;
        }
    }

    /// <summary>Whether some certificate is a root for both, so that one trusts what the other's CA signs.</summary>
    public bool Shares(Root other) => IsKnown && other.IsKnown && Fingerprint.Split('+').Intersect(other.Fingerprint.Split('+')).Any();

    public override string ToString() => IsKnown ? Fingerprint[..Math.Min(16, Fingerprint.Length)] : "none";
}

/// <summary>What a proxy trusts, and since when it runs.</summary>
public sealed record ProxyTrust(string Namespace, string Pod, DateTimeOffset? Started, Root Root);

/// <summary>Where the trust of one cluster comes from.</summary>
/// <param name="Given">The root of Secret <c>cacerts</c>.</param>
/// <param name="GivenAt">When that Secret was made.</param>
/// <param name="Own">The root that a control plane made for itself (Secret <c>istio-ca-secret</c>).</param>
/// <param name="InForce">What the control plane tells proxies to trust (ConfigMap <c>istio-ca-root-cert</c> of its namespace).</param>
/// <param name="InstalledAt">When the control plane's Deployment was made.</param>
/// <param name="ControlPlaneStarted">When the oldest Pod of the control plane began.</param>
/// <param name="Namespaces">Namespaces whose own ConfigMap names another root.</param>
public sealed record TrustFacts(
    bool HasIstio, Root Given, DateTimeOffset? GivenAt, Root Own, DateTimeOffset? OwnAt, Root InForce, DateTimeOffset? InstalledAt, DateTimeOffset? ControlPlaneStarted,
    ValueMap<Root> Namespaces, ValueList<ProxyTrust> Proxies)
{
    public static readonly TrustFacts None = new(false, Root.None, null, Root.None, null, Root.None, null, null, default, default);
}
