using Isthmus.Graph.History;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>
/// Where watches write what they observe. Calls come from many threads; each waits only while the writer is far behind. Two
/// watches of one cluster may report at once while credentials change: for each kind the newest watch that has listed it is
/// used, and older ones are ignored.
/// </summary>
public interface IClusterObjects
{
    /// <summary>All objects of a kind in a cluster: any other known object is gone.</summary>
    ValueTask Replace<TFacts>(WatchId watch, MeshKind<TFacts> kind, IReadOnlyList<KeyValuePair<string, TFacts>> items) where TFacts : class;

    ValueTask Apply<TFacts>(WatchId watch, MeshKind<TFacts> kind, IReadOnlyList<Change<TFacts>> changes, IReadOnlyDictionary<string, ObjectWrite>? writes)
        where TFacts : class;

    /// <summary>The cluster has left the mesh: all of its objects are removed, unless a newer watch of it has already reported.</summary>
    ValueTask Remove(WatchId watch);

    ValueTask Contact(ClusterContact contact);
}

/// <summary>One watch of a cluster; a later one has a higher number.</summary>
public readonly record struct WatchId(string Cluster, long Number);
