using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Ca;

/// <summary>A CA two levels below its root, as an administrator plugs it in (the Secret <c>cacerts</c>).</summary>
internal static class ChainedCa
{
    /// <param name="client">The cluster.</param>
    /// <param name="ns">The namespace of the control plane, which exists.</param>
    /// <param name="middle">When the certificate between the root and that of the CA ends.</param>
    /// <param name="signing">When that of the CA ends.</param>
    internal static Task<JsonObject> CreateAsync(KubeClient client, string ns, DateTimeOffset middle, DateTimeOffset signing)
    {
        using ECDsa rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256), middleKey = ECDsa.Create(ECCurve.NamedCurves.nistP256),
            key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var begin = DateTimeOffset.UtcNow.AddHours(-1);
        using var root = Request("root", rootKey).CreateSelfSigned(begin, begin.AddDays(100));
        using var between = Request("middle", middleKey).Create(root.SubjectName, X509SignatureGenerator.CreateForECDsa(rootKey), begin, middle, [1]);
        using var own = Request("signing", key).Create(between.SubjectName, X509SignatureGenerator.CreateForECDsa(middleKey), begin, signing, [2]);
        return client.CreateAsync(Kinds.Secret, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = "Opaque", ["metadata"] = new JsonObject { ["name"] = "cacerts", ["namespace"] = ns },
            ["data"] = new JsonObject
            {
                ["ca-cert.pem"] = Base64(own.ExportCertificatePem()), ["ca-key.pem"] = Base64(key.ExportPkcs8PrivateKeyPem()),
                ["root-cert.pem"] = Base64(root.ExportCertificatePem()),
                ["cert-chain.pem"] = Base64($"{own.ExportCertificatePem()}\n{between.ExportCertificatePem()}\n"),
            },
        }, TestContext.Current.CancellationToken);
    }

    private static CertificateRequest Request(string name, ECDsa key)
    {
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        return request;
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
