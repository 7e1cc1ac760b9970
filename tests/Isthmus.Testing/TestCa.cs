using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Isthmus.Testing;

/// <summary>A CA of a test, and the certificates of servers that it signs.</summary>
public sealed class TestCa : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _root;

    public TestCa(string name)
    {
        var request = new CertificateRequest($"CN={name}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        _root = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
    }

    public string Pem => _root.ExportCertificatePem();

    /// <param name="names">DNS names, IP addresses and URIs.</param>
    public X509Certificate2 Server(params string[] names) => Until(DateTimeOffset.UnixEpoch.AddYears(199), names);

    /// <param name="end">The end of its validity.</param>
    /// <param name="names">DNS names, IP addresses and URIs.</param>
    public X509Certificate2 Until(DateTimeOffset end, params string[] names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Request(key, names).Create(_root, DateTimeOffset.UnixEpoch, end, RandomNumberGenerator.GetBytes(8));
        using var whole = certificate.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(whole.Export(X509ContentType.Pkcs12), null);
    }

    /// <summary>A certificate with any subject alternative names: each is written as it is in the extension.</summary>
    public X509Certificate2 Signed(Action<AsnWriter> names, string commonName = "peer")
    {
        var list = new AsnWriter(AsnEncodingRules.DER);
        using (list.PushSequence()) names(list);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var subject = new X500DistinguishedNameBuilder();
        subject.AddCommonName(commonName);
        var request = new CertificateRequest(subject.Build(), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509Extension("2.5.29.17", list.Encode(), false));
        using var certificate = request.Create(_root, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(199), RandomNumberGenerator.GetBytes(8));
        using var whole = certificate.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(whole.Export(X509ContentType.Pkcs12), null);
    }

    /// <summary>As <see cref="Server"/>, with an RSA key that all such certificates share.</summary>
    public X509Certificate2 RsaServer(params string[] names)
    {
        using var key = TestKeys.Rsa();
        var request = new CertificateRequest("CN=server", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(Names(names));
        using var certificate = request.Create(_root.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), DateTimeOffset.UnixEpoch,
            DateTimeOffset.UnixEpoch.AddYears(199), RandomNumberGenerator.GetBytes(8));
        using var whole = certificate.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(whole.Export(X509ContentType.Pkcs12), null, X509KeyStorageFlags.Exportable);
    }

    public static X509Certificate2 SelfSigned(params string[] names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Request(key, names).CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(199));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
    }

    /// <summary>A certificate that signs itself, and its key, in PEM.</summary>
    /// <param name="names">DNS names, IP addresses and URIs.</param>
    public static (string Certificate, string Key) SelfSignedPair(string name, params string[] names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        if (names.Length > 0) request.CertificateExtensions.Add(Names(names));
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        return (certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    private static CertificateRequest Request(ECDsa key, string[] names)
    {
        var request = new CertificateRequest("CN=server", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(Names(names));
        return request;
    }

    private static X509Extension Names(string[] names)
    {
        var list = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
        {
            if (IPAddress.TryParse(name, out var address)) list.AddIpAddress(address);
            else if (name.Contains("://", StringComparison.Ordinal)) list.AddUri(new(name));
            else list.AddDnsName(name);
        }
        return list.Build();
    }

    public void Dispose()
    {
        _root.Dispose();
        _key.Dispose();
    }
}
