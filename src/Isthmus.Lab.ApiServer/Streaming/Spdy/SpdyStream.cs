using System.Threading.Channels;

namespace Isthmus.Lab.ApiServer.Streaming.Spdy;

/// <summary>One stream that the client opened.</summary>
internal sealed class SpdyStream(SpdyConnection connection, uint id, IReadOnlyDictionary<string, string> headers)
{
    // With frames of up to 32 KiB, what one reader may leave unread before the whole connection waits for it.
    private const int QueueLength = 64;

    private readonly Channel<ReadOnlyMemory<byte>> _received =
        Channel.CreateBounded<ReadOnlyMemory<byte>>(new BoundedChannelOptions(QueueLength) { SingleReader = true, SingleWriter = true });
    private bool _ended;

    internal uint Id => id;

    internal IReadOnlyDictionary<string, string> Headers => headers;

    /// <summary>Null at the end of what the client sends.</summary>
    internal async Task<ReadOnlyMemory<byte>?> ReceiveAsync(CancellationToken stop)
    {
        while (await _received.Reader.WaitToReadAsync(stop))
        {
            if (_received.Reader.TryRead(out var bytes)) return bytes;
        }
        return null;
    }

    internal async Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        if (!_ended && bytes.Length > 0) await connection.SendAsync(new(SpdyFrameType.Data, 0, id, bytes), stop);
    }

    /// <summary>Ends this server's side of the stream.</summary>
    internal async Task EndAsync(CancellationToken stop)
    {
        if (_ended) return;
        _ended = true;
        await connection.SendAsync(new(SpdyFrameType.Data, SpdyFrame.Fin, id, default), stop);
    }

    internal async ValueTask DeliverAsync(ReadOnlyMemory<byte> bytes, bool isLast, CancellationToken stop)
    {
        try
        {
            if (bytes.Length > 0) await _received.Writer.WriteAsync(bytes, stop);
        }
        catch (ChannelClosedException)
        {
            // The reader has stopped.
        }
        if (isLast) _received.Writer.TryComplete();
    }

    internal void Abort() => _received.Writer.TryComplete();
}
