using System.Collections.Immutable;
using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.LastKnown;

/// <summary>One cluster's part of the collections of all clusters. A change usually concerns one collection: what was picked from the others is
/// kept. Not thread-safe.</summary>
public sealed class ClusterPart(string cluster)
{
    private readonly Picked<ClusterService> _services = new();
    private readonly Picked<SliceFacts> _slices = new();
    private readonly Picked<PodFacts> _pods = new();
    private readonly Picked<NodeFacts> _nodes = new();
    private readonly Picked<NamespaceFacts> _namespaces = new();
    private readonly Picked<ServiceExport> _exports = new();
    private readonly Picked<WorkloadEntry> _workloads = new();

    public ClusterSnapshot In(SnapshotInputs inputs) => new(
        cluster, _services.From(inputs.Services, cluster), _slices.From(inputs.Slices, cluster), _pods.From(inputs.Pods, cluster),
        _nodes.From(inputs.Nodes, cluster),
        _namespaces.From(inputs.Namespaces, cluster), _exports.From(inputs.Exports, cluster)) { Workloads = _workloads.From(inputs.Workloads, cluster) };

    private sealed class Picked<T> where T : class
    {
        // Weak: only to see whether it is the same. Otherwise, an old version of everything would stay in memory.
        private readonly WeakReference<ImmutableDictionary<ObjectKey, T>?> _from = new(null);
        private ValueList<T> _items;

        internal ValueList<T> From(ImmutableDictionary<ObjectKey, T> all, string cluster)
        {
            if (_from.TryGetTarget(out var known) && ReferenceEquals(known, all)) return _items;
            _items = all.Where(item => item.Key.Cluster == cluster).OrderBy(item => item.Key).Select(item => item.Value).ToValueList();
            _from.SetTarget(all);
            return _items;
        }
    }
}
