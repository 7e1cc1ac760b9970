using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Clusters connect to internal listeners of the same proxy, which learn where a connection was meant to go and who the caller is.</summary>
public sealed class InternalListenerTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_request_passes_a_tunnel_and_its_caller_is_known_behind_it()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxies = new TunnelledProxies(origin.Port);
        using var client = new HttpClient();
        for (var i = 0; i < 3; i++)
        {
            using var response = await client.PostAsync(Url(proxies.Client), new StringContent("hello"), Stop);
            Assert.Equal((HttpStatusCode.OK, "hello"), (response.StatusCode, await response.Content.ReadAsStringAsync(Stop)));
        }
        Assert.StartsWith($"200 127.0.0.1:{origin.Port} via_upstream\n", await proxies.Server.LoggedAsync());
        await Eventually.TrueAsync(() => proxies.Server.Plane.MeshMetrics.Http.Sum(counts => Interlocked.Read(ref counts.Requests)) == 3);
        var labels = Assert.Single(proxies.Server.Plane.MeshMetrics.Http).Labels.Pairs.ToDictionary();
        Assert.Equal((TunnelledProxies.Buyer, "mutual_tls"), (labels["source_principal"], labels["connection_security_policy"]));
        // A connection of each event loop carries all tunnels, and a tunnel all requests of a client's connection.
        Assert.InRange(proxies.Client.Plane.State.Current.Clusters["connect_originate"].Counters.Connects, 1, EventLoop.All.Count);
        Assert.InRange(proxies.Server.Plane.State.Current.Clusters["main_internal"].Counters.Connects, 1, 2);
    }

    [Fact]
    public async Task Policies_ask_who_has_opened_the_tunnel()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxies = new TunnelledProxies(origin.Port, allowed: "spiffe://cluster.local/ns/shop/sa/other");
        using var client = new HttpClient();
        using var response = await client.GetAsync(Url(proxies.Client), Stop);
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.StartsWith($"403 127.0.0.1:{origin.Port} rbac_access_denied", await proxies.Server.LoggedAsync());
    }

    [Fact]
    public async Task An_answer_that_ends_its_connection_arrives_whole()
    {
        var said = new string('x', 3 << 20);
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync(said));
        using var proxies = new TunnelledProxies(origin.Port);
        var text = await proxies.Client.RawAsync("GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200 ", text);
        Assert.Equal(said.Length, text[text.IndexOf("\r\n\r\n", StringComparison.Ordinal)..].Count(c => c == 'x'));
    }

    [Fact]
    public async Task A_host_whose_tunnel_cannot_be_opened_is_one_that_cannot_be_reached()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxies = new TunnelledProxies(origin.Port, route: """ , "retry_policy": {"retry_on": "connect-failure", "num_retries": 2} """);
        // Nothing ends tunnels at the second address.
        proxies.Client.Clusters(Parse(TunnelledProxies.Web($"127.0.0.1:{origin.Port}", $"127.0.0.2:{origin.Port}")));
        using var client = new HttpClient();
        for (var i = 0; i < 8; i++)
        {
            using var response = await client.GetAsync(Url(proxies.Client), Stop);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
        Assert.True(proxies.Client.Plane.State.Current.Clusters["web"].Counters.ConnectFailures > 0);

        proxies.Client.Clusters(Parse(TunnelledProxies.Web($"127.0.0.2:{origin.Port}")));
        using var failed = await client.GetAsync(Url(proxies.Client), Stop);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, failed.StatusCode);
        Assert.Contains("connect_error:_111", await failed.Content.ReadAsStringAsync(Stop), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "connect_originate_is_not_told_where_the_connection_goes")]
    [InlineData("gone", "no_internal_listener_is_named_connect_originate")]
    public async Task A_connection_that_leads_nowhere_fails_with_the_reason(string target, string expected)
    {
        using var proxies = new TunnelledProxies(1);
        if (target == "gone") proxies.Client.Remove("connect_originate");
        else proxies.Client.Clusters(Parse(TunnelledProxies.Web(target)));
        using var client = new HttpClient();
        using var response = await client.GetAsync(Url(proxies.Client), Stop);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains(expected, await response.Content.ReadAsStringAsync(Stop), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bytes_pass_in_both_directions_and_end_by_themselves()
    {
        using var application = new TcpListener(IPAddress.Loopback, 0);
        application.Start();
        using var proxies = new TunnelledProxies(((IPEndPoint)application.LocalEndpoint).Port);
        proxies.Client.Clusters(Parse(TunnelledProxies.Web("127.0.0.1:7")));
        using var port = proxies.Client.Tcp("web");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        using var server = await application.AcceptTcpClientAsync(Stop);
        var (asked, answered) = (RandomNumberGenerator.GetBytes(5 << 20), RandomNumberGenerator.GetBytes(5 << 20));
        var (near, far) = (client.GetStream(), server.GetStream());
        var asking = SayAsync(near, asked);
        Assert.Equal(asked, await HearAsync(far));
        await asking;
        // The client has ended its direction; the other goes on.
        var answering = SayAsync(far, answered);
        Assert.Equal(answered, await HearAsync(near));
        await answering;
        await Eventually.TrueAsync(() => proxies.Client.Plane.Connections.Count == 0);
        Assert.Equal(0, proxies.Client.Plane.Report.Ends(EndReason.UpstreamReset));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_reset_passes_all_the_way(bool fromClient)
    {
        using var application = new TcpListener(IPAddress.Loopback, 0);
        application.Start();
        using var proxies = new TunnelledProxies(((IPEndPoint)application.LocalEndpoint).Port);
        proxies.Client.Clusters(Parse(TunnelledProxies.Web("127.0.0.1:7")));
        using var port = proxies.Client.Tcp("web");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        using var server = await application.AcceptTcpClientAsync(Stop);
        // A byte that has passed shows that all of the way is open.
        await client.GetStream().WriteAsync("?"u8.ToArray(), Stop);
        await server.GetStream().ReadExactlyAsync(new byte[1], Stop);
        var (one, other) = fromClient ? (client, server) : (server, client);
        one.Client.LingerState = new LingerOption(true, 0);
        one.Client.Dispose();
        var failure = await Assert.ThrowsAsync<IOException>(async () => await other.GetStream().ReadExactlyAsync(new byte[1], Stop));
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(failure.InnerException).SocketErrorCode);
        await Eventually.TrueAsync(() => proxies.Client.Plane.Connections.Count == 0);
    }

    [Fact]
    public async Task A_caller_that_is_not_allowed_gets_no_bytes_through()
    {
        using var application = new TcpListener(IPAddress.Loopback, 0);
        application.Start();
        using var proxies = new TunnelledProxies(((IPEndPoint)application.LocalEndpoint).Port, allowed: "nobody");
        proxies.Client.Clusters(Parse(TunnelledProxies.Web("127.0.0.1:7")));
        using var port = proxies.Client.Tcp("web");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        Assert.Empty(await HearAsync(client.GetStream()));
        Assert.Equal(1, proxies.Server.Plane.Report.Ends(EndReason.DeniedByPolicy));
        Assert.False(application.Pending());
    }

    /// <summary>Nothing but the chains of the inner listener says which addresses a tunnel may lead to.</summary>
    [Fact]
    public async Task A_tunnel_to_an_address_without_a_chain_ends()
    {
        using var application = new TcpListener(IPAddress.Loopback, 0);
        application.Start();
        using var proxies = new TunnelledProxies(((IPEndPoint)application.LocalEndpoint).Port);
        proxies.Client.Clusters(Parse(TunnelledProxies.Web("127.0.0.1:9")));
        using var port = proxies.Client.Tcp("web");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        Assert.Empty(await HearAsync(client.GetStream()));
        await Eventually.TrueAsync(() => proxies.Server.Plane.Report.Ends(EndReason.NoFilterChain) == 1);
        Assert.False(application.Pending());
    }

    [Fact]
    public async Task A_listener_that_is_removed_ends_its_connections()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxies = new TunnelledProxies(origin.Port);
        using var client = new HttpClient();
        using (var response = await client.GetAsync(Url(proxies.Client), Stop)) Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        proxies.Client.Remove("connect_originate");
        await Eventually.TrueAsync(() => proxies.Client.Plane.Connections.Count <= 1);
        using var later = await client.GetAsync(Url(proxies.Client), Stop);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, later.StatusCode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Listeners_that_lead_in_a_circle_end_with_the_reason(bool tellsCallers)
    {
        using var proxies = new TunnelledProxies(1);
        var circle = Parse(TunnelledProxies.Web("127.0.0.1:7"));
        if (!tellsCallers) circle.TransportSocketMatches.Clear();
        proxies.Client.Clusters(circle);
        proxies.Client.Listeners("""
            {"name": "connect_originate", "internal_listener": {}, "filter_chains": [{"filters": [{"name": "tcp", "typed_config": {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "circle", "cluster": "web"} }] }] }
            """);
        using var client = new HttpClient();
        using var response = await client.GetAsync(Url(proxies.Client), Stop);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains("they_lead_in_a_circle", await response.Content.ReadAsStringAsync(Stop), StringComparison.Ordinal);
        await Eventually.TrueAsync(() => proxies.Client.Plane.Connections.Count <= 1);
    }

    private static Uri Url(LoopbackProxy proxy) => new($"http://127.0.0.1:{proxy.Port}/echo");

    private static Cluster Parse(string json) => WireTypes.Strict.Parse<Cluster>(json);

    private static async Task SayAsync(NetworkStream side, byte[] bytes)
    {
        await side.WriteAsync(bytes, Stop);
        side.Socket.Shutdown(SocketShutdown.Send);
    }

    private static async Task<byte[]> HearAsync(Stream side)
    {
        using var all = new MemoryStream();
        try
        {
            await side.CopyToAsync(all, Stop);
        }
        catch (IOException)
        {
            // Reset: what came before counts.
        }
        return all.ToArray();
    }
}
