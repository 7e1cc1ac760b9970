using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Routes of VirtualServices to ports that declare another protocol than the routes send: requests to TLS that nothing begins, or TLS to requests.
/// Pure.</summary>
public static class DestinationProtocols
{
    public static Analyzer Analyzer { get; } = new("virtualservice.DestinationProtocolAnalyzer",
        "Checks that something begins TLS where http routes of VirtualServices lead to ports that declare it, and that tls routes lead to no port of requests",
        [GatewayApiCodes.BackendSpeaksElse], ["VirtualService", "DestinationRule", "Service"],
        mesh => mesh.Clusters.SelectMany(config => RouteDestinations.Of(config).Select(placed => Check(mesh, config, placed)).OfType<Finding>()));

    private static Finding? Check(MeshSnapshot mesh, ConfigCluster config, PlacedDestination placed)
    {
        var to = placed.Destination;
        if (!placed.IsHttpRoute && !placed.IsTlsRoute) return null;
        // Nobody follows such a route.
        if (PassedRequests.Misplaced(config, placed.Owner) is not null) return null;
        var known = mesh.Hosts.Find(to.Host);
        var port = to.Port > 0 ? to.Port : placed.Owner.ForSidecars ? 0 : known.SelectMany(host => host.Ports).Distinct().ToList() is [var only] ? only : 0;
        // Clusters may disagree: then some calls get through.
        if (known.SelectMany(host => host.Protocols).Where(one => one.Number == port).Select(one => one.Protocol).Distinct().ToList() is not [var declared]
            || known.Any(host => LeadsToGateway(config, host))) return null;
        var service = known.Select(host => host.Service).FirstOrDefault(one => one is not null);
        var name = service is not null ? $"Service {service.Key}" : $"ServiceEntry {known[0].Entry!.Namespace}/{known[0].Entry!.Name}";
        return Wrong(mesh, config, placed, declared, service is not null) is not { } wrong ? null
            : GatewayApiCodes.BackendSpeaksElse.At(config.Cluster, placed.Name, to.Port > 0 ? $"{placed.Path}.port.number" : $"{placed.Path}.host",
                $"leads to port {port} of {name}, which declares {declared.ToString().ToUpperInvariant()}, and {wrong.Why}", wrong.Remedy);
    }

    private static (string Why, string Remedy)? Wrong(MeshSnapshot mesh, ConfigCluster config, PlacedDestination placed, Protocol declared, bool isService)
    {
        var host = placed.Destination.Host;
        if (placed.IsTlsRoute)
            return !declared.IsHttp() ? null
                : ("a tls route passes TLS on without ending it: what takes the connection finds no request",
                    "lead to the port where the application speaks TLS, and declare that it does ("
                    + (isService ? "name it tls or https, or set appProtocol" : "protocol TLS or HTTPS")
                    + "); or let the Gateway end TLS (mode SIMPLE), with an http route");
        return !declared.IsTls() || !TakesRequests(mesh, placed.Owner) || TlsOrigination.MayBegin(mesh, config.Cluster, host) ? null
            : ("nothing begins TLS there: requests are sent in plain text",
                $"create a DestinationRule for {host} with trafficPolicy.tls.mode SIMPLE; or, if the application speaks plain HTTP, "
                + (isService ? "name the port http, or set appProtocol: http" : "set its protocol to HTTP"));
    }

    /// <summary>Whether proxies know requests for one of the hosts: sidecars do at ports that declare no TLS.</summary>
    private static bool TakesRequests(MeshSnapshot mesh, VirtualService routes) => routes.Hosts.IsEmpty || routes.Gateways.Count > 1 || !routes.ForSidecars
        || routes.Hosts.SelectMany(mesh.Hosts.Find).SelectMany(host => host.Protocols).Any(port => !port.Protocol.IsTls());

    /// <summary>Gateways of the mesh take its TLS where they declare TLS.</summary>
    private static bool LeadsToGateway(ConfigCluster config, KnownHost host) => host.Service is { Spec.Selector: { Count: > 0 } selector }
        && (selector.ContainsKey(GatewayNaming.GatewayLabel)
            || config.Cluster.Istio<Gateway>().Any(gateway => Selectors.Matches(gateway.Selector, selector.ToValueMap())));
}
