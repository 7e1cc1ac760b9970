using System.Buffers.Binary;
using System.Globalization;
using System.Net.WebSockets;
using System.Text;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Streaming.Nodes;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Streaming;

/// <summary>
/// Port forwarding over the channels of a WebSocket, as client libraries use it. The query names the ports. Each has two channels,
/// 2n for data and 2n + 1 for an error, and begins both with its number. A client cannot end only its own direction.
/// </summary>
internal sealed class PortChannels(ChannelSocket socket, IReadOnlyList<ushort> ports)
{
    // Channels are numbered with one byte, and 255 has a meaning of its own.
    private const int MostPorts = 127;
    private static readonly TimeSpan LeaveWithin = TimeSpan.FromSeconds(5);

    /// <exception cref="ApiException">400: the query names no ports, or something that is not a port.</exception>
    internal static IReadOnlyList<ushort> Ports(HttpRequest request)
    {
        var ports = new List<ushort>();
        foreach (var text in request.Query["ports"].SelectMany(value => (value ?? "").Split(',')))
        {
            if (!ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port))
                throw ApiException.BadRequest($"unable to parse \"{text}\" as a port");
            if (port == 0) throw ApiException.BadRequest($"port \"{text}\" must be > 0");
            ports.Add(port);
        }
        if (ports.Count == 0) throw ApiException.BadRequest("query parameter \"ports\" is required");
        return ports.Count <= MostPorts
            ? ports
            : throw ApiException.BadRequest($"a WebSocket forwards at most {MostPorts} ports, but the query names {ports.Count}");
    }

    /// <param name="open">Opens a connection to a port of the Pod, or returns why it cannot.</param>
    internal async Task RunAsync(Func<int, CancellationToken, Task<(NodeTunnel? Tunnel, string Error)>> open, CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var tunnels = new NodeTunnel?[ports.Count];
        try
        {
            for (var i = 0; i < ports.Count; i++)
            {
                var number = new byte[2];
                BinaryPrimitives.WriteUInt16LittleEndian(number, ports[i]);
                await socket.SendAsync(Data(i), number, stop);
                await socket.SendAsync(Error(i), number, stop);
            }
            for (var i = 0; i < ports.Count; i++)
            {
                (tunnels[i], var error) = await open(ports[i], stop);
                if (tunnels[i] is null) await socket.SendAsync(Error(i), Encoding.UTF8.GetBytes(error), stop);
            }
            var toClient = Task.WhenAll(tunnels.Select((tunnel, i) => ToClientAsync(tunnel, i, over.Token)));
            var toPod = ToPodAsync(tunnels, over.Token);
            if (await Task.WhenAny(toClient, toPod) == toClient)
            {
                await socket.CloseAsync(stop);
                // The client closes when it has read everything; closing first could cut off the last bytes.
                await Task.WhenAny(toPod, Task.Delay(LeaveWithin, stop));
            }
            await over.CancelAsync();
            await Task.WhenAll(toClient, toPod);
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException)
        {
            // The client disconnected.
        }
        finally
        {
            foreach (var tunnel in tunnels)
                if (tunnel is not null) await tunnel.DisposeAsync();
        }
    }

    private static byte Data(int index) => (byte)(2 * index);

    private static byte Error(int index) => (byte)((2 * index) + 1);

    private async Task ToClientAsync(NodeTunnel? tunnel, int index, CancellationToken stop)
    {
        if (tunnel is null) return;
        var buffer = new byte[32 * 1024];
        try
        {
            while (await tunnel.Stream.ReadAsync(buffer, stop) is var read and > 0) await socket.SendAsync(Data(index), buffer.AsMemory(0, read), stop);
        }
        catch (TunnelException e)
        {
            await socket.SendAsync(Error(index), Encoding.UTF8.GetBytes(e.Message), stop);
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException)
        {
            // Either side disconnected.
        }
    }

    private async Task ToPodAsync(NodeTunnel?[] tunnels, CancellationToken stop)
    {
        try
        {
            while (await socket.ReceiveAsync(stop) is { } message)
            {
                if (message.IsEnd || message.Channel % 2 == 1 || message.Channel / 2 >= tunnels.Length || tunnels[message.Channel / 2] is not { } tunnel)
                    continue;
                try
                {
                    await tunnel.Stream.WriteAsync(message.Bytes, stop);
                }
                catch (IOException)
                {
                    // The Pod closed this connection; the others go on.
                }
            }
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException or InvalidDataException)
        {
            // The client disconnected, or sent too long a message.
        }
    }
}
