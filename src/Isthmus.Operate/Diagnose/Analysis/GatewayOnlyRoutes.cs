using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>VirtualServices for hosts of the mesh that gateways follow and sidecars do not. Pure.</summary>
public static class GatewayOnlyRoutes
{
    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.MeshGatewayAnalyzer", "Names VirtualServices for hosts of the mesh that only gateways follow", [OwnCodes.RoutesOfGatewaysOnly],
        ["VirtualService", "Service", "Pod"], mesh =>
        mesh.Workloads.Any(area => area.All.Any(workload => workload is { Pod: not null, HasProxy: true, IsGateway: false }))
            ? mesh.Clusters.SelectMany(config => Check(mesh, config)) : []);

    private static IEnumerable<Finding> Check(MeshSnapshot mesh, ConfigCluster config) =>
        from routes in config.Cluster.Istio<VirtualService>()
        where !routes.ForSidecars && !routes.Http.IsEmpty
        from host in routes.Hosts.Index()
        where !host.Item.StartsWith('*') && mesh.Hosts.Find(host.Item).Any(known => known.Service is not null)
            // Others may have the part of the sidecars.
            && !mesh.Routed.Cover(host.Item)
        select OwnCodes.RoutesOfGatewaysOnly.At(config.Cluster, $"VirtualService {routes.Namespace}/{routes.Name}", "spec.gateways",
            $"names {string.Join(", ", routes.Gateways)} only: sidecars that call {host.Item} do not follow these routes, and go straight to its endpoints",
            "if callers in the mesh are to follow them, too: add mesh to spec.gateways");
}
