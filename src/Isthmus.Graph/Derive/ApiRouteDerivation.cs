using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>Derives routes of proxies, and statuses, from routes of the Gateway API.</summary>
internal sealed class ApiRouteDerivation
{
    private readonly Live<ObjectRef, AttachedRoute> _attached;
    private readonly ApiBackends _backends;
    private readonly MeshRouteDerivation _mesh;

    /// <param name="sources">The objects.</param>
    /// <param name="services">The hosts of the mesh.</param>
    /// <param name="routes">The routes that discovery selects, of every kind.</param>
    /// <param name="attached">What Gateways say to them.</param>
    /// <param name="backends">Finds the backends of rules.</param>
    public ApiRouteDerivation(MeshSources sources, Live<string, MeshService> services, Live<ObjectRef, ApiRoute> routes,
        Live<ObjectRef, AttachedRoute> attached, ApiBackends backends)
    {
        (_attached, _backends) = (attached, backends);
        _mesh = new(sources, services, backends);
        // UDP passes by sidecars, so that only Gateways have such routes.
        Routings = routes.Derive((read, route) => route.Source.Kind == "UDPRoute"
            ? OfListeners(read, route)
            : _mesh.SetsOf(read, route).Concat(OfListeners(read, route)),
            "sets of routes of the Gateway API");
        Statuses = routes.Derive((read, route) => StatusOf(read, route) is { } status
            ? [KeyValuePair.Create(route.Source, status)] : (IEnumerable<KeyValuePair<ObjectRef, RouteStatus>>)[], "statuses of routes");
    }

    public Live<ObjectKey, RouteSet> Routings { get; }

    /// <summary>What is said of each route.</summary>
    public Live<ObjectRef, RouteStatus> Statuses { get; }

    private IEnumerable<KeyValuePair<ObjectKey, RouteSet>> OfListeners(Reader read, ApiRoute route)
    {
        var listeners = read.Get(_attached, route.Source)?.Parents.SelectMany(parent => parent.Listeners).DistinctBy(listener => listener.Server).ToList();
        if (listeners is not { Count: > 0 }) return [];
        var converted = Converted(read, route);
        return listeners.Select(listener => ApiRouteSets.OfListener(route, converted, listener.Server, listener.Hostnames))
            .Select(set => KeyValuePair.Create(set.Key, set));
    }

    /// <summary>Null: no parent is ours.</summary>
    private RouteStatus? StatusOf(Reader read, ApiRoute route)
    {
        var parents = _mesh.StatusesOf(read, route).ToList();
        if (read.Get(_attached, route.Source) is { Parents.IsEmpty: false } attached)
        {
            var converted = Converted(read, route);
            parents.AddRange(attached.Parents.Select(parent => new ParentStatus(parent.Parent, RouteConditions.Of(converted, parent.Accepted))));
        }
        return parents.Count == 0 ? null : new(route.Source, route.Generation, parents.ToValueList());
    }

    private ConvertedRoute Converted(Reader read, ApiRoute route) => RouteConversion.Of(route, to => _backends.TargetOf(read, route, to, needsGrant: true));
}
