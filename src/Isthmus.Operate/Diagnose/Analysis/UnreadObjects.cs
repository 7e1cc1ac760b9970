using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Istio's objects in remote clusters: their control plane reads those of its own cluster. Pure.</summary>
public static class UnreadObjects
{
    public static Analyzer Analyzer { get; } = new("multicluster.RemoteObjectAnalyzer", "Checks that no object of Istio is in a cluster where none is read",
        [OwnCodes.ObjectNotRead], ["Deployment", "Namespace", "Pod"], mesh =>
        from cluster in mesh.Readable
        where IsRemote(cluster)
        from kind in MeshApi.Effective
        where kind.Place == KindPlace.ConfigCluster
        from value in cluster.Objects(kind.Name)
        select OwnCodes.ObjectNotRead.At(cluster, ClusterInventory.NameOf(value), "",
            $"has no effect: {cluster.Context} is a remote cluster, and control planes read such objects in their own cluster only",
            $"move it to the cluster of the control plane: 'kubectl --context={cluster.Context} -n {value["metadata"]?["namespace"]} get {kind.CrdName} "
                + $"{value["metadata"]?["name"]} -o yaml' shows it"));

    /// <summary>It has no control plane, and its system namespace, whatever its name, says that others write its certificates and webhooks. One with the
    /// configuration of an external control plane does not say so.</summary>
    private static bool IsRemote(ClusterInventory cluster) => !MeshSnapshot.HasControlPlane(cluster)
        && cluster.Namespaces.Any(ns => ns.Metadata.Annotations.ContainsKey(Annotations.ControlPlaneClusters));
}
