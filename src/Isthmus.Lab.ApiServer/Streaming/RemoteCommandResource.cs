using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Streaming.Nodes;
using Isthmus.Lab.ApiServer.VirtualResources;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Streaming;

/// <summary><c>pods/x/exec</c> and <c>attach</c>: relays channels between a client, over WebSocket or SPDY, and the node.</summary>
internal sealed class RemoteCommandResource(NodeLookup nodes, string subresource, string kind) : IStreamingResource
{
    public VirtualResourceDescriptor Descriptor { get; } = StreamingResources.Describe(subresource, kind, "create", "get");

    public async Task HandleAsync(HttpContext http, RequestAttributes attributes, JsonObject parent, CancellationToken stop)
    {
        var pod = StreamingResources.Parse(parent);
        var container = StreamingResources.ContainerOf(http, pod);
        var (webSocket, spdy) = (Upgrades.IsWebSocket(http.Request), Upgrades.IsSpdy(http.Request));
        if (!webSocket && !spdy) throw ApiException.BadRequest("Upgrade request required");
        StreamingResources.RequireNode(pod);
        if (subresource == "exec" && http.Request.Query["command"].Count == 0)
            throw ApiException.BadRequest("you must specify at least 1 command for the container");
        var path =
            $"/{subresource}/{pod.Metadata.Namespace}/{pod.Metadata.Name}/{container}" + StreamingResources.NodeQuery(http.Request.Query,
                [("stdin", "input", "1"), ("stdout", "output", "1"), ("stderr", "error", "1"), ("tty", "tty", "1")], ["command"]);
        try
        {
            await using var client = webSocket ? await AcceptWebSocketAsync(http, stop) : await AcceptSpdyAsync(http, stop);
            await ServeAsync(client, path, pod.Spec.NodeName, stop);
        }
        catch (Exception e) when (e is InvalidDataException or WebSocketException or IOException or OperationCanceledException && http.Response.HasStarted)
        {
            // The client disconnected, or does not speak the protocol. Nobody would get an error.
        }
    }

    private async Task ServeAsync(IRemoteClient client, string path, string nodeName, CancellationToken stop)
    {
        ChannelSocket channels;
        try
        {
            channels = await nodes.Find(nodeName).OpenChannelsAsync(path, stop);
        }
        catch (Exception e) when (e is WebSocketException or HttpRequestException or SocketException or ApiException)
        {
            await client.FinishAsync(ChannelProtocol.Failed($"node {nodeName} cannot serve the request: {(e.InnerException ?? e).Message}"), stop);
            return;
        }
        using (channels) await RelayAsync(client, channels, stop);
    }

    private static async Task RelayAsync(IRemoteClient client, ChannelSocket channels, CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var input = ForwardInputAsync(client, channels, over.Token);
        var output = ForwardOutputAsync(client, channels, over.Token);
        if (await Task.WhenAny(input, output) == input) await channels.CloseAsync(stop);
        try
        {
            await output;
        }
        finally
        {
            await over.CancelAsync();
            await input;
        }
    }

    private static async Task ForwardInputAsync(IRemoteClient client, ChannelSocket channels, CancellationToken stop)
    {
        try
        {
            while (await client.ReceiveAsync(stop) is { } message)
            {
                if (message.IsEnd) await channels.SendEndAsync(message.Channel, stop);
                else await channels.SendAsync(message.Channel, message.Bytes, stop);
            }
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException or InvalidDataException)
        {
            // The client left.
        }
    }

    private static async Task ForwardOutputAsync(IRemoteClient client, ChannelSocket channels, CancellationToken stop)
    {
        try
        {
            while (await channels.ReceiveAsync(stop) is { } message)
            {
                if (message.Channel != ChannelProtocol.Status)
                {
                    await client.SendAsync(message.Channel, message.Bytes, stop);
                    continue;
                }
                await client.FinishAsync(ParseStatus(message.Bytes), stop);
                return;
            }
            await client.FinishAsync(ChannelProtocol.Failed("the node ended the session"), stop);
        }
        catch (WebSocketException e)
        {
            await client.FinishAsync(ChannelProtocol.Failed($"the connection to the node was lost: {e.Message}"), stop);
        }
    }

    private static JsonObject ParseStatus(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return JsonNode.Parse(bytes.Span) as JsonObject ?? ChannelProtocol.Failed("the node sent no status");
        }
        catch (JsonException e)
        {
            return ChannelProtocol.Failed($"the status that the node sent is malformed: {e.Message}");
        }
    }

    private static async Task<IRemoteClient> AcceptWebSocketAsync(HttpContext http, CancellationToken stop)
    {
        var protocol = Upgrades.Choose(http.Request, "Sec-WebSocket-Protocol", WebSocketClient.Protocols)
            ?? throw ApiException.BadRequest($"unable to upgrade: the client offers none of {string.Join(", ", WebSocketClient.Protocols)}");
        var socket = new ChannelSocket(await Upgrades.ToWebSocketAsync(http, protocol));
        // A first empty frame shows the client that the channels are open.
        await socket.SendAsync(ChannelProtocol.Output, default, stop);
        return new WebSocketClient(socket);
    }

    private static async Task<IRemoteClient> AcceptSpdyAsync(HttpContext http, CancellationToken stop)
    {
        // A client without the header speaks the first version.
        var protocol = http.Request.Headers.ContainsKey("X-Stream-Protocol-Version")
            ? Upgrades.Choose(http.Request, "X-Stream-Protocol-Version", SpdyClient.Protocols)
                ?? throw new ApiException(403, "Forbidden", $"unable to upgrade: the server supports {string.Join(", ", SpdyClient.Protocols)}")
            : "channel.k8s.io";
        return await SpdyClient.AcceptAsync(await Upgrades.ToSpdyAsync(http, protocol), protocol, SpdyClient.Expected(http.Request.Query, protocol), stop);
    }
}
