using System.Net;
using System.Net.Sockets;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>A proxy whose Pod begins to end, while the application still runs.</summary>
public sealed class LeaveTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("sidecar", "INBOUND", true)]
    [InlineData("sidecar", "OUTBOUND", false)] // the application's own calls
    [InlineData("router", "OUTBOUND", true)]
    public async Task Clients_connect_elsewhere_and_the_application_goes_on(string role, string direction, bool ends)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up", "timeout": "0s"} """, role: role,
            direction: direction);
        proxy.Endpoints("up", origin.Port);
        Assert.False(await ClosesAsync());
        proxy.Plane.Leave();
        Assert.Equal(ends, await ClosesAsync());
        Assert.Equal(ends, await ClosesAsync()); // new connections are accepted
        Assert.False(proxy.Plane.IsReady);

        async Task<bool> ClosesAsync()
        {
            using var client = new HttpClient();
            using var response = await client.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop);
            Assert.True(response.IsSuccessStatusCode);
            return response.Headers.ConnectionClose == true;
        }
    }

    [Fact]
    public async Task A_sidecar_lets_the_application_call_for_the_whole_drain_time_when_its_Pod_ends()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up", "timeout": "0s"} """, role: "sidecar");
        proxy.Endpoints("up", origin.Port);
        var drained = proxy.Plane.DrainAsync(TimeSpan.FromDays(1), isPodEnding: true);
        for (var i = 0; i < 2; i++)
        {
            using var client = new HttpClient();
            using var response = await client.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop);
            Assert.Equal((HttpStatusCode.OK, false), (response.StatusCode, response.Headers.ConnectionClose == true));
        }
        // Also listeners that arrive meanwhile.
        using var tunnel = proxy.Tcp("up");
        using var other = new TcpClient();
        await other.ConnectAsync(IPAddress.Loopback, tunnel.Number, Stop);
        Assert.False(drained.IsCompleted);
        Assert.False(proxy.Plane.IsReady);
    }

    [Fact]
    public async Task Callers_of_a_Pod_that_ends_go_elsewhere_at_once()
    {
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 200} """, role: "sidecar", direction: "INBOUND");
        using var known = new HttpClient();
        using var before = await known.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop);
        Assert.NotEqual(true, before.Headers.ConnectionClose);
        var drained = proxy.Plane.DrainAsync(TimeSpan.FromDays(1), isPodEnding: true);
        using var client = new HttpClient();
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop));
        // The idle connection that was open has ended, and no update opens the listener again.
        proxy.Route(""" "direct_response": {"status": 201} """);
        try
        {
            using var last = await known.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop);
            Assert.True(last.Headers.ConnectionClose); // it was not idle yet
            await Assert.ThrowsAsync<HttpRequestException>(() => known.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop));
        }
        catch (HttpRequestException)
        {
            // It had ended.
        }
        Assert.False(drained.IsCompleted);
    }

    [Fact]
    public async Task A_sidecar_ends_after_the_drain_time()
    {
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 200} """, role: "sidecar", direction: "INBOUND");
        await proxy.Plane.DrainAsync(TimeSpan.FromMilliseconds(10), isPodEnding: true).WaitAsync(TimeSpan.FromSeconds(30), Stop);
        using var client = new HttpClient();
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync($"http://127.0.0.1:{proxy.Port}/", Stop));
    }

    [Theory]
    [InlineData(60, 50, true)] // a load balancer may need that long
    [InlineData(60, 57, false)]
    [InlineData(5, 1.9, true)]
    [InlineData(5, 2, false)]
    public async Task A_gateway_accepts_connections_until_shortly_before_the_drain_time_is_over(double drain, double passed, bool accepts)
    {
        var clock = new ManualClock();
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 200} """, time: clock);
        var drained = proxy.Plane.DrainAsync(TimeSpan.FromSeconds(drain));
        clock.Advance(TimeSpan.FromSeconds(passed));
        using var client = new TcpClient();
        if (accepts)
        {
            await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
            Assert.False(drained.IsCompleted);
            return;
        }
        clock.Advance(TimeSpan.FromSeconds(1));
        await drained.WaitAsync(TimeSpan.FromSeconds(30), Stop);
        await Assert.ThrowsAnyAsync<SocketException>(() => client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop).AsTask());
    }

    /// <summary>A connection that ended between two requests would take the next one with it.</summary>
    [Fact]
    public async Task A_client_that_has_just_called_is_told_with_its_next_response_and_one_that_rests_is_cut_off()
    {
        var clock = new ManualClock();
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 200} """, time: clock);
        using var busy = new TcpClient();
        using var still = new TcpClient();
        foreach (var client in (TcpClient[])[busy, still])
        {
            await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
            Assert.DoesNotContain("connection: close", await CallAsync(client), StringComparison.OrdinalIgnoreCase);
        }
        var drained = proxy.Plane.DrainAsync(TimeSpan.FromMinutes(1));
        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromMilliseconds(900); passed += TimeSpan.FromMilliseconds(100))
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            Assert.False(busy.Client.Poll(0, SelectMode.SelectRead));
        }
        Assert.Contains("connection: close", await CallAsync(busy), StringComparison.OrdinalIgnoreCase);
        Assert.Equal(0, await busy.GetStream().ReadAsync(new byte[1], Stop));
        while (!drained.IsCompleted)
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(1, Stop);
        }
        Assert.Equal(0, await still.GetStream().ReadAsync(new byte[1], Stop));

        static async Task<string> CallAsync(TcpClient client)
        {
            await client.GetStream().WriteAsync("GET / HTTP/1.1\r\nhost: a\r\n\r\n"u8.ToArray(), Stop);
            var (text, buffer) = ("", new byte[4096]);
            while (!text.Contains("\r\n\r\n", StringComparison.Ordinal))
            {
                var count = await client.GetStream().ReadAsync(buffer, Stop);
                Assert.NotEqual(0, count);
                text += System.Text.Encoding.ASCII.GetString(buffer, 0, count);
            }
            return text;
        }
    }

    [Fact]
    public async Task It_ends_without_another_drain()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up", "timeout": "0s"} """);
        using var tunnel = proxy.Tcp("up");
        proxy.Endpoints("up", origin.Port);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, tunnel.Number, Stop);
        proxy.Plane.Leave();
        // Nobody closes the connection, and the drain would wait for it.
        await proxy.Plane.DrainAsync(TimeSpan.FromDays(1)).WaitAsync(TimeSpan.FromSeconds(30), Stop);
    }
}
