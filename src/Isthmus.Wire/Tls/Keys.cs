using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;

namespace Isthmus.Wire.Tls;

public enum KeyKind { Rsa2048, Rsa4096, EcP256, EcP384 }

/// <summary>Private keys of certificates: RSA and elliptic curves.</summary>
public static class Keys
{
    /// <summary>Bits of the keys that OpenSSL takes at its usual security level, and BoringSSL as Envoy has it.</summary>
    private const int SmallestRsa = 2048, SmallestEc = 224;

    /// <summary>P-224, P-256, P-384 and P-521.</summary>
    private static readonly string?[] Curves = ["1.3.132.0.33", "1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];

    public static AsymmetricAlgorithm Create(KeyKind kind) => kind switch
    {
        KeyKind.Rsa2048 => RSA.Create(2048),
        KeyKind.Rsa4096 => RSA.Create(4096),
        KeyKind.EcP256 => ECDsa.Create(ECCurve.NamedCurves.nistP256),
        KeyKind.EcP384 => ECDsa.Create(ECCurve.NamedCurves.nistP384),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    /// <summary>Reads an unencrypted PKCS#8, PKCS#1 or SEC1 key.</summary>
    /// <param name="source">Named in the error: a file or a field of a Secret.</param>
    /// <exception cref="ProblemException">The text contains no such key. The message never includes the text.</exception>
    public static AsymmetricAlgorithm FromPem(string pem, string source)
    {
        if (pem.Contains("ENCRYPTED", StringComparison.Ordinal))
            throw new ProblemException(source, "the private key is encrypted", "store it without a passphrase");
        return Try(RSA.Create(), key => key.ImportFromPem(pem))
            ?? (AsymmetricAlgorithm?)Try(ECDsa.Create(), key => key.ImportFromPem(pem))
            ?? throw new ProblemException(source, "this is not a PEM private key (RSA or EC)", "it must contain a block -----BEGIN PRIVATE KEY-----");
    }

    /// <summary>PKCS#8.</summary>
    public static string ToPem(AsymmetricAlgorithm key) => key.ExportPkcs8PrivateKeyPem() + "\n";

    public static bool Match(X509Certificate2 certificate, AsymmetricAlgorithm key) =>
        certificate.PublicKey.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(key.ExportSubjectPublicKeyInfo());

    /// <summary>Why no server can use a certificate and its key, as the end of a sentence about whoever holds them; empty: it can.</summary>
    public static string WhyUnusable(string certificate, string key)
    {
        if (key.Contains("ENCRYPTED", StringComparison.Ordinal)) return "holds a private key that is encrypted: store it without a passphrase";
        try
        {
            using var pair = X509Certificate2.CreateFromPem(certificate, key);
            return WeaknessOf(pair) is { Length: > 0 } weak ? $"holds a certificate with {weak}" : "";
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            return Misplaced(certificate, key) is (var place, var owner)
                ? $"holds its certificates in the wrong order: the key belongs to number {place} ({owner.Subject}), and servers send the first as their own: "
                    + "put it first"
                : $"holds a certificate and a key that cannot be used together: {WhyApart(certificate, key) ?? e.Message.TrimEnd('.')}";
        }
    }

    /// <summary>Which of the two cannot be read, or that they do not belong together; null if neither explains it.</summary>
    private static string? WhyApart(string certificates, string key)
    {
        try
        {
            if (CertificateText.ReadAny(certificates, "the certificate") is not [var first, ..]) return "there is no certificate in it";
            using var read = FromPem(key, "the key");
            return Match(first, read) ? null : $"the key is not that of the certificate {first.Subject}";
        }
        catch (ProblemException e)
        {
            return e.Message;
        }
    }

    /// <summary>The certificate, after the first, to which the key belongs, and its number; null when there is none.</summary>
    private static (int Place, X509Certificate2 Owner)? Misplaced(string certificates, string key)
    {
        try
        {
            using var read = FromPem(key, "key");
            foreach (var (index, one) in CertificateText.ReadAny(certificates, "certificates").Index())
                if (index > 0 && Match(one, read)) return (index + 1, one);
        }
        catch (ProblemException)
        {
            // Then the order is not what is wrong.
        }
        return null;
    }

    /// <summary>Why TLS libraries end every handshake with this certificate, as the end of a sentence; empty: they do not.</summary>
    public static string WeaknessOf(X509Certificate2 certificate)
    {
        using var rsa = certificate.GetRSAPublicKey();
        if (rsa is { KeySize: < SmallestRsa and var bits })
            return $"an RSA key of {bits} bits, which TLS libraries refuse (they take {SmallestRsa} bits or more, and EC keys of {SmallestEc})";
        using var ec = certificate.GetECDsaPublicKey();
        if (ec is { KeySize: < SmallestEc and var size }) return $"an EC key of {size} bits, which TLS libraries refuse (they take {SmallestEc} bits or more)";
        return ec?.ExportParameters(includePrivateParameters: false).Curve is { IsNamed: true } curve && !Curves.Contains(curve.Oid.Value)
            ? $"an EC key of the curve {curve.Oid.FriendlyName}, which TLS clients do not know (they know P-256, P-384 and P-521)"
            : "";
    }

    /// <summary>The certificate together with its key, as TLS needs it.</summary>
    public static X509Certificate2 Join(X509Certificate2 certificate, AsymmetricAlgorithm key) => key switch
    {
        RSA rsa => certificate.CopyWithPrivateKey(rsa),
        ECDsa ec => certificate.CopyWithPrivateKey(ec),
        _ => throw new ArgumentException($"keys of type {key.GetType().Name} sign no certificates", nameof(key)),
    };

    internal static X509SignatureGenerator Signer(AsymmetricAlgorithm key) => key switch
    {
        RSA rsa => X509SignatureGenerator.CreateForRSA(rsa, RSASignaturePadding.Pkcs1),
        ECDsa ec => X509SignatureGenerator.CreateForECDsa(ec),
        _ => throw new ArgumentException($"keys of type {key.GetType().Name} sign no certificates", nameof(key)),
    };

    /// <summary>The hash that matches the strength of the signing key.</summary>
    internal static HashAlgorithmName Hash(AsymmetricAlgorithm key) =>
        key is ECDsa && key.KeySize > 256 ? key.KeySize > 384 ? HashAlgorithmName.SHA512 : HashAlgorithmName.SHA384 : HashAlgorithmName.SHA256;

    private static T? Try<T>(T key, Action<T> import) where T : AsymmetricAlgorithm
    {
        try
        {
            import(key);
            return key;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            key.Dispose();
            return null;
        }
    }
}
