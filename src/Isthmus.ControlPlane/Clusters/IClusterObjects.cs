using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>Where watches put what they see. Calls come from many threads; each returns at once.</summary>
public interface IClusterObjects
{
    /// <summary>All objects of a kind in a cluster: what is not among them is gone.</summary>
    void Replace<T>(string cluster, ResourceKind kind, IReadOnlyList<KeyValuePair<string, T>> items) where T : class;

    void Apply<T>(string cluster, ResourceKind kind, IReadOnlyList<Change<T>> changes) where T : class;

    /// <summary>The cluster has left the mesh: everything of it goes.</summary>
    void Remove(string cluster);

    void Contact(ClusterContact contact);
}
