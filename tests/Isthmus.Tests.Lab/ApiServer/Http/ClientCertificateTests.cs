using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Http;

/// <summary>The API server takes every certificate in the handshake, and judges it in the request.</summary>
public sealed class ClientCertificateTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("of the cluster", HttpStatusCode.OK)]
    [InlineData("of another authority of the same name", HttpStatusCode.Unauthorized)]
    [InlineData("that has expired", HttpStatusCode.Unauthorized)]
    [InlineData("of a server", HttpStatusCode.Unauthorized)]
    public async Task A_certificate_is_judged_by_the_authority_of_the_cluster(string kind, HttpStatusCode expected)
    {
        using var other = Authority.CreateCa(DateTimeOffset.UtcNow);
        using var made = kind switch
        {
            "of another authority of the same name" => Authority.IssueClient(other, "kubernetes-admin", PkiNames.Masters, DateTimeOffset.UtcNow),
            "that has expired" => Expired(),
            "of a server" => Authority.IssueServer(server.Ca, "test", IPAddress.Loopback, DateTimeOffset.UtcNow),
            _ => Authority.IssueClient(server.Ca, "kubernetes-admin", PkiNames.Masters, DateTimeOffset.UtcNow),
        };
        using var certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        using var client = server.As(certificate);
        using var answer = await client.GetAsync("/api/v1/nodes", Stop);
        Assert.Equal(expected, answer.StatusCode);
        var body = JsonNode.Parse(await answer.Content.ReadAsStringAsync(Stop))!;
        Assert.Equal(expected == HttpStatusCode.OK ? "NodeList" : "Status", body["kind"]!.ToString());
    }

    private X509Certificate2 Expired()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("O=system:masters, CN=kubernetes-admin", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new("1.3.6.1.5.5.7.3.2")], false));
        var begin = new DateTimeOffset(server.Ca.NotBefore);
        using var bare = request.Create(server.Ca, begin, begin.AddMinutes(1), [1]);
        return bare.CopyWithPrivateKey(key);
    }
}
