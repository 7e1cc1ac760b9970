using System.Collections.Immutable;
using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.LastKnown;

/// <summary>One cluster's part of the collections of all clusters. A change usually concerns one collection: what was picked from the others is
/// kept. Not thread-safe.</summary>
public sealed class ClusterPart(string cluster)
{
    private readonly Picked<ObjectKey, ClusterService> _services = new(key => key.Cluster == cluster);
    private readonly Picked<ObjectKey, SliceFacts> _slices = new(key => key.Cluster == cluster);
    private readonly Picked<ObjectRef, Workload> _pods = new(key => key.Cluster == cluster && Workload.IsOfPod(key));
    private readonly Picked<ObjectRef, Workload> _entries = new(key => key.Cluster == cluster && !Workload.IsOfPod(key));
    private readonly Picked<ObjectKey, NodeFacts> _nodes = new(key => key.Cluster == cluster);
    private readonly Picked<ObjectKey, NamespaceFacts> _namespaces = new(key => key.Cluster == cluster);
    private readonly Picked<ObjectKey, ServiceExport> _exports = new(key => key.Cluster == cluster);

    public ClusterSnapshot In(SnapshotInputs inputs) => new(
        cluster, _services.From(inputs.Services), _slices.From(inputs.Slices), _pods.From(inputs.Workloads), _nodes.From(inputs.Nodes),
        _namespaces.From(inputs.Namespaces), _exports.From(inputs.Exports))
    {
        Workloads = _entries.From(inputs.Workloads).Select(workload => workload.ToEntry()).ToValueList(),
    };

    private sealed class Picked<TKey, T>(Func<TKey, bool> isPart) where TKey : IComparable<TKey> where T : class
    {
        // Weak: only to see whether it is the same. Otherwise, an old version of everything would stay in memory.
        private readonly WeakReference<ImmutableDictionary<TKey, T>?> _from = new(null);
        private ValueList<T> _items;

        internal ValueList<T> From(ImmutableDictionary<TKey, T> all)
        {
            if (_from.TryGetTarget(out var known) && ReferenceEquals(known, all)) return _items;
            _items = all.Where(item => isPart(item.Key)).OrderBy(item => item.Key).Select(item => item.Value).ToValueList();
            _from.SetTarget(all);
            return _items;
        }
    }
}
