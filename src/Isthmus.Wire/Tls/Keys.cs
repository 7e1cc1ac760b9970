using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;

namespace Isthmus.Wire.Tls;

public enum KeyKind { Rsa2048, Rsa4096, EcP256, EcP384 }

/// <summary>Private keys of certificates: RSA and elliptic curves.</summary>
public static class Keys
{
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
