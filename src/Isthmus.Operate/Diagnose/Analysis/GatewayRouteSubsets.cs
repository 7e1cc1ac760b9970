using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Hosts whose VirtualService chooses subsets for callers in the mesh, and that gateways route to without it. Pure.</summary>
public static class GatewayRouteSubsets
{
    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.GatewayRouteAnalyzer", "Checks whether requests from gateways skip the routes that a host has in the mesh",
        [IstioCodes.MeshRoutesSkipped], ["VirtualService"], mesh =>
        from config in mesh.Clusters
        let destinations = RouteDestinations.Of(config).Where(placed => placed.IsHttpRoute).ToList()
        let routed = destinations.Where(placed => placed.Destination.Subset.Length > 0 && placed.Owner.ForSidecars
            && placed.Owner.Hosts.Contains(placed.Destination.Host))
            .ToLookup(placed => placed.Destination.Host, placed => placed.Owner, StringComparer.Ordinal)
        from placed in destinations
        where placed.Destination.Subset.Length == 0 && placed.Owner.Gateways.Any(gateway => gateway != VirtualService.MeshGateway)
        let owners = routed[placed.Destination.Host].Where(owner => owner != placed.Owner)
            .Select(owner => $"{owner.Namespace}/{owner.Name}").Distinct().ToList()
        where owners.Count > 0
        select IstioCodes.MeshRoutesSkipped.At(config.Cluster, placed.Name, placed.Path,
            $"names no subset of {placed.Destination.Host}: requests from gateways go to all of its workloads, "
            + $"and the routes of VirtualService {string.Join(", ", owners)} are for callers in the mesh only", severity: Severity.Info));
}
