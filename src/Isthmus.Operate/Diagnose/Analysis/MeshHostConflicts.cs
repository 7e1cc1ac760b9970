using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Hosts that several VirtualServices of one cluster route for sidecars: only the oldest has an effect. Pure.</summary>
public static class MeshHostConflicts
{
    public static Analyzer Analyzer { get; } = new("virtualservice.ConflictingMeshGatewayHostsAnalyzer", "Checks that one VirtualService alone routes a host for sidecars",
        [IstioCodes.ConflictingMeshHosts], ["VirtualService"], mesh => mesh.Readable.SelectMany(Check));

    private static IEnumerable<Finding> Check(ClusterInventory cluster) =>
        from claim in cluster.Istio<VirtualService>().Where(service => service.ForSidecars).SelectMany(service => service.Hosts.Distinct().Select(host => (host, service)))
        group claim.service by claim.host into same
        from service in same
        let services = same.Where(other => other == service || ExportScopes.Overlap(service.ExportTo, service.Namespace, other.ExportTo, other.Namespace)).OrderBy(other => other.CreatedAt).ThenBy(other => other.Source).ToList()
        where services.Count > 1
        let names = string.Join(", ", services.Select(other => $"{other.Namespace}/{other.Name}"))
        select IstioCodes.ConflictingMeshHosts.At(cluster, $"VirtualService {service.Namespace}/{service.Name}", "spec.hosts",
            $"the VirtualServices {names} define the same host {same.Key} for sidecars, and only the oldest, {services[0].Namespace}/{services[0].Name}, has an effect");
}
