using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Ports in matches of VirtualServices at which no request for their hosts arrives. Pure.</summary>
public static class MatchPorts
{
    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.MatchPortAnalyzer", "Checks that the hosts of VirtualServices have the ports that their matches name", [OwnCodes.MatchPortUnknown],
        ["VirtualService", "Service", "Gateway"], mesh =>
        from config in mesh.Clusters
        // Clusters that were not read may have them.
        where mesh.ReadsAll
        from routes in config.Cluster.Istio<VirtualService>()
        where !routes.Hosts.IsEmpty && (!routes.ForSidecars || routes.Hosts.All(host => mesh.Hosts.Find(host).Count > 0))
        let servers = config.Cluster.Istio<Gateway>().Where(gateway => routes.Gateways.Contains(gateway.FullName)).ToList()
        where servers.Count == routes.Gateways.Count(gateway => gateway != VirtualService.MeshGateway)
        let ports = (routes.ForSidecars ? routes.Hosts.SelectMany(mesh.Hosts.Find).SelectMany(host => host.Ports) : [])
            .Concat(servers.SelectMany(gateway => gateway.Servers).Select(server => server.Port)).Distinct().Order().ToList()
        from route in routes.Http.Index()
        from match in route.Item.Matches.Index()
        where match.Item.Port != 0 && ports.Count > 0 && !ports.Contains(match.Item.Port)
        select OwnCodes.MatchPortUnknown.At(config.Cluster, $"VirtualService {routes.Namespace}/{routes.Name}",
            $"spec.http[{route.Index}].match[{match.Index}].port",
            $"is {match.Item.Port}, and requests for {string.Join(", ", routes.Hosts)} arrive at {string.Join(", ", ports)}: it matches none",
            $"write {string.Join(" or ", ports)}, or remove the port"));
}
