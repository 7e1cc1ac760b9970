using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.System;

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
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up", "timeout": "0s"} """, role: role, direction: direction);
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
    public async Task It_ends_without_another_drain()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up", "timeout": "0s"} """);
        using var tunnel = proxy.Tcp("up");
        proxy.Endpoints("up", origin.Port);
        using var client = new global::System.Net.Sockets.TcpClient();
        await client.ConnectAsync(global::System.Net.IPAddress.Loopback, tunnel.Number, Stop);
        proxy.Plane.Leave();
        // Nobody closes the connection, and the drain would wait for it.
        await proxy.Plane.DrainAsync(TimeSpan.FromDays(1)).WaitAsync(TimeSpan.FromSeconds(30), Stop);
    }
}
