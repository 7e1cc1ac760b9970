using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http.H2;

/// <summary>The bytes of a stream whose request asked for a tunnel (RFC 9113 section 8.5, RFC 8441), on either side.</summary>
/// <param name="below">What the connection runs on.</param>
internal sealed class H2StreamTransport(H2Connection connection, H2Stream stream, Transport below) : Transport
{
    private ReadOnlyMemory<byte> _arrived;
    private bool _hasEnded;

    public override EndPoint? Local => below.Local;

    public override EndPoint? Remote => below.Remote;

    public override EventLoop? EventLoop => below.EventLoop;

    public override bool IsQuiet => _arrived.IsEmpty && !_hasEnded && stream.WouldBlock;

    public override ValueTask<int> ReadAsync(Memory<byte> into) => _arrived.IsEmpty && !_hasEnded ? ReadLaterAsync(into) : new(Take(into));

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.IsEmpty) return;
        await connection.SendDataAsync(stream, bytes, isLast: false).ConfigureAwait(false);
        connection.RequestFlush();
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask CloseWriteAsync()
    {
        await connection.SendDataAsync(stream, default, isLast: true).ConfigureAwait(false);
        connection.RequestFlush();
    }

    public override void Abort(bool reset = false)
    {
        if (!stream.HasSentEnd || !stream.HasReceivedEnd) connection.Reset(stream, reset ? H2Error.Connect : H2Error.Cancel);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<int> ReadLaterAsync(Memory<byte> into)
    {
        _arrived = await stream.ReadAsync().ConfigureAwait(false);
        _hasEnded = _arrived.IsEmpty;
        return Take(into);
    }

    // A piece stays lent until the next one is read.
    private int Take(Memory<byte> into)
    {
        var count = Math.Min(into.Length, _arrived.Length);
        _arrived[..count].CopyTo(into);
        _arrived = _arrived[count..];
        return count;
    }
}
