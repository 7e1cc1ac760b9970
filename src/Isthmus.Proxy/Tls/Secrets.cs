using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Tls;

namespace Isthmus.Proxy.Tls;

/// <summary>Where certificates and roots come from, by the names that resources use (<c>default</c>, <c>ROOTCA</c>,
/// <c>spiffe://…</c>, <c>file-cert:…</c>).</summary>
internal interface ISecretSource
{
    /// <summary>The certificate to present; null until it is available.</summary>
    CertificateSecret? FindCertificate(string name);

    /// <summary>The roots to trust; null until they are available.</summary>
    RootSecret? FindRoots(string name);

    /// <summary>It is known that the secret does not exist or cannot be used: nothing should wait for it.</summary>
    bool IsAbsent(string name) => false;

    /// <summary>Something names these from now on. Only what has to be fetched for one proxy alone needs to know.</summary>
    void Want(IReadOnlyCollection<string> names)
    {
    }

    /// <summary>Nothing names these any more. Should something do so again, they are read anew.</summary>
    void Forget(IReadOnlyCollection<string> names)
    {
    }

    /// <summary>Raised after a secret was added or changed, on any thread.</summary>
    event Action<string>? Changed;

    /// <summary>The public parts of all secrets: never a private key.</summary>
    IReadOnlyList<SecretView> View();
}

/// <summary>The public part of a secret.</summary>
internal sealed record SecretView(string Name, string Version, DateTimeOffset Updated, string CertificateChainPem, string RootsPem);

/// <summary>How long a certificate is valid.</summary>
internal readonly record struct SecretLife(DateTimeOffset Begin, DateTimeOffset End)
{
    /// <param name="chain">Those with which it is of use.</param>
    public static SecretLife Of(X509Certificate2 leaf, IEnumerable<X509Certificate2> chain) =>
        new(leaf.NotBefore.ToUniversalTime(), chain.Min(one => one.NotAfter).ToUniversalTime());
}

/// <summary>A certificate with its key and the intermediates to send with it.</summary>
internal sealed class CertificateSecret
{
    private CertificateSecret(string name, X509Certificate2 leaf, IReadOnlyList<X509Certificate2> intermediates, string chainPem)
    {
        Name = name;
        Leaf = leaf;
        Intermediates = intermediates;
        ChainPem = chainPem;
        Self = PeerCertificate.Of(leaf.RawData).With("", "");
        using var key = leaf.GetECDsaPublicKey();
        Curve = key?.KeySize switch { 256 => EcdsaCurves.P256, 384 => EcdsaCurves.P384, 521 => EcdsaCurves.P521, _ => EcdsaCurves.None };
    }

    /// <summary>The curve of its key, if that is one of ECDSA.</summary>
    public EcdsaCurves Curve { get; }

    public string Name { get; }

    public X509Certificate2 Leaf { get; }

    /// <summary>What is sent after it.</summary>
    public IReadOnlyList<X509Certificate2> Intermediates { get; }

    /// <summary>The certificates without the key.</summary>
    public string ChainPem { get; }

    /// <summary>How long it is of use, with what is sent after it.</summary>
    public SecretLife Life => SecretLife.Of(Leaf, Intermediates.Append(Leaf));

    /// <summary>The identity that it proves to a peer.</summary>
    public TlsPeer Self { get; }

    /// <exception cref="ProblemException">Not PEM, or the key does not match the certificate.</exception>
    public static CertificateSecret Load(string name, string chainPem, string keyPem)
    {
        try
        {
            var leaf = X509Certificate2.CreateFromPem(chainPem, keyPem);
            var all = new X509Certificate2Collection();
            all.ImportFromPem(chainPem);
            return new(name, leaf, [.. all.Skip(1).Where(c => c.Subject != c.Issuer)], chainPem);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new ProblemException($"secret {name}", $"the certificate chain and key cannot be used: {e.Message}",
                "Check that both are PEM and belong together.", e);
        }
    }

    /// <summary>The key as PKCS #8. Whoever asks for it erases it.</summary>
    /// <exception cref="AuthenticationException">Neither RSA nor ECDSA.</exception>
    internal byte[] ExportKey()
    {
        using AsymmetricAlgorithm? key = (AsymmetricAlgorithm?)Leaf.GetECDsaPrivateKey() ?? Leaf.GetRSAPrivateKey();
        return key?.ExportPkcs8PrivateKey() ?? throw new AuthenticationException($"secret {Name} has a key that is neither RSA nor ECDSA");
    }
}

/// <summary>The roots that a peer's certificate must chain to.</summary>
internal sealed class RootSecret
{
    private RootSecret(string name, X509Certificate2Collection roots, string pem, bool hasRevocations)
    {
        HasRevocations = hasRevocations;
        Name = name;
        Roots = roots;
        Pem = pem;
    }

    public string Name { get; }

    public X509Certificate2Collection Roots { get; }

    public string Pem { get; }

    /// <summary>The life of the root that expires first.</summary>
    public SecretLife Life => Roots.Select(root => SecretLife.Of(root, [root])).MinBy(life => life.End);

    /// <summary>Some certificates of these roots are revoked. It is not known which, so none is accepted.</summary>
    public bool HasRevocations { get; }

    /// <exception cref="ProblemException">Not PEM, or no certificate in it.</exception>
    public static RootSecret Load(string name, string pem, bool hasRevocations = false)
    {
        var roots = new X509Certificate2Collection();
        try
        {
            roots.ImportFromPem(pem);
        }
        catch (CryptographicException e)
        {
            throw new ProblemException($"secret {name}", $"the root certificates cannot be read: {e.Message}", "Check that the text is PEM.", e);
        }
        if (roots.Count == 0) throw new ProblemException($"secret {name}", "contains no certificate", "add at least one root certificate, as PEM");
        return new(name, roots, pem, hasRevocations);
    }
}
