using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using Secret = Isthmus.Kubernetes.Objects.Secret;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>TLSRoutes of a port where one listener passes connections on, and another one ends their TLS.</summary>
public sealed class TlsRouteTrafficTests : IAsyncLifetime
{
    private static readonly TestCa Ca = new("servers");

    private OriginServer _secure = null!, _plain = null!;
    private ApiGatewayProxy _proxy = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _secure = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, Ca.Server("backend.example.com"));
        _plain = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("plain"));
        var (certificate, key) = TestCa.SelfSignedPair("gateway.example.com");
        _proxy = new(
            Route("through", "pass", "a.pass.example.com, '*.deep.pass.example.com'", "secure") + Route("lost", "pass", "lost.pass.example.com", "none")
                + Route("ended", "term", "a.term.example.com", "plain"),
            [("secure", "tcp", _secure.Port), ("plain", "tcp", _plain.Port)],
            prepare: rig => rig.Writer.Put("c1", new Secret
            {
                Metadata = new() { Name = "cert", Namespace = MeshRig.Namespace }, Type = "kubernetes.io/tls",
                Data = { ["tls.crt"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(certificate)),
                    ["tls.key"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(key)) },
            }),
            second: """
                {name: pass, port: 9000, protocol: TLS, hostname: '*.pass.example.com', tls: {mode: Passthrough} }
                {name: term, port: 9000, protocol: TLS, hostname: '*.term.example.com', tls: {mode: Terminate, certificateRefs: [{name: cert}]} }
                """);
    }

    public async ValueTask DisposeAsync()
    {
        _proxy.Dispose();
        await _secure.DisposeAsync();
        await _plain.DisposeAsync();
    }

    [Theory]
    [InlineData("a.pass.example.com", "backend", "a.pass.example.com")]
    [InlineData("b.deep.pass.example.com", "backend", "b.deep.pass.example.com")]
    [InlineData("a.term.example.com", "gateway", "plain")]
    [InlineData("b.pass.example.com", "", "")] // no route
    [InlineData("b.term.example.com", "", "")]
    [InlineData("lost.pass.example.com", "", "")] // no backend
    [InlineData("a.example.org", "", "")] // no listener
    public async Task A_connection_goes_by_the_name_that_it_asks_for(string name, string certificate, string answer)
    {
        var (subject, body) = await CallAsync(name);
        Assert.Equal((certificate, answer), (subject, body));
    }

    [Fact]
    public void Statuses_say_which_backend_is_missing()
    {
        var statuses = _proxy.Rig.Mesh.RouteStatuses.Items.Values.Where(status => status.Source.Kind == "TLSRoute")
            .ToDictionary(status => status.Source.Name, status =>
                string.Join(' ', Assert.Single(status.Parents).Conditions.Select(condition => condition.Reason)));
        Assert.Equal(("Accepted ResolvedRefs", "Accepted BackendNotFound", "Accepted ResolvedRefs"),
            (statuses["through"], statuses["lost"], statuses["ended"]));
    }

    /// <summary>Whose certificate the client sees, and the body of the answer; both empty: the connection ends.</summary>
    private async Task<(string Subject, string Body)> CallAsync(string name)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", _proxy.TcpPort, Stop);
        await using var tls = new SslStream(client.GetStream(), false, (_, _, _, _) => true);
        try
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = name }, Stop);
            await tls.WriteAsync("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"u8.ToArray(), Stop);
            using var reader = new StreamReader(tls, Encoding.ASCII);
            var text = await reader.ReadToEndAsync(Stop);
            using var shown = X509CertificateLoader.LoadCertificate(tls.RemoteCertificate!.GetRawCertData());
            var isBackends = shown.MatchesHostname("backend.example.com");
            var body = text.Split("\r\n\r\n", 2)[1];
            // A body of an HTTP/1.1 server without a length is in one chunk.
            return (isBackends ? "backend" : "gateway", body.Contains("\r\n", StringComparison.Ordinal) ? body.Split("\r\n")[1] : body);
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            return ("", "");
        }
    }

    private static string Route(string name, string section, string hosts, string backend) => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: TLSRoute
        metadata: {name: {{name}}, namespace: shop}
        spec: {hostnames: [{{hosts}}], parentRefs: [{name: front, sectionName: {{section}}}], rules: [{backendRefs: [{name: {{backend}}, port: 80}]}]}
        ---

        """;
}
