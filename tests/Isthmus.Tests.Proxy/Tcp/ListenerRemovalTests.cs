using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Tcp;

/// <summary>Connections of a listener that is removed: nothing goes on for ever by a configuration that is gone.</summary>
public sealed class ListenerRemovalTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_TCP_connection_continues_for_the_drain_time_and_is_closed_then()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("back")], """ "direct_response": {"status": 200} """);
        proxy.Endpoints("back", ((IPEndPoint)server.LocalEndpoint).Port);
        using var port = proxy.Tcp("back");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        await client.GetStream().WriteAsync("a"u8.ToArray(), Stop);
        using var backend = await server.AcceptTcpClientAsync(Stop);
        var buffer = new byte[10];
        Assert.Equal(1, await backend.GetStream().ReadAsync(buffer, Stop));

        var removed = Stopwatch.StartNew();
        proxy.Remove("tcp");
        await backend.GetStream().WriteAsync("still"u8.ToArray(), Stop);
        Assert.Equal(5, await client.GetStream().ReadAsync(buffer, Stop));
        Assert.Equal(0, await ReadAsync(client, buffer));
        Assert.True(removed.Elapsed >= LoopbackProxy.ListenerDrainTime - Eventually.Jiffy, $"closed after {removed.Elapsed}");
        await Assert.ThrowsAnyAsync<SocketException>(async () =>
        {
            using var late = new TcpClient();
            await late.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        });
    }

    [Fact]
    public async Task A_TCP_connection_of_a_filter_chain_that_is_gone_is_closed_after_the_drain_time()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("back")], """ "direct_response": {"status": 200} """);
        proxy.Endpoints("back", ((IPEndPoint)server.LocalEndpoint).Port);
        using var port = proxy.Tcp("back");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        using var backend = await server.AcceptTcpClientAsync(Stop);
        // A change that leaves the chain as it is.
        proxy.Tcp("back", port);
        proxy.Plane.Connections.Look();
        var buffer = new byte[10];
        await backend.GetStream().WriteAsync("still"u8.ToArray(), Stop);
        Assert.Equal(5, await client.GetStream().ReadAsync(buffer, Stop));

        var removed = Stopwatch.StartNew();
        // The chain is for others now.
        proxy.Tcp("back", port, """{"source_prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}""");
        await backend.GetStream().WriteAsync("still"u8.ToArray(), Stop);
        Assert.Equal(5, await client.GetStream().ReadAsync(buffer, Stop));
        Assert.Equal(0, await ReadAsync(client, buffer));
        Assert.True(removed.Elapsed >= LoopbackProxy.ListenerDrainTime - Eventually.Jiffy, $"closed after {removed.Elapsed}");
    }

    [Fact]
    public async Task An_HTTP_connection_ends_when_it_is_idle()
    {
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 200, "body": {"inline_string": "here"} } """);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        await client.GetStream().WriteAsync("GET / HTTP/1.1\r\nhost: a\r\n\r\n"u8.ToArray(), Stop);
        var answer = new StringBuilder();
        var buffer = new byte[1000];
        while (!answer.ToString().EndsWith("here", StringComparison.Ordinal))
            answer.Append(Encoding.ASCII.GetString(buffer, 0, await client.GetStream().ReadAsync(buffer, Stop)));
        Assert.DoesNotContain("connection: close", answer.ToString(), StringComparison.Ordinal);
        proxy.Remove("in");
        Assert.Equal(0, await ReadAsync(client, buffer));
    }

    [Fact]
    public void A_connection_of_a_listener_that_was_just_opened_is_no_orphan()
    {
        var sockets = new Watched();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("back")], """ "direct_response": {"status": 200} """, sockets: sockets);
        proxy.Endpoints("back");
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        var ended = new TaskCompletionSource();
        Downstream? connection = null;
        sockets.Opening = () =>
        {
            connection = new(new SocketTransport(socket), proxy.Plane.State.Current.Listeners["tcp"], new(IPAddress.Loopback, 1), new(IPAddress.Loopback, 2));
            proxy.Plane.Connections.Add(connection, () => ended.Task);
            proxy.Plane.Connections.Look();
        };
        using var port = proxy.Tcp("back");
        Assert.NotNull(connection);
        Assert.Null(connection.OrphanedAt);
        ended.SetResult();
    }

    private sealed class Watched : ISocketFactory
    {
        internal Action Opening { get; set; } = () => { };

        public Socket Create(AddressFamily family)
        {
            Opening();
            return new(family, SocketType.Stream, ProtocolType.Tcp);
        }
    }

    /// <summary>0 also when the connection was reset.</summary>
    private static async Task<int> ReadAsync(TcpClient client, byte[] buffer)
    {
        try
        {
            return await client.GetStream().ReadAsync(buffer, Stop);
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
