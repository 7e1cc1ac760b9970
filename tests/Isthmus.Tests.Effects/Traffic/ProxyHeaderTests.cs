using Isthmus.Proxy.Telemetry;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary><c>proxyHeaders</c> of MeshConfig, from the setting to the bytes that an application and its caller get.</summary>
public sealed class ProxyHeaderTests
{
    private const string Attempts = "x-envoy-attempt-count ", Router = "x-envoy-expected-rq-timeout-ms x-envoy-original-path ",
        Peer = "x-envoy-peer-metadata x-envoy-peer-metadata-id ", Id = "x-request-id";

    /// <summary>Its timeout and its rewritten path show in fields.</summary>
    private const string Route = """
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop}
        spec: {hosts: [web.example], http: [{timeout: 30s, rewrite: {uri: /inner}, route: [{destination: {host: web.example}}]}]}
        """;

    private static readonly string[] Fields = [.. $"{Attempts}{Router}{Peer}{Id}".Split(' ')];

    private static readonly ProxyIdentity Identity = ProxyIdentity.Unknown with
    {
        NodeId = "sidecar~client", PeerMetadata = PeerMetadataText.Write(ProxyIdentity.Unknown)
    };

    [Theory]
    [InlineData("{}", Attempts + Router + Peer + Id, "envoy", true)]
    [InlineData("{requestId: {disabled: true}}", Attempts + Router + Peer, "envoy", true)]
    [InlineData("{attemptCount: {disabled: true}}", Router + Peer + Id, "envoy", true)]
    [InlineData("{envoyDebugHeaders: {disabled: true}}", Attempts + Peer + Id, "envoy", false)]
    [InlineData("{metadataExchangeHeaders: {mode: IN_MESH}}", Attempts + Router + Id, "envoy", true)]
    [InlineData("{metadataExchangeHeaders: {mode: UNDEFINED}}", Attempts + Router + Peer + Id, "envoy", true)]
    [InlineData("{server: {disabled: true}}", Attempts + Router + Peer + Id, "app", true)]
    [InlineData("{server: {value: shop}}", Attempts + Router + Peer + Id, "shop", true)]
    public async Task A_host_outside_of_the_mesh_gets_the_fields_that_are_on(string headers, string got, string server, bool hasTime)
    {
        var seen = "";
        await using var origin = await OriginAsync(names => seen = names);
        using var proxy = new SidecarProxy(Route, [(origin.Port, "")], settings: $"defaultConfig: {{proxyHeaders: {headers}}}", identity: Identity);
        Assert.Empty(proxy.Reported);
        using var answer = await proxy.SendAsync();
        Assert.Equal("/inner", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(got.Trim(), seen);
        Assert.Equal((server, hasTime), (answer.Headers.Server.ToString(), answer.Headers.Contains("x-envoy-upstream-service-time")));
    }

    /// <summary>A field that the client sends is not the proxy's.</summary>
    [Fact]
    public async Task The_clients_request_id_stays()
    {
        var seen = "";
        await using var origin = await OriginAsync(names => seen = names);
        using var proxy = new SidecarProxy(Route, [(origin.Port, "")], settings: "defaultConfig: {proxyHeaders: {requestId: {disabled: true}}}");
        using var answer = await proxy.SendAsync(header: "x-request-id: mine");
        Assert.Contains("x-request-id", seen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_of_the_mesh_is_told_who_calls()
    {
        var seen = "";
        await using var origin = await OriginAsync(names => seen = names);
        using var proxy = new SidecarProxy(Route, [(origin.Port, "")], settings: "defaultConfig: {proxyHeaders: {metadataExchangeHeaders: {mode: IN_MESH}}}",
            identity: Identity);
        proxy.Apply(SidecarProxy.Entry([(origin.Port, "")])
            .Replace("resolution: STATIC", "location: MESH_INTERNAL\n  resolution: STATIC", StringComparison.Ordinal));
        using var answer = await proxy.SendAsync();
        Assert.Equal(Attempts + Router + Peer + Id, seen);
    }

    [Theory]
    [InlineData("{}", true)]
    [InlineData("{envoyDebugHeaders: {disabled: true}}", false)]
    public async Task Callers_of_a_busy_host_are_told_so_where_the_field_is_on(string headers, bool told)
    {
        var (arrived, free) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            arrived.TrySetResult();
            return free.Task;
        });
        using var proxy = new SidecarProxy("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec: {host: web.example, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}}
            """, [(origin.Port, "")], settings: $"defaultConfig: {{proxyHeaders: {headers}}}");
        var first = proxy.CallAsync();
        await arrived.Task;
        var second = proxy.CallAsync();
        await Eventually.TrueAsync(() => proxy.Plane.State.Current.Clusters["outbound|80||web.example"].Use.PendingRequests > 0);
        using var third = await proxy.SendAsync();
        Assert.Equal((503, told), ((int)third.StatusCode, third.Headers.Contains("x-envoy-overloaded")));
        free.SetResult();
        Assert.All(await Task.WhenAll(first, second), answer => Assert.Equal(200, answer.Status));
    }

    /// <param name="tell">Gets the names of those fields of each request that proxies may add.</param>
    private static Task<OriginServer> OriginAsync(Action<string> tell) => OriginServer.StartAsync(HttpProtocols.Http1, context =>
    {
        tell(string.Join(' ', Fields.Where(context.Request.Headers.ContainsKey)));
        context.Response.Headers.Server = "app";
        return context.Response.WriteAsync(context.Request.Path);
    });
}
