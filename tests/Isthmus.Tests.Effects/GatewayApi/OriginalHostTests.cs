using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RoutedCalls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Routes whose hosts a listener narrows to the same: the one that names the more exact host applies, however young it is.</summary>
public sealed class OriginalHostTests
{
    private static readonly TestCa Ca = new("servers");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("abc.example.com", "'*.example.com'", "abc.example.com")]
    [InlineData("'*.example.com'", "'*.com'", "'*.example.com'")]
    [InlineData("'*.example.com'", "", "'*.com'")]
    public async Task Requests_get_the_route_that_names_the_more_exact_host(string listener, string older, string younger)
    {
        foreach (var isGrpc in (bool[])[false, true])
        {
            var kind = isGrpc ? "GRPCRoute" : "HTTPRoute";
            await using var calls = await AtGatewayAsync(
                Route("older", "{name: front}", $"{{{V1}}}", older, kind)
                    + Route("younger", "{name: front}", $"{{{V2}}}", younger, kind, age: "2026-03-01T00:00:00Z"),
                $"{{name: one, port: 80, protocol: HTTP, hostname: {listener}}}",
                protocols: isGrpc ? HttpProtocols.Http2 : HttpProtocols.Http1, port: isGrpc ? "grpc" : "http");
            await calls.ExpectAsync(isGrpc ? "POST abc.example.com/pkg.Echo/Echo => v2" : "GET abc.example.com/a => v2",
                version: isGrpc ? HttpVersion.Version20 : null, isGrpc: isGrpc);
        }
    }

    [Theory]
    [InlineData("abc.example.com", "'*.example.com'", "abc.example.com")]
    [InlineData("'*.example.com'", "'*.com'", "'*.example.com'")]
    public async Task Connections_get_the_TLSRoute_that_names_the_more_exact_host(string listener, string older, string younger)
    {
        await using var first = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, Ca.Server("older.example.com"));
        await using var second = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, Ca.Server("younger.example.com"));
        using var proxy = new ApiGatewayProxy(
            Tls("older", older, "2026-01-01T00:00:00Z") + Tls("younger", younger, "2026-03-01T00:00:00Z"),
            [("older", "tcp", first.Port), ("younger", "tcp", second.Port)],
            second: $"{{name: pass, port: 9000, protocol: TLS, hostname: {listener}, tls: {{mode: Passthrough}} }}");
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", proxy.TcpPort, Stop);
        await using var tls = new SslStream(client.GetStream(), false, (_, _, _, _) => true);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "abc.example.com" }, Stop);
        using var shown = X509CertificateLoader.LoadCertificate(tls.RemoteCertificate!.GetRawCertData());
        Assert.Equal("younger.example.com", shown.GetNameInfo(X509NameType.DnsName, false));
    }

    private static string Tls(string name, string hosts, string age) => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: TLSRoute
        metadata: {name: {{name}}, namespace: shop, creationTimestamp: '{{age}}'}
        spec: {hostnames: [{{hosts}}], parentRefs: [{name: front, sectionName: pass}], rules: [{backendRefs: [{name: {{name}}, port: 80}]}]}
        ---

        """;
}
