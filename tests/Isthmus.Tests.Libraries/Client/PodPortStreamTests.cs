using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Streaming;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

/// <summary>However a forwarded connection ends, its reader and its writer are told as those of any stream are.</summary>
public sealed class PodPortStreamTests : IAsyncLifetime
{
    private Socket _server = null!;
    private WebSocket _client = null!;
    private PodPortStream _port = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(listener.LocalEndPoint!, Stop);
        _server = await listener.AcceptAsync(Stop);
        _client = WebSocket.CreateFromStream(new NetworkStream(socket, ownsSocket: true), new WebSocketCreationOptions());
        _port = new(new ChannelSocket(_client));
    }

    public async ValueTask DisposeAsync()
    {
        await _port.DisposeAsync();
        _server.Dispose();
    }

    [Fact]
    public async Task A_reader_is_told_when_the_server_is_gone()
    {
        _server.Close(0);
        await Assert.ThrowsAsync<IOException>(ReadAsync);
    }

    [Fact]
    public async Task A_reader_is_told_when_the_connection_is_given_up_meanwhile()
    {
        var reading = ReadAsync();
        _client.Abort();
        await Assert.ThrowsAsync<IOException>(() => reading);
        await Assert.ThrowsAsync<IOException>(ReadAsync);
    }

    [Fact]
    public async Task A_writer_is_told_when_the_connection_is_closed_meanwhile()
    {
        // More than the buffers of both sockets take.
        var writing = _port.WriteAsync(new byte[64 << 20], Stop).AsTask();
        await _port.DisposeAsync();
        await Assert.ThrowsAsync<IOException>(() => writing);
        await Assert.ThrowsAsync<IOException>(() => _port.WriteAsync(new byte[1], Stop).AsTask());
        await Assert.ThrowsAsync<IOException>(ReadAsync);
    }

    [Fact]
    public async Task A_reader_is_told_of_a_message_that_is_too_long()
    {
        using var server = WebSocket.CreateFromStream(new NetworkStream(_server), new WebSocketCreationOptions { IsServer = true });
        var sending = server.SendAsync(new byte[8 << 20], WebSocketMessageType.Binary, true, Stop);
        await Assert.ThrowsAsync<IOException>(ReadAsync);
        await _port.DisposeAsync();
        // Whether all of it was sent depends on the buffers of both sockets.
        await Task.WhenAny(sending);
    }

    [Fact]
    public async Task Whoever_stops_a_read_is_not_told_of_a_failure()
    {
        using var stop = new CancellationTokenSource();
        var reading = _port.ReadAsync(new byte[1], stop.Token).AsTask();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
    }

    private Task<int> ReadAsync() => _port.ReadAsync(new byte[1], Stop).AsTask();
}
