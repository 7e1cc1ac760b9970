using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Proxy.Tls;

namespace Isthmus.Tests.Mesh.Proxy;

/// <summary>A root, one intermediate for each cluster, and workload certificates below them.</summary>
internal sealed class TestAuthority
{
    private static readonly DateTimeOffset From = DateTimeOffset.UtcNow.AddMinutes(-2);
    private static readonly DateTimeOffset To = DateTimeOffset.UtcNow.AddDays(1);

    private readonly X509Certificate2 _root = Authority("O=Test, CN=Root", null);

    internal string RootPem => _root.ExportCertificatePem();

    /// <summary>The secrets of a workload: its certificate, the intermediate's, and the roots it trusts.</summary>
    internal TestSecrets Issue(string intermediate, string identity, string? trusted = null)
    {
        using var between = Authority($"O=Test, CN={intermediate}", _root);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri(identity));
        request.CertificateExtensions.Add(names.Build(critical: true));
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        using var leaf = request.Create(between, From, To, RandomNumberGenerator.GetBytes(8));
        return new(
            CertificateSecret.Load("default", leaf.ExportCertificatePem() + "\n" + between.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem()),
            RootSecret.Load("ROOTCA", trusted ?? RootPem));
    }

    private static X509Certificate2 Authority(string subject, X509Certificate2? issuer)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.DigitalSignature, true));
        if (issuer is null) return request.CreateSelfSigned(From, To);
        return request.Create(issuer, From, To, RandomNumberGenerator.GetBytes(8)).CopyWithPrivateKey(key);
    }
}

/// <summary>Secrets that exist from the start.</summary>
internal sealed class TestSecrets(CertificateSecret certificate, RootSecret roots) : ISecretSource
{
    public event Action<string>? Changed
    {
        add { }
        remove { }
    }

    public CertificateSecret? FindCertificate(string name) => name == "default" ? certificate : null;

    public RootSecret? FindRoots(string name) => name == "ROOTCA" ? roots : null;

    public IReadOnlyList<SecretView> View() =>
        [new("default", "1", DateTimeOffset.UnixEpoch, certificate.ChainPem, ""), new("ROOTCA", "1", DateTimeOffset.UnixEpoch, "", roots.Pem)];
}
