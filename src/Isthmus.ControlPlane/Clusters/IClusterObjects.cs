using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>Where watches put what they see. Calls come from many threads; each waits only while the writer is far behind.</summary>
public interface IClusterObjects
{
    /// <summary>All objects of a kind in a cluster: what is not among them is gone.</summary>
    ValueTask Replace<T>(string cluster, ResourceKind kind, IReadOnlyList<KeyValuePair<string, T>> items) where T : class;

    ValueTask Apply<T>(string cluster, ResourceKind kind, IReadOnlyList<Change<T>> changes) where T : class;

    /// <summary>The cluster has left the mesh: everything of it goes.</summary>
    ValueTask Remove(string cluster);

    ValueTask Contact(ClusterContact contact);
}
