using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.ApiServer.Streaming.Nodes;

/// <summary>The node that the lab runs beside its API server. They share a Unix socket.</summary>
internal sealed class LabNode(ApiServerSettings settings) : INode
{
    private const int LongestAnswerHead = 16 * 1024;
    private static readonly UTF8Encoding Text = new(encoderShouldEmitUTF8Identifier: false);

    private readonly HttpMessageInvoker _http = new(new SocketsHttpHandler
    {
        UseProxy = false,
        PooledConnectionLifetime = TimeSpan.Zero,
        ConnectCallback = async (_, stop) => new NetworkStream(await DialAsync(settings, stop), ownsSocket: true),
    });

    public Task<HttpResponseMessage> GetAsync(string path, CancellationToken stop) =>
        _http.SendAsync(new HttpRequestMessage(HttpMethod.Get, new Uri($"http://node{path}")), stop);

    public async Task<ChannelSocket> OpenChannelsAsync(string path, CancellationToken stop)
    {
        var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol(ChannelProtocol.V5);
        socket.Options.KeepAliveInterval = TimeSpan.Zero;
        try
        {
            await socket.ConnectAsync(new Uri($"ws://node{path}"), _http, stop);
            return new ChannelSocket(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async Task<(NodeTunnel? Tunnel, string Error)> OpenTunnelAsync(string path, int port, CancellationToken stop)
    {
        var stream = new NetworkStream(await DialAsync(settings, stop), ownsSocket: true);
        try
        {
            await stream.WriteAsync(
                Text.GetBytes($"GET {path}?port={port} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: {NodeSocket.Tunnel}\r\n\r\n"),
                stop);
            var head = await ReadHeadAsync(stream, stop);
            if (head.StartsWith("HTTP/1.1 101 ", StringComparison.Ordinal)) return (new(stream, () => stream.Socket.Shutdown(SocketShutdown.Send)), "");
            var rest = new byte[1024];
            var read = await stream.ReadAsync(rest, stop);
            await stream.DisposeAsync();
            return (null, Plain(Encoding.UTF8.GetString(rest, 0, read)));
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    // An error's body comes in one chunk: "size CR LF text CR LF 0 …".
    private static string Plain(string body)
    {
        var lines = body.Split("\r\n");
        return lines.Length > 1 ? lines[1] : body;
    }

    private static async Task<string> ReadHeadAsync(NetworkStream stream, CancellationToken stop)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        // Byte by byte: what follows the head belongs to the tunnel.
        while (head.Length < LongestAnswerHead && await stream.ReadAsync(one, stop) == 1)
        {
            head.Append((char)one[0]);
            if (one[0] == '\n' && head.Length >= 4 && head.ToString(head.Length - 4, 4) == "\r\n\r\n") break;
        }
        return head.ToString();
    }

    private static string SocketPath(ApiServerSettings settings) => Path.Combine(settings.Directory, NodeSocket.FileName);

    private static async Task<Socket> DialAsync(ApiServerSettings settings, CancellationToken stop)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath(settings)), stop);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
