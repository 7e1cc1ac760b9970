using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>
/// Where watches put what they see. Calls come from many threads; each waits only while the writer is far behind. Two watches of one
/// cluster may speak at once while credentials change: for each kind the newest that has listed it counts, and older ones are not heard.
/// </summary>
public interface IClusterObjects
{
    /// <summary>All objects of a kind in a cluster: what is not among them is gone.</summary>
    ValueTask Replace<T>(WatchId watch, ResourceKind kind, IReadOnlyList<KeyValuePair<string, T>> items) where T : class;

    ValueTask Apply<T>(WatchId watch, ResourceKind kind, IReadOnlyList<Change<T>> changes) where T : class;

    /// <summary>The cluster has left the mesh: everything of it goes, unless a newer watch of it speaks already.</summary>
    ValueTask Remove(WatchId watch);

    ValueTask Contact(ClusterContact contact);
}

/// <summary>One watch of a cluster; a later one has a higher number.</summary>
public readonly record struct WatchId(string Cluster, long Number);
