using System.Collections.Immutable;
using Google.Protobuf;
using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>The resources that all proxies of one scope share. Each is kept with its inputs and rebuilt only when those differ.</summary>
internal sealed class ScopeView(ProxyScope scope, GatewayScope? gateway, SharedResources shared)
{
    private SortedDictionary<string, HostPart> _hosts = new(StringComparer.Ordinal);
    private readonly ClusterCaller _caller = scope.ClusterCaller();
    private readonly OutboundPart _outbound = new(scope, shared);
    private readonly GatewayPart? _gateway = gateway is null ? null : new(scope, gateway);
    private readonly ScopePatches? _patches = ScopePatches.Of(scope.Kind, scope.Patches);
    private ResourceSet _clusters = ResourceSet.Empty;
    private MeshConfig? _mesh;
    // Opens tunnels; null: the scope has none.
    private XdsResource? _originate;
    // An update that fails may leave a part of what it is for: the next one makes everything anew.
    private bool _isWhole;
    // The revision that all of it is made of; null: some of it is made of another one.
    private MeshView? _at;
    private (ResourceSet, ResourceSet, ResourceSet, ResourceSet, ResourceSet) _taken;

    public bool IsGateway => _gateway is not null;

    /// <summary>The proxies that share it.</summary>
    public HashSet<ProxyFeed> Proxies { get; } = [];

    public ResourceSet Clusters { get; private set; } = ResourceSet.Empty;

    public ResourceSet Endpoints { get; private set; } = ResourceSet.Empty;

    public ResourceSet Listeners { get; private set; } = ResourceSet.Empty;

    public ResourceSet Routes { get; private set; } = ResourceSet.Empty;

    public ResourceSet Names { get; private set; } = ResourceSet.Empty;

    /// <summary>The DestinationRules of the visible hosts.</summary>
    public HostRules Rules { get; } = new();

    /// <summary>Whether any resource changed since the last call.</summary>
    /// <param name="effects">Gets the names of the resources that changed; null: they are not needed.</param>
    public bool TakeChange(PushEffects? effects)
    {
        var now = (Clusters, Endpoints, Listeners, Routes, Names);
        if (now == _taken) return false;
        effects?.Add(_taken, now);
        _taken = now;
        return true;
    }

    // Hosts that an update of endpoints has found missing: listeners and routes still have them.
    private readonly HashSet<string> _gone = new(StringComparer.Ordinal);

    /// <summary>What is known about one visible host.</summary>
    /// <param name="Endpoints">Null: its clusters ask for none.</param>
    private readonly record struct HostPart(SharedTable<ClusterInputs, ImmutableArray<XdsResource>>.Entry Clusters,
        SharedTable<EndpointInputs, ImmutableArray<XdsResource>>.Entry? Endpoints);

    /// <summary>Nobody has the scope any more.</summary>
    public void Release()
    {
        foreach (var part in _hosts.Values) Return(part);
        _hosts.Clear();
        Rules.Clear();
        _outbound.Release();
    }

    private void Return(HostPart part)
    {
        shared.Clusters.Return(part.Clusters);
        if (part.Endpoints is { } endpoints) shared.Endpoints.Return(endpoints);
    }

    /// <summary>Updates only endpoints, without delay, and the clusters of these hosts, because new endpoints may have new
    /// identities.</summary>
    public void UpdateEndpoints(MeshView view, IEnumerable<string> hosts)
    {
        var (wasWhole, at) = (_isWhole, _at);
        (_isWhole, _at) = (false, null);
        var seen = UpdateHosts(view, hosts);
        _gone.UnionWith(seen.Where(host => !_hosts.ContainsKey(host)));
        _isWhole = wasWhole;
        if (wasWhole && at is not null && HasOnlyOtherEndpoints(at, view) && !seen.Any(IsListedByAddress)) _at = view;
    }

    /// <param name="changes">Null: everything may have changed.</param>
    /// <param name="ruled">The hosts that changed DestinationRules may be for.</param>
    /// <param name="sibling">A scope that differs in its namespace only, and is updated; null if there is none.</param>
    public void UpdateAll(MeshView view, MeshChanges? changes, IReadOnlySet<string> ruled, ScopeView? sibling = null)
    {
        var known = _isWhole ? changes : null;
        (_isWhole, _at) = (false, null);
        Update(view, known, ruled, sibling);
        _gone.Clear();
        (_isWhole, _at) = (true, view);
    }

    /// <summary>Whether it has all that it can have of this revision.</summary>
    public bool IsAt(MeshView view) => ReferenceEquals(_at, view);

    /// <summary>Makes all of a new sidecar scope that differs from another one in its namespace only: what does not depend on that is taken over.</summary>
    /// <param name="other">It is at this revision.</param>
    public void StartLike(ScopeView other, MeshView view)
    {
        _hosts = new(other._hosts, StringComparer.Ordinal);
        shared.Clusters.Keep(_hosts.Values.Select(part => part.Clusters));
        shared.Endpoints.Keep(_hosts.Values.Select(part => part.Endpoints).OfType<SharedTable<EndpointInputs, ImmutableArray<XdsResource>>.Entry>());
        Rules.StartLike(other.Rules);
        (_mesh, _clusters, Clusters, Endpoints) = (other._mesh, other._clusters, other.Clusters, other.Endpoints);
        var changed = new List<string>();
        foreach (var (host, whole) in view.Registry.Services)
        {
            var isKnown = _hosts.TryGetValue(host, out var part);
            // A Sidecar may give it other ports here.
            if (SidecarHosts.Visible(scope, whole) is not { } service ? isKnown
                : !isKnown || part.Clusters.Inputs.Service != service || !ReferenceEquals(part.Clusters.Inputs.Rule, view.RuleFor(service, scope)))
                changed.Add(host);
        }
        if (changed.Count > 0) UpdateHosts(view, changed);
        UpdateOutbound(view, other);
        SetTunnels(view.Mesh);
        (Listeners, Routes, Names) = (Patched(_outbound.Listeners), PatchedRoutes(_outbound.Routes), _outbound.Names);
        (_isWhole, _at) = (true, view);
    }

    /// <summary>Makes listeners, routes and names anew, or takes over those of a scope that sees the same.</summary>
    private void UpdateOutbound(MeshView view, ScopeView? sibling)
    {
        if (sibling?.IsAt(view) == true && HasSameHosts(sibling) && _outbound.TryTakeOver(sibling._outbound, view)) return;
        _outbound.Update(view, _hosts.Values.Select(part => part.Clusters.Inputs.Service));
    }

    private bool HasSameHosts(ScopeView other) => _hosts.Count == other._hosts.Count && _hosts.Values.Zip(other._hosts.Values).All(pair =>
        pair.First.Clusters.Inputs is var own && pair.Second.Clusters.Inputs is var theirs && ReferenceEquals(own.Service, theirs.Service)
            && ReferenceEquals(own.Rule, theirs.Rule));

    private static bool HasOnlyOtherEndpoints(MeshView before, MeshView after) => ReferenceEquals(before.Mesh, after.Mesh)
        && ReferenceEquals(before.Traffic, after.Traffic) && ReferenceEquals(before.Registry.Services, after.Registry.Services);

    private void Update(MeshView view, MeshChanges? changes, IReadOnlySet<string> ruled, ScopeView? sibling)
    {
        // Settings may touch any host; otherwise only those that changed are checked.
        var everything = changes is null || changes.Settings || _mesh is null;
        HashSet<string> touched = everything ? [.. view.Registry.Services.Keys, .. _hosts.Keys] : [.. changes!.Services, .. changes.Endpoints, .. ruled];
        var seen = UpdateHosts(view, touched);
        if (!Equals(_mesh, view.Mesh))
        {
            _mesh = view.Mesh;
            SetStatic(view.Mesh);
        }
        if (_gateway is null)
        {
            if (everything || _gone.Count > 0 || changes!.Services.Any(host => seen.Contains(host) || _outbound.DependsOn(view, host))
                || changes.Listed.Any(seen.Contains)) UpdateOutbound(view, sibling);
            else if (changes.Routed.Count == 0 && ruled.Count == 0) return;
            else if (!_outbound.TryUpdate(view, new(changes.Routed), ruled)) UpdateOutbound(view, sibling);
            (Listeners, Routes, Names) = (Patched(_outbound.Listeners), PatchedRoutes(_outbound.Routes), _outbound.Names);
        }
        else
        {
            if (!everything)
            {
                if (changes!.Services.Count == 0 && ruled.Count == 0 && !changes.HasRoutes) return;
                if (_gateway.TryUpdate(view, changes, [.. changes.Services, .. ruled],
                    host => _hosts.TryGetValue(host, out var part) ? part.Clusters.Inputs.Service : null))
                {
                    Routes = PatchedRoutes(_gateway.Routes);
                    return;
                }
            }
            _gateway.Update(view, _hosts.Values.Select(part => part.Clusters.Inputs));
            (Listeners, Routes) = (Patched(_gateway.Listeners), PatchedRoutes(_gateway.Routes));
        }
    }

    /// <summary>The endpoints of headless hosts are part of listeners and name tables, too.</summary>
    private bool IsListedByAddress(string host) =>
        _hosts.TryGetValue(host, out var part) && part.Clusters.Inputs.Service is { } service && (service.Headless || service.Pod is not null);

    /// <summary>Applications never call the listener that opens tunnels, so patches do not apply to it.</summary>
    private ResourceSet Patched(ResourceSet listeners)
    {
        var patched = _patches?.Listeners(listeners) ?? listeners;
        return _originate is null ? patched : shared.Sets.Of(patched.With([], [_originate]));
    }

    private ResourceSet PatchedRoutes(ResourceSet routes) => _patches?.Routes(routes) ?? routes;

    private void SetClusters(IEnumerable<string> gone, IEnumerable<XdsResource> made)
    {
        _clusters = shared.Sets.Of(_clusters.With(gone, made));
        Clusters = _patches?.Clusters(_clusters) ?? _clusters;
    }

    private void SetStatic(MeshConfig mesh)
    {
        var fixedOnes = ClusterGenerator.Static(scope.Kind, mesh).Concat(scope.SendsTunnels ? [TunnelGenerator.Ends(mesh)] : [])
            .Select(cluster => EncodedResource.Of(TypeUrls.Cluster, cluster.Name, cluster));
        SetClusters([], fixedOnes);
        SetTunnels(mesh);
    }

    private void SetTunnels(MeshConfig mesh)
    {
        if (!scope.SendsTunnels) return;
        var listener = TunnelGenerator.Originate(scope.SettingsIn(mesh));
        _originate = EncodedResource.Of(TypeUrls.Listener, listener.Name, listener);
    }

    /// <returns>The hosts that the scope sees, or saw before.</returns>
    private HashSet<string> UpdateHosts(MeshView view, IEnumerable<string> hosts)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var (goneClusters, newClusters) = (new List<string>(), new List<XdsResource>());
        var (goneEndpoints, newEndpoints) = (new List<string>(), new List<XdsResource>());
        foreach (var host in hosts)
        {
            HostPart? known = _hosts.TryGetValue(host, out var part) ? part : null;
            if (!view.Registry.Services.TryGetValue(host, out var whole) || SidecarHosts.Visible(scope, whole) is not { } service
                || (service.Pod is not null && _gateway?.ExposesBySni(service) == false))
            {
                if (known is null) continue;
                seen.Add(host);
                goneClusters.AddRange(part.Clusters.Made.Select(NameOf));
                goneEndpoints.AddRange(NamesOf(part.Endpoints));
                _hosts.Remove(host);
                Rules.Exchange(part.Clusters.Inputs.Rule, null);
                Return(part);
                continue;
            }
            seen.Add(host);
            var behind = view.EndpointsOf(host);
            var rule = view.RuleFor(service, scope);
            var inputs = ClusterInputsOf(view, service, rule, behind);
            var (clusters, endpoints) = (known?.Clusters, known?.Endpoints);
            if (clusters is null || !HostInputs.Same(clusters.Inputs, inputs))
            {
                var made = shared.Clusters.Take(inputs);
                if (clusters is not null) goneClusters.AddRange(clusters.Made.Select(NameOf));
                newClusters.AddRange(made.Made);
                if (clusters is not null) shared.Clusters.Return(clusters);
                clusters = made;
            }
            EndpointInputs? next = EndpointGenerator.HasAssignments(service, scope.Kind)
                ? new(_caller.From, view.Mesh, service, rule, behind.Endpoints, view.Registry.GatewaysOf(host),
                    inputs.SniPassthrough) { PassesDatagrams = inputs.PassesDatagrams, SendsTunnels = _caller.SendsTunnels }
                : null;
            if (next is null || endpoints is null || !HostInputs.Same(endpoints.Inputs, next))
            {
                var made = next is null ? null : shared.Endpoints.Take(next);
                goneEndpoints.AddRange(NamesOf(endpoints));
                if (made is not null) newEndpoints.AddRange(made.Made);
                if (endpoints is not null) shared.Endpoints.Return(endpoints);
                endpoints = made;
            }
            Rules.Exchange(known?.Clusters.Inputs.Rule, clusters.Inputs.Rule);
            _hosts[host] = new(clusters, endpoints);
        }
        SetClusters(goneClusters, newClusters);
        Endpoints = shared.Sets.Of(Endpoints.With(goneEndpoints, newEndpoints));
        return seen;
    }

    private ClusterInputs ClusterInputsOf(MeshView view, MeshService service, DestinationRule? rule, HostEndpoints behind)
    {
        var isDns = service.Resolution is Resolution.Dns or Resolution.DnsRoundRobin;
        return new(_caller, view.Mesh, service, rule, behind.Identities, isDns ? behind.Endpoints : default, behind.AllMtls,
            _gateway?.ExposesBySni(service) == true) { PassesDatagrams = _gateway?.PassesDatagrams == true };
    }

    private static IEnumerable<string> NamesOf(SharedTable<EndpointInputs, ImmutableArray<XdsResource>>.Entry? entry) => entry?.Made.Select(NameOf) ?? [];

    private static string NameOf(XdsResource encoded) => encoded.Name;
}
