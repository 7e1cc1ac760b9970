using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes for connections (tcp and tls) of hosts on whose ports proxies take every connection for requests, because they declare HTTP; and, of
/// several ports, routes for requests to one that declares none. Pure.</summary>
public static class RoutesOfRequests
{
    /// <summary>A port of a host, and what it declares.</summary>
    public readonly record struct DeclaredPort(int Number, Protocol Protocol)
    {
        /// <summary>Whether proxies copy bytes there.</summary>
        public bool IsBytes => !Protocol.IsHttp() && Protocol is not Protocol.Auto;

        public override string ToString() => $"{Number} ({Protocol.ToString().ToUpperInvariant()})";
    }

    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.ConnectionAnalyzer", "Checks that routes of VirtualServices are for what the ports of their hosts declare",
        [RouteCodes.ConnectionsAreRequests, OwnCodes.RoutesWithoutRequests], ["VirtualService", "Service"], mesh =>
            from config in mesh.Clusters
            from routes in config.Cluster.Istio<VirtualService>()
            where routes.ForSidecars
            // Of several hosts, one may have the port that a route is for.
            let ports = routes.Hosts.Select(host => mesh.Hosts.Find(host).SelectMany(known => known.Protocols)
                .Select(port => new DeclaredPort(port.Number, port.Protocol)).Distinct().ToList()).ToList()
            where ports.Count > 0 && ports.TrueForAll(known => known.Count > 0)
            let all = ports.SelectMany(known => known).Distinct().ToList()
            let name = $"VirtualService {routes.Namespace}/{routes.Name}"
            from finding in Idle(routes, all).Select(idle => RouteCodes.ConnectionsAreRequests.At(config.Cluster, name, idle.Field,
                    Says(idle.Field, string.Join(", ", routes.Hosts), idle.Ports), Remedy(idle.Field)))
                .Concat(Unread(routes, all).Select(unread => OwnCodes.RoutesWithoutRequests.At(config.Cluster, name, unread.Field,
                    $"is {unread.Port.Number}, which declares {unread.Port.Protocol.ToString().ToUpperInvariant()} for {string.Join(", ", routes.Hosts)}: "
                        + "proxies copy bytes there, and the match is for requests")))
            select finding);

    /// <summary>What is said of such a route.</summary>
    public static string Says(string field, string host, IEnumerable<DeclaredPort> ports) =>
        $"has no effect for {host}: port {string.Join(", ", ports)} declares HTTP, where proxies route requests, and a {Kind(field)} route is for connections";

    /// <summary>What helps.</summary>
    public static string Remedy(string field) => "write an http route; or, if the application does not speak HTTP, name the port of the Service "
        + (Kind(field) == "tls" ? "tls-… (or set appProtocol: tls)" : "tcp-… (or set appProtocol: tcp)");

    private static string Kind(string field) => field.StartsWith("spec.tls", StringComparison.Ordinal) ? "tls" : "tcp";

    /// <summary>The routes for connections of callers within the mesh that are for HTTP ports alone, each with these.</summary>
    public static IEnumerable<(string Field, IReadOnlyList<DeclaredPort> Ports)> Idle(VirtualService routes, IReadOnlyList<DeclaredPort> ports) =>
        from route in routes.Tls.Index().Select(route => (Field: $"spec.tls[{route.Index}]", route.Item))
            .Concat(routes.Tcp.Index().Select(route => (Field: $"spec.tcp[{route.Index}]", route.Item)))
        let met = Met(routes, route.Item, ports).ToList()
        where met.Count > 0 && met.TrueForAll(port => port.Protocol.IsHttp())
        select (route.Field, (IReadOnlyList<DeclaredPort>)met);

    private static IEnumerable<DeclaredPort> Met(VirtualService routes, L4Route route, IReadOnlyList<DeclaredPort> ports)
    {
        // At a gateway, its server says what is spoken.
        if (routes.Gateways.Count > 1 && (route.Matches.IsEmpty || !route.Matches.All(match => match.Gateways is [VirtualService.MeshGateway]))) return [];
        var matches = route.Matches.Where(match => match.Gateways.IsEmpty || match.Gateways.Contains(VirtualService.MeshGateway)).ToList();
        return ports.Where(port => route.Matches.IsEmpty || matches.Exists(match => match.Port == 0 || match.Port == port.Number)).Distinct();
    }

    /// <summary>Where all ports declare no HTTP, that is said of all routes.</summary>
    private static IEnumerable<(string Field, DeclaredPort Port)> Unread(VirtualService routes, IReadOnlyList<DeclaredPort> ports) =>
        ports.All(port => port.IsBytes) || routes.Gateways.Count > 1 ? []
            : from route in routes.Http.Index()
              from match in route.Item.Matches.Index()
              let port = ports.Where(port => port.Number == match.Item.Port).ToList()
              where port.Count > 0 && port.TrueForAll(one => one.IsBytes)
              select ($"spec.http[{route.Index}].match[{match.Index}].port", port[0]);
}
