using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.ControlPlane.Derive;

/// <summary>
/// What is said of all objects of the Gateway API. Of a route or a policy with no parent of ours, that is nothing: what an earlier status says of one has to go.
/// </summary>
internal sealed class ApiStatusDerivation(MeshSources sources, Live<string, HostEndpoints> endpoints)
{
    /// <param name="gateways">What follows from the listeners of Gateways, and from their references.</param>
    /// <param name="sets">Of ListenerSets.</param>
    /// <param name="routes">Of routes.</param>
    /// <param name="policies">Of BackendTLSPolicies.</param>
    public Live<ObjectRef, ApiStatus> All(
        Live<ObjectRef, GatewayStatus> gateways, Live<ObjectRef, ListenerSetStatus> sets, Live<ObjectRef, RouteStatus> routes, Live<ObjectRef, PolicyStatus> policies)
    {
        var complete = sources.ApiGateways.Derive((read, gateway) => Complete(read, gateway, read.Get(gateways, gateway.Source)) is { } status ? One(status) : [], "statuses of Gateways with addresses");
        return complete
            .UnionWith(sets.Derive((read, status) => One(status with { Conditions = Complete(read, status, complete) }), "statuses of ListenerSets"), "and of ListenerSets")
            .UnionWith(Of(sources.HttpRoutes, routes), "and of HTTPRoutes").UnionWith(Of(sources.GrpcRoutes, routes), "and of GRPCRoutes")
            .UnionWith(Of(sources.TlsRoutes, routes), "and of TLSRoutes").UnionWith(Of(sources.TcpRoutes, routes), "and of TCPRoutes")
            .UnionWith(Of(sources.UdpRoutes, routes), "and of UDPRoutes")
            .UnionWith(sources.BackendTlsPolicies.Derive((read, policy) => One(read.Get(policies, policy.Source) ?? new PolicyStatus(policy.Source, policy.Generation, default)), "statuses of policies"), "statuses");
    }

    private static Live<ObjectRef, ApiStatus> Of(Live<ObjectKey, ApiRoute> all, Live<ObjectRef, RouteStatus> statuses) =>
        all.Derive((read, route) => One(read.Get(statuses, route.Source) ?? new RouteStatus(route.Source, route.Generation, default)), $"statuses of all {all.Name}");

    /// <summary>Adds what the Service and the Pods of a Gateway say.</summary>
    /// <param name="read">Reads what it depends on.</param>
    /// <param name="gateway">The Gateway.</param>
    /// <param name="status">What follows from its listeners; null: nobody here serves them.</param>
    private GatewayStatus? Complete(Reader read, ApiGateway gateway, GatewayStatus? status)
    {
        var key = new ObjectKey(gateway.Source.Cluster, gateway.Namespace, gateway.Name);
        if (GatewayClasses.ControllerOf(gateway, read.Get(sources.GatewayClasses, new(key.Cluster, "", gateway.Class))) is not { } controller) return null;
        if (controller == GatewayClasses.Unmanaged) status ??= new(gateway.Source, gateway.Generation, [new("Accepted", true, "Accepted", "The Gateway stands for one that runs elsewhere")], default, default, 0);
        if (status is null) return null;
        var (ns, name) = GatewayNaming.BoundService(gateway) ?? (gateway.Namespace, GatewayNaming.ServiceOf(gateway, controller != GatewayClasses.EastWest));
        var service = name.Length == 0 ? null : read.Get(sources.Services, new ObjectKey(key.Cluster, ns, name));
        var isReady = service is not null && read.Get(endpoints, service.Hostname) is { } known
            && known.Endpoints.Any(endpoint => endpoint.Cluster == key.Cluster && endpoint.Health == EndpointHealth.Ready);
        return GatewayProgress.Complete(status, gateway, controller, new(service, isReady, read.Get(sources.GatewayTroubles, key)));
    }

    /// <summary>Listeners of a set are served where those of its Gateway are.</summary>
    private ValueList<ApiCondition> Complete(Reader read, ListenerSetStatus status, Live<ObjectRef, ApiStatus> gateways)
    {
        var own = status.Conditions.FirstOrDefault(condition => condition.Type == "Programmed");
        var set = read.Get(sources.ListenerSets, new ObjectKey(status.Source.Cluster, status.Source.Namespace, status.Source.Name));
        if (own is { Status: false } || set is null) return status.Conditions;
        var gateway = read.Get(sources.ApiGateways, new ObjectKey(status.Source.Cluster, set.Parent.Namespace, set.Parent.Name));
        var programmed = gateway is null ? null : (read.Get(gateways, gateway.Source) as GatewayStatus)?.Conditions.FirstOrDefault(condition => condition.Type == "Programmed");
        return programmed is null ? status.Conditions : [.. status.Conditions.Where(condition => condition.Type != "Programmed"), programmed];
    }

    private static KeyValuePair<ObjectRef, ApiStatus>[] One(ApiStatus status) => [KeyValuePair.Create(status.Source, status)];
}
