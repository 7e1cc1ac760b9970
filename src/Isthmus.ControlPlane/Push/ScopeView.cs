using System.Collections.Immutable;
using Google.Protobuf;
using Isthmus.ControlPlane.Derive;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>The resources that all proxies of one scope share. Each is kept with its inputs and rebuilt only when those differ.</summary>
internal sealed class ScopeView(ProxyScope scope, GatewayScope? gateway)
{
    private readonly SortedDictionary<string, HostPart> _hosts = new(StringComparer.Ordinal);
    private readonly OutboundPart _outbound = new(scope);
    private readonly GatewayPart? _gateway = gateway is null ? null : new(scope, gateway);
    private readonly ScopePatches? _patches = ScopePatches.Of(scope);
    private ResourceSet _clusters = ResourceSet.Empty;
    private MeshConfig? _mesh;
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
    public IEnumerable<DestinationRule> Rules => _hosts.Values.Select(part => part.Clusters.Rule).OfType<DestinationRule>().Distinct(ReferenceEqualityComparer.Instance).Cast<DestinationRule>();

    /// <summary>Whether any resource changed since the last call.</summary>
    /// <param name="effects">Gets the names of the resources that changed; null: nobody asks.</param>
    public bool TakeChange(PushEffects? effects)
    {
        var now = (Clusters, Endpoints, Listeners, Routes, Names);
        if (now == _taken) return false;
        effects?.Add(_taken, now);
        _taken = now;
        return true;
    }

    /// <summary>What is known about one visible host.</summary>
    private sealed class HostPart
    {
        public required ClusterInputs Clusters { get; set; }
        public required ImmutableArray<XdsResource> ClusterResources { get; set; }
        public EndpointInputs? Endpoints { get; set; }
        public ImmutableArray<XdsResource> EndpointResources { get; set; } = [];
    }

    /// <summary>Updates only endpoints, without delay, and the clusters of these hosts, because new endpoints may have new
    /// identities.</summary>
    public void UpdateEndpoints(MeshView view, IEnumerable<string> hosts) => UpdateHosts(view, hosts);

    public void UpdateAll(MeshView view, MeshChanges? changes)
    {
        // Rules and settings may touch any host; otherwise only those that changed are checked.
        var everything = changes is null || changes.Config || _mesh is null || changes.Gateways;
        HashSet<string> touched = everything ? [.. view.Registry.Services.Keys, .. _hosts.Keys] : [.. changes!.Services, .. changes.Endpoints];
        UpdateHosts(view, touched);
        if (!Equals(_mesh, view.Mesh))
        {
            _mesh = view.Mesh;
            SetStatic(view.Mesh);
        }
        var visible = _hosts.Values.Select(part => part.Clusters.Service);
        if (_gateway is null)
        {
            if (!everything && changes!.Services.Count == 0 && !changes.Endpoints.Any(host => _hosts.TryGetValue(host, out var part) && (part.Clusters.Service.Headless || part.Clusters.Service.Pod is not null))) return;
            _outbound.Update(view, visible);
            (Listeners, Routes, Names) = (Patched(_outbound.Listeners), PatchedRoutes(_outbound.Routes), _outbound.Names);
        }
        else
        {
            if (!everything && changes!.Services.Count == 0) return;
            _gateway.Update(view, _hosts.Values.Select(part => part.Clusters));
            (Listeners, Routes) = (Patched(_gateway.Listeners), PatchedRoutes(_gateway.Routes));
        }
    }

    private ResourceSet Patched(ResourceSet listeners) => _patches?.Listeners(listeners) ?? listeners;

    private ResourceSet PatchedRoutes(ResourceSet routes) => _patches?.Routes(routes) ?? routes;

    private void SetClusters(IEnumerable<string> gone, IEnumerable<XdsResource> made)
    {
        _clusters = _clusters.With(gone, made);
        Clusters = _patches?.Clusters(_clusters) ?? _clusters;
    }

    private void SetStatic(MeshConfig mesh)
    {
        var fixedOnes = ClusterGenerator.Static(scope.Kind, mesh).Select(cluster => EncodedResource.Of(TypeUrls.Cluster, cluster.Name, cluster));
        SetClusters([], fixedOnes);
    }

    private void UpdateHosts(MeshView view, IEnumerable<string> hosts)
    {
        var (goneClusters, newClusters) = (new List<string>(), new List<XdsResource>());
        var (goneEndpoints, newEndpoints) = (new List<string>(), new List<XdsResource>());
        foreach (var host in hosts)
        {
            var known = _hosts.GetValueOrDefault(host);
            if (!view.Registry.Services.TryGetValue(host, out var whole) || SidecarHosts.Visible(scope, whole) is not { } service
                || (service.Pod is not null && _gateway?.ExposesBySni(service) == false))
            {
                if (known is null) continue;
                _hosts.Remove(host);
                goneClusters.AddRange(known.ClusterResources.Select(NameOf));
                goneEndpoints.AddRange(known.EndpointResources.Select(NameOf));
                continue;
            }
            var behind = view.EndpointsOf(host);
            var rule = view.RuleFor(service, scope);
            var inputs = ClusterInputsOf(view, service, rule, behind);
            if (known is null || !Same(known.Clusters, inputs))
            {
                var made = MakeClusters(inputs);
                if (known is not null) goneClusters.AddRange(known.ClusterResources.Select(NameOf));
                newClusters.AddRange(made);
                if (known is null) _hosts[host] = known = new() { Clusters = inputs, ClusterResources = made };
                else (known.Clusters, known.ClusterResources) = (inputs, made);
            }
            if (!EndpointGenerator.HasAssignments(service, scope.Kind))
            {
                goneEndpoints.AddRange(known.EndpointResources.Select(NameOf));
                (known.Endpoints, known.EndpointResources) = (null, []);
                continue;
            }
            var next = new EndpointInputs(scope, view.Mesh, service, rule, behind.Endpoints, view.Registry.Gateways);
            if (known.Endpoints is { } last && Same(last, next) && Equals(last.Rule, rule)) continue;
            var assignments = MakeEndpoints(next, inputs.SniPassthrough);
            goneEndpoints.AddRange(known.EndpointResources.Select(NameOf));
            newEndpoints.AddRange(assignments);
            (known.Endpoints, known.EndpointResources) = (next, assignments);
        }
        SetClusters(goneClusters, newClusters);
        Endpoints = Endpoints.With(goneEndpoints, newEndpoints);
    }

    private ClusterInputs ClusterInputsOf(MeshView view, MeshService service, DestinationRule? rule, HostEndpoints behind)
    {
        var isDns = service.Resolution is Resolution.Dns or Resolution.DnsRoundRobin;
        return new(scope, view.Mesh, service, rule, behind.Identities, isDns ? behind.Endpoints : default, behind.AllMtls, _gateway?.ExposesBySni(service) == true);
    }

    /// <summary>Equality of inputs, cheapest parts first; records compare by content, and unchanged values are usually the
    /// same object.</summary>
    private static bool Same(ClusterInputs a, ClusterInputs b) =>
        ReferenceEquals(a.Service, b.Service) && ReferenceEquals(a.Rule, b.Rule) && ReferenceEquals(a.Mesh, b.Mesh) && a.HasMtls == b.HasMtls
            && a.SniPassthrough == b.SniPassthrough && a.Identities == b.Identities && a.Members == b.Members
        || a == b;

    private static bool Same(EndpointInputs a, EndpointInputs b) =>
        ReferenceEquals(a.Service, b.Service) && ReferenceEquals(a.Rule, b.Rule) && ReferenceEquals(a.Mesh, b.Mesh)
            && ReferenceEquals(a.Gateways, b.Gateways) && a.Endpoints == b.Endpoints
        || a == b;

    private static ImmutableArray<XdsResource> MakeClusters(ClusterInputs inputs) =>
        [.. ClusterGenerator.Outbound(inputs).Select(cluster => EncodedResource.Of(TypeUrls.Cluster, cluster.Name, cluster))];

    private static ImmutableArray<XdsResource> MakeEndpoints(EndpointInputs inputs, bool sniPassthrough) =>
        [.. EndpointGenerator.All(inputs, sniPassthrough).Select(assignment => EncodedResource.Of(TypeUrls.Endpoints, assignment.ClusterName, assignment))];

    private static string NameOf(XdsResource encoded) => encoded.Name;
}
