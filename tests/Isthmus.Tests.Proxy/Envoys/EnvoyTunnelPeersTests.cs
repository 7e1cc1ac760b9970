using System.Net;
using System.Security.Cryptography;
using Isthmus.Proxy.Loops;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>Tunnels (HBONE) between our proxy and a real Envoy, with the same resources for both.</summary>
public sealed class EnvoyTunnelPeersTests
{
    private const string Entry = """
        {"name": "in", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0} }, "filter_chains": [{"filters": [{"name": "http", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "in",
          "route_config": {"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "web"} }] }] },
          "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"} }] } }] }] }
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(TunnelledProxies.Buyer, HttpStatusCode.OK)]
    [InlineData("spiffe://cluster.local/ns/shop/sa/other", HttpStatusCode.Forbidden)]
    public async Task Envoy_ends_tunnels_that_our_proxy_opens(string allowed, HttpStatusCode expected)
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        using var ca = new TestCa("mesh");
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, ReturnAsync);
        using var envoy = new StaticEnvoy(RealEnvoy.Find()!, TunnelledProxies.ServerListeners(origin.Port, allowed, tunnels: 0),
            TunnelledProxies.ServerClusters(origin.Port), TunnelledProxies.Secrets(ca, TunnelledProxies.Ledger));
        using var client = TunnelledProxies.NewClient(ca, origin.Port, (await envoy.PortsAsync(Stop))["connect_terminate"]);
        await CallAsync(client.Port, expected);
        Assert.InRange(client.Plane.State.Current.Clusters["connect_originate"].Counters.Connects, 1, EventLoop.All.Count);
    }

    [Theory]
    [InlineData(TunnelledProxies.Buyer, HttpStatusCode.OK)]
    [InlineData("spiffe://cluster.local/ns/shop/sa/other", HttpStatusCode.Forbidden)]
    public async Task Our_proxy_ends_tunnels_that_Envoy_opens(string allowed, HttpStatusCode expected)
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        using var ca = new TestCa("mesh");
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, ReturnAsync);
        using var port = new ReservedPort();
        using var server = TunnelledProxies.NewServer(ca, origin.Port, allowed, port.Number);
        using var envoy = new StaticEnvoy(RealEnvoy.Find()!, [Entry, TunnelledProxies.ConnectOriginate],
            TunnelledProxies.ClientClusters(origin.Port, port.Number), TunnelledProxies.Secrets(ca, TunnelledProxies.Buyer));
        await CallAsync((await envoy.PortsAsync(Stop))["in"], expected);
        await Eventually.TrueAsync(() => server.Plane.MeshMetrics.Http.Any());
        Assert.All(server.Plane.MeshMetrics.Http,
            counts => Assert.Equal(TunnelledProxies.Buyer, counts.Labels.Pairs.ToDictionary()["source_principal"]));
    }

    /// <summary>Small and large bodies, many calls at once, and connections that end with their answer.</summary>
    private static async Task CallAsync(int port, HttpStatusCode expected)
    {
        using var client = new HttpClient();
        var large = RandomNumberGenerator.GetBytes(3 << 20);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            var body = i % 5 == 0 ? large : large[..(100 * i)];
            using var request = new HttpRequestMessage(HttpMethod.Post, $"http://127.0.0.1:{port}/")
            {
                // An answer may come before the end of a body that nobody wants.
                Content = new ByteArrayContent(expected == HttpStatusCode.OK ? body : []),
            };
            request.Headers.ConnectionClose = i % 2 == 0;
            using var response = await client.SendAsync(request, Stop);
            Assert.Equal(expected, response.StatusCode);
            if (expected == HttpStatusCode.OK) Assert.Equal(body, await response.Content.ReadAsByteArrayAsync(Stop));
        }));
    }

    private static async Task ReturnAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        await context.Response.Body.WriteAsync(body.ToArray());
    }
}
