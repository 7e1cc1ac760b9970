using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>An HTTP proxy (CONNECT only) that knows the API servers by name, so that kubeconfigs need no loopback
/// address, which would be a mistake in a remote secret.</summary>
internal sealed class TunnelProxy : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, IPEndPoint> _places = new(StringComparer.Ordinal);
    private readonly LoopbackServer _server;

    internal TunnelProxy() => _server = new(new(IPAddress.Loopback, 0), ServeAsync);

    internal Uri Address => new($"http://{_server.Address}");

    internal void Lead(string name, IPEndPoint to) => _places[name] = to;

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task ServeAsync(Socket client, CancellationToken stop)
    {
        var head = await ReadHeadAsync(client, stop);
        var name = head.Split(' ')[1].Split(':')[0];
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (!_places.TryGetValue(name, out var place))
        {
            await client.SendAsync("HTTP/1.1 502 Bad Gateway\r\n\r\n"u8.ToArray(), SocketFlags.None, stop);
            return;
        }
        await server.ConnectAsync(place, stop);
        await client.SendAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray(), SocketFlags.None, stop);
        await ByteRelay.RunAsync(client, server, stop);
    }

    /// <summary>Reads byte by byte: what follows the head belongs to the tunnel.</summary>
    private static async Task<string> ReadHeadAsync(Socket client, CancellationToken stop)
    {
        var (head, one) = (new StringBuilder(), new byte[1]);
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await client.ReceiveAsync(one, SocketFlags.None, stop) == 1)
            head.Append((char)one[0]);
        return head.ToString();
    }
}
