using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Running;
using Isthmus.Kubernetes.Remote;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>What all cluster watches share: the kinds that they read, where they write, and who runs them.</summary>
public sealed record WatchedMesh(WatchScope Scope, IClusterObjects Objects, Supervisor Tasks, TimeProvider Time)
{
    /// <summary>A watch of a cluster, not started.</summary>
    public ClusterWatch Watch(MeshCluster cluster, long number) => new(cluster, number, Scope, Objects, Tasks, Time);
}
