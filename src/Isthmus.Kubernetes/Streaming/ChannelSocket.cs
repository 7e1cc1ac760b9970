using System.Buffers;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Streaming;

/// <summary>One message of a channel. <see cref="IsEnd"/> means that the other side closed that channel.</summary>
public readonly record struct ChannelMessage(byte Channel, ReadOnlyMemory<byte> Bytes, bool IsEnd);

/// <summary>Kubernetes' channels over one WebSocket. Several threads may send; only one receives.</summary>
public sealed class ChannelSocket(WebSocket socket) : IDisposable
{
    private const int LongestMessage = 4 * 1024 * 1024;

    private readonly SemaphoreSlim _sending = new(1);
    private readonly ArrayBufferWriter<byte> _message = new();

    /// <summary>Null at the end. The bytes are valid until the next call.</summary>
    /// <exception cref="InvalidDataException">A message is too long.</exception>
    public async Task<ChannelMessage?> ReceiveAsync(CancellationToken stop)
    {
        while (true)
        {
            _message.ResetWrittenCount();
            ValueWebSocketReceiveResult result;
            do
            {
                result = await socket.ReceiveAsync(_message.GetMemory(8192), stop);
                if (result.MessageType == WebSocketMessageType.Close) return null;
                _message.Advance(result.Count);
                if (_message.WrittenCount > LongestMessage) throw new InvalidDataException($"a message is longer than {LongestMessage} bytes");
            }
            while (!result.EndOfMessage);
            if (_message.WrittenCount == 0) continue;
            var channel = _message.WrittenSpan[0];
            if (channel != ChannelProtocol.Close) return new(channel, _message.WrittenMemory[1..], false);
            if (_message.WrittenCount > 1) return new(_message.WrittenSpan[1], default, true);
        }
    }

    public async Task SendAsync(byte channel, ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        var message = ArrayPool<byte>.Shared.Rent(bytes.Length + 1);
        await _sending.WaitAsync(stop);
        try
        {
            message[0] = channel;
            bytes.CopyTo(message.AsMemory(1));
            await socket.SendAsync(message.AsMemory(0, bytes.Length + 1), WebSocketMessageType.Binary, true, stop);
        }
        finally
        {
            _sending.Release();
            ArrayPool<byte>.Shared.Return(message);
        }
    }

    public Task SendEndAsync(byte channel, CancellationToken stop) => SendAsync(ChannelProtocol.Close, new[] { channel }, stop);

    /// <summary>Sends how the command ended, and closes.</summary>
    public async Task FinishAsync(JsonObject status, CancellationToken stop)
    {
        await SendAsync(ChannelProtocol.Status, Encoding.UTF8.GetBytes(status.ToJsonString()), stop);
        await CloseAsync(stop);
    }

    public async Task CloseAsync(CancellationToken stop)
    {
        if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, stop);
    }

    public void Dispose()
    {
        socket.Dispose();
        _sending.Dispose();
    }
}
