using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Upstreams;

/// <summary>The bodies of a request and of its response as the two directions of a transport.</summary>
internal sealed class BodyTransport(UpstreamStream stream) : PieceTransport
{
    public override EndPoint? Local => stream.Local;

    public override EndPoint? Remote => null;

    protected override bool WouldBlock => stream.WouldBlock;

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        await stream.SendBodyAsync(bytes).ConfigureAwait(false);
        await stream.FlushAsync().ConfigureAwait(false);
    }

    public override ValueTask CloseWriteAsync() => stream.EndAsync(null);

    public override void Abort(bool reset = false) => stream.Abort();

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    protected override async ValueTask<ReadOnlyMemory<byte>> NextAsync()
    {
        try
        {
            return await stream.ReceiveBodyAsync().ConfigureAwait(false);
        }
        catch (HttpMessageException e)
        {
            throw new TransportException(TransportFailure.Reset, e.Detail, e);
        }
    }
}
