using Isthmus.Graph.Derive;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Services of one name that differ between clusters, as control planes report them. Pure.</summary>
public static class ServiceDifferences
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.ServiceAnalyzer", "Checks that Services of one name agree in all clusters", [IstioCodes.InconsistentService], ["Service"], mesh =>
        from definition in mesh.Readable.SelectMany(cluster => cluster.Services.Where(service => !IsLocal(cluster, service))
            .Select(service => (Cluster: cluster, Service: KubeFacts.Of(cluster.Context, service))))
        group definition by definition.Service.Hostname into same
        let first = same.First()
        from other in same.Skip(1)
        where MeshSnapshot.ShareHosts(first.Cluster, other.Cluster)
        from problem in ServiceAgreement.Differences(first.Service, other.Service)
        select new Finding(other.Cluster.Context, problem));

    private static bool IsLocal(ClusterInventory cluster, Kubernetes.Objects.Service service) =>
        service.Metadata.Namespace == cluster.SystemNamespace || ServiceAgreement.IsClusterLocal(HostTable.NameOf(service), cluster.Mesh ?? MeshConfig.Default);
}
