using System.Collections.Frozen;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Listeners;

/// <summary>
/// Connects clusters of this proxy to its internal listeners. Each connection is a pair of sockets on one event loop, so that the listener serves it like
/// any other.
/// </summary>
internal sealed class InternalListeners(Connections connections, Func<Downstream, CancellationToken, Task> handle, TimeProvider time) : IInternalListeners
{
    /// <summary>No configuration needs more; one that leads back to a listener would never end.</summary>
    private const int MostDepth = 8;

    private static readonly IPEndPoint Unknown = new(IPAddress.Any, 0);

    private volatile FrozenDictionary<string, ListenerSnapshot> _listeners = FrozenDictionary<string, ListenerSnapshot>.Empty;

    /// <summary>Must be called for each published snapshot.</summary>
    public void Publish(ProxySnapshot snapshot) =>
        _listeners = snapshot.Listeners.Values.Where(listener => listener.IsInternal).ToFrozenDictionary(listener => listener.Name, StringComparer.Ordinal);

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<SocketTransport> ConnectAsync(InternalEndPoint to, TakenAlong along, TimeSpan patience)
    {
        if (!_listeners.TryGetValue(to.Listener, out var listener)) throw Failure($"no internal listener is named {to.Listener}");
        if (along.State.Depth >= MostDepth) throw Failure($"the internal listener {to.Listener} is the {MostDepth + 1}th on the way: they lead in a circle");
        var destination = along.State.Address(FilterState.LocalAddress) ?? along.Target?.Local;
        // Its chains and clusters would decide by an address that nobody has given.
        if (listener.RestoreOriginalDestination && destination is null)
            throw Failure($"the internal listener {to.Listener} is not told where the connection goes");
        var source = along.State.Address(FilterState.RemoteAddress) ?? along.Target?.Remote ?? Unknown;
        var (near, far) = Pair(EventLoop.Choose());
        var transport = new SocketTransport(near.Socket, near.Loop, to, InternalEndPoint.Client);
        var readsFirst = listener.InspectTls is not null || listener.InspectHttp is not null || listener.ProxyHeader is not null || listener.Chains.HaveTls;
        var opening = readsFirst ? null : new Opening(transport);
        var connection = new Downstream(new SocketTransport(far.Socket, far.Loop, InternalEndPoint.Client, to), listener,
            listener.RestoreOriginalDestination ? destination! : Unknown, source)
        {
            Opened = opening is null ? null : opening.End,
            State = along.State.Inside,
            Target = along.Target,
        };
        connections.Add(connection, () => handle(connection, CancellationToken.None));
        // A listener that looks at the first bytes gets none before the caller has the connection.
        if (opening is not null) await opening.AwaitAsync(patience, time).ConfigureAwait(false);
        return transport;
    }

    private static TransportException Failure(string why) => new(TransportFailure.Unreachable, why);

    private static ((Socket Socket, LoopSocket Loop) Near, (Socket Socket, LoopSocket Loop) Far) Pair(EventLoop loop)
    {
        try
        {
            return LoopSocket.Pair(loop);
        }
        catch (SocketException e)
        {
            throw TransportException.From(e);
        }
    }

    /// <summary>
    /// The wait until a listener has somewhere to go with a connection. A tunnel that cannot be opened is then a failure to connect, after which another
    /// host is as good, and not a connection that breaks.
    /// </summary>
    private sealed class Opening(SocketTransport transport)
    {
        private readonly TaskCompletionSource<string?> _ended = new();
        private volatile bool _isLate;

        /// <param name="why">Why the listener gives up; null: it does not.</param>
        public void End(string? why)
        {
            // Whoever waits goes on by itself, and not within what the listener is doing.
            if (!_ended.Task.IsCompleted) transport.Loop.Loop.Post(() => _ended.TrySetResult(why));
        }

        public async ValueTask AwaitAsync(TimeSpan patience, TimeProvider time)
        {
            string? why;
            using (time.CreateTimer(static o => ((Opening)o!).GiveUp(), this, patience, Timeout.InfiniteTimeSpan))
                why = await _ended.Task.ConfigureAwait(false);
            if (why is null) return;
            transport.Abort(reset: true);
            throw _isLate ? new TransportException(TransportFailure.TimedOut, "connection timeout") : Failure(why);
        }

        private void GiveUp()
        {
            _isLate = true;
            End("connection timeout");
        }
    }
}
