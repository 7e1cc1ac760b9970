using Google.Protobuf;
using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>Listeners and routes of a gateway scope.</summary>
internal sealed class GatewayPart(ProxyScope scope, GatewayScope gateway)
{
    private readonly GatewayTables _tables = new(scope, gateway);
    private readonly Dictionary<(string Host, int Port), (MeshService Service, DestinationRule? Rule, MeshConfig Mesh, List<ByteString> Chains)> _chains = [];
    private readonly ValueList<string> _sniHosts = gateway.Gateways
        .SelectMany(item => item.Servers)
        .Where(server => server.Tls is { Mode: ServerTlsMode.AutoPassthrough })
        .SelectMany(server => server.Hosts)
        .Select(host => host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..]).Distinct().ToValueList();
    // Of the Services, listeners depend on these: what connections are routed to, and how long they may be idle then,
    private ILookup<string, RouteSet> _connectionsTo = Array.Empty<RouteSet>().ToLookup(_ => "");
    private ValueMap<TcpSettings> _tcpSettings;
    // what is reached by SNI,
    private HashSet<string> _exposed = new(StringComparer.Ordinal);
    // and, where hosts are owned, those with the names of routes.
    private HashSet<string> _claimed = new(StringComparer.Ordinal);

    public ResourceSet Listeners { get; private set; } = ResourceSet.Empty;

    public ResourceSet Routes => _tables.Resources;

    public bool PassesDatagrams => gateway.PassesDatagrams;

    /// <summary>Whether some port routes to the service by SNI, so that it needs SNI clusters, too.</summary>
    public bool ExposesBySni(MeshService service) => GatewayListeners.Exposes(gateway, _sniHosts, service);

    public void Update(MeshView view, IEnumerable<ClusterInputs> hosts)
    {
        var listed = view.ListedOf(gateway, scope).ToList();
        var inputs = new GatewayInputs(scope.RouteCaller(), scope.SettingsIn(view.Mesh), gateway, listed.ToValueList()) { Tracing = scope.Tracing };
        _tables.Update(view, inputs);
        var connections = listed.Where(routing => routing.RoutesConnections).Concat(_tables.Connections)
            .OrderBy(routing => routing.CreatedAt).ThenBy(routing => routing.Source).ThenBy(routing => routing.Hosts[0], StringComparer.Ordinal).ToValueList();
        _tcpSettings = view.TcpSettingsOf(null, connections, scope);
        _connectionsTo = connections.SelectMany(routing => routing.L4Destinations.Select(to => to.Host).Distinct(StringComparer.Ordinal)
            .Select(host => (host, routing)))
            .ToLookup(item => item.host, item => item.routing, StringComparer.Ordinal);
        inputs = inputs with { Routings = connections, TcpSettings = _tcpSettings };
        var visible = hosts.OrderBy(host => host.Service.Hostname, StringComparer.Ordinal).ToList();
        var listeners = GatewayListeners.Of(inputs).Select(listener => Encode(listener, visible, (view.Mesh, inputs.Mesh))).OfType<XdsResource>().ToList();
        Listeners = Listeners.ReplacedBy(listeners);
        var names = visible.Select(host => host.Service.Hostname).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _chains.Keys.Where(key => !names.Contains(key.Host)).ToList()) _chains.Remove(gone);
        _exposed = _chains.Keys.Select(key => key.Host).ToHashSet(StringComparer.Ordinal);
        _claimed = view.Mesh.HostsAreOwned ? view.NamesOf(gateway).ToHashSet(StringComparer.Ordinal) : [];
    }

    /// <summary>Routes changed, and Services or their DestinationRules, and nothing else.</summary>
    /// <param name="visible">What the scope sees of a changed Service; null for nothing.</param>
    /// <returns>False: everything has to be made anew.</returns>
    public bool TryUpdate(MeshView view, MeshChanges changes, IReadOnlyCollection<string> services, Func<string, MeshService?> visible)
    {
        var listed = _tables.TakeListed(view, changes.RoutedGateways);
        if (view.Mesh.HostsAreOwned)
        {
            _claimed.UnionWith(changes.RoutedHosts.Where(at => _tables.Has(at.Gateway)).Select(at => at.Host));
            _claimed.UnionWith(listed.SelectMany(change => change.Named));
        }
        return !services.Any(service => Concerns(view, service, visible(service))) && _tables.TryUpdate(view, changes.RoutedHosts, listed, services);
    }

    /// <summary>Whether a changed Service makes listeners anew, or other routes apply.</summary>
    private bool Concerns(MeshView view, string service, MeshService? visible)
    {
        if (_claimed.Contains(service) || _exposed.Contains(service)) return true;
        if (visible is not null && !gateway.SniDnat && GatewayListeners.Exposes(_sniHosts, visible)) return true;
        var connections = _connectionsTo[service].ToList();
        if (connections.Count == 0) return false;
        var now = view.TcpSettingsOf(null, connections, scope);
        return now.Any(item => !_tcpSettings.TryGetValue(item.Key, out var before) || before != item.Value)
            || _tcpSettings.Keys.Any(cluster => ResourceNames.TryParseOutbound(cluster, out _, out _, out var host, out _) && host == service
                && !now.ContainsKey(cluster));
    }

    /// <summary>Null: its hosts cover no Service, and proxies refuse a listener without chains.</summary>
    private XdsResource? Encode(GatewayListener listener, List<ClusterInputs> visible, (MeshConfig Shared, MeshConfig Own) mesh)
    {
        if (listener.SniHosts.IsEmpty) return EncodedResource.Of(TypeUrls.Listener, listener.Listener.Name, listener.Listener);
        var chains = visible.Where(host => GatewayListeners.Exposes(listener.SniHosts, host.Service))
            .SelectMany(host => ChainsOf(host, (int)listener.Listener.Address.SocketAddress.PortValue, mesh)).ToList();
        if (chains.Count == 0 && listener.Listener.FilterChains.Count == 0) return null;
        return EncodedResource.Of(TypeUrls.Listener, listener.Listener.Name, GatewayListeners.Assemble(listener, chains));
    }

    private List<ByteString> ChainsOf(ClusterInputs host, int port, (MeshConfig Shared, MeshConfig Own) mesh)
    {
        var name = (host.Service.Hostname, port);
        if (_chains.TryGetValue(name, out var known) && ReferenceEquals(known.Service, host.Service) && ReferenceEquals(known.Rule, host.Rule)
            && ReferenceEquals(known.Mesh, mesh.Shared))
            return known.Chains;
        List<ByteString> chains = [.. GatewayListeners.SniChains(host.Service, host.Rule, mesh.Own, gateway.Security, port)
            .Select(chain => chain.ToByteString())];
        _chains[name] = (host.Service, host.Rule, mesh.Shared, chains);
        return chains;
    }
}
