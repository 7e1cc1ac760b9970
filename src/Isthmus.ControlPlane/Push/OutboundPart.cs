using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>Outbound listeners, route tables and the name table of a sidecar scope.</summary>
internal sealed class OutboundPart(ProxyScope scope, SharedResources shared)
{
    private readonly ListenerCaller _listenerCaller = scope.ListenerCaller();
    private readonly NameCaller _nameCaller = scope.NameCaller();
    private readonly OutboundRoutes _routes = new(scope, shared);
    private List<VisibleHost> _hosts = [];
    // As VirtualServices may name them; scopes that see the same hosts share it, and the first change makes it.
    private Lazy<ILookup<string, VisibleHost>> _byName = new(Array.Empty<VisibleHost>().ToLookup(_ => ""));
    // What the scope holds; each update takes what it needs before it returns what it had, so that nothing is made twice.
    private List<SharedTable<ListenerInputs, XdsResource>.Entry> _listeners = [];
    private SharedTable<NameTableInputs, XdsResource>.Entry? _names;
    private MeshConfig? _mesh, _settings;
    private HashSet<string>? _destinations; // of all routes, once somebody has asked

    public ResourceSet Listeners { get; private set; } = ResourceSet.Empty;

    public ResourceSet Routes => _routes.Resources;

    public ResourceSet Names { get; private set; } = ResourceSet.Empty;

    public void Update(MeshView view, IEnumerable<MeshService> services)
    {
        List<VisibleHost> hosts = [.. services.Select(service => Visible(view, service))];
        (_hosts, _byName) = (hosts, new(() => RoutedHosts.ByName(hosts, host => host.Service.Hostname, host => host.Service)));
        var policy = scope.Sidecar?.OutboundTrafficPolicy ?? view.Mesh.OutboundTrafficPolicy;
        var plans = OutboundPlan.Of(_listenerCaller, _hosts);
        UpdateListeners(plans, SettingsOf(view.Mesh, policy), policy);
        _routes.Update(view, plans, _hosts, policy);
        var before = _names;
        _names = shared.NameTables.Take(NameTableInputs.Of(_nameCaller, _hosts));
        Names = Names.ReplacedBy([_names.Made]);
        if (before is not null) shared.NameTables.Return(before);
        _destinations = null;
    }

    /// <summary>Takes over what a scope has that sees the same hosts, with the same DestinationRules, from another namespace.</summary>
    /// <param name="other">It is at this revision.</param>
    /// <returns>False: more than some routes is different, so that everything has to be made anew.</returns>
    public bool TryTakeOver(OutboundPart other, MeshView view)
    {
        foreach (var host in other._hosts)
        {
            // An alias may be visible here and not there, and a route may be for callers of one namespace.
            if (!host.Service.Aliases.IsEmpty || host.L4 is { } l4 && AsksNamespace(l4)) return false;
            var routing = view.RoutingFor(host.Service, scope);
            if (!ReferenceEquals(host.L4, L4Of(routing)) || host.HasServiceRoutes != HasServiceRoutes(routing)
                || host.TcpSettings != view.TcpSettingsOf(host.Service, host.L4 is null ? [] : [host.L4], scope)) return false;
        }
        if (!_routes.TryTakeOver(other._routes, view)) return false;
        var (listeners, names) = (_listeners, _names);
        (_hosts, _byName, _listeners, _names) = (other._hosts, other._byName, [.. other._listeners], other._names!);
        (_mesh, _settings) = (other._mesh, other._settings);
        shared.Listeners.Keep(_listeners);
        shared.NameTables.Keep([_names]);
        (Listeners, Names, _destinations) = (other.Listeners, other.Names, null);
        listeners.ForEach(shared.Listeners.Return);
        if (names is not null) shared.NameTables.Return(names);
        return true;
    }

    /// <summary>Whether a Service that the scope does not see makes a difference: a route leads to it, or is for its name.</summary>
    public bool DependsOn(MeshView view, string host)
    {
        _destinations ??= _hosts.SelectMany(known => known.L4?.L4Destinations.Select(to => to.Host) ?? []).Concat(_routes.Destinations)
            .ToHashSet(StringComparer.Ordinal);
        return _destinations.Contains(host) || view.Traffic.RoutingsByHost.ContainsKey(host)
            || (view.Traffic.HasWildcards && Hosts.Wildcards(host).Any(view.Traffic.RoutingsByHost.ContainsKey));
    }

    /// <summary>VirtualServices changed that route these hosts, or DestinationRules of hosts, and nothing else.</summary>
    /// <returns>False: everything has to be made anew.</returns>
    public bool TryUpdate(MeshView view, RoutedHosts routed, IReadOnlySet<string> ruled)
    {
        // What routes connections is part of listeners.
        if (ruled.Count > 0 && _hosts.Exists(host =>
            (ruled.Contains(host.Service.Hostname) || host.L4?.L4Destinations.Any(to => ruled.Contains(to.Host)) == true)
                && host.TcpSettings != view.TcpSettingsOf(host.Service, host.L4 is null ? [] : [host.L4], scope))) return false;
        foreach (var host in routed.HasWildcards ? _hosts.Where(host => routed.Concern(host.Service)) : routed.In(_byName))
        {
            var routing = view.RoutingFor(host.Service, scope);
            if (host.L4 is not null || L4Of(routing) is not null || host.HasServiceRoutes != HasServiceRoutes(routing)) return false;
        }
        if (!routed.IsEmpty) _destinations = null;
        return _routes.TryUpdate(view, routed, ruled);
    }

    /// <summary>Nobody has the scope any more.</summary>
    public void Release()
    {
        _routes.Release();
        _listeners.ForEach(shared.Listeners.Return);
        if (_names is not null) shared.NameTables.Return(_names);
    }

    private VisibleHost Visible(MeshView view, MeshService service)
    {
        var routing = view.RoutingFor(service, scope);
        var l4 = L4Of(routing);
        return new(service, service.Headless || service.Pod is not null ? view.EndpointsOf(service.Hostname).Endpoints : default, l4)
        {
            TcpSettings = view.TcpSettingsOf(service, l4 is null ? [] : [l4], scope),
            HasServiceRoutes = HasServiceRoutes(routing),
        };
    }

    private static RouteSet? L4Of(RouteSet? routing) => routing is { Tls.IsEmpty: false } or { Tcp.IsEmpty: false } ? routing : null;

    private static bool AsksNamespace(RouteSet routing) =>
        routing.Tls.Concat(routing.Tcp).Any(route => route.Matches.Any(match => match.SourceNamespace.Length > 0));

    private static bool HasServiceRoutes(RouteSet? routing) => routing is { IsOfService: true, Rules.IsEmpty: false };

    /// <summary>The same object as long as it is equal: it is part of the inputs of each listener, and has some fifty fields.</summary>
    private MeshConfig SettingsOf(MeshConfig mesh, OutboundPolicy policy)
    {
        if (_settings is { } known && ReferenceEquals(_mesh, mesh)) return known;
        _mesh = mesh;
        return _settings = shared.Settings.Of(scope.SettingsIn(mesh) with { OutboundTrafficPolicy = policy });
    }

    private void UpdateListeners(IReadOnlyList<OutboundListener> plans, MeshConfig settings, OutboundPolicy policy)
    {
        var before = _listeners;
        _listeners = [.. plans.Prepend(null).Select(plan => shared.Listeners.Take(new(plan, settings, policy, scope.Tracing)))];
        Listeners = shared.Sets.Of(Listeners.ReplacedBy([.. _listeners.Select(entry => entry.Made)]));
        before.ForEach(shared.Listeners.Return);
    }
}
