using System.Collections.Frozen;
using System.Collections.Immutable;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>The hosts of the mesh, their endpoints, and the gateways to the networks of these.</summary>
public sealed record ServiceRegistry(
    ImmutableDictionary<string, MeshService> Services,
    ImmutableDictionary<string, HostEndpoints> Endpoints,
    ImmutableDictionary<string, GatewayTable> Gateways)
{
    /// <summary>The gateways of the networks that a host has endpoints in.</summary>
    public GatewayTable GatewaysOf(string host) => Gateways.GetValueOrDefault(host, GatewayTable.Empty);
}

/// <summary>How traffic to a host is routed and balanced.</summary>
/// <param name="RoutingsByHost">The routes for sidecars, by the hosts as they name them.</param>
/// <param name="Rules">DestinationRules by their own namespace and host, wildcards as written.</param>
public sealed record TrafficRules(
    ImmutableDictionary<string, ValueList<RouteSet>> RoutingsByHost,
    ImmutableDictionary<RuleKey, ValueList<DestinationRule>> Rules)
{
    // Most hosts have no rule, and each of them is looked for in several namespaces and under several wildcards.
    private FrozenDictionary<string, bool>? _namespaces;

    /// <summary>The routes of VirtualServices and Ingress objects at gateways, by Gateway.</summary>
    public ImmutableDictionary<string, ValueList<RouteSet>> ListedByGateway { get; init; } = ImmutableDictionary<string, ValueList<RouteSet>>.Empty;

    /// <summary>The routes that compete for a host at a Gateway.</summary>
    public ImmutableDictionary<GatewayHost, ValueList<RouteSet>> ByGatewayHost { get; init; } = ImmutableDictionary<GatewayHost, ValueList<RouteSet>>.Empty;

    /// <summary>The namespaces with rules, and whether some are for wildcards.</summary>
    internal FrozenDictionary<string, bool> Namespaces => _namespaces ??= Rules.Keys.GroupBy(key => key.Namespace, StringComparer.Ordinal)
        .ToFrozenDictionary(group => group.Key, group => group.Any(key => key.Host.StartsWith('*')), StringComparer.Ordinal);

    /// <summary>Some routes for sidecars are for wildcards.</summary>
    public bool HasWildcards { get; init; }
}

/// <summary>What workloads require of their callers, by namespace.</summary>
public sealed record SecurityPolicies(
    ImmutableDictionary<string, ValueList<PeerAuthentication>> Peers,
    ImmutableDictionary<string, ValueList<AuthorizationPolicy>> Authorizations,
    ImmutableDictionary<string, ValueList<RequestAuthentication>> Tokens)
{
    /// <summary>The keys of issuers that the control plane fetched.</summary>
    public ImmutableDictionary<KeyPlace, KeySet> Keys { get; init; } = ImmutableDictionary<KeyPlace, KeySet>.Empty;
}

/// <summary>The objects by which a proxy's own workload is found.</summary>
public sealed record WorkloadRegistry(
    ImmutableDictionary<(string Cluster, string Namespace), ValueList<ClusterService>> ClusterServices,
    ImmutableDictionary<ObjectRef, Workload> Workloads,
    ImmutableDictionary<ObjectKey, NodeFacts> Nodes)
{
    /// <summary>Workloads outside of Kubernetes, by the account that they run as.</summary>
    public ImmutableDictionary<AccountKey, ValueList<Workload>> Machines { get; init; } = ImmutableDictionary<AccountKey, ValueList<Workload>>.Empty;
}

/// <summary>Objects that configure proxies themselves.</summary>
/// <param name="Sidecars">By namespace.</param>
/// <param name="Filters">By namespace.</param>
/// <param name="Credentials">Certificates of gateways.</param>
public sealed record ProxyConfigs(
    ImmutableDictionary<string, ValueList<Sidecar>> Sidecars,
    ImmutableDictionary<string, ValueList<EnvoyFilter>> Filters,
    ImmutableDictionary<ObjectKey, TlsCredential> Credentials)
{
    /// <summary>By namespace.</summary>
    public ImmutableDictionary<string, ValueList<Telemetry>> Telemetries { get; init; } = ImmutableDictionary<string, ValueList<Telemetry>>.Empty;

    /// <summary>By namespace.</summary>
    public ImmutableDictionary<string, ValueList<WasmPlugin>> Plugins { get; init; } = ImmutableDictionary<string, ValueList<WasmPlugin>>.Empty;

    /// <summary>Gateways, by the first of the labels that they select (<see cref="Selected"/>); empty: those that select all.</summary>
    public ImmutableDictionary<string, ValueList<Gateway>> GatewaysByLabel { get; init; } = ImmutableDictionary<string, ValueList<Gateway>>.Empty;

    /// <summary>The CAs in ConfigMaps.</summary>
    public ImmutableDictionary<ObjectKey, TlsCredential> CaBundles { get; init; } = ImmutableDictionary<ObjectKey, TlsCredential>.Empty;

    /// <summary>The namespaces whose Secrets the control plane reads for gateways; none: all.</summary>
    public ValueList<string> SecretNamespaces { get; init; }

    /// <summary>Whether the accounts of gateways may read the Secrets of their namespaces; absent: not asked yet.</summary>
    public ImmutableDictionary<AccountKey, SecretAccess> SecretAccess { get; init; } = ImmutableDictionary<AccountKey, SecretAccess>.Empty;

    /// <summary>A label, as a key of <see cref="GatewaysByLabel"/>.</summary>
    public static string Selected(string label, string value) => $"{label}={value}";
}

/// <summary>The mesh at one revision: immutable, safe to read from any thread.</summary>
public sealed record MeshView(
    MeshConfig Mesh,
    ServiceRegistry Registry,
    TrafficRules Traffic,
    SecurityPolicies Security,
    WorkloadRegistry Workloads,
    ProxyConfigs Proxies)
{
    /// <summary>What objects ask for about callers.</summary>
    public ImmutableDictionary<CallerTrait, CountedTrait> CallerTraits { get; init; } = ImmutableDictionary<CallerTrait, CountedTrait>.Empty;

    public HostEndpoints EndpointsOf(string host) => Registry.Endpoints.GetValueOrDefault(host) ?? HostEndpoints.None;

    /// <summary>What a name can mean in a namespace: itself, or a short name of a Service.</summary>
    internal static string[] FullNames(string name, string ns, string suffix) => [name, $"{name}.{ns}.{suffix}", $"{name}.{suffix}", $"{name}{suffix[3..]}"];

    /// <summary>What the mesh has of that port of a provider's service, <c>HOST</c> or <c>NAMESPACE/HOST</c>, for workloads of a namespace; null:
    /// nothing.</summary>
    internal MeshService? Find(string service, int port, string ns)
    {
        var parts = service.Split('/', 2);
        return FullNames(parts[^1], ns, WellKnown.DefaultDomainSuffix).Select(host => Registry.Services.GetValueOrDefault(host))
            .FirstOrDefault(known => known is not null && (parts.Length == 1 || known.Namespace == parts[0]) && known.Port(port) is not null);
    }

    /// <summary>
    /// The DestinationRule that a scope's traffic to a host follows: the client's namespace (unless that is the root's) before the
    /// service's before the root's, in each the most specific host. Rules of one host are merged, but an exact rule never with a wildcard.
    /// </summary>
    public DestinationRule? RuleFor(MeshService service, ProxyScope scope)
    {
        if (service.ExportOf.Length > 0) return RuleOf(service, scope) ?? RuleOf(service with { Hostname = service.ExportOf }, scope);
        if (service.Pod is not { } pod) return RuleOf(service, scope);
        // A Pod without a rule of its own follows its headless host's, whose subsets say nothing about one Pod.
        return RuleOf(service, scope) ?? RuleOf(service with { Hostname = pod.PlainName }, scope)
            ?? (RuleOf(service with { Hostname = pod.Hostname }, scope) is { } rule ? rule with { Subsets = default } : null);
    }

    private DestinationRule? RuleOf(MeshService service, ProxyScope scope) =>
        (scope.Namespace != Mesh.RootNamespace && MayConfigure(scope.Namespace, service) ? RuleIn(scope.Namespace, service.Hostname, scope) : null)
        ?? (service.Namespace != scope.Namespace || scope.Namespace == Mesh.RootNamespace ? RuleIn(service.Namespace, service.Hostname, scope) : null)
        ?? (Mesh.RootNamespace != service.Namespace ? RuleIn(Mesh.RootNamespace, service.Hostname, scope) : null);

    /// <summary>Whether objects of a namespace apply to a host: to any, unless hosts are owned.</summary>
    private bool MayConfigure(string ns, MeshService service) =>
        !Mesh.HostsAreOwned || HostOwners.MayConfigure(ns, service.Namespace, service.Grants, Mesh.RootNamespace);

    /// <summary>The same for a name that may be no host of the mesh: names of Kubernetes have a namespace all the same.</summary>
    /// <param name="atGateway">A gateway gets requests for the names that it serves: a wildcard takes nobody's.</param>
    private bool MayConfigure(string ns, string name, bool atGateway = false) =>
        !Mesh.HostsAreOwned ? true
        : Registry.Services.GetValueOrDefault(name) is { } service ? MayConfigure(ns, service)
        : HostOwners.NamespaceOf(name) is var owner
            && (owner.Length == 0 || (atGateway && owner == HostOwners.Everybody) || HostOwners.MayConfigure(ns, owner, default, Mesh.RootNamespace));

    private DestinationRule? RuleIn(string ns, string host, ProxyScope scope)
    {
        if (!Traffic.Namespaces.TryGetValue(ns, out var hasWildcards)) return null;
        if (Pick(Traffic.Rules.GetValueOrDefault(new(ns, host)), scope) is { } exact) return exact;
        if (!hasWildcards) return null;
        foreach (var wildcard in Hosts.Wildcards(host))
        {
            if (wildcard != host && Pick(Traffic.Rules.GetValueOrDefault(new(ns, wildcard)), scope) is { } rule) return rule;
        }
        return null;
    }

    /// <summary>The oldest that the scope sees, with what newer ones add; one that selects workloads wins over one for all.</summary>
    private DestinationRule? Pick(ValueList<DestinationRule> rules, ProxyScope scope)
    {
        if (rules.IsEmpty) return null;
        DestinationRule? merged = null;
        foreach (var rule in rules.Where(rule => IsFor(rule, scope)).OrderBy(rule => rule.WorkloadSelector.Count == 0).ThenBy(rule => rule.CreatedAt)
            .ThenBy(rule => rule.Source))
        {
            if (merged is null) merged = rule;
            else if (merged.Absorbs(rule)) merged = merged.MergedWith(rule);
        }
        return merged;
    }

    private bool IsFor(DestinationRule rule, ProxyScope scope) =>
        Visibility.Allows(rule.ExportTo.IsEmpty ? Mesh.DefaultDestinationRuleExportTo : rule.ExportTo, rule.Namespace, scope.Namespace)
        && (rule.WorkloadSelector.Count == 0 || (rule.Namespace == scope.Namespace && Selectors.Matches(rule.WorkloadSelector, scope.RuleLabels)));

    /// <summary>The routes of a service; those of a Pod may name it with or without its cluster.</summary>
    public RouteSet? RoutingFor(MeshService service, ProxyScope scope) =>
        RoutingFor(service.Hostname, scope, ns => MayConfigure(ns, service))
            ?? (service.Pod is { } pod ? RoutingFor(pod.PlainName, scope, ns => MayConfigure(ns, service)) : null);

    /// <summary>The routes of a name for sidecars of a scope: the most specific host, then the oldest.</summary>
    public RouteSet? RoutingFor(string name, ProxyScope scope) => RoutingFor(name, scope, ns => MayConfigure(ns, name));

    private RouteSet? RoutingFor(string host, ProxyScope scope, Func<string, bool> mayConfigure)
    {
        if (Oldest(host, scope, mayConfigure) is { } exact) return exact;
        if (!Traffic.HasWildcards) return null;
        foreach (var wildcard in Hosts.Wildcards(host))
        {
            if (wildcard != host && Oldest(wildcard, scope, mayConfigure) is { } routing) return routing;
        }
        return null;
    }

    private RouteSet? Oldest(string host, ProxyScope scope, Func<string, bool> mayConfigure)
    {
        if (!Traffic.RoutingsByHost.TryGetValue(host, out var all)) return null;
        bool Counts(RouteSet routing) => routing.ForSidecars && mayConfigure(routing.Namespace)
            && Visibility.Allows(routing.ExportTo, routing.Namespace, scope.Namespace);
        // Most hosts have one, and each scope asks for each host.
        if (all is [{ Precedence: RoutePrecedence.Listed } only]) return Counts(only) ? only : null;
        return RouteOrder.Settled(OfConsumers([.. all.Where(Counts)]).Select(routing => Of(routing, host, RouteSet.Mesh)))
            .OrderBy(routing => routing.CreatedAt).ThenBy(routing => routing.Source).FirstOrDefault();
    }

    private static IEnumerable<RouteSet> OfConsumers(List<RouteSet> visible) => !visible.Exists(routing => routing.IsOfConsumer) ? visible
        : visible.Where(routing => routing.IsOfConsumer || routing.Precedence == RoutePrecedence.Listed);

    /// <summary>The hosts of a gateway for which routes of the Gateway API compete.</summary>
    public IEnumerable<GatewayHost> HostsOf(GatewayScope gateway)
    {
        var names = gateway.Gateways.Select(item => item.FullName).ToHashSet(StringComparer.Ordinal);
        return Traffic.ByGatewayHost.Keys.Where(at => names.Contains(at.Gateway));
    }

    /// <summary>The names that the routes of a gateway are for.</summary>
    public IEnumerable<string> NamesOf(GatewayScope gateway) => HostsOf(gateway).Select(at => at.Host)
        .Concat(gateway.Gateways.SelectMany(item => Traffic.ListedByGateway.GetValueOrDefault(item.FullName)).SelectMany(routing => routing.Hosts));

    /// <summary>The routes that compete for a host at a Gateway, as far as the scope sees them.</summary>
    public ValueList<RouteSet> CompetingFor(GatewayHost at, ProxyScope scope) => Traffic.ByGatewayHost.GetValueOrDefault(at)
        .Where(routing => Visibility.Allows(routing.ExportTo, routing.Namespace, scope.Namespace)
            && MayConfigure(routing.Namespace, at.Host, atGateway: true)).ToValueList();

    /// <summary>The routes of VirtualServices and Ingress objects that are bound to some of a gateway's Gateways.</summary>
    public IEnumerable<RouteSet> ListedOf(GatewayScope gateway, ProxyScope scope) => Traffic.ListedByGateway.IsEmpty ? []
        : gateway.Gateways.Select(item => item.FullName).Distinct().SelectMany(name => Traffic.ListedByGateway.GetValueOrDefault(name)).DistinctBy(routing =>
            routing.Key).Select(routing => Seen(routing, scope)).OfType<RouteSet>();

    /// <summary>One of those, as the scope sees it; null: not at all.</summary>
    public RouteSet? Seen(RouteSet listed, ProxyScope scope) =>
        Visibility.Allows(listed.ExportTo, listed.Namespace, scope.Namespace) && OfOwnHosts(listed) is { Hosts.IsEmpty: false } seen ? seen : null;

    /// <summary>Rules of a host compete with others of the same host only.</summary>
    private static RouteSet Of(RouteSet routing, string host, string parent) =>
        routing.Precedence == RoutePrecedence.Listed ? routing : routing with { Hosts = [host], Parents = [parent] };

    private RouteSet OfOwnHosts(RouteSet routing) => routing.Hosts.All(host => MayConfigure(routing.Namespace, host, atGateway: true))
        ? routing : routing with { Hosts = routing.Hosts.Where(host => MayConfigure(routing.Namespace, host, atGateway: true)).ToValueList() };

    /// <summary>What routes need to know about the hosts that they reference.</summary>
    public ValueMap<DestinationShape> ShapesOf(IEnumerable<RouteSet?> routings, MeshService? own, ProxyScope scope)
    {
        var shapes = new Dictionary<string, DestinationShape>(StringComparer.Ordinal);
        if (own is not null) shapes[own.Hostname] = Shape(own, scope);
        foreach (var host in routings.OfType<RouteSet>().SelectMany(routing => routing.HttpDestinations))
        {
            if (!shapes.ContainsKey(host) && Registry.Services.TryGetValue(host, out var service)) shapes[host] = Shape(service, scope);
        }
        return shapes.ToValueMap();
    }

    /// <summary>The same of one host; null if the mesh does not have it.</summary>
    public DestinationShape? ShapeOf(string host, ProxyScope scope) => Registry.Services.TryGetValue(host, out var service) ? Shape(service, scope) : null;

    /// <summary>What DestinationRules say of TCP connections, by cluster: of a service's TCP ports, and of the destinations of tcp and tls routes.</summary>
    public ValueMap<TcpSettings> TcpSettingsOf(MeshService? own, IEnumerable<RouteSet> routings, ProxyScope scope)
    {
        Dictionary<string, TcpSettings>? found = null;
        void Add(MeshService service, int port, string subset)
        {
            var rule = RuleFor(service, scope);
            var policy = TrafficPolicy.Effective(rule, rule?.Subsets.FirstOrDefault(item => item.Name == subset), port, Mesh);
            var settings = new TcpSettings(policy.Pool?.TcpIdleTimeout, policy.Tunnel);
            if (settings != TcpSettings.None) (found ??= new(StringComparer.Ordinal))[ResourceNames.Outbound(port, subset, service.Hostname)] = settings;
        }

        if (Traffic.Rules.IsEmpty && Mesh.DefaultPolicy.Pool is null) return default;
        foreach (var port in own?.Ports ?? default)
        {
            if (!port.Protocol.IsHttp() && port.Protocol != Protocol.Udp) Add(own!, port.Number, "");
        }
        foreach (var destination in routings.SelectMany(routing => routing.L4Destinations))
        {
            if (!Registry.Services.TryGetValue(destination.Host, out var service)) continue;
            // Without a port of its own, a destination has that of the connection.
            foreach (var port in destination.Port > 0 ? [destination.Port] : service.Ports.Select(port => port.Number)) Add(service, port, destination.Subset);
        }
        return found?.ToValueMap() ?? default;
    }

    private DestinationShape Shape(MeshService service, ProxyScope scope)
    {
        var rule = RuleFor(service, scope);
        // Only a rule with a hash key affects a route; changes of other rules do not.
        var hashes = rule is not null && (Hashes(rule.Policy) || rule.Subsets.Any(subset => subset.Policy is { } policy && Hashes(policy)));
        return new(service.Ports.Select(port => port.Number).ToValueList(), hashes ? rule : null) { Session = service.Session };
    }

    private static bool Hashes(TrafficPolicy policy) => policy.Balancing?.Hash is not null || policy.Ports.Any(port => port.Policy.Balancing?.Hash is not null);
}
