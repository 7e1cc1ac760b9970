using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Hosts that several VirtualServices of one cluster route for sidecars: only the oldest has an effect. Pure.</summary>
public static class MeshHostConflicts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.ConflictingMeshGatewayHostsAnalyzer", "Checks that one VirtualService alone routes a host for sidecars",
        [IstioCodes.ConflictingMeshHosts], ["VirtualService"], mesh => mesh.Readable.SelectMany(cluster => Check(cluster).Concat(Overlapping(cluster))));

    private static IEnumerable<Finding> Check(ClusterInventory cluster) =>
        from claim in cluster.Istio<VirtualService>().Where(service => service.ForSidecars)
            .SelectMany(service => service.Hosts.Distinct().Select(host => (host, service)))
        group claim.service by claim.host into same
        from service in same
        let services = same.Where(other => other == service || ExportScopes.Overlap(service.ExportTo, service.Namespace, other.ExportTo, other.Namespace))
            .OrderBy(other => other.CreatedAt).ThenBy(other => other.Source).ToList()
        where services.Count > 1
        let names = string.Join(", ", services.Select(other => $"{other.Namespace}/{other.Name}"))
        select IstioCodes.ConflictingMeshHosts.At(cluster, $"VirtualService {service.Namespace}/{service.Name}", "spec.hosts",
            $"the VirtualServices {names} define the same host {same.Key} for sidecars, and only the oldest, {services[0].Namespace}/{services[0].Name}, has "
                + $"an effect");

    /// <summary>Where some namespaces see a VirtualService that decides for part of what another one, which all see, routes.</summary>
    private static IEnumerable<Finding> Overlapping(ClusterInventory cluster)
    {
        var claims = cluster.Istio<VirtualService>().Where(service => service.ForSidecars)
            .SelectMany(service => service.Hosts.Distinct().Where(host => host.StartsWith('*')).Select(host => (Host: host, Service: service))).ToList();
        return
            from narrow in claims
            where !ExportScopes.IsAll(narrow.Service.ExportTo)
            from wide in claims
            where ExportScopes.IsAll(wide.Service.ExportTo) && wide.Host != narrow.Host && Hosts.Covers(wide.Host, narrow.Host)
            from service in (VirtualService[])[narrow.Service, wide.Service]
            select IstioCodes.ConflictingMeshHosts.At(cluster, $"VirtualService {service.Namespace}/{service.Name}", "spec.hosts",
                $"{narrow.Service.Namespace}/{narrow.Service.Name} routes {narrow.Host} in the namespaces that it is exported to, and "
                    + $"{wide.Service.Namespace}/{wide.Service.Name} the rest of {wide.Host}",
                severity: Severity.Info);
    }
}
