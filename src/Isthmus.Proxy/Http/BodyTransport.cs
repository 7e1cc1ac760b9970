using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http;

/// <summary>The bodies of a request and of its response as the two directions of a transport.</summary>
internal sealed class BodyTransport(UpstreamStream stream) : Transport
{
    private ReadOnlyMemory<byte> _arrived;
    private bool _hasEnded;

    public override EndPoint? Local => stream.Local;

    public override EndPoint? Remote => null;

    public override bool IsQuiet => _arrived.IsEmpty && !_hasEnded && stream.WouldBlock;

    public override ValueTask<int> ReadAsync(Memory<byte> into) => _arrived.IsEmpty && !_hasEnded ? ReadLaterAsync(into) : new(Take(into));

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        await stream.SendBodyAsync(bytes).ConfigureAwait(false);
        await stream.FlushAsync().ConfigureAwait(false);
    }

    public override ValueTask CloseWriteAsync() => stream.EndAsync(null);

    public override void Abort(bool reset = false) => stream.Abort();

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private async ValueTask<int> ReadLaterAsync(Memory<byte> into)
    {
        try
        {
            _arrived = await stream.ReceiveBodyAsync().ConfigureAwait(false);
        }
        catch (HttpMessageException e)
        {
            throw new TransportException(TransportFailure.Reset, e.Detail, e);
        }
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
