using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Upstreams;

/// <summary>A request that can wait for a connection.</summary>
internal interface IQueueing
{
    /// <summary>The host that the request names.</summary>
    string Authority { get; }

    /// <summary>The connection that the request came on; null if the request is the proxy's own.</summary>
    ProxiedConnection? Carried { get; }

    /// <summary>What internal listeners are told of the caller.</summary>
    FilterState Passed { get; }

    /// <summary>Called once when the request starts to wait. It must leave when nobody wants its response anymore.</summary>
    void OnQueued(QueuedRequest place);
}

/// <summary>
/// The HTTP/1.1 connections of one host, and the requests that wait for one because the cluster is at its connection limit. While requests
/// wait, the host has at least one connection. Each connection that becomes free or ends serves the first of them, so none waits in vain.
/// </summary>
internal sealed class ConnectionQueue(ConnectionPools pools, PoolKind kind)
{
    private readonly Lock _lock = new(); // guards the fields below, and every Put
    private readonly LinkedList<QueuedRequest> _waiting = [];
    private int _connections;

    /// <summary>
    /// Reserves a new connection (both results are null), or finds a kept one at the limit, or else joins the queue. After a
    /// reservation, the caller must call <see cref="Closed"/> or <see cref="ConnectFailed"/> once.
    /// </summary>
    /// <param name="purpose">What the connection must be for; empty: anything.</param>
    public QueuedRequest? Enter(ClusterState cluster, string purpose, out IPooledConnection? kept)
    {
        kept = null;
        QueuedRequest place;
        IPooledConnection? other;
        lock (_lock)
        {
            if (_waiting.Count == 0)
            {
                if (TryReserve(cluster)) return null;
                foreach (var key in new PoolKey(kind, 0, purpose).AllTurns())
                    if ((kept = pools.Take(key)) is not null) return null;
                // A kept connection that turned out to be dead has made room.
                if (TryReserve(cluster)) return null;
            }
            Interlocked.Increment(ref cluster.Counters.ConnectionOverflows);
            place = new QueuedRequest(this, purpose);
            _waiting.AddLast(place);
            other = pools.TakeNamed(kind);
        }
        // An idle connection for another host name cannot serve this request, but its end makes room.
        other?.Close();
        return place;
    }

    /// <summary>Passes a free connection to the first request in the queue, or keeps it.</summary>
    public void Put(PoolKey key, IPooledConnection connection)
    {
        lock (_lock)
        {
            if (_waiting.First is not { } first)
            {
                pools.Put(key, connection);
                return;
            }
            if (connection.IsQuiet && key.Purpose == first.Value.Purpose)
            {
                _waiting.RemoveFirst();
                first.Value.Serve(connection);
                return;
            }
        }
        connection.Close();
    }

    /// <summary>A connection ended: the first request in the queue may open another.</summary>
    public void Closed(ClusterState cluster)
    {
        lock (_lock)
        {
            _connections--;
            cluster.EndConnection();
            while (_waiting.First is { } first && TryReserve(cluster))
            {
                _waiting.RemoveFirst();
                first.Value.Serve(null);
            }
        }
    }

    /// <summary>
    /// A connection could not be opened. If it was the only one, the queue shares its failure: otherwise the requests would wait for one
    /// timeout after another, although some can go elsewhere.
    /// </summary>
    public void ConnectFailed(ClusterState cluster, TransportException reason)
    {
        lock (_lock)
        {
            if (_connections == 1)
            {
                foreach (var place in _waiting) place.Fail(new TransportException(reason.Failure, reason.Message));
                _waiting.Clear();
            }
            Closed(cluster);
        }
    }

    public void Leave(QueuedRequest place)
    {
        lock (_lock)
        {
            if (_waiting.Remove(place)) place.Fail(new TransportException(TransportFailure.Aborted, "given up in the queue"));
        }
    }

    /// <summary>A host without any connection gets one beyond the limit, as in Envoy: nothing would ever serve its queue.</summary>
    private bool TryReserve(ClusterState cluster)
    {
        if (!cluster.TryTakeConnection(isFirst: _connections == 0)) return false;
        _connections++;
        return true;
    }
}

/// <summary>The place of one request in a <see cref="ConnectionQueue"/>.</summary>
internal sealed class QueuedRequest(ConnectionQueue queue, string purpose)
{
    /// <summary>What its connection must be for; empty: anything.</summary>
    public string Purpose { get; } = purpose;

    private readonly TaskCompletionSource<IPooledConnection?> _served = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with a connection, or with null: a new connection is reserved.</summary>
    public Task<IPooledConnection?> Served => _served.Task;

    /// <summary>Gives up, from any thread; without effect when the request was served.</summary>
    public void Leave() => queue.Leave(this);

    public void Serve(IPooledConnection? connection) => _served.SetResult(connection);

    public void Fail(TransportException reason) => _served.SetException(reason);
}

/// <summary>Takes a request that no client waits for out of the queue after a while.</summary>
internal sealed class QueueDeadline(TimeProvider time, TimeSpan longest, string authority) : IQueueing, IDisposable
{
    private ITimer? _timer;

    public string Authority => authority;

    public ProxiedConnection? Carried => null;

    public FilterState Passed { get; init; } = FilterState.Empty;

    public void OnQueued(QueuedRequest place) =>
        _timer = time.CreateTimer(static p => ((QueuedRequest)p!).Leave(), place, longest, Timeout.InfiniteTimeSpan);

    public void Dispose() => _timer?.Dispose();
}
