using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>BackendTLSPolicies for what GRPCRoutes and TLSRoutes of a Gateway lead to.</summary>
public sealed class BackendTlsRouteTests
{
    private static readonly TestCa Known = new("known"), Other = new("other");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("abc.example.com", "known", "200 abc.example.com HTTP/2")]
    [InlineData("mismatch.example.com", "known", "503")]
    [InlineData("abc.example.com", "other", "503")]
    public async Task Calls_of_gRPC_are_encrypted_for_a_backend_that_is_what_its_policy_names(string name, string ca, string expected)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http2, context =>
            context.Response.WriteAsync($"{context.Features.Get<ITlsHandshakeFeature>()?.HostName} {context.Request.Protocol}"),
            Known.Server("abc.example.com"));
        // The name of the port says nothing of a protocol.
        using var proxy = ProxyOf("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: GRPCRoute
            metadata: {name: r, namespace: shop}
            spec: {parentRefs: [{name: front, sectionName: http}], hostnames: [abc.example.com],
              rules: [{matches: [{method: {service: pkg.S, method: Do} }], backendRefs: [{name: secure, port: 80}]}]}
            """, "btls", server.Port, name, ca);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://127.0.0.1:{proxy.Port}/pkg.S/Do")
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Headers = { Host = "abc.example.com" },
            Content = new ByteArrayContent([]),
        };
        request.Content.Headers.ContentType = new("application/grpc");
        using var response = await client.SendAsync(request, Stop);
        var failure = response.Headers.TryGetValues("grpc-status", out var codes) ? $"{(codes.Single() == "14" ? 503 : 0)}" : "";
        Assert.Equal(expected, failure.Length > 0 ? failure : $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Stop)}");
        AssertAccepted(proxy);
    }

    [Theory]
    [InlineData("abc.example.com", "known", "abc.example.com")]
    [InlineData("mismatch.example.com", "known", "")]
    [InlineData("abc.example.com", "other", "")]
    public async Task A_connection_whose_TLS_a_listener_ends_is_encrypted_again_for_its_backend(string name, string ca, string expected)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, Known.Server("abc.example.com"));
        using var proxy = ProxyOf("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: TLSRoute
            metadata: {name: r, namespace: shop}
            spec: {parentRefs: [{name: front, sectionName: end}], hostnames: [tls.example.com], rules: [{backendRefs: [{name: secure, port: 80}]}]}
            """, "btls", server.Port, name, ca);
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", proxy.TcpPort, Stop);
        await using var tls = new SslStream(client.GetStream(), false, (_, _, _, _) => true);
        var answer = "";
        try
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "tls.example.com" }, Stop);
            await tls.WriteAsync("GET / HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n"u8.ToArray(), Stop);
            using var reader = new StreamReader(tls, Encoding.ASCII);
            answer = await reader.ReadToEndAsync(Stop);
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            // The gateway ends a connection that it cannot pass on.
        }
        Assert.Equal(expected, answer.Length == 0 ? "" : answer.Split("\r\n\r\n", 2)[1].Split("\r\n")[1]);
        AssertAccepted(proxy);
    }

    [Theory]
    [InlineData("2.0", "abc.example.com HTTP/2")]
    [InlineData("1.1", "abc.example.com HTTP/1.1")]
    public async Task A_backend_that_is_spoken_to_as_the_client_speaks_learns_it_in_the_handshake(string version, string expected)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1AndHttp2, context =>
            context.Response.WriteAsync($"{context.Features.Get<ITlsHandshakeFeature>()?.HostName} {context.Request.Protocol}"),
            Known.Server("abc.example.com"));
        using var proxy = ProxyOf("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: HTTPRoute
            metadata: {name: r, namespace: shop}
            spec: {parentRefs: [{name: front, sectionName: http}], rules: [{backendRefs: [{name: secure, port: 80}]}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: as-clients, namespace: shop}
            spec: {host: secure, trafficPolicy: {connectionPool: {http: {useClientProtocol: true}}}}
            """, "http", server.Port, "abc.example.com", "known");
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{proxy.Port}/")
        {
            Version = Version.Parse(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using var response = await client.SendAsync(request, Stop);
        Assert.Equal(expected, await response.Content.ReadAsStringAsync(Stop));
    }

    private static void AssertAccepted(ApiGatewayProxy proxy)
    {
        var ancestor = Assert.Single(Assert.Single(proxy.Rig.Mesh.PolicyStatuses.Items.Values).Ancestors);
        Assert.Equal(("shop", "front"), (ancestor.Parent.Namespace, ancestor.Parent.Name));
        Assert.Equal(["Accepted", "ResolvedRefs"], ancestor.Conditions.Where(condition => condition.Status == true).Select(condition => condition.Reason));
    }

    private static ApiGatewayProxy ProxyOf(string route, string port, int number, string name, string ca)
    {
        var (certificate, key) = TestCa.SelfSignedPair("tls.example.com");
        return new($$"""
            {{route}}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: BackendTLSPolicy
            metadata: {name: p, namespace: shop}
            spec: {targetRefs: [{group: '', kind: Service, name: secure, sectionName: {{port}} }],
              validation: {hostname: {{name}}, caCertificateRefs: [{group: '', kind: ConfigMap, name: {{ca}} }]} }
            """, [("secure", port, number)], prepare: rig =>
        {
            foreach (var (place, pem) in new[] { ("known", Known.Pem), ("other", Other.Pem) })
                rig.Writer.Put("c1", new ConfigMap { Metadata = new() { Name = place, Namespace = MeshRig.Namespace }, Data = { ["ca.crt"] = pem } });
            rig.Writer.Put("c1", new Secret
            {
                Metadata = new() { Name = "cert", Namespace = MeshRig.Namespace }, Type = "kubernetes.io/tls",
                Data = { ["tls.crt"] = Base64(certificate), ["tls.key"] = Base64(key) },
            });
        }, second: "{name: end, port: 9000, protocol: TLS, hostname: tls.example.com, tls: {mode: Terminate, certificateRefs: [{name: cert}]} }");
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
