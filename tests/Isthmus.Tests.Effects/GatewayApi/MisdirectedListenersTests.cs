using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using Secret = Isthmus.Kubernetes.Objects.Secret;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>HTTPS listeners of one port with one certificate: which requests a connection for one of them may carry.</summary>
public sealed class MisdirectedListenersTests : IAsyncLifetime
{
    private OriginServer _web = null!;
    private ApiGatewayProxy _proxy = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _web = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync(context.Request.Headers["route"].ToString()));
        var (certificate, key) = TestCa.SelfSignedPair("gateway.example.com");
        _proxy = new(
            Route("any", ", hostnames: [example.org]") + Route("second", "") + Route("wide", "") + Route("fourth", ""), [("web", "http", _web.Port)],
            prepare: rig => rig.Writer.Put("c1", new Secret
            {
                Metadata = new() { Name = "cert", Namespace = MeshRig.Namespace }, Type = "kubernetes.io/tls",
                Data =
                {
                    ["tls.crt"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(certificate)), ["tls.key"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(key))
                },
            }),
            second: string.Join('\n', Listener("any", ""), Listener("second", "second.org"), Listener("wide", "*.wild.org"),
                Listener("fourth", "fourth.wild.org"), "{name: pass, port: 9000, protocol: TLS, hostname: pass.wild.org, tls: {mode: Passthrough}}",
                "{name: end, port: 9000, protocol: TLS, hostname: '*.end.org', tls: {certificateRefs: [{name: cert}]}}"));
    }

    public async ValueTask DisposeAsync()
    {
        _proxy.Dispose();
        await _web.DisposeAsync();
    }

    [Theory]
    [InlineData("example.org", "example.org", "200 any")]
    [InlineData("example.org", "second.org", "421 ")]
    [InlineData("example.org", "unknown.org", "404 ")]
    [InlineData("second.org", "second.org", "200 second")]
    [InlineData("second.org", "second.org:9000", "200 second")]
    [InlineData("second.org", "example.org", "421 ")]
    [InlineData("second.org", "unknown.org", "421 ")] // the listener for every host has it
    [InlineData("third.wild.org", "third.wild.org", "200 wide")]
    [InlineData("third.wild.org", "fifth.wild.org", "200 wide")]
    [InlineData("third.wild.org", "fourth.wild.org", "421 ")]
    [InlineData("third.wild.org", "fourth.wild.org:9000", "421 ")]
    [InlineData("third.wild.org", "second.org", "421 ")]
    [InlineData("third.wild.org", "unknown.org", "421 ")]
    [InlineData("fourth.wild.org", "fourth.wild.org", "200 fourth")]
    [InlineData("fourth.wild.org", "fifth.wild.org", "421 ")]
    [InlineData("third.wild.org", "pass.wild.org", "421 ")] // what a listener passes through, or ends for a TLSRoute, is another's too
    [InlineData("example.org", "pass.wild.org:9000", "421 ")]
    [InlineData("fourth.wild.org", "a.end.org", "421 ")]
    [InlineData("unknown.org", "example.org", "200 any")]
    [InlineData("unknown.org", "unknown.org", "404 ")]
    public async Task A_request_gets_the_routes_of_the_listener_that_its_connection_named_or_none(string named, string host, string answer)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", _proxy.TcpPort, Stop);
        await using var tls = new SslStream(client.GetStream(), false, (_, _, _, _) => true);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = named }, Stop);
        await tls.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), Stop);
        using var reader = new StreamReader(tls, Encoding.ASCII);
        var text = await reader.ReadToEndAsync(Stop);
        var route = text.Split("\r\n").FirstOrDefault(line => line.StartsWith("routed: ", StringComparison.OrdinalIgnoreCase))?["routed: ".Length..] ?? "";
        Assert.Equal(answer, $"{text.Split(' ')[1]} {route}");
    }

    private static string Listener(string name, string host) =>
        $"{{name: {name}, port: 9000, protocol: HTTPS{(host.Length > 0 ? $", hostname: '{host}'" : "")}, tls: {{certificateRefs: [{{name: cert}}]}} }}";

    private static string Route(string name, string hosts) => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: {{name}}, namespace: shop}
        spec: {parentRefs: [{name: front, sectionName: {{name}} }]{{hosts}}, rules: [{backendRefs: [{name: web, port: 80}],
          filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: routed, value: {{name}} }]} }]}]}
        ---

        """;
}
