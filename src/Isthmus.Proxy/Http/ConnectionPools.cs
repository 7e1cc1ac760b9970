namespace Isthmus.Proxy.Http;

/// <summary>A kept-alive connection to one host, ready for another request.</summary>
internal interface IPooledConnection
{
    /// <summary>Nothing has arrived and the host has not closed.</summary>
    bool IsQuiet { get; }

    long IdleSince { get; set; }

    void Close();
}

/// <summary>The idle connections of one host, by what they were opened for. The last used is used first, so that the others can go.</summary>
internal sealed class ConnectionPools
{
    private readonly Lock _lock = new();   // guards the stacks
    private readonly Dictionary<string, List<IPooledConnection>> _idle = new(StringComparer.Ordinal);

    public int Idle
    {
        get
        {
            lock (_lock) return _idle.Values.Sum(l => l.Count);
        }
    }

    /// <summary>Takes a connection that still is usable; null when there is none.</summary>
    public IPooledConnection? Take(string key)
    {
        while (true)
        {
            IPooledConnection connection;
            lock (_lock)
            {
                if (!_idle.TryGetValue(key, out var list) || list.Count == 0) return null;
                connection = list[^1];
                list.RemoveAt(list.Count - 1);
            }
            if (connection.IsQuiet) return connection;
            connection.Close();
        }
    }

    public void Put(string key, IPooledConnection connection)
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
    }

    /// <summary>Closes those that the host has closed, and those idle for longer than <paramref name="idle"/>.</summary>
    public void Sweep(TimeProvider time, TimeSpan idle)
    {
        var now = time.GetTimestamp();
        foreach (var connection in TakeWhere(c => !c.IsQuiet || (idle > TimeSpan.Zero && time.GetElapsedTime(c.IdleSince, now) >= idle)))
            connection.Close();
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
        }
        return taken;
    }
}
