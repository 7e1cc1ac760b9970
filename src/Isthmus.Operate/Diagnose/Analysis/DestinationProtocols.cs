using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes for requests of VirtualServices to ports that declare TLS, which nothing begins. Pure.</summary>
public static class DestinationProtocols
{
    public static Analyzer Analyzer { get; } = new("virtualservice.DestinationProtocolAnalyzer",
        "Checks that something begins TLS where http routes of VirtualServices lead to ports that declare it", [GatewayApiCodes.BackendSpeaksElse],
        ["VirtualService", "DestinationRule", "Service"],
        mesh => mesh.Clusters.SelectMany(config => RouteDestinations.Of(config).Select(placed => Check(mesh, config, placed)).OfType<Finding>()));

    private static Finding? Check(MeshSnapshot mesh, ConfigCluster config, PlacedDestination placed)
    {
        var to = placed.Destination;
        if (!placed.IsHttpRoute || !TakesRequests(mesh, placed.Owner)) return null;
        var known = mesh.Hosts.Find(to.Host);
        var port = to.Port > 0 ? to.Port : placed.Owner.ForSidecars ? 0 : known.SelectMany(host => host.Ports).Distinct().ToList() is [var only] ? only : 0;
        // Clusters may disagree: then some calls get through.
        if (known.SelectMany(host => host.Protocols).Where(one => one.Number == port).Select(one => one.Protocol).Distinct().ToList() is not [var declared]
            || !declared.IsTls() || known.Any(host => LeadsToGateway(config, host)) || TlsOrigination.MayBegin(mesh, config.Cluster, to.Host)) return null;
        var service = known.Select(host => host.Service).FirstOrDefault(one => one is not null);
        var name = service is not null ? $"Service {service.Key}" : $"ServiceEntry {known[0].Entry!.Namespace}/{known[0].Entry!.Name}";
        return GatewayApiCodes.BackendSpeaksElse.At(config.Cluster, placed.Name, to.Port > 0 ? $"{placed.Path}.port.number" : $"{placed.Path}.host",
            $"leads to port {port} of {name}, which declares {declared.ToString().ToUpperInvariant()}, and nothing begins TLS there: requests are sent in plain "
                + "text",
            $"create a DestinationRule for {to.Host} with trafficPolicy.tls.mode SIMPLE; or, if the application speaks plain HTTP, "
                + (service is not null ? "name the port http, or set appProtocol: http" : "set its protocol to HTTP"));
    }

    /// <summary>Whether proxies know requests for one of the hosts: sidecars do at ports that declare no TLS.</summary>
    private static bool TakesRequests(MeshSnapshot mesh, VirtualService routes) => routes.Hosts.IsEmpty || routes.Gateways.Count > 1 || !routes.ForSidecars
        || routes.Hosts.SelectMany(mesh.Hosts.Find).SelectMany(host => host.Protocols).Any(port => !port.Protocol.IsTls());

    /// <summary>Gateways of the mesh take its TLS where they declare TLS.</summary>
    private static bool LeadsToGateway(ConfigCluster config, KnownHost host) => host.Service is { Spec.Selector: { Count: > 0 } selector }
        && (selector.ContainsKey(GatewayNaming.GatewayLabel)
            || config.Cluster.Istio<Gateway>().Any(gateway => Selectors.Matches(gateway.Selector, selector.ToValueMap())));
}
