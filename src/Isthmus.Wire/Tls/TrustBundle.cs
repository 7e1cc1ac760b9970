using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Isthmus.Wire.Tls;

public enum CertificateUse { Server, Client, Any }

/// <summary>Trusted roots, and the check of chains against them: offline, without the machine's trust store.</summary>
public sealed class TrustBundle
{
    private readonly X509Certificate2[] _roots;

    public TrustBundle(IEnumerable<X509Certificate2> roots) => _roots = [.. roots];

    /// <exception cref="Core.Problems.ProblemException">The text holds no certificates.</exception>
    public static TrustBundle FromPem(string pem, string source) => new(CertificateText.Read(pem, source));

    public IReadOnlyList<X509Certificate2> Roots => _roots;

    /// <summary>Null when the certificate chains to one of the roots and is valid now; otherwise the reason why not.</summary>
    /// <param name="intermediates">What the peer sent besides its own certificate.</param>
    public string? Reject(X509Certificate2 certificate, IEnumerable<X509Certificate2> intermediates, CertificateUse use, DateTimeOffset now)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(_roots);
        chain.ChainPolicy.ExtraStore.AddRange(intermediates.ToArray());
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTimeIgnored = false;
        chain.ChainPolicy.VerificationTime = now.UtcDateTime;
        if (use != CertificateUse.Any) chain.ChainPolicy.ApplicationPolicy.Add(use == CertificateUse.Server ? ServerAuth : ClientAuth);
        try
        {
            if (chain.Build(certificate)) return null;
            return string.Join("; ", chain.ChainStatus.Select(s => Explain(s, certificate)).Distinct());
        }
        catch (CryptographicException e)
        {
            return $"certificate is not readable: {e.Message}";
        }
        finally
        {
            foreach (var element in chain.ChainElements) element.Certificate.Dispose();
        }
    }

    private static Oid ServerAuth => new("1.3.6.1.5.5.7.3.1");

    private static Oid ClientAuth => new("1.3.6.1.5.5.7.3.2");

    private static string Explain(X509ChainStatus status, X509Certificate2 certificate) => status.Status switch
    {
        X509ChainStatusFlags.PartialChain or X509ChainStatusFlags.UntrustedRoot =>
            $"unknown authority: issued by '{certificate.Issuer}', which leads to none of the trusted roots",
        X509ChainStatusFlags.NotTimeValid =>
            $"not in force: valid from {certificate.NotBefore.ToUniversalTime():u} to {certificate.NotAfter.ToUniversalTime():u} (or an issuer of it is not)",
        X509ChainStatusFlags.NotValidForUsage => "not issued for this use",
        X509ChainStatusFlags.NotSignatureValid => "its signature is wrong",
        _ => status.StatusInformation.Trim(),
    };
}
