using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http2;

/// <summary>The bytes of a stream whose request asked for a tunnel (RFC 9113 section 8.5, RFC 8441), on either side.</summary>
/// <param name="below">What the connection runs on.</param>
internal sealed class H2StreamTransport(H2Connection connection, H2Stream stream, Transport below) : PieceTransport
{
    public override EndPoint? Local => below.Local;

    public override EndPoint? Remote => below.Remote;

    public override EventLoop? EventLoop => below.EventLoop;

    protected override bool WouldBlock => stream.WouldBlock;

    protected override ValueTask<ReadOnlyMemory<byte>> NextAsync() => stream.ReadAsync();

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
}
