using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>
/// Derives internal Gateways from the listeners of the Gateway API, and which routes attach to them. A change costs what depends on it: one more
/// route, its own attachment and the status of its listeners' owner; one more ListenerSet, its own listeners and who conflicts with them.
/// </summary>
internal sealed class GatewayApiDerivation
{
    private readonly MeshSources _sources;
    private readonly Live<ObjectKey, ValueList<ListenerSet>> _setsOf;
    private readonly Live<string, ValueList<GatewayClass>> _classes;
    private readonly Live<(ObjectRef Owner, string Listener), ValueList<AttachedRoute>> _routesOf;

    public GatewayApiDerivation(MeshSources sources, Discovery discovery)
    {
        _sources = sources;
        Grants = sources.ReferenceGrants.GroupBy(grant => (grant.Source.Cluster, grant.Namespace), "grants by namespace");
        var known = discovery.Of(sources.ApiGateways, gateway => gateway.Source, "discovered gateways of the Gateway API");
        Served = known.Derive((read, gateway) => ControllerOf(read, gateway) is { } controller && GatewayClasses.Deploys(controller)
            ? One(KeyOf(gateway.Source), gateway) : [], "served gateways");
        _classes = sources.GatewayClasses.GroupBy(item => item.Source.Cluster, "gateway classes by cluster");
        var sets = discovery.Of(sources.ListenerSets, set => set.Source, "discovered listener sets");
        _setsOf = sets.GroupByMany(set => ParentOf(set) is { } parent ? [parent] : (IEnumerable<ObjectKey>)[], "listener sets by gateway");
        Listeners = Served
            .Derive((read, gateway) => ListenerPlan.Of(gateway, read.Get(_setsOf, KeyOf(gateway.Source)), LabelsOf(read, gateway.Source.Cluster))
                .Select(owned => KeyValuePair.Create(owned.Owner, owned)), "listeners by owner")
            .Derive((read, owned) => One(owned.Owner, ListenerJudge.Of(owned, ReferencesIn(read, owned.Owner.Cluster))), "judged listeners");
        Gateways = Listeners.Derive((read, judged) => InternalGateways.Of(judged, PodsOf(read, judged.Gateway), AccountOf(read, judged.Gateway),
            ReferencesIn(read, judged.Gateway.Source.Cluster))
            .Select(gateway => KeyValuePair.Create(KeyOf(gateway.Source), gateway)), "gateways of listeners");
        Routes = RoutesOf(discovery, sources.HttpRoutes, "HTTP").UnionWith(RoutesOf(discovery, sources.GrpcRoutes, "gRPC"), "and gRPC routes")
            .UnionWith(RoutesOf(discovery, sources.TlsRoutes, "TLS"), "and TLS routes")
            .UnionWith(RoutesOf(discovery, sources.TcpRoutes, "TCP"), "and TCP routes")
            .UnionWith(RoutesOf(discovery, sources.UdpRoutes, "UDP"), "routes of the Gateway API");
        Attached = Routes.Derive((read, route) => One(
            route.Source, RouteAttachments.Of(route, owner => read.Get(Listeners, owner), LabelsOf(read, route.Source.Cluster))), "attached routes");
        _routesOf = Attached.GroupByMany(
            attached => attached.Parents.SelectMany(parent => parent.Listeners).Select(listener => (listener.Owner, listener.Name)), "routes by listener");
        GatewayStatuses = Listeners.Derive((read, judged) => judged.Owner == judged.Gateway.Source
            ? One(judged.Owner, StatusOf(read, judged)) : [], "statuses of served gateways")
            .UnionWith(known.Derive((read, gateway) => ControllerOf(read, gateway) == GatewayClasses.Unmanaged
                ? One(gateway.Source, Mesh.Resolve.GatewayApi.GatewayStatuses.OfUnmanaged(gateway)) : [],
                    "statuses of gateways elsewhere"), "statuses of gateways");
        ListenerSetStatuses = Listeners.Derive((read, judged) => judged.Owner != judged.Gateway.Source
            ? One(judged.Owner, Mesh.Resolve.GatewayApi.GatewayStatuses.OfSet(judged, CountsOf(read, judged))) : [], "statuses of attached listener sets")
            .UnionWith(sets.Derive((read, set) => IsOurStray(read, set)
                ? One(set.Source, Mesh.Resolve.GatewayApi.GatewayStatuses.OfStraySet(set)) : [], "statuses of stray listener sets"),
                    "statuses of listener sets");
    }

    /// <summary>The permissions to refer to objects of a namespace, by its cluster and name.</summary>
    public Live<(string Cluster, string Namespace), ValueList<ReferenceGrant>> Grants { get; }

    /// <summary>The Gateways that proxies of this mesh serve.</summary>
    public Live<ObjectKey, ApiGateway> Served { get; }

    /// <summary>The listeners of Gateways and ListenerSets, by these.</summary>
    public Live<ObjectRef, JudgedListeners> Listeners { get; }

    /// <summary>A Gateway for each listener.</summary>
    public Live<ObjectKey, Gateway> Gateways { get; }

    /// <summary>All routes, of every kind.</summary>
    public Live<ObjectRef, ApiRoute> Routes { get; }

    /// <summary>All routes, with the listeners that take them.</summary>
    public Live<ObjectRef, AttachedRoute> Attached { get; }

    /// <summary>Without <c>Programmed</c> and addresses.</summary>
    public Live<ObjectRef, GatewayStatus> GatewayStatuses { get; }

    /// <summary>Without <c>Programmed</c>, unless nothing of the set is served.</summary>
    public Live<ObjectRef, ListenerSetStatus> ListenerSetStatuses { get; }

    private string? ControllerOf(Reader read, ApiGateway gateway) =>
        GatewayClasses.ControllerOf(gateway, read.Get(_sources.GatewayClasses, new ObjectKey(gateway.Source.Cluster, "", gateway.Class)));

    /// <summary>The labels of the Pods that serve a Gateway: those that are deployed for it, or those behind the Service that it is bound to.</summary>
    private ValueMap<string> PodsOf(Reader read, ApiGateway gateway)
    {
        if (GatewayNaming.BoundService(gateway) is not { } bound)
            return new([KeyValuePair.Create(GatewayNaming.GatewayLabel, GatewayNaming.LabelOf(gateway.Name))]);
        return bound.Namespace != gateway.Namespace ? default
            : read.Get(_sources.Services, new ObjectKey(gateway.Source.Cluster, bound.Namespace, bound.Name))?.Selector ?? default;
    }

    private string AccountOf(Reader read, ApiGateway gateway) =>
        GatewayNaming.IsDeployed(gateway) ? GatewayNaming.AccountOf(gateway, withClass: ControllerOf(read, gateway) != GatewayClasses.EastWest) : "";

    /// <summary>Looks up what objects of a cluster refer to.</summary>
    public ListenerReferences ReferencesIn(Reader read, string cluster) => new(
        name => read.Get(_sources.Credentials, new ObjectKey(cluster, name.Namespace, name.Name)),
        name => read.Get(_sources.CaBundles, new ObjectKey(cluster, name.Namespace, name.Name)),
        ns => read.Get(Grants, (cluster, ns)));

    private GatewayStatus StatusOf(Reader read, JudgedListeners judged)
    {
        var sets = read.Get(_setsOf, KeyOf(judged.Owner)).Count(set => read.Get(Listeners, set.Source) is { IsAllowed: true, Valid: > 0 });
        return Mesh.Resolve.GatewayApi.GatewayStatuses.Of(judged, CountsOf(read, judged), sets, ReferencesIn(read, judged.Owner.Cluster));
    }

    private Func<string, int> CountsOf(Reader read, JudgedListeners judged) => listener => read.Get(_routesOf, (judged.Owner, listener)).Count;

    private Func<string, ValueMap<string>> LabelsOf(Reader read, string cluster) =>
        ns => read.Get(_sources.Namespaces, new ObjectKey(cluster, "", ns))?.Labels ?? default;

    private static Live<ObjectRef, ApiRoute> RoutesOf(Discovery discovery, Live<ObjectKey, ApiRoute> routes, string name) =>
        discovery.Of(routes, route => route.Source, $"discovered {name} routes").Derive((_, route) => One(route.Source, route), $"{name} routes by object");

    private static ObjectKey? ParentOf(ListenerSet set) => set.Parent.Group == MeshApi.ApiGateway.Group && set.Parent.Kind == MeshApi.ApiGateway.Kind
        ? new(set.Source.Cluster, set.Parent.Namespace, set.Parent.Name) : null;

    /// <summary>Whether a ListenerSet names another one as its parent, and nobody but us can say what that means: from parent to parent one comes to a
    /// Gateway that we serve, or, where no class is of another controller, to no Gateway.</summary>
    private bool IsOurStray(Reader read, ListenerSet set)
    {
        if (!IsSet(set.Parent)) return false;
        var seen = new HashSet<ObjectRef>();
        for (var at = set; seen.Add(at.Source);)
        {
            if (ParentOf(at) is { } gateway && read.Get(_sources.ApiGateways, gateway) is not null) return read.Get(Served, gateway) is not null;
            if (!IsSet(at.Parent) || read.Get(_sources.ListenerSets, new(at.Source.Cluster, at.Parent.Namespace, at.Parent.Name)) is not { } next) break;
            at = next;
        }
        var classes = read.Get(_classes, set.Source.Cluster);
        return classes.Count > 0 && classes.All(item => GatewayClasses.IsOurs(item.Controller));
    }

    private static bool IsSet(ApiReference parent) => parent.Group == MeshApi.ListenerSet.Group && parent.Kind == MeshApi.ListenerSet.Kind;

    private static ObjectKey KeyOf(ObjectRef source) => new(source.Cluster, source.Namespace, source.Name);

    private static KeyValuePair<TKey, T>[] One<TKey, T>(TKey key, T value) => [KeyValuePair.Create(key, value)];
}
