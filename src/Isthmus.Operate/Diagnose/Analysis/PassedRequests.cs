using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes at servers that follow none of their kind: for requests, where TLS is passed on without looking inside, or for connections, where requests
/// are seen. Pure.</summary>
public static class PassedRequests
{
    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.PassthroughAnalyzer", "Checks that servers see what VirtualServices have routes for: requests, connections or server names",
        [RouteCodes.RequestsPassedOn, RouteCodes.RoutesOfNoServer], ["VirtualService", "Gateway"], mesh =>
            from config in mesh.Clusters
            from service in config.Cluster.Istio<VirtualService>()
            where Misplaced(config, service) is not null
            let first = Misplaced(config, service)!.Value
            let kind = FollowedRoutes.KindOf(service)
            select (kind == "http" && first.Routes.Kind == "tls" ? RouteCodes.RequestsPassedOn : RouteCodes.RoutesOfNoServer)
                .At(config.Cluster, $"VirtualService {service.Namespace}/{service.Name}", $"spec.{kind}",
                $"has no effect: server {first.Index} of Gateway {first.Gateway.FullName} {first.Routes.Does}, and follows {first.Routes.Kind} routes only",
                first.Routes.Remedy(kind)));

    /// <summary>The first server of a VirtualService of which no server follows the routes; null when one does, or not all of them are known.</summary>
    internal static (Gateway Gateway, int Index, FollowedRoutes Routes)? Misplaced(ConfigCluster config, VirtualService service)
    {
        if (service.ForSidecars || FollowedRoutes.KindOf(service).Length == 0) return null;
        var gateways = service.Gateways.Select(name => config.Cluster.Written<Gateway>().FirstOrDefault(gateway => gateway.FullName == name)).ToList();
        if (gateways.Contains(null)) return null;
        var servers = (from gateway in gateways
                       from server in gateway!.Servers.Index()
                       where service.Hosts.Any(host => Hosts.Admits(gateway, server.Item, host, service.Namespace))
                       select (Gateway: gateway, server.Index, Routes: FollowedRoutes.Of(server.Item))).ToList();
        // TLS was most likely meant for a server of TLS.
        return servers.Count == 0 || servers.Exists(server => server.Routes.Has(service)) ? null
            : servers.OrderBy(server => service.Tls.IsEmpty == server.Routes.Server.Tls is null ? 0 : 1).First();
    }
}
