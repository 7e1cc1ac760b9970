using Isthmus.Core.Live;
using Isthmus.Core.Tasks;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>A status that has changed.</summary>
/// <param name="Status">Null: the object is gone.</param>
/// <param name="First">The first change since the last look.</param>
/// <param name="Last">The last one.</param>
internal sealed record ChangedStatus(ApiStatus? Status, DateTimeOffset First, DateTimeOffset Last)
{
    /// <summary>The object was gone in between: the one that there is now has nothing of what was written.</summary>
    public bool WasGone { get; init; }
}

/// <summary>The statuses that have changed since the last look: what one more route costs does not depend on how many there are.</summary>
internal sealed class StatusFeed
{
    private readonly Live<ObjectRef, ApiStatus> _statuses;
    private readonly LiveGraph _graph;
    private readonly Signal _due;
    private readonly TimeProvider _time;
    private readonly Lock _guard = new(); // Guards the dictionary below.
    private Dictionary<ObjectRef, ChangedStatus> _changed;

    /// <summary>Begins with all that is known. On the writer's thread.</summary>
    /// <param name="graph">What they are derived in.</param>
    /// <param name="statuses">The statuses.</param>
    /// <param name="due">Is told of changes.</param>
    /// <param name="time">When they change.</param>
    public StatusFeed(LiveGraph graph, Live<ObjectRef, ApiStatus> statuses, Signal due, TimeProvider time)
    {
        (_graph, _statuses, _due, _time) = (graph, statuses, due, time);
        var now = time.GetUtcNow();
        _changed = statuses.Items.ToDictionary(item => item.Key, item => new ChangedStatus(item.Value, now, now));
        graph.Committed += Collect;
        due.Tell();
    }

    /// <summary>On the writer's thread.</summary>
    public void End() => _graph.Committed -= Collect;

    /// <summary>From any thread.</summary>
    public IReadOnlyDictionary<ObjectRef, ChangedStatus> Changes()
    {
        lock (_guard)
        {
            var changed = _changed;
            _changed = [];
            return changed;
        }
    }

    private void Collect(long revision)
    {
        if (_statuses.Changed.Count == 0) return;
        var now = _time.GetUtcNow();
        lock (_guard)
        {
            foreach (var key in _statuses.Changed)
            {
                var known = _changed.GetValueOrDefault(key);
                _changed[key] = new(_statuses.Items.GetValueOrDefault(key), known?.First ?? now, now)
                {
                    WasGone = known is { Status: null } or { WasGone: true },
                };
            }
        }
        _due.Tell();
    }
}
