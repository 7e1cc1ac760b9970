using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes of the mesh that lead to a gateway, such as an egress gateway, which has no route on from there: half of what is needed. Pure.</summary>
public static class OnwardRoutes
{
    /// <summary>A gateway of the Gateway API gets its routes by other objects.</summary>
    private const string OfApi = WorkloadSelector.GatewayLabel;

    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.OnwardAnalyzer", "Checks that gateways to which routes of the mesh lead have routes on from there", [RouteCodes.OnwardRouteMissing],
        ["VirtualService", "Gateway", "Service", "Pod"], mesh =>
            from config in mesh.Clusters
            from owner in config.Cluster.Istio<VirtualService>()
            where owner.ForSidecars && mesh.ReadsAll
            from to in OfMesh(owner)
            let pods = Gateways(mesh, config, to.Destination)
            where pods.Count > 0
            from host in to.Authority.Length > 0 ? [to.Authority] : owner.Hosts.ToArray()
            where !host.StartsWith('*') && !IsItself(mesh, host, to.Destination)
            let lack = Lack(config, owner, host, pods)
            where lack is not null
            select RouteCodes.OnwardRouteMissing.At(config.Cluster, $"VirtualService {owner.Namespace}/{owner.Name}", to.Path, lack.Value.Message,
                lack.Value.Remedy));

    /// <summary>Where the sidecars send what they route, and under which name, where a route changes it.</summary>
    private static IEnumerable<(string Path, string Destination, string Authority)> OfMesh(VirtualService owner)
    {
        bool Applies(IReadOnlyList<string> gateways) => gateways.Count == 0 || gateways.Contains(VirtualService.MeshGateway);
        foreach (var (i, route) in owner.Http.Index().Where(route => route.Item.Matches.IsEmpty || route.Item.Matches.Any(match => Applies(match.Gateways))))
            foreach (var (j, to) in route.Destinations.Index())
                yield return ($"spec.http[{i}].route[{j}].destination.host", to.Destination.Host, route.Rewrite?.Authority ?? "");
        var connections = owner.Tls.Index().Select(route => (Path: $"spec.tls[{route.Index}]", route.Item))
            .Concat(owner.Tcp.Index().Select(route => (Path: $"spec.tcp[{route.Index}]", route.Item)));
        foreach (var (path, route) in connections.Where(one => one.Item.Matches.IsEmpty || one.Item.Matches.Any(match => Applies(match.Gateways))))
            foreach (var (j, to) in route.Destinations.Index()) yield return ($"{path}.route[{j}].destination.host", to.Destination.Host, "");
    }

    /// <summary>The Pods behind a Service, if all are gateways of Istio's API.</summary>
    private static List<Workload> Gateways(MeshSnapshot mesh, ConfigCluster config, string host)
    {
        var pods = (from known in mesh.Hosts.Find(host)
                    where known.Service is not null
                    from area in config.Reach
                    where area.Cluster == known.Cluster
                    from workload in area.Behind(known.Service!)
                    select workload).ToList();
        return pods.TrueForAll(pod => pod.IsGateway && !pod.Labels.ContainsKey(OfApi)) ? pods : [];
    }

    private static bool IsItself(MeshSnapshot mesh, string host, string destination) =>
        mesh.Hosts.Find(host).Any(known => mesh.Hosts.Find(destination).Any(to => to.Service is not null && to.Service == known.Service));

    private static (string Message, string Remedy)? Lack(ConfigCluster config, VirtualService owner, string host, List<Workload> pods)
    {
        var selecting = config.Cluster.Istio<Gateway>().Where(gateway => pods.Exists(pod => config.Selected(gateway.Namespace, gateway.Selector).Contains(pod)))
            .ToList();
        // It passes on by names of the mesh, without routes.
        if (selecting.Exists(gateway => gateway.PassesBySni)) return null;
        var then = $"calls of {host} go to gateway {pods[0].Name}";
        var opening = selecting.Where(gateway => gateway.Servers.Any(server => Hosts.Admits(gateway, server, host, owner.Namespace))).ToList();
        if (opening.Count == 0)
            return ($"{then}, for which no Gateway has a server with that host: they end there",
                $"create a Gateway that selects the gateway, with a server for {host}, and a VirtualService with this Gateway in gateways, which leads on "
                    + "to the host (docs/tasks/egress.md)");
        var routed = config.Cluster.Istio<VirtualService>().Any(other => other.Hosts.Any(name => Hosts.Covers(name, host))
            && opening.Exists(gateway => other.Gateways.Contains(gateway.FullName) && Routes(other, gateway.FullName)));
        return routed ? null
            : ($"{then}, where Gateway {opening[0].FullName} takes them, and no VirtualService routes {host} on from there: the gateway answers 404, or "
                    + "ends the connection",
                $"add {opening[0].FullName} to gateways of the VirtualService, and a route with match.gateways: [{opening[0].FullName}] to {host}; restrict "
                    + "this one with match.gateways: [mesh]");
    }

    private static bool Routes(VirtualService routes, string gateway) =>
        routes.Http.Any(route => route.Matches.IsEmpty || route.Matches.Any(match => match.Gateways.IsEmpty || match.Gateways.Contains(gateway)))
        || routes.Tls.Concat(routes.Tcp).Any(route => route.Matches.IsEmpty
            || route.Matches.Any(match => match.Gateways.IsEmpty || match.Gateways.Contains(gateway)));
}
