using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Streaming.Nodes;
using Isthmus.Lab.ApiServer.Streaming.Spdy;
using Isthmus.Lab.ApiServer.VirtualResources;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Streaming;

/// <summary>
/// <c>pods/x/portforward</c>: SPDY, directly or tunnelled in a WebSocket, with a pair of streams (data and error) for each connection;
/// or the channels of a WebSocket, with one connection for each port.
/// </summary>
internal sealed class PortForwardResource(NodeLookup nodes) : IStreamingResource
{
    private const string Protocol = "portforward.k8s.io", Tunnelled = "SPDY/3.1+portforward.k8s.io", WebSocketHeader = "Sec-WebSocket-Protocol";

    public VirtualResourceDescriptor Descriptor { get; } = StreamingResources.Describe("portforward", "PodPortForwardOptions", "create", "get");

    public async Task HandleAsync(HttpContext http, RequestAttributes attributes, JsonObject parent, CancellationToken stop)
    {
        var pod = StreamingResources.Parse(parent);
        var (webSocket, spdy) = (Upgrades.IsWebSocket(http.Request), Upgrades.IsSpdy(http.Request));
        if (!webSocket && !spdy) throw ApiException.BadRequest("Upgrade request required");
        StreamingResources.RequireNode(pod);
        var path = $"/portForward/{pod.Metadata.Namespace}/{pod.Metadata.Name}";
        var node = nodes.Find(pod.Spec.NodeName);
        if (!webSocket)
        {
            if (Upgrades.Choose(http.Request, "X-Stream-Protocol-Version", [Protocol]) is null)
                throw ApiException.BadRequest($"unable to upgrade: the server supports {Protocol}");
            await ServeSpdyAsync(await Upgrades.ToSpdyAsync(http, Protocol), node, path, stop);
        }
        else if (Upgrades.Choose(http.Request, WebSocketHeader, [Tunnelled]) is not null)
        {
            await ServeSpdyAsync(new WebSocketStream(await Upgrades.ToWebSocketAsync(http, Tunnelled)), node, path, stop);
        }
        else
        {
            // Without the header, the protocol is the same as with the name v4.
            var chosen = !http.Request.Headers.ContainsKey(WebSocketHeader) ? ""
                : Upgrades.Choose(http.Request, WebSocketHeader, [ChannelProtocol.V4])
                    ?? throw ApiException.BadRequest($"unable to upgrade: the server supports {Tunnelled}, {ChannelProtocol.V4}");
            var ports = PortChannels.Ports(http.Request);
            using var socket = new ChannelSocket(await Upgrades.ToWebSocketAsync(http, chosen));
            await new PortChannels(socket, ports).RunAsync((port, token) => TryOpenAsync(node, path, port, token), stop);
        }
    }

    private static async Task ServeSpdyAsync(Stream client, INode node, string path, CancellationToken stop)
    {
        await using var transport = client;
        using var connection = new SpdyConnection(transport);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var accepting = AcceptAsync(connection, node, path, over.Token);
        try
        {
            await connection.RunAsync(stop);
        }
        catch (InvalidDataException)
        {
            // The client does not speak SPDY. The connection ends.
        }
        await over.CancelAsync();
        await accepting;
    }

    private static async Task AcceptAsync(SpdyConnection connection, INode node, string path, CancellationToken stop)
    {
        var halves = new Dictionary<string, SpdyStream>(StringComparer.Ordinal);
        var forwards = new ConcurrentDictionary<Task, bool>();
        try
        {
            await foreach (var stream in connection.OpenedAsync(stop))
            {
                var headers = stream.Headers;
                // Old clients do not number requests. Then the data stream follows its error stream.
                var pair = headers.GetValueOrDefault("requestid")
                    ?? (headers.GetValueOrDefault("streamtype") == "error" ? stream.Id : stream.Id - 2).ToString(CultureInfo.InvariantCulture);
                if (!halves.Remove(pair, out var other))
                {
                    halves[pair] = stream;
                    continue;
                }
                var (data, error) = headers.GetValueOrDefault("streamtype") == "data" ? (stream, other) : (other, stream);
                var forward = ForwardAsync(connection, data, error, node, path, stop);
                forwards[forward] = true;
                _ = forward.ContinueWith(done => forwards.TryRemove(done, out var _), TaskScheduler.Default);
            }
        }
        catch (OperationCanceledException)
        {
            // The connection is over.
        }
        await Task.WhenAll(forwards.Keys);
    }

    private static async Task ForwardAsync(SpdyConnection connection, SpdyStream data, SpdyStream error, INode node, string path, CancellationToken stop)
    {
        try
        {
            var port = data.Headers.GetValueOrDefault("port", "");
            var (tunnel, message) = int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? await TryOpenAsync(node, path, number, stop)
                : (null, $"invalid port '{port}' (expected a number from 1 to 65535)");
            if (tunnel is not null) message = await CopyAsync(data, tunnel, stop);
            if (message.Length > 0) await error.SendAsync(Encoding.UTF8.GetBytes(message), stop);
            await error.EndAsync(stop);
            await data.EndAsync(stop);
        }
        catch (Exception e) when (e is IOException or WebSocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The client left.
        }
        connection.Forget(data);
        connection.Forget(error);
    }

    private static async Task<(NodeTunnel? Tunnel, string Error)> TryOpenAsync(INode node, string path, int port, CancellationToken stop)
    {
        try
        {
            return await node.OpenTunnelAsync(path, port, stop);
        }
        catch (Exception e) when (e is SocketException or IOException or WebSocketException)
        {
            return (null, $"the node is not reachable: {e.Message}");
        }
    }

    /// <returns>Why the connection failed, as the node reports it; empty when it ended.</returns>
    private static async Task<string> CopyAsync(SpdyStream data, NodeTunnel tunnel, CancellationToken stop)
    {
        await using var owned = tunnel;
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var toPod = ToPodAsync(data, tunnel, over.Token);
        var buffer = new byte[32 * 1024];
        try
        {
            while (await tunnel.Stream.ReadAsync(buffer, over.Token) is var read and > 0) await data.SendAsync(buffer.AsMemory(0, read).ToArray(), over.Token);
            return "";
        }
        catch (TunnelException e)
        {
            return e.Message;
        }
        finally
        {
            await over.CancelAsync();
            await toPod;
        }
    }

    private static async Task ToPodAsync(SpdyStream data, NodeTunnel tunnel, CancellationToken stop)
    {
        try
        {
            while (await data.ReceiveAsync(stop) is { } bytes) await tunnel.Stream.WriteAsync(bytes, stop);
            tunnel.EndWrites();
        }
        catch (Exception e) when (e is IOException or SocketException or WebSocketException or OperationCanceledException)
        {
            // The Pod closed first.
        }
    }
}
