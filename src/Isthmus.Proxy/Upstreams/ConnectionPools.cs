using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Upstreams;

/// <summary>The idle connections of one host, by purpose. The most recently used goes first, so that the others can expire.</summary>
internal sealed class ConnectionPools : IKeptConnections
{
    private readonly Lock _lock = new();   // guards the stacks
    private readonly Dictionary<PoolKey, List<IPooledConnection>> _idle = [];

    // Each event loop has its own, so that a request stays where it began: one, or more while the limit of streams is reached.
    private readonly Dictionary<(PoolKey Key, EventLoop? Loop), List<H2Client>> _shared = [];

    private readonly ConnectionQueue _http11;
    private readonly ConnectionQueue _http10;

    private int _turn;

    public ConnectionPools()
    {
        _http11 = new(this, PoolKind.Http11);
        _http10 = new(this, PoolKind.Http10);
    }

    /// <summary>Those of a host.</summary>
    public static ConnectionPools Of(Host host) => (ConnectionPools)(host.Kept ?? host.Keep(new ConnectionPools()));

    /// <summary>The queue for the HTTP/1.1 connections kept under a key.</summary>
    public ConnectionQueue Queue(PoolKey key) => key.Kind == PoolKind.Http10 ? _http10 : _http11;

    /// <summary>Held while a shared connection is opened.</summary>
    public SemaphoreSlim Opening { get; } = new(1, 1);

    /// <summary>When and why the last attempt to open a shared connection failed; guarded by <see cref="Opening"/>.</summary>
    public (long At, string Purpose, TransportException Reason)? Failed { get; set; }

    /// <summary>Increases for round robin; never negative.</summary>
    public int NextTurn() => Interlocked.Increment(ref _turn) & int.MaxValue;

    /// <summary>The connection that requests of that kind share on this event loop; null when there is none or it accepts no more requests.</summary>
    public H2Client? FindShared(PoolKey key)
    {
        var loop = EventLoop.Current;
        if (loop is null) return FindSharedAnywhere(key);
        lock (_lock) return _shared.TryGetValue((key, loop), out var clients) ? WithRoom(clients) : null;
    }

    /// <summary>A connection that requests of that kind share on any event loop.</summary>
    public H2Client? FindSharedAnywhere(PoolKey key)
    {
        lock (_lock)
        {
            foreach (var (at, clients) in _shared)
                if (at.Key == key && WithRoom(clients) is { } client) return client;
        }
        return null;
    }

    private static H2Client? WithRoom(List<H2Client> clients)
    {
        foreach (var client in clients)
            if (client.IsQuiet && client.HasRoom) return client;
        return null;
    }

    /// <summary>Some connection of any kind accepts requests.</summary>
    public bool HasShared
    {
        get
        {
            lock (_lock) return _shared.Values.Any(clients => clients.Any(client => client.IsQuiet));
        }
    }

    /// <summary>Makes a connection the shared one of its event loop. Those before it stay only for what they carry, unless just the limit of
    /// streams was reached.</summary>
    public void Share(PoolKey key, H2Client client)
    {
        List<H2Client> before;
        lock (_lock)
        {
            if (!_shared.TryGetValue((key, client.Loop), out var clients)) _shared[(key, client.Loop)] = clients = [];
            before = clients.FindAll(other => !other.IsQuiet || other.IsSpent || other.HasRoom);
            clients.RemoveAll(before.Contains);
            clients.Insert(0, client);
        }
        foreach (var other in before) other.Close();
    }

    /// <summary>Takes a connection that is still usable; null when there is none.</summary>
    public IPooledConnection? Take(PoolKey key)
    {
        while (true)
        {
            IPooledConnection connection;
            lock (_lock)
            {
                if (!_idle.TryGetValue(key, out var list) || list.Count == 0) return null;
                connection = list[^1];
                list.RemoveAt(list.Count - 1);
                // Clients choose the host names: they must not fill the memory.
                if (list.Count == 0 && key.IsNamed) _idle.Remove(key);
            }
            if (connection.IsQuiet) return connection;
            connection.Close();
        }
    }

    /// <summary>Takes an idle connection of that kind that serves one host name only; null when there is none.</summary>
    public IPooledConnection? TakeNamed(PoolKind kind)
    {
        lock (_lock)
        {
            foreach (var (key, list) in _idle)
            {
                if (list.Count == 0 || !key.IsNamed || key.Kind != kind) continue;
                var connection = list[^1];
                list.RemoveAt(list.Count - 1);
                return connection;
            }
        }
        return null;
    }

    /// <summary>Closes a shared connection without requests that serves one host name only; false when there is none.</summary>
    public bool CloseIdleNamedShared()
    {
        H2Client? idle = null;
        lock (_lock)
        {
            foreach (var (at, clients) in _shared)
            {
                if (!at.Key.IsNamed || clients.Find(client => !client.IsBusy) is not { } unused) continue;
                Remove(at, unused);
                idle = unused;
                break;
            }
        }
        idle?.Close();
        return idle is not null;
    }

    /// <summary>Keeps a connection that no request waits for; only <see cref="ConnectionQueue"/> knows that.</summary>
    public void Put(PoolKey key, IPooledConnection connection)
    {
        lock (_lock)
        {
            if (!_idle.TryGetValue(key, out var list)) _idle[key] = list = [];
            list.Add(connection);
        }
    }

    public void CloseIdle()
    {
        foreach (var connection in TakeWhere(_ => true)) connection.Close();
        foreach (var client in TakeShared(_ => true)) client.Close();
    }

    /// <summary>Closes those that the host has closed, and those idle for longer than <paramref name="idle"/>.</summary>
    public void Sweep(TimeProvider time, TimeSpan idle)
    {
        var now = time.GetTimestamp();
        foreach (var connection in TakeWhere(c => !c.IsQuiet || (idle > TimeSpan.Zero && time.GetElapsedTime(c.IdleSince, now) >= idle)))
            connection.Close();
        foreach (var client in TakeShared(c => !c.IsQuiet || (idle > TimeSpan.Zero && !c.IsBusy && time.GetElapsedTime(c.IdleSince, now) >= idle)))
            client.Close();
    }

    private List<H2Client> TakeShared(Predicate<H2Client> which)
    {
        var taken = new List<H2Client>();
        lock (_lock)
        {
            foreach (var (key, clients) in _shared.ToArray())
            {
                foreach (var client in clients.FindAll(which))
                {
                    Remove(key, client);
                    taken.Add(client);
                }
            }
        }
        return taken;
    }

    private void Remove((PoolKey Key, EventLoop? Loop) key, H2Client client)
    {
        var clients = _shared[key];
        clients.Remove(client);
        if (clients.Count == 0) _shared.Remove(key);
    }

    private List<IPooledConnection> TakeWhere(Predicate<IPooledConnection> which)
    {
        var taken = new List<IPooledConnection>();
        lock (_lock)
        {
            foreach (var list in _idle.Values)
            {
                for (var i = list.Count - 1; i >= 0; i--)
                {
                    if (!which(list[i])) continue;
                    taken.Add(list[i]);
                    list.RemoveAt(i);
                }
            }
            foreach (var key in _idle.Where(entry => entry.Value.Count == 0).Select(entry => entry.Key).ToList()) _idle.Remove(key);
        }
        return taken;
    }
}
