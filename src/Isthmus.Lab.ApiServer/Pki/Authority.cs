using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Isthmus.Lab.ApiServer.Pki;

/// <summary>Issues the certificates of one cluster. P-256 throughout: keys take microseconds where RSA takes half a second.</summary>
internal static class Authority
{
    private static readonly TimeSpan CaLifetime = TimeSpan.FromDays(3650);
    private static readonly TimeSpan LeafLifetime = TimeSpan.FromDays(365);

    // Clocks of Pods and hosts agree here, those of a debugger or a restored machine may not.
    private static readonly TimeSpan Backdating = TimeSpan.FromMinutes(5);

    public static X509Certificate2 CreateCa(DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=kubernetes", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(
            X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign | X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        return request.CreateSelfSigned(now - Backdating, now + CaLifetime);
    }

    public static X509Certificate2 IssueServer(X509Certificate2 ca, string cluster, IPAddress address, DateTimeOffset now)
    {
        var names = new SubjectAlternativeNameBuilder();
        foreach (var name in ServerNames(cluster)) names.AddDnsName(name);
        foreach (var ip in ServerAddresses(address)) names.AddIpAddress(ip);
        return Issue(ca, "CN=kube-apiserver", "1.3.6.1.5.5.7.3.1", names.Build(), now);
    }

    /// <summary>A client certificate: the common name is the user, the organization its group.</summary>
    public static X509Certificate2 IssueClient(X509Certificate2 ca, string user, string group, DateTimeOffset now)
    {
        var subject = new X500DistinguishedNameBuilder();
        subject.AddOrganizationName(group);
        subject.AddCommonName(user);
        return Issue(ca, subject.Build(), "1.3.6.1.5.5.7.3.2", null, now);
    }

    public static IEnumerable<string> ServerNames(string cluster) =>
    [
        "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
        "localhost", PkiNames.NodeName(cluster),
    ];

    public static IEnumerable<IPAddress> ServerAddresses(IPAddress address) =>
        new[] { IPAddress.Loopback, IPAddress.IPv6Loopback, PkiNames.KubernetesService, address }.Distinct();

    private static X509Certificate2 Issue(
        X509Certificate2 ca, string subject, string usage, X509Extension? names, DateTimeOffset now) =>
        Issue(ca, new X500DistinguishedName(subject), usage, names, now);

    private static X509Certificate2 Issue(
        X509Certificate2 ca, X500DistinguishedName subject, string usage, X509Extension? names, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(ca, true, false));
        if (names is not null) request.CertificateExtensions.Add(names);
        var until = now + LeafLifetime < ca.NotAfter ? now + LeafLifetime : new DateTimeOffset(ca.NotAfter);
        using var bare = request.Create(ca, now - Backdating, until, SerialNumber());
        return bare.CopyWithPrivateKey(key);
    }

    private static byte[] SerialNumber()
    {
        var serial = RandomNumberGenerator.GetBytes(16);
        serial[0] &= 0x7f;
        return serial;
    }
}
