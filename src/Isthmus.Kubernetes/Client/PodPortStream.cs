using System.Net.WebSockets;
using System.Text;
using Isthmus.Kubernetes.Streaming;

namespace Isthmus.Kubernetes.Client;

/// <summary>
/// The bytes of one forwarded port. Channel 0 carries data, channel 1 the reason why the port cannot be reached. The first message on
/// each repeats the port number.
/// </summary>
internal sealed class PodPortStream(ChannelSocket socket) : Stream
{
    private const byte Data = 0, Error = 1;
    private const int PortBytes = 2;

    private readonly int[] _skip = [PortBytes, PortBytes];
    private ReadOnlyMemory<byte> _rest;

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_rest.IsEmpty)
        {
            if (await ReceiveAsync(cancellationToken) is not { } message) return 0;
            if (message.IsEnd || message.Channel > Error) continue;
            var skipped = Math.Min(_skip[message.Channel], message.Bytes.Length);
            _skip[message.Channel] -= skipped;
            var bytes = message.Bytes[skipped..];
            if (bytes.IsEmpty) continue;
            if (message.Channel == Error) throw new IOException(Encoding.UTF8.GetString(bytes.Span));
            _rest = bytes;
        }
        var count = Math.Min(buffer.Length, _rest.Length);
        _rest[..count].CopyTo(buffer);
        _rest = _rest[count..];
        return count;
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            await socket.SendAsync(Data, buffer, cancellationToken);
        }
        catch (Exception e) when (IsLost(e, cancellationToken))
        {
            throw new IOException(e.Message, e);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count,
        CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count,
        CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("the stream is asynchronous only");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("the stream is asynchronous only");

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>Whoever reads a stream knows its failures as those of input and output.</summary>
    private async Task<ChannelMessage?> ReceiveAsync(CancellationToken stop)
    {
        try
        {
            return await socket.ReceiveAsync(stop);
        }
        catch (Exception e) when (IsLost(e, stop))
        {
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>Whether the connection cannot be used any more. A WebSocket that is aborted meanwhile says that it was canceled.</summary>
    private static bool IsLost(Exception e, CancellationToken stop) =>
        e is WebSocketException or InvalidDataException or ObjectDisposedException || e is OperationCanceledException && !stop.IsCancellationRequested;

    protected override void Dispose(bool disposing)
    {
        if (disposing) socket.Dispose();
        base.Dispose(disposing);
    }
}
