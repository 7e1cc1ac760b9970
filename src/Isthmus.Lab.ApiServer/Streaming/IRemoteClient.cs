using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Streaming;

namespace Isthmus.Lab.ApiServer.Streaming;

/// <summary>A client of exec or attach over any protocol: numbered channels of bytes.</summary>
internal interface IRemoteClient : IAsyncDisposable
{
    /// <summary>Null when the client is gone. The bytes are good until the next call.</summary>
    Task<ChannelMessage?> ReceiveAsync(CancellationToken stop);

    Task SendAsync(byte channel, ReadOnlyMemory<byte> bytes, CancellationToken stop);

    /// <summary>Reports how the command ended, and closes.</summary>
    Task FinishAsync(JsonObject status, CancellationToken stop);
}

/// <summary>kubectl from 1.31 on, and most libraries. Before v5, a client can end its input only by disconnecting.</summary>
internal sealed class WebSocketClient(ChannelSocket socket) : IRemoteClient
{
    internal static readonly string[] Protocols = [ChannelProtocol.V5, ChannelProtocol.V4, "channel.k8s.io"];

    public Task<ChannelMessage?> ReceiveAsync(CancellationToken stop) => socket.ReceiveAsync(stop);

    public Task SendAsync(byte channel, ReadOnlyMemory<byte> bytes, CancellationToken stop) => socket.SendAsync(channel, bytes, stop);

    public Task FinishAsync(JsonObject status, CancellationToken stop) => socket.FinishAsync(status, stop);

    public ValueTask DisposeAsync()
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }
}
