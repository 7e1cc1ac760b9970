using System.Net;
using System.Net.Sockets;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>A server that answers PING with PONG, and anything else with nothing.</summary>
internal sealed class PingServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private int _open;

    internal PingServer()
    {
        _listener.Start();
        _ = AcceptAsync();
    }

    internal int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Connections of clients that have not closed.</summary>
    internal int Open => Volatile.Read(ref _open);

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await _listener.AcceptTcpClientAsync());
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        Interlocked.Increment(ref _open);
        try
        {
            using var _ = client;
            var buffer = new byte[64];
            while (await client.GetStream().ReadAsync(buffer) is > 0 and var count)
                if (buffer.AsSpan(0, count).SequenceEqual("PING"u8)) await client.GetStream().WriteAsync("PONG"u8.ToArray());
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The client is gone.
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }
}
