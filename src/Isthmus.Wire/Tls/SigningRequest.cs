using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Identity;
using Isthmus.Core.Problems;

namespace Isthmus.Wire.Tls;

/// <summary>Certificate signing requests (PKCS#10), as workloads create and CAs check them.</summary>
public static class SigningRequest
{
    private const string Source = "certificate signing request";

    /// <summary>PEM, with an empty subject and the identity as its only, critical name.</summary>
    public static string Create(AsymmetricAlgorithm key, SpiffeId identity)
    {
        var empty = new X500DistinguishedName("");
        var request = key switch
        {
            RSA rsa => new CertificateRequest(empty, rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
            ECDsa ec => new CertificateRequest(empty, ec, Keys.Hash(ec)),
            _ => throw new ArgumentException($"keys of type {key.GetType().Name} sign no requests", nameof(key)),
        };
        request.CertificateExtensions.Add(new SubjectNames([identity.ToString()], [], []).ToExtension(critical: true));
        return request.CreateSigningRequestPem() + "\n";
    }

    /// <summary>The key whose possession the request proves; the rest of the request is ignored.</summary>
    /// <exception cref="ProblemException">The request is malformed, its signature is wrong, or its key is too weak.</exception>
    public static PublicKey Check(string pem)
    {
        if (pem.Length > 64 * 1024) throw new ProblemException(Source, "larger than 64 KiB");
        try
        {
            var request = CertificateRequest.LoadSigningRequestPem(
                pem, HashAlgorithmName.SHA256, CertificateRequestLoadOptions.Default, RSASignaturePadding.Pkcs1);
            Check(request.PublicKey);
            return request.PublicKey;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or NotSupportedException)
        {
            throw new ProblemException(Source, $"not a valid PEM request with a matching signature: {e.Message}", "", e);
        }
    }

    private static void Check(PublicKey key)
    {
        using var rsa = key.GetRSAPublicKey();
        if (rsa is not null)
        {
            if (rsa.KeySize is < 2048 or > 8192)
                throw new ProblemException(Source, $"an RSA key of {rsa.KeySize} bits is not accepted", "use 2048 to 8192 bits");
            return;
        }
        using var ec = key.GetECDsaPublicKey();
        if (ec is null) throw new ProblemException(Source, $"keys of type {key.Oid.FriendlyName ?? key.Oid.Value} are not accepted", "use RSA or EC");
        if (ec.KeySize < 256) throw new ProblemException(Source, $"an EC key of {ec.KeySize} bits is not accepted", "use P-256 or stronger");
    }
}
