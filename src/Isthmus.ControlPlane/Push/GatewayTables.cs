using System.Collections.Immutable;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>The route tables of a gateway scope. Changed routes cost the virtual hosts that they are part of, and a changed Service those that route to it,
/// not their tables.</summary>
internal sealed class GatewayTables(ProxyScope scope, GatewayScope gateway)
{
    private readonly Dictionary<GatewayHost, Settled> _settled = [];
    // Where the servers of each Gateway are.
    private readonly Dictionary<string, List<(GatewayTable Table, int Server)>> _places = new(StringComparer.Ordinal);
    private readonly ListedRoutes _listed = new(scope, gateway);
    private List<GatewayTable> _tables = [];
    private RouteDestinations _destinations = new();
    private MeshConfig? _mesh;

    public ResourceSet Resources { get; private set; } = ResourceSet.Empty;

    /// <summary>The routes that are part of listeners.</summary>
    public IEnumerable<RouteSet> Connections => _settled.Values.Select(item => item.Routes).Where(routes => routes.RoutesConnections);

    /// <param name="From">The routes that compete for a host.</param>
    /// <param name="Routes">What they are together.</param>
    private sealed record Settled(ValueList<RouteSet> From, RouteSet Routes);

    /// <summary>Looks at all routes. What has the same ones as before stays.</summary>
    /// <param name="inputs">The gateway; of its routes, those that VirtualServices and Ingress objects list.</param>
    public void Update(MeshView view, GatewayInputs inputs)
    {
        if (!Equals(_mesh, inputs.Mesh)) Plan(inputs);
        _mesh = inputs.Mesh;
        var hosts = view.HostsOf(gateway).ToHashSet();
        foreach (var gone in _settled.Keys.Where(at => !hosts.Contains(at)).ToList()) _settled.Remove(gone);
        foreach (var at in hosts) Settle(view, at);
        _listed.Reset(view, inputs.Routings);
        var routes = _settled.Values.Select(item => item.Routes).Concat(inputs.Routings)
            .SelectMany(routing => routing.Gateways.Distinct().Select(name => (name, routing))).ToLookup(item => item.name, item => item.routing,
                StringComparer.Ordinal);
        foreach (var table in _tables) table.Replace(server => routes[server], set => view.ShapesOf(set, null, scope));
        Encode(_tables);
    }

    /// <summary>Whether it is one of the scope's Gateways.</summary>
    public bool Has(string gateway) => _places.ContainsKey(gateway);

    /// <summary>Finds which routes of VirtualServices and Ingress objects are others, once: <see cref="TryUpdate"/> or <see cref="Update"/> has to
    /// follow.</summary>
    /// <param name="gateways">Where some are.</param>
    public IReadOnlyList<RouteChange> TakeListed(MeshView view, IEnumerable<string> gateways) => _listed.Take(view, gateways.Where(_places.ContainsKey));

    /// <summary>Routes changed, and Services, and nothing else.</summary>
    /// <param name="changed">The hosts whose routes of the Gateway API are others.</param>
    /// <param name="listed">What <see cref="TakeListed"/> has found.</param>
    /// <returns>False: routes are part of listeners.</returns>
    public bool TryUpdate(MeshView view, IReadOnlyCollection<GatewayHost> changed, IReadOnlyList<RouteChange> listed, IReadOnlyCollection<string> services)
    {
        // Before other routes lead to them, and before any is refreshed: of one host, all know the same.
        var others = services.Where(service => IsOther(view, service)).ToList();
        var touched = others.SelectMany(service => Refreshed(view, service)).ToHashSet();
        var changes = changed.Where(at => _places.ContainsKey(at.Gateway))
            .Select(at => new RouteChange(_settled.GetValueOrDefault(at)?.Routes, Settle(view, at))).Concat(listed).ToList();
        if (changes.Exists(change => change.RoutesConnections)) return false;
        var placed = from change in changes
                     from gateway in change.Gateways.Where(_places.ContainsKey)
                     from place in _places[gateway]
                     group (place.Server, change.At(gateway)) by place.Table;
        foreach (var table in placed)
        {
            table.Key.Apply(table, set => view.ShapesOf(set, null, scope));
            touched.Add(table.Key);
        }
        Encode(touched);
        return true;
    }

    /// <summary>Whether something else is known now of a Service that virtual hosts route to.</summary>
    private bool IsOther(MeshView view, string service)
    {
        var users = _destinations.Of(service);
        if (users.Count == 0) return false;
        var (table, name) = users.First();
        return !Equals(table.ShapeIn(name, service), view.ShapeOf(service, scope));
    }

    /// <summary>Makes the virtual hosts anew that route to a Service.</summary>
    /// <returns>Their tables.</returns>
    private IEnumerable<GatewayTable> Refreshed(MeshView view, string service) => _destinations.Of(service).ToList()
        .Where(user => user.Table.Refresh(user.Name, set => view.ShapesOf(set, null, scope))).Select(user => user.Table);

    private void Plan(GatewayInputs inputs)
    {
        _destinations = new();
        // Tables outlive the routes of this revision, and must not keep them.
        _tables = [.. GatewayRoutes.Of(inputs with { Routings = default }).Select(table => new GatewayTable(table, _destinations))];
        _places.Clear();
        foreach (var name in gateway.Gateways.Select(item => item.FullName)) _places.TryAdd(name, []);
        foreach (var table in _tables)
            foreach (var (server, name) in table.Plan.Gateways.Index()) _places[name].Add((table, server));
    }

    /// <summary>What the routes of a host are together; null if there are none.</summary>
    private RouteSet? Settle(MeshView view, GatewayHost at)
    {
        var competing = view.CompetingFor(at, scope);
        if (competing.IsEmpty)
        {
            _settled.Remove(at);
            return null;
        }
        if (_settled.TryGetValue(at, out var known) && known.From == competing) return known.Routes;
        return (_settled[at] = new(competing, RouteOrder.Merged(at.Host, at.Gateway, competing))).Routes;
    }

    private void Encode(IReadOnlyCollection<GatewayTable> tables)
    {
        if (ReferenceEquals(tables, _tables)) Resources = Resources.ReplacedBy([.. _tables.Select(table => table.Encode())]);
        else Resources = Resources.With([],
            tables.Select(table => table.Encode()).Where(made => !Resources.TryGet(made.Name, out var known) || known.Version != made.Version));
    }
}
