using Google.Protobuf;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;

namespace Isthmus.Mesh.Generate;

/// <summary>SDS of gateways: the certificates that their servers name by <c>credentialName</c>, and nothing else.</summary>
public static class GatewayCredentials
{
    private const string CaSuffix = "-cacert";

    /// <param name="find">Returns the named credential in the gateway's own namespace; null when there is none.</param>
    public static IEnumerable<(Secret Secret, ObjectRef Source)> Of(GatewayScope gateway, Func<string, TlsCredential?> find)
    {
        var names = gateway.Gateways.SelectMany(item => item.Servers).Select(server => server.Tls?.CredentialName ?? "").Where(name => name.Length > 0);
        foreach (var name in names.Distinct().Order(StringComparer.Ordinal))
        {
            var own = find(name);
            if (own is { Certificate.Length: > 0, PrivateKey.Length: > 0 })
            {
                yield return (new()
                {
                    Name = TlsContexts.KubernetesName(name),
                    TlsCertificate = new() { CertificateChain = Inline(own.Certificate), PrivateKey = Inline(own.PrivateKey) },
                }, own.Source);
            }
            // The client CA is in the same Secret as the certificate, or in a Secret of its own.
            if ((own is { CaCertificates.Length: > 0 } ? own : find(name + CaSuffix)) is { CaCertificates.Length: > 0 } ca)
            {
                yield return (new() { Name = TlsContexts.KubernetesName(name + CaSuffix), ValidationContext = new() { TrustedCa = Inline(ca.CaCertificates) } }, ca.Source);
            }
        }
    }

    private static DataSource Inline(string pem) => new() { InlineBytes = ByteString.CopyFromUtf8(pem) };
}
