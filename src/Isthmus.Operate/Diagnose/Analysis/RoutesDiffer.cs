using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>VirtualServices of one host that differ between control planes: calls go other ways from each cluster. Pure.</summary>
public static class RoutesDiffer
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.VirtualServiceAnalyzer", "Checks that VirtualServices of one host are the same in all clusters that have one",
        [OwnCodes.RoutesDiffer], ["VirtualService"], mesh =>
        from claim in mesh.Readable.SelectMany(cluster => cluster.Istio<VirtualService>().Where(service => service.ForSidecars)
            .SelectMany(service => service.Hosts.Where(IsShared).Select(host => (Cluster: cluster, Service: service, Host: host))))
        group claim by claim.Host into same
        // The oldest of a cluster is the one with an effect.
        let ofClusters = same.GroupBy(claim => claim.Cluster)
            .Select(own => own.OrderBy(claim => claim.Service.CreatedAt).ThenBy(claim => claim.Service.Source).First()).ToList()
        let first = ofClusters[0]
        from other in ofClusters.Skip(1)
        where !IsSame(first.Service, other.Service) && MeshSnapshot.ShareHosts(first.Cluster, other.Cluster) && AreOfOneMesh(mesh, first.Cluster, other.Cluster)
        select OwnCodes.RoutesDiffer.At(other.Cluster, $"VirtualService {other.Service.Namespace}/{other.Service.Name}", "spec",
            $"routes {same.Key} otherwise than VirtualService {first.Service.Namespace}/{first.Service.Name} of {first.Cluster.Context}: callers in each "
                + $"cluster follow that of their own control plane"));

    /// <summary>Only hosts of the mesh are the same in all clusters.</summary>
    private static bool IsShared(string host) => host.EndsWith(".svc.cluster.local", StringComparison.Ordinal);

    private static bool IsSame(VirtualService one, VirtualService two) => one.Http == two.Http && one.Tls == two.Tls && one.Tcp == two.Tcp;

    /// <summary>Each VirtualService is in a cluster whose own control plane reads it.</summary>
    private static bool AreOfOneMesh(MeshSnapshot mesh, ClusterInventory one, ClusterInventory two) =>
        !mesh.Clusters.Any(config => (config.Cluster == one && config.Reach.Any(area => area.Cluster == two))
            || (config.Cluster == two && config.Reach.Any(area => area.Cluster == one)));
}
