using System.Collections.Immutable;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>Which commit last changed what each cluster reports: what is kept of one cluster is made anew only when that
/// cluster changed.</summary>
public sealed class ClusterRevisions
{
    private ImmutableDictionary<string, long> _byCluster = ImmutableDictionary.Create<string, long>(StringComparer.Ordinal);
    private long _commits;

    /// <summary>By cluster; a cluster that reported nothing is missing.</summary>
    public ImmutableDictionary<string, long> ByCluster => _byCluster;

    /// <summary>Takes over what a commit changed; costs only that.</summary>
    internal void Collect(MeshGraph mesh)
    {
        var sources = mesh.Sources;
        _commits++;
        Add(sources.Services.Changed);
        Add(sources.Slices.Changed);
        // Snapshots have the health of WorkloadEntries, but not that of Pods, which EndpointSlices say, too.
        foreach (var key in mesh.Workloads.Changed) Add(key.Cluster);
        foreach (var key in sources.Workloads.Changed)
            if (!Workload.IsOfPod(key)) Add(key.Cluster);
        Add(sources.Nodes.Changed);
        Add(sources.Namespaces.Changed);
        Add(sources.Exports.Changed);
    }

    private void Add(IReadOnlyCollection<ObjectKey> changed)
    {
        foreach (var key in changed) Add(key.Cluster);
    }

    private void Add(string cluster)
    {
        if (_byCluster.GetValueOrDefault(cluster) != _commits) _byCluster = _byCluster.SetItem(cluster, _commits);
    }
}
