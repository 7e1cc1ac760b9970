using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Isthmus.Wire.Tls;

/// <summary>The distinguished name of a CA; empty parts are left out.</summary>
public sealed record CaSubject(string Organization, string CommonName = "", string Locality = "")
{
    internal X500DistinguishedName ToName()
    {
        var builder = new X500DistinguishedNameBuilder();
        if (Locality.Length > 0) builder.AddLocalityName(Locality);
        if (CommonName.Length > 0) builder.AddCommonName(CommonName);
        if (Organization.Length > 0) builder.AddOrganizationName(Organization);
        return builder.Build();
    }
}

/// <summary>What a leaf certificate is for.</summary>
/// <param name="Key">The key it certifies.</param>
public sealed record LeafRequest(PublicKey Key, SubjectNames Names, DateTimeOffset NotBefore, DateTimeOffset NotAfter);

/// <summary>A CA certificate with its key: signs certificates, without any policy.</summary>
public sealed class Issuer(X509Certificate2 certificate, AsymmetricAlgorithm key) : IDisposable
{
    private static readonly Oid ServerAuth = new("1.3.6.1.5.5.7.3.1"), ClientAuth = new("1.3.6.1.5.5.7.3.2");

    public X509Certificate2 Certificate { get; } = certificate;

    public AsymmetricAlgorithm Key { get; } = key;

    /// <summary>A root: takes ownership of <paramref name="key"/>.</summary>
    public static Issuer SelfSigned(CaSubject subject, AsymmetricAlgorithm key, DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        var name = subject.ToName();
        var request = Request(name, PublicKeyOf(key), Keys.Hash(key));
        AddCa(request, pathLength: null, SubjectNames.None);
        return new(request.Create(name, Keys.Signer(key), notBefore, notAfter, Serial()), key);
    }

    /// <summary>A CA below this one that may sign leaves only; takes ownership of <paramref name="key"/>.</summary>
    public Issuer IssueIntermediate(CaSubject subject, AsymmetricAlgorithm key, SubjectNames names, DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        var request = Request(subject.ToName(), PublicKeyOf(key), Keys.Hash(Key));
        AddCa(request, pathLength: 0, names);
        return new(Sign(request, notBefore, notAfter), key);
    }

    /// <summary>A certificate for servers and clients. Its subject is empty, so its names are critical (RFC 5280 4.2.1.6).</summary>
    public X509Certificate2 IssueLeaf(LeafRequest leaf)
    {
        var request = Request(new(""), leaf.Key, Keys.Hash(Key));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature | X509KeyUsageFlags.KeyEncipherment, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([ServerAuth, ClientAuth], critical: false));
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, false, 0, critical: true));
        request.CertificateExtensions.Add(leaf.Names.ToExtension(critical: true));
        return Sign(request, leaf.NotBefore, leaf.NotAfter);
    }

    public void Dispose()
    {
        Certificate.Dispose();
        Key.Dispose();
    }

    private X509Certificate2 Sign(CertificateRequest request, DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        if (Certificate.Extensions.OfType<X509SubjectKeyIdentifierExtension>().Any())
            request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(Certificate, includeKeyIdentifier: true,
                includeIssuerAndSerial: false));
        return request.Create(Certificate.SubjectName, Keys.Signer(Key), notBefore, notAfter, Serial());
    }

    private static void AddCa(CertificateRequest request, int? pathLength, SubjectNames names)
    {
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, pathLength is not null, pathLength ?? 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(
            X509KeyUsageFlags.DigitalSignature | X509KeyUsageFlags.NonRepudiation | X509KeyUsageFlags.KeyEncipherment | X509KeyUsageFlags.KeyCertSign,
            critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        if (names.DnsNames.Count > 0 || names.Uris.Count > 0) request.CertificateExtensions.Add(names.ToExtension(critical: false));
    }

    private static CertificateRequest Request(X500DistinguishedName name, PublicKey key, HashAlgorithmName hash) =>
        new(name, key, hash, RSASignaturePadding.Pkcs1);

    private static PublicKey PublicKeyOf(AsymmetricAlgorithm key) =>
        PublicKey.CreateFromSubjectPublicKeyInfo(key.ExportSubjectPublicKeyInfo(), out _);

    /// <summary>Random, positive, 16 bytes (CA/Browser Forum asks for at least 64 random bits).</summary>
    private static byte[] Serial()
    {
        var serial = RandomNumberGenerator.GetBytes(16);
        serial[0] = (byte)((serial[0] & 0x7F) | 0x40);
        return serial;
    }
}
