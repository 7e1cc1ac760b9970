using System.Net;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Upstreams;

/// <summary>A connection to a host that gets the bytes of a tunnel: it speaks no HTTP, and its answer to CONNECT is that it is there.</summary>
/// <param name="header">What it gets first; empty: nothing.</param>
internal sealed class TcpUpstream(Transport transport, ClusterState cluster, Host host, ReadOnlyMemory<byte> header) : UpstreamStream
{
    private static readonly HeaderBlock None = new();

    private int _closed;

    public override EndPoint? Local => transport.Local;

    public override TlsPeer? Peer => transport.Peer;

    public override bool IsReused => false;

    public override HeaderBlock ResponseTrailers => None;

    public override bool WouldBlock => true;

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    public override async ValueTask SendHeadAsync(RequestHead head)
    {
        if (!header.IsEmpty) await transport.WriteAsync(header).ConfigureAwait(false);
    }

    public override ValueTask SendBodyAsync(ReadOnlyMemory<byte> piece) => transport.WriteAsync(piece);

    public override ValueTask EndAsync(HeaderBlock? trailers) => default;

    public override ValueTask FlushAsync() => default;

    public override ValueTask ReceiveHeadAsync(ResponseHead into)
    {
        into.Clear();
        (into.Status, into.Version, into.IsTunnel) = (200, HttpVersions.Http11, true);
        return default;
    }

    public override ValueTask<ReadOnlyMemory<byte>> ReceiveBodyAsync() => default;

    public override void Release()
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0) return;
        transport.Abort();
        cluster.EndConnection();
        UpstreamConnector.Release(host);
    }

    public override void Abort() => transport.Abort(reset: true);

    public override Transport TakeOver() => transport;
}
