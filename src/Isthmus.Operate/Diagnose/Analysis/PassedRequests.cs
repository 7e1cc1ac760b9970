using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes for requests at servers that pass TLS on without looking inside. Pure.</summary>
public static class PassedRequests
{
    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.PassthroughAnalyzer", "Checks that servers see the requests for which VirtualServices have routes", [RouteCodes.RequestsPassedOn],
        ["VirtualService", "Gateway"], mesh =>
        from config in mesh.Clusters
        let known = config.Cluster.Written<Gateway>().ToDictionary(gateway => gateway.FullName, StringComparer.Ordinal)
        from service in config.Cluster.Istio<VirtualService>()
        where !service.ForSidecars && !service.Http.IsEmpty && service.Tls.IsEmpty && service.Tcp.IsEmpty
        let gateways = service.Gateways.Select(known.GetValueOrDefault).ToList()
        where gateways.TrueForAll(gateway => gateway is not null)
        let servers = (from gateway in gateways
                       from server in gateway!.Servers.Index()
                       where service.Hosts.Any(host => Hosts.Admits(gateway, server.Item, host, service.Namespace))
                       select (Gateway: gateway, server.Index, server.Item)).ToList()
        where servers.Count > 0 && servers.TrueForAll(server => server.Item.Tls is { Mode: ServerTlsMode.Passthrough or ServerTlsMode.AutoPassthrough })
        select RouteCodes.RequestsPassedOn.At(config.Cluster, $"VirtualService {service.Namespace}/{service.Name}", "spec.http",
            $"has no effect: server {servers[0].Index} of Gateway {servers[0].Gateway.FullName} passes TLS on without looking inside (mode "
                + $"{(servers[0].Item.Tls!.Mode == ServerTlsMode.Passthrough ? "PASSTHROUGH" : "AUTO_PASSTHROUGH")}), and sees no requests",
            "write tls routes with match.sniHosts, or let the server end TLS (mode: SIMPLE, with a certificate)"));
}
