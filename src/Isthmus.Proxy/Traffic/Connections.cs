using System.Collections.Concurrent;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Traffic;

/// <summary>The open connections and the tasks that handle them; the owner of both.</summary>
/// <param name="listenerDrain">How long connections of a removed listener may continue.</param>
/// <param name="most">How many may be open.</param>
internal sealed class Connections(TimeSpan listenerDrain, TimeProvider time, int most = int.MaxValue)
{
    private static readonly TimeSpan DrainStep = TimeSpan.FromMilliseconds(100), LastCall = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<Downstream, Task> _open = new();
    private volatile bool _isLeaving;
    private volatile bool _isOutboundLeaving;
    private volatile bool _isDraining;
    private volatile ProxySnapshot _snapshot = ProxySnapshot.Empty;

    public int Count => _open.Count;

    /// <summary>There are more than may be.</summary>
    public bool IsOverfull => most != int.MaxValue && _open.Count > most;

    public bool IsDraining => _isDraining || _isLeaving;

    /// <summary>Whether its next response is the last one, with <c>connection: close</c>, and it ends when it is idle.</summary>
    public bool IsEnding(Downstream connection) =>
        _isDraining || connection.OrphanedAt is not null || (_isLeaving && (_isOutboundLeaving || connection.Listener.Direction != Direction.Outbound));

    public void Add(Downstream connection, Func<Task> handle)
    {
        _open[connection] = Task.CompletedTask;
        var loop = connection.Socket.Loop.Loop;
        if (loop.IsCurrent) Begin(connection, handle);
        else loop.Post(() => Begin(connection, handle));
    }

    // It may be over at once and must not be added again then.
    private void Begin(Downstream connection, Func<Task> handle) => _open.TryUpdate(connection, HandleAsync(connection, handle), Task.CompletedTask);

    private async Task HandleAsync(Downstream connection, Func<Task> handle)
    {
        try
        {
            await handle().ConfigureAwait(false);
        }
        finally
        {
            _open.TryRemove(connection, out _);
        }
    }

    public void Publish(ProxySnapshot snapshot)
    {
        _snapshot = snapshot;
        foreach (var connection in _open.Keys) connection.SnapshotChanged?.Invoke(snapshot);
    }

    /// <summary>Once a second.</summary>
    public void Look()
    {
        foreach (var (connection, _) in _open)
        {
            connection.EachSecond?.Invoke();
            EndOrphan(connection);
        }
        if (_isLeaving) AskToEnd();
    }

    /// <summary>Whether a connection would still get its filter chain. Asked once for each change of the listener.</summary>
    private static bool HasChain(Downstream connection, ListenerSnapshot listener)
    {
        if (connection.Chain is not { } chain || ReferenceEquals(listener, connection.Checked)) return true;
        connection.Checked = listener;
        return listener.Chains.Find(connection.Facts) is { } now && now.Name == chain.Name;
    }

    /// <summary>Connections outlive their listener or filter chain for a while, as in Envoy. HTTP connections end after the next response; what is
    /// left at the deadline is closed, so that nothing goes on by a configuration that is gone.</summary>
    private void EndOrphan(Downstream connection)
    {
        if (connection.OrphanedAt is null)
        {
            if (_snapshot.Listeners.TryGetValue(connection.Listener.Name, out var listener) && HasChain(connection, listener)) return;
            connection.OrphanedAt = time.GetTimestamp();
        }
        var alone = time.GetElapsedTime(connection.OrphanedAt.Value);
        if (connection.Chain?.Action is HttpAction || alone >= listenerDrain) connection.DrainRequested?.Invoke();
        if (alone >= listenerDrain + LastCall) connection.Socket.Abort(reset: true);
    }

    /// <summary>From now on, clients are asked to connect elsewhere, but may still connect.</summary>
    /// <param name="outbound">Whether this includes the clients of outbound listeners: those of a gateway. In a sidecar, the application is
    /// the client, and may need others to finish its work.</param>
    public void Leave(bool outbound)
    {
        (_isOutboundLeaving, _isLeaving) = (outbound, true);
        AskToEnd();
    }

    /// <summary>Asks clients of the application to leave until <paramref name="deadline"/>, while it may call others.</summary>
    public async Task LeaveAsync(Task deadline, TimeProvider time)
    {
        Leave(outbound: false);
        while (!deadline.IsCompleted)
        {
            await Task.WhenAny(deadline, Task.Delay(DrainStep, time)).ConfigureAwait(false);
            AskToEnd();
        }
    }

    /// <summary>Asks all connections repeatedly to end when idle until <paramref name="deadline"/>, then closes the rest.</summary>
    /// <param name="closed">Completes when no new connections can arrive.</param>
    public async Task DrainAsync(Task deadline, Task closed, TimeProvider time)
    {
        _isDraining = true;
        while ((!_open.IsEmpty || !closed.IsCompleted) && !deadline.IsCompleted)
        {
            AskToEnd();
            await Task.WhenAny(deadline, Task.Delay(DrainStep, time)).ConfigureAwait(false);
        }
        await closed.ConfigureAwait(false);
        Cut();
    }

    private void AskToEnd()
    {
        foreach (var connection in _open.Keys.Where(IsEnding)) connection.DrainRequested?.Invoke();
    }

    public void Cut()
    {
        foreach (var connection in _open.Keys) connection.Socket.Abort(reset: true);
    }
}
