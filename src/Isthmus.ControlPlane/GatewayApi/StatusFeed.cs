using Isthmus.Core.Live;
using Isthmus.Core.Tasks;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>The statuses that have changed since the last look: what one more route costs does not depend on how many there are.</summary>
internal sealed class StatusFeed
{
    private readonly Live<ObjectRef, ApiStatus> _statuses;
    private readonly LiveGraph _graph;
    private readonly Signal _due;
    private readonly Lock _guard = new(); // Guards the dictionary below.
    private Dictionary<ObjectRef, ApiStatus?> _changed;

    /// <summary>Begins with all that is known. On the writer's thread.</summary>
    /// <param name="due">Is told of changes.</param>
    public StatusFeed(LiveGraph graph, Live<ObjectRef, ApiStatus> statuses, Signal due)
    {
        (_graph, _statuses, _due, _changed) = (graph, statuses, due, statuses.Items.ToDictionary(item => item.Key, item => (ApiStatus?)item.Value));
        graph.Committed += Collect;
        due.Tell();
    }

    /// <summary>On the writer's thread.</summary>
    public void End() => _graph.Committed -= Collect;

    /// <summary>From any thread. Null: the object is gone.</summary>
    public IReadOnlyDictionary<ObjectRef, ApiStatus?> Changes()
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
        lock (_guard)
        {
            foreach (var key in _statuses.Changed) _changed[key] = _statuses.Items.GetValueOrDefault(key);
        }
        _due.Tell();
    }
}
