using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>Routes whose parents are Services and ServiceEntries: they are for callers within the mesh.</summary>
/// <param name="sources">The objects.</param>
/// <param name="services">The hosts of the mesh.</param>
/// <param name="backends">Finds the backends of rules.</param>
internal sealed class MeshRouteDerivation(MeshSources sources, Live<string, MeshService> services, ApiBackends backends)
{
    /// <summary>The sets of a route, one for each parent that exists.</summary>
    public IEnumerable<KeyValuePair<ObjectKey, RouteSet>> SetsOf(Reader read, ApiRoute route)
    {
        var parents = route.Parents.Where(IsMesh).Distinct().Select(parent => (Parent: parent, Hosts: HostsOf(read, route, parent)))
            .Where(item => !item.Hosts.IsEmpty).ToList();
        if (parents.Count == 0) return [];
        return parents.Select(item => ApiRouteSets.OfService(route, Converted(read, route, item.Hosts), item.Parent, item.Hosts))
            .Select(set => KeyValuePair.Create(set.Key, set)).DistinctBy(set => set.Key);
    }

    /// <summary>What the status of a route says for those parents.</summary>
    public IEnumerable<ParentStatus> StatusesOf(Reader read, ApiRoute route)
    {
        ConvertedRoute? converted = null;
        foreach (var parent in route.Parents.Where(IsMesh))
            yield return new(parent, RouteConditions.Of(converted ??= Converted(read, route, default), Refusal(read, route, parent)));
    }

    public static bool IsMesh(ApiReference parent) => parent is { Group: "", Kind: "Service" } or { Group: "networking.istio.io", Kind: "ServiceEntry" };

    private ApiFault? Refusal(Reader read, ApiRoute route, ApiReference parent)
    {
        if (route.Source.Kind == "UDPRoute") return new("UnsupportedValue", "UDPRoutes apply at Gateways: datagrams pass by sidecars");
        if (HostsOf(read, route, parent) is { IsEmpty: false } hosts)
            return parent.Port == 0 || hosts.Any(host => read.Get(services, host)?.Port(parent.Port) is not null)
                ? null
                : new("NoMatchingParent", $"{parent.Kind} {parent.Namespace}/{parent.Name} has no port {parent.Port}");
        return new("NoMatchingParent", $"{parent.Kind} {parent.Namespace}/{parent.Name} does not exist");
    }

    /// <param name="read">Reads the graph.</param>
    /// <param name="route">The route.</param>
    /// <param name="called">The hosts whose callers it is for.</param>
    private ConvertedRoute Converted(Reader read, ApiRoute route, ValueList<string> called) => RouteConversion.Of(route, to =>
    {
        // As in Istio, callers within the mesh need no grant: they could call the backend themselves.
        var target = backends.TargetOf(read, route, to, needsGrant: false);
        return target.To is { } found && read.Get(services, found.Host) is { IsRouteTarget: true } service && !called.Contains(RouteTargets.HostOf(service))
            ? target with { To = found with { Subset = Subset.Any.Name } } : target;
    });

    private ValueList<string> HostsOf(Reader read, ApiRoute route, ApiReference parent)
    {
        if (parent.Kind == "ServiceEntry")
            return read.Get(sources.ServiceEntries, new ObjectKey(route.Source.Cluster, parent.Namespace, parent.Name))?.Hosts ?? default;
        var host = $"{parent.Name}.{parent.Namespace}.svc.{WellKnown.DefaultDomainSuffix}";
        return read.Get(services, host) is null ? default : [host];
    }
}
