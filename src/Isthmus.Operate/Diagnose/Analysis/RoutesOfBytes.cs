using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes for requests to hosts on whose ports proxies know none, because they declare TCP or TLS. Pure.</summary>
public static class RoutesOfBytes
{
    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.ProtocolAnalyzer", "Checks that hosts with routes for requests have ports that declare HTTP", [OwnCodes.RoutesWithoutRequests],
        ["VirtualService", "Service"], mesh =>
            from config in mesh.Clusters
            from service in config.Cluster.Istio<VirtualService>()
            // At a gateway, its server says what requests are; and of several hosts, some may be there for the other routes.
            where service.ForSidecars && service.Gateways.Count == 1 && !service.Http.IsEmpty && service.Tcp.IsEmpty && service.Tls.IsEmpty
            from host in service.Hosts.Index()
            let ports = mesh.Hosts.Find(host.Item).SelectMany(known => known.Protocols).Distinct().ToList()
            where ports.Count > 0 && ports.TrueForAll(port => !port.Protocol.IsHttp() && port.Protocol is not Protocol.Auto)
            let declared = mesh.Hosts.Find(host.Item).Select(known => known.Service).OfType<Kubernetes.Objects.Service>()
                .FirstOrDefault(known => known.Spec.Ports.Exists(port => port.AppProtocol is { Length: > 0 }))
            select OwnCodes.RoutesWithoutRequests.At(config.Cluster, $"VirtualService {service.Namespace}/{service.Name}", "spec.http",
                $"has no effect for {host.Item}, whose ports declare no HTTP: "
                    + $"{string.Join(", ", ports.Select(port => $"{port.Number} ({port.Protocol.ToString().ToUpperInvariant()})"))}",
                declared is null ? null : $"remove appProtocol from the ports of Service {declared.Key}, or set it to http, if the application speaks HTTP: it "
                    + "counts before the name of a port; otherwise use tcp or tls routes"));
}
