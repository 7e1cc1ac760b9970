using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;

namespace Isthmus.Wire.Tls;

/// <summary>A CA as stored in a Secret or directory: signing certificate and key, the chain to the root, the roots.</summary>
/// <param name="Chain">From the signing certificate's issuer upwards; empty when a root signs itself.</param>
public sealed record CaBundle(Issuer Issuer, IReadOnlyList<X509Certificate2> Chain, TrustBundle Trust) : IDisposable
{
    private const int SmallestRsa = 2048;

    /// <summary>Reads the four files of <c>cacerts</c> and checks that they match.</summary>
    /// <param name="source">What to name in errors, for example <c>Secret istio-system/cacerts</c>.</param>
    /// <exception cref="ProblemException">A part is missing, unreadable, expired, or does not fit the others.</exception>
    public static CaBundle Load(string certificate, string key, string chain, string roots, string source, DateTimeOffset now)
    {
        var signing = CertificateText.Read(certificate, $"{source} ca-cert.pem")[0];
        var trust = TrustBundle.FromPem(roots, $"{source} root-cert.pem");
        var between = CertificateText.ReadAny(chain, $"{source} cert-chain.pem");
        var secret = Keys.FromPem(key, $"{source} ca-key.pem");
        if (!Keys.Match(signing, secret))
            throw new ProblemException($"{source} ca-key.pem", $"the key does not belong to the certificate '{signing.Subject}' in ca-cert.pem",
                "put the key that the certificate was made with");
        if (!signing.Extensions.OfType<X509BasicConstraintsExtension>().Any(c => c.CertificateAuthority))
            throw new ProblemException($"{source} ca-cert.pem", $"'{signing.Subject}' is not a CA certificate (basicConstraints CA:TRUE is missing)",
                "make an intermediate CA certificate");
        // Without these checks the CA would sign everything, and every peer (OpenSSL, BoringSSL and others) would reject the result.
        if (signing.Extensions.OfType<X509KeyUsageExtension>().FirstOrDefault() is { } usage && !usage.KeyUsages.HasFlag(X509KeyUsageFlags.KeyCertSign))
            throw new ProblemException($"{source} ca-cert.pem", $"'{signing.Subject}' may not sign certificates (keyUsage keyCertSign is missing)",
                "make an intermediate CA certificate");
        if (secret is RSA { KeySize: < SmallestRsa and var bits })
            throw new ProblemException($"{source} ca-key.pem", $"an RSA key of {bits} bits is refused by proxies and libraries",
                $"make one of {SmallestRsa} bits or more, or an EC key");
        if (trust.Reject(signing, between, CertificateUse.Any, now) is { } reason)
            throw new ProblemException($"{source} ca-cert.pem", $"the signing certificate does not verify against root-cert.pem: {reason}",
                "root-cert.pem must be the root of cert-chain.pem");
        return new(new(signing, secret), between, trust);
    }

    /// <summary>The certificates to send after a leaf: the signing certificate and its issuers, without roots.</summary>
    public IReadOnlyList<X509Certificate2> Intermediates
    {
        get
        {
            var all = new List<X509Certificate2>();
            foreach (var certificate in Chain.Prepend(Issuer.Certificate))
                if (!IsRoot(certificate) && !all.Any(c => Same(c, certificate))) all.Add(certificate);
            return all;
        }
    }

    public void Dispose() => Issuer.Dispose();

    private bool IsRoot(X509Certificate2 certificate) => Trust.Roots.Any(root => Same(root, certificate));

    private static bool Same(X509Certificate2 a, X509Certificate2 b) => a.RawDataMemory.Span.SequenceEqual(b.RawDataMemory.Span);
}
