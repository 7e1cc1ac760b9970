using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>
/// The ports of Services to which GRPCRoutes lead, and those of authorizers that speak gRPC. Gateways do not detect protocols: they call a port that names
/// none with HTTP/1.1, over which gRPC does not work.
/// </summary>
internal sealed class GrpcBackends
{
    private readonly Live<string, GrpcPorts> _byHost;

    /// <param name="routes">All routes.</param>
    /// <param name="grants">The permissions to refer to objects of a namespace, by its cluster and name.</param>
    public GrpcBackends(Live<ObjectRef, ApiRoute> routes, Live<(string Cluster, string Namespace), ValueList<ReferenceGrant>> grants)
    {
        _byHost = routes.Derive((read, route) => BackendsOf(route)
            .Where(to => to.Kind is "Service" or "ServiceImport"
                && ReferenceGrants.Permit(route.Source, to, read.Get(grants, (route.Source.Cluster, to.Namespace))))
            .GroupBy(BackendTlsDerivation.HostOf, StringComparer.Ordinal)
            .Select(group => KeyValuePair.Create((route.Source, group.Key), new GrpcPorts(group.Key, PortsOf(group.Select(to => to.Port))))),
            "backends of gRPC routes")
            .GroupBy(ports => ports.Host, "gRPC ports by host")
            // One more route to a host that has routes already is none of its callers' business.
            .Derive((_, all) => Together(all), "gRPC ports of hosts");
    }

    /// <summary>The ports of a host.</summary>
    public ValueList<ServicePort> Of(Reader read, MeshService service)
    {
        if (service.Ports.All(port => port.Protocol != Protocol.Auto)) return service.Ports;
        var found = read.Get(_byHost, service.ExportOf.Length > 0 ? service.ExportOf : service.Hostname);
        return found is null ? service.Ports
            : service.Ports.Select(port => port.Protocol == Protocol.Auto && found.Ports.Contains(port.Number) ? port with { HasGrpcRoutes = true } : port)
                .ToValueList();
    }

    private static IEnumerable<ApiReference> BackendsOf(ApiRoute route) => route.Source.Kind == MeshApi.GrpcRoute.Kind
        ? route.Rules.SelectMany(rule => rule.Backends).Select(backend => backend.To)
        : route.Rules.Select(rule => rule.Authorizer).OfType<ApiAuthorizer>().Where(asked => asked.Settings.IsGrpc).Select(asked => asked.To);

    private static KeyValuePair<string, GrpcPorts>[] Together(ValueList<GrpcPorts> all) =>
        [KeyValuePair.Create(all[0].Host, new GrpcPorts(all[0].Host, PortsOf(all.SelectMany(item => item.Ports))))];

    private static ValueList<int> PortsOf(IEnumerable<int> ports) => ports.Distinct().Order().ToValueList();

    private sealed record GrpcPorts(string Host, ValueList<int> Ports);
}
