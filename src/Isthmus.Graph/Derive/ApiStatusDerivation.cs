using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>
/// What is said of all objects of the Gateway API. Of a route or a policy with no parent of ours, that is nothing: what an earlier status says of one has to
/// go.
/// </summary>
internal sealed class ApiStatusDerivation(MeshSources sources, Live<string, HostEndpoints> endpoints)
{
    /// <param name="gateways">What follows from the listeners of Gateways, and from their references.</param>
    /// <param name="sets">Of ListenerSets.</param>
    /// <param name="routes">Of routes.</param>
    /// <param name="policies">Of policies for callers of Services.</param>
    public Live<ObjectRef, ApiStatus> All(
        Live<ObjectRef, GatewayStatus> gateways, Live<ObjectRef, ListenerSetStatus> sets, Live<ObjectRef, RouteStatus> routes,
        Live<ObjectRef, PolicyStatus> policies) =>
        WithSets(gateways.Derive((read, status) => Complete(read, status) is { } complete ? One(complete) : [], "statuses of Gateways with addresses"), sets)
            .UnionWith(Of(sources.HttpRoutes, routes), "and of HTTPRoutes").UnionWith(Of(sources.GrpcRoutes, routes), "and of GRPCRoutes")
            .UnionWith(Of(sources.TlsRoutes, routes), "and of TLSRoutes").UnionWith(Of(sources.TcpRoutes, routes), "and of TCPRoutes")
            .UnionWith(Of(sources.UdpRoutes, routes), "and of UDPRoutes")
            .UnionWith(OfPolicies(sources.BackendTlsPolicies, policies), "and of policies for TLS")
            .UnionWith(sources.ApiMeshes.Derive((_, mesh) => mesh.Status is { } status ? One(status) : [], "statuses of meshes"), "and of meshes")
            .UnionWith(OfPolicies(sources.BackendTrafficPolicies, policies), "statuses");

    /// <summary>A ListenerSet with listeners is programmed when its Gateway is.</summary>
    private Live<ObjectRef, ApiStatus> WithSets(Live<ObjectRef, ApiStatus> gateways, Live<ObjectRef, ListenerSetStatus> sets) =>
        gateways.UnionWith(sets.Derive((read, status) =>
    {
        if (status.Conditions.Any(condition => condition.Type == "Programmed")) return One(status);
        var parent = read.Get(sources.ListenerSets, new ObjectKey(status.Source.Cluster, status.Source.Namespace, status.Source.Name))?.Parent;
        var gateway = parent is null
            ? null
            : read.Get(gateways, new ObjectRef(status.Source.Cluster, MeshApi.ApiGateway.Name, parent.Namespace, parent.Name)) as GatewayStatus;
        return One(gateway?.Conditions.FirstOrDefault(condition => condition.Type == "Programmed") is { } programmed
            ? status with { Conditions = [.. status.Conditions, programmed] }
            : status);
    }, "statuses of ListenerSets"), "and of ListenerSets");

    private static Live<ObjectRef, ApiStatus> Of(Live<ObjectKey, ApiRoute> all, Live<ObjectRef, RouteStatus> statuses) =>
        all.Derive((read, route) => One(read.Get(statuses, route.Source) ?? new RouteStatus(route.Source, route.Generation, default)),
            $"statuses of all {all.Name}");

    private static Live<ObjectRef, ApiStatus> OfPolicies<T>(Live<ObjectKey, T> all, Live<ObjectRef, PolicyStatus> statuses)
        where T : class, IBackendPolicy, IEquatable<T> =>
        all.Derive((read, policy) => One(read.Get(statuses, policy.Source) ?? new PolicyStatus(policy.Source, policy.Generation, default)),
            $"statuses of all {all.Name}");

    /// <summary>Adds what the Service and the Pods of a Gateway say.</summary>
    private GatewayStatus? Complete(Reader read, GatewayStatus status)
    {
        var key = new ObjectKey(status.Source.Cluster, status.Source.Namespace, status.Source.Name);
        if (read.Get(sources.ApiGateways, key) is not { } gateway) return null;
        if (GatewayClasses.ControllerOf(gateway, read.Get(sources.GatewayClasses, new(key.Cluster, "", gateway.Class))) is not { } controller) return null;
        var (ns, name) = GatewayNaming.BoundService(gateway) ?? (gateway.Namespace, GatewayNaming.ServiceOf(gateway, controller != GatewayClasses.EastWest));
        var service = name.Length == 0 ? null : read.Get(sources.Services, new ObjectKey(key.Cluster, ns, name));
        var isReady = service is not null && read.Get(endpoints, service.Hostname) is { } known
            && known.Endpoints.Any(endpoint => endpoint.Cluster == key.Cluster && endpoint.Health == EndpointHealth.Ready);
        return GatewayProgress.Complete(status, gateway, controller, new(service, isReady, read.Get(sources.GatewayTroubles, key)));
    }

    private static KeyValuePair<ObjectRef, ApiStatus>[] One(ApiStatus status) => [KeyValuePair.Create(status.Source, status)];
}
