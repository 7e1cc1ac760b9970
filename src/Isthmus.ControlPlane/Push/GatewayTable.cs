using System.Collections.Immutable;
using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>A route table of a gateway, with an encoded part for each virtual host.</summary>
/// <param name="plan">What it has in any case.</param>
/// <param name="destinations">Gets what its virtual hosts route to.</param>
internal sealed class GatewayTable(GatewayRouteTable plan, RouteDestinations destinations)
{
    private readonly Dictionary<string, Entry> _hosts = new(StringComparer.Ordinal);
    // The hosts of the table in its order.
    private readonly List<HostPlace> _places = [];
    private readonly List<XdsPart> _parts = [];
    private UInt128 _hash;
    private XdsResource? _made;

    public GatewayRouteTable Plan => plan;

    /// <param name="Routes">What it is made of.</param>
    /// <param name="Shapes">What was known of the hosts that these lead to.</param>
    private sealed record Entry(ImmutableArray<ServerRoutes> Routes, ValueMap<DestinationShape> Shapes, HostPlace Place, XdsPart Part);

    /// <summary>Gives it these routes, and no others.</summary>
    /// <param name="of">The routes of a Gateway.</param>
    /// <param name="shapesOf">What is known of the hosts that routes lead to.</param>
    public void Replace(Func<string, IEnumerable<RouteSet>> of, Func<IEnumerable<RouteSet>, ValueMap<DestinationShape>> shapesOf)
    {
        var all = new Dictionary<string, ImmutableArray<ServerRoutes>>(StringComparer.Ordinal);
        foreach (var name in plan.OwnNames.Concat(plan.Foreigners)) all[name] = [];
        foreach (var (server, gateway) in plan.Gateways.Index())
        {
            foreach (var routes in RoutesInOrder(of(gateway).Select(set => new ServerRoutes(server, set))))
                foreach (var name in plan.NamesOf(routes)) all[name] = [.. all.GetValueOrDefault(name, []), routes];
        }
        foreach (var gone in _hosts.Keys.Where(name => !all.ContainsKey(name)).ToList())
        {
            _made = null;
            Keep(gone, null);
        }
        foreach (var (name, routes) in all)
        {
            // Tables over TLS have the names of all other servers of their port, without routes.
            var shapes = routes.IsEmpty ? default : shapesOf(routes.Select(item => item.Routes));
            if (_hosts.TryGetValue(name, out var known) && AreSame(known.Routes, routes) && known.Shapes == shapes) continue;
            _made = null;
            Keep(name, Make(name, routes, shapes));
        }
        if (_made is not null) return;
        _places.Clear();
        _places.AddRange(_hosts.Values.Select(entry => entry.Place));
        _places.Sort();
        _parts.Clear();
        _parts.AddRange(_places.Select(place => _hosts[place.Name].Part));
        _hash = _hosts.Values.Aggregate(UInt128.Zero, (sum, entry) => unchecked(sum + entry.Part.Hash));
        FillEmpty();
    }

    /// <summary>Gives it other routes at some servers: only the hosts that these are for, or were, can be others then.</summary>
    public void Apply(IEnumerable<(int Server, RouteChange Change)> changes, Func<IEnumerable<RouteSet>, ValueMap<DestinationShape>> shapesOf)
    {
        var touched = new Dictionary<string, List<ServerRoutes>>(StringComparer.Ordinal);
        foreach (var (server, change) in changes)
        {
            if (change.Before is { } before)
                foreach (var name in plan.NamesOf(new(server, before))) Touched(name).Remove(new(server, before));
            if (change.Now is { } now)
                foreach (var name in plan.NamesOf(new(server, now))) Touched(name).Add(new(server, now));
        }
        foreach (var (name, routes) in touched) Set(name, [.. RoutesInOrder(routes)], shapesOf);

        List<ServerRoutes> Touched(string name) =>
            touched.TryGetValue(name, out var routes) ? routes : touched[name] = [.. _hosts.GetValueOrDefault(name)?.Routes ?? []];
    }

    private void Set(string host, ImmutableArray<ServerRoutes> routes, Func<IEnumerable<RouteSet>, ValueMap<DestinationShape>> shapesOf)
    {
        var known = _hosts.GetValueOrDefault(host);
        var shapes = routes.IsEmpty ? default : shapesOf(routes.Select(item => item.Routes));
        if (known is not null && AreSame(known.Routes, routes) && known.Shapes == shapes) return;
        var made = Make(host, routes, shapes);
        Keep(host, made);
        if (known is not null && made?.Place == known.Place) Exchange(known, made);
        else
        {
            if (known is not null) TakeOut(known);
            if (made is not null) PutIn(made);
        }
        FillEmpty();
    }

    /// <summary>What was known of a host that one of the table's own routes to; null if the mesh does not have it.</summary>
    public DestinationShape? ShapeIn(string name, string destination) => _hosts[name].Shapes.TryGetValue(destination, out var shape) ? shape : null;

    /// <summary>Makes a host anew if something else is known of those that it routes to.</summary>
    /// <returns>False: it is the same as before.</returns>
    public bool Refresh(string name, Func<IEnumerable<RouteSet>, ValueMap<DestinationShape>> shapesOf)
    {
        var known = _hosts[name];
        var shapes = shapesOf(known.Routes.Select(item => item.Routes));
        if (known.Shapes == shapes || Make(name, known.Routes, shapes) is not { } made) return false;
        _hosts[name] = made;
        Exchange(known, made);
        _made = null;
        return true;
    }

    /// <summary>The table, encoded.</summary>
    public XdsResource Encode() => _made ??= EncodedResource.OfParts(plan.Name, plan.Head, [.. _parts], _hash);

    private void Keep(string name, Entry? entry)
    {
        if (_hosts.Remove(name, out var before)) destinations.Remove(this, name, before.Routes);
        if (entry is null) return;
        _hosts[name] = entry;
        destinations.Add(this, name, entry.Routes);
    }

    private Entry? Make(string name, ImmutableArray<ServerRoutes> routes, ValueMap<DestinationShape> shapes) =>
        plan.HostOf(name, routes, shapes) is { } made ? new(routes, shapes, made.Place, XdsPart.Of(made.Host)) : null;

    /// <summary>A table whose hosts have no routes has one for nothing, in the place of any other for all names.</summary>
    private void FillEmpty()
    {
        _made = null;
        var (place, host) = plan.HostOfNothing();
        var at = _places.BinarySearch(place);
        var isEmpty = _places.Count == 0 || _places[0].Rank >= place.Rank;
        if (isEmpty == at >= 0) return;
        var nothing = new Entry([], default, place, XdsPart.Of(host));
        if (isEmpty) PutIn(nothing);
        else TakeOut(nothing);
        if (_hosts.GetValueOrDefault(place.Name) is not { } same || same.Place.Rank < place.Rank) return;
        if (isEmpty) TakeOut(same);
        else PutIn(same);
    }

    private void PutIn(Entry entry)
    {
        var at = ~_places.BinarySearch(entry.Place);
        _places.Insert(at, entry.Place);
        _parts.Insert(at, entry.Part);
        _hash = unchecked(_hash + entry.Part.Hash);
    }

    private void Exchange(Entry before, Entry after)
    {
        var at = _places.BinarySearch(after.Place);
        if (at < 0) return;
        _parts[at] = after.Part;
        _hash = unchecked(_hash - before.Part.Hash + after.Part.Hash);
    }

    private void TakeOut(Entry entry)
    {
        var at = _places.BinarySearch(entry.Place);
        if (at < 0) return;
        _places.RemoveAt(at);
        _parts.RemoveAt(at);
        _hash = unchecked(_hash - entry.Part.Hash);
    }

    /// <summary>The servers in their order, and at each the oldest first.</summary>
    private static IEnumerable<ServerRoutes> RoutesInOrder(IEnumerable<ServerRoutes> routes) => routes.OrderBy(item => item.Server)
        .ThenBy(item => item.Routes.CreatedAt).ThenBy(item => item.Routes.Source).ThenBy(item => item.Routes.Hosts[0], StringComparer.Ordinal);

    private static bool AreSame(ImmutableArray<ServerRoutes> a, ImmutableArray<ServerRoutes> b) =>
        a.Length == b.Length && a.Zip(b).All(pair => pair.First.Server == pair.Second.Server
            && (ReferenceEquals(pair.First.Routes, pair.Second.Routes) || pair.First.Routes == pair.Second.Routes));
}
