using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve;

namespace Isthmus.Graph.Derive;

/// <summary>
/// Every arrow from Kubernetes objects to the mesh model, over all clusters. Adding a cluster adds keys, removing one removes them;
/// losing contact with one changes nothing but its <see cref="ClusterContact"/>. It has one writer: the owner stages and commits.
/// </summary>
public sealed class MeshGraph
{
    private readonly HostDerivation _hosts;
    private readonly Live<string, ClusterIds> _clusterIds;
    private readonly Ownership _ownership;
    private readonly WorkloadIndex _workloads;
    private readonly Live<string, MeshService> _ofEntries;
    private readonly Live<ObjectKey, VirtualService> _routings;
    private readonly Live<string, HostAlias> _aliases;
    private readonly Live<string, ValueList<RouteSet>> _wildcards;
    private (MeshConfig Read, MeshConfig Made)? _settings;
    private TrafficRules? _traffic;
    private object? _known; // the routings that it is of

    public MeshGraph(MultiClusterSettings? multiCluster = null)
    {
        Graph = new();
        Sources = new(Graph);
        var policies = new PolicyIndex(Sources);
        _workloads = new(Sources);
        multiCluster ??= MultiClusterSettings.Default;
        _hosts = new(Sources, multiCluster);
        var exports = new MultiClusterHosts(Sources, multiCluster, _hosts);
        // Hosts whose definition lists no clusters must still know which clusters exist.
        _clusterIds = Sources.Clusters.GroupBy(_ => "", "clusters together")
            .Derive((_, contacts) => One("", new ClusterIds(contacts.Select(contact => contact.Cluster).Order(StringComparer.Ordinal).ToValueList())),
                "cluster ids");

        var discovery = new Discovery(Sources);
        var services = discovery.Of(Sources.Services, service => service.Source, "discovered services");
        var discoveredEntries = discovery.Of(Sources.ServiceEntries, entry => entry.Source, "discovered entries");
        var ingresses = new IngressDerivation(Sources, discovery, services);
        ServedIngresses = ingresses.Served;
        GatewayApi = new(Sources, discovery);
        GatewayObjects = Sources.Gateways.UnionWith(ingresses.Gateways, "gateways of objects").UnionWith(GatewayApi.Gateways, "and of listeners");
        _routings = discovery.Of(Sources.VirtualServices, routing => routing.Source, "discovered virtual services");
        var byHost = services.GroupBy(service => service.Hostname, "services by host");
        var aliases = byHost.Derive((read, services) => _hosts.AliasOf(read, services) is { } alias ? One(alias.Hostname, alias) : [], "external names");
        _aliases = aliases.Derive((read, alias) => HostDerivation.EndOf(read, aliases, alias) is { } end
            ? One(alias.Hostname, alias with { Target = end }) : [], "aliases");
        var aliasesByTarget = _aliases.GroupBy(alias => alias.Target, "aliases by target");
        var ofKube = byHost.Derive((read, services) => read.Get(aliases, services[0].Hostname) is null
            ? One(services[0].Hostname, _hosts.Merge(read, services))
            : [],
            "hosts of services");
        var ofExports = byHost.Derive((read, services) => exports.HostOf(read, services, Clusters(read)) is { } host ? One(host.Hostname, host) : [],
            "hosts of exports");
        _ownership = new(Sources, _workloads, byHost, _clusterIds, discoveredEntries);
        var ofEntries = discoveredEntries
            .Derive((read, entry) => entry.Hosts.Distinct().Where(host => _ownership.MayDefine(read, entry, host))
                .Select(host => KeyValuePair.Create((entry.Source, host), new EntryHost(host, entry))),
                "entries and hosts")
            .GroupBy(item => item.Host, "entries by host")
            .Derive((read, items) => One(items[0].Host, _hosts.MergeEntries(read, items[0].Host, items.Select(item => item.Entry).ToValueList(), _ownership)),
                "hosts of entries");
        _ofEntries = ofEntries;
        var ofForeigners = discoveredEntries.Derive((read, entry) => Problems(entry.Source, _ownership.Claims(read, entry, ofEntries)),
            "claims to what is another's");
        Disagreements = byHost.Derive((read, services) => _hosts.Disagreements(read, services).ToValueList() is { IsEmpty: false } problems
            ? One(services[0].Hostname, new ObjectProblems(problems)) : [], "disagreements");

        var endpoints = new EndpointDerivation(Sources, services, policies, _workloads, exports, _ownership);
        var ofSlices = Sources.Slices.Derive((read, slice) => One((slice.Source, ""), endpoints.OfSlice(read, slice)), "endpoints of slices");
        GatewaySets = EntriesOfNetworks(ofSlices);
        GatewayTables = GatewaySets.GroupBy(_ => "", "gateways together").Derive((_, all) => One("", GatewayDerivation.Table(all)), "gateway table");

        // Those of a host's owner only: endpoints of another namespace would get its calls.
        var ofEntryHosts = discoveredEntries.Derive((read, entry) => endpoints.OfEntry(read, entry)
            .Where(set => read.Get(ofEntries, set.Hostname)?.Namespace == entry.Namespace)
            .Select(set => KeyValuePair.Create((entry.Source, set.Hostname), set)), "endpoints of entries");
        var ofWorkloads = services.Derive(
            (read, service) => endpoints.OfWorkloads(read, service) is { } set ? One((service.Source, "workloads"), set) : [], "endpoints of workloads");
        var sets = ofSlices.UnionWith(ofEntryHosts, "slices and entries").UnionWith(ofWorkloads, "endpoint sets")
            .GroupByMany(set => set.Hostname.Length > 0 ? [set.Hostname] : (IEnumerable<string>)[], "endpoint sets by host");
        var pods = new HeadlessPods(ofKube, GatewayTables);
        var podHosts = sets.Derive((read, group) => pods.Of(read, group), "pods of headless hosts");

        Unaddressed = ofKube.UnionWith(ofEntries, "hosts of objects").UnionWith(ofExports, "and of exports")
            .UnionWith(podHosts.Derive((_, pod) => One(pod.Service.Hostname, pod.Service), "hosts of pods"), "hosts before allocation");
        AddressNeeds = Unaddressed.Derive(Needs, "address needs");
        BackendTls = new(Sources);
        BackendTraffic = new(Sources);
        var grants = GatewayApi.Grants;
        var grpc = new GrpcBackends(GatewayApi.Routes, grants);
        var targets = new RouteTargets(GatewayApi.Routes);
        Services = Unaddressed.Derive((read, service) =>
        {
            var policy = BackendTraffic.Of(read, service);
            return Addressed(read, service with
            {
                Aliases = read.Get(aliasesByTarget, service.Hostname), BackendTls = BackendTls.Of(read, service), Ports = grpc.Of(read, service),
                RetryBudget = policy?.Retries, Session = policy?.Session, IsRouteTarget = targets.Has(read, service),
            });
        }, "hosts");
        Endpoints = sets.Derive((read, group) => One(group[0].Hostname, endpoints.Gather(read, group, read.Get(Services, group[0].Hostname))),
            "endpoints of hosts")
            .UnionWith(sets.Derive((read, group) => read.Get(ofKube, group[0].Hostname) is { } service
                && read.Get(ofExports, MultiClusterSettings.HostOf(service.Name, service.Namespace)) is { } host
                ? One(host.Hostname, endpoints.Gather(read, [MultiClusterHosts.EndpointsOf(host, group)], host)) : [], "endpoints of exports"),
                "endpoints of objects and exports")
            .UnionWith(podHosts.Derive((read, pod) => One(
                pod.Service.Hostname, endpoints.Gather(read, [new(pod.Service.Hostname, pod.Endpoints)], pod.Service)), "endpoints of pods"), "endpoints");
        ListedEndpoints = Services.Derive((read, service) => service.Headless || service.Pod is not null
            ? One(service.Hostname, read.Get(Endpoints, service.Hostname) ?? HostEndpoints.None) : [], "endpoints in listeners");
        var entrances = new HostGateways(GatewayTables);
        GatewaysByHost = Services.Derive((read, service) => read.Get(Endpoints, service.Hostname) is { } behind && entrances.Of(read, behind) is { } gateways
            ? One(service.Hostname, gateways) : [], "gateways of hosts");

        ForeignClaims = ofForeigners
            .UnionWith(Sources.VirtualServices.Derive((read, routing) => Problems(routing.Source,
                _ownership.NotGranted(read, routing.Source, HostsOf(routing), Services)),
                "virtual services of others' hosts"),
                "claims of entries and virtual services")
            .UnionWith(Sources.DestinationRules.Derive((read, rule) => Problems(rule.Source, _ownership.NotGranted(read, rule.Source, HostsOf(rule), Services)),
                "destination rules of others' hosts"),
                "claims");

        ApiBackends = new(Services, _aliases, grants, multiCluster);
        var apiRoutes = new ApiRouteDerivation(Sources, Services, GatewayApi.Routes, GatewayApi.Attached, ApiBackends);
        RouteStatuses = apiRoutes.Statuses;
        PolicyStatuses = new BackendPolicyStatuses<BackendTlsPolicy>(
            Sources.BackendTlsPolicies, BackendTls.Targets, BackendTls.ConditionsOf, GatewayApi.Attached).Statuses
            .UnionWith(new BackendPolicyStatuses<BackendTrafficPolicy>(
                Sources.BackendTrafficPolicies, BackendTraffic.Targets, BackendTraffic.ConditionsOf, GatewayApi.Attached).Statuses, "verdicts of policies");
        Routings = _routings.Derive(RoutesOf, "routes of virtual services").UnionWith(ingresses.Routings, "and of ingresses")
            .UnionWith(apiRoutes.Routings, "and of the Gateway API")
            // Routes to an alias lead to the clusters of what it stands for.
            .Derive((read, routes) => One(routes.Key, routes.WithDestinations(host => read.Get(_aliases, host)?.Target ?? host)), "routings");
        GatewayRoutings = new(Routings);
        RoutingsByHost = Routings.GroupByMany(routing => routing.ForSidecars ? routing.Hosts.Items : [], "routings by host");
        _wildcards = Routings.GroupByMany(routing => routing.ForSidecars ? routing.Hosts.Where(host => host.StartsWith('*')) : [], "routings by wildcard");
        Sessions = Routings.GroupByMany(
            routing => routing.Rules.Any(rule => rule.Filters.Session is not null) ? [""] : (IEnumerable<string>)[], "sessions of rules")
            .Derive((_, _) => One("", new KeptSessions()), "kept sessions of rules")
            .UnionWith(Services.GroupByMany(service => service.Session is null ? [] : (IEnumerable<string>)[""], "sessions of hosts")
                .Derive((_, _) => One("", new KeptSessions()), "kept sessions of hosts"), "kept sessions");
        RulesByHost = discovery.Of(Sources.DestinationRules, rule => rule.Source, "discovered destination rules")
            .GroupBy(rule => new RuleKey(rule.Namespace, rule.Host), "rules by host");
        CallerTraits = Traits(RulesByHost, rules => $"{rules[0].Namespace}/{rules[0].Host}", rules => rules.SelectMany(CallerTrait.Of), "rules")
            .UnionWith(Traits(Routings, routes => $"{routes.Key}", CallerTrait.Of, "routes"), "traits of rules and routes")
            .UnionWith(Traits(Services, service => service.Hostname, CallerTrait.Of, "hosts"), "and of hosts")
            .UnionWith(Traits(Sources.Settings, _ => "", settings => CallerTrait.Of(settings.Mesh), "settings"), "traits of callers");
        FiltersByNamespace = Sources.EnvoyFilters.GroupBy(filter => filter.Namespace, "envoy filters by namespace");
        PluginsByNamespace = Sources.WasmPlugins.GroupBy(plugin => plugin.Source.Namespace, "wasm plugins by namespace");
        GatewaysByLabel = GatewayObjects.GroupBy(
            gateway => gateway.Selector.Count == 0 ? "" : ProxyConfigs.Selected(gateway.Selector.First().Key, gateway.Selector.First().Value),
            "gateways by label");
        SidecarsByNamespace = Sources.Sidecars.GroupBy(sidecar => sidecar.Namespace, "sidecars by namespace");
        PeersByNamespace = policies.PeersByNamespace;
        AuthorizationsByNamespace = Sources.AuthorizationPolicies.GroupBy(policy => policy.Namespace, "authorizations by namespace");
        TokensByNamespace = Sources.RequestAuthentications.GroupBy(policy => policy.Namespace, "request authentications by namespace");
        TelemetriesByNamespace = Sources.Telemetries.GroupBy(item => item.Namespace, "telemetries by namespace");
        ApiStatuses = new ApiStatusDerivation(Sources, Endpoints).All(
            GatewayApi.GatewayStatuses, GatewayApi.ListenerSetStatuses, RouteStatuses, PolicyStatuses);
        ServicesByNamespace = Sources.Services.GroupBy(service => (service.Cluster, service.Namespace), "services by namespace");
        ViewParts = ViewChanges.Of(this);
    }

    /// <summary>What the view is made of.</summary>
    internal IReadOnlyList<ViewPart> ViewParts { get; }

    /// <summary>What is said of the objects of the Gateway API.</summary>
    public Live<ObjectRef, ApiStatus> ApiStatuses { get; }

    /// <summary>The gateways of networks: labelled Services while they are ready, and those that meshNetworks lists.</summary>
    private Live<ObjectRef, GatewaySet> EntriesOfNetworks(Live<(ObjectRef, string), EndpointSet> ofSlices)
    {
        var ready = ofSlices.GroupByMany(set => set.Hostname.Length > 0 && set.Endpoints.Count > 0
            ? [new ClusterHost(set.Endpoints[0].Cluster, set.Hostname)]
            : (IEnumerable<ClusterHost>)[],
            "sets by cluster and host")
            .Derive((_, group) => One(
                new ClusterHost(group.First(set => set.Endpoints.Count > 0).Endpoints[0].Cluster, group[0].Hostname),
                // Only whether there is one counts: a second Pod of a gateway must not rebuild every host's endpoints.
                new ReadyCount(group.Any(set => set.Endpoints.Any(endpoint => endpoint.Health == EndpointHealth.Ready)) ? 1 : 0)), "ready hosts");
        var nodes = Sources.Nodes.GroupBy(node => node.Source.Cluster, "nodes by cluster");
        var entries = new GatewayDerivation(Sources, nodes, ready);
        var ofServices = Sources.Services.Derive((read, service) => service.GatewayNetwork.Length > 0
            ? One(service.Source, entries.OfService(read, service))
            : [],
            "gateways of services");
        var ofNetworks = Sources.Settings.Derive((read, settings) => One(new ObjectRef("", "ConfigMap", "", "istio"), entries.OfNetworks(read, settings)),
            "gateways of meshNetworks");
        return ofServices.UnionWith(ofNetworks, "gateway sets");
    }

    public LiveGraph Graph { get; }

    /// <summary>The namespaces whose Secrets are read for gateways; none: all.</summary>
    public ValueList<string> SecretNamespaces { get; init; }

    public MeshSources Sources { get; }

    /// <summary>The hosts of the mesh, by host name.</summary>
    public Live<string, MeshService> Services { get; }

    /// <summary>The endpoints of each host.</summary>
    public Live<string, HostEndpoints> Endpoints { get; }

    /// <summary>The gateways of all networks, under the empty key.</summary>
    public Live<string, GatewayTable> GatewayTables { get; }

    /// <summary>The Ingress objects that gateways serve.</summary>
    public Live<ObjectKey, Ingress> ServedIngresses { get; }

    /// <summary>What follows from the objects of the Gateway API.</summary>
    internal GatewayApiDerivation GatewayApi { get; }

    /// <summary>Finds what routes of the Gateway API lead to.</summary>
    internal ApiBackends ApiBackends { get; }

    /// <summary>How callers use TLS with hosts.</summary>
    internal BackendTlsDerivation BackendTls { get; }

    /// <summary>How often callers of hosts try again, and whether their sessions stay with an endpoint.</summary>
    internal BackendTrafficDerivation BackendTraffic { get; }

    /// <summary>Gateways, also those of Ingress objects and of the Gateway API.</summary>
    public Live<ObjectKey, Gateway> GatewayObjects { get; }

    /// <summary>VirtualServices with their delegates merged in, also those of Ingress objects.</summary>
    public Live<ObjectKey, RouteSet> Routings { get; }

    /// <summary>Those for sidecars.</summary>
    public Live<string, ValueList<RouteSet>> RoutingsByHost { get; }

    /// <summary>Those at gateways.</summary>
    internal GatewayRoutings GatewayRoutings { get; }

    /// <summary>What is said of routes of the Gateway API.</summary>
    public Live<ObjectRef, RouteStatus> RouteStatuses { get; }

    /// <summary>What is said of BackendTLSPolicies.</summary>
    public Live<ObjectRef, PolicyStatus> PolicyStatuses { get; }

    /// <summary>DestinationRules by their own namespace and host, wildcards as written.</summary>
    public Live<RuleKey, ValueList<DestinationRule>> RulesByHost { get; }

    public Live<string, ValueList<Sidecar>> SidecarsByNamespace { get; }

    public Live<string, ValueList<PeerAuthentication>> PeersByNamespace { get; }

    public Live<string, ValueList<AuthorizationPolicy>> AuthorizationsByNamespace { get; }

    public Live<string, ValueList<RequestAuthentication>> TokensByNamespace { get; }

    public Live<string, ValueList<Telemetry>> TelemetriesByNamespace { get; }

    internal Live<string, ValueList<EnvoyFilter>> FiltersByNamespace { get; }

    internal Live<string, ValueList<WasmPlugin>> PluginsByNamespace { get; }

    /// <summary>As <see cref="ProxyConfigs.GatewaysByLabel"/>.</summary>
    internal Live<string, ValueList<Gateway>> GatewaysByLabel { get; }

    /// <summary>What objects ask for about callers.</summary>
    internal Live<CallerTrait, CountedTrait> CallerTraits { get; }

    /// <summary>The Services that select workloads, by cluster and namespace.</summary>
    public Live<(string Cluster, string Namespace), ValueList<ClusterService>> ServicesByNamespace { get; }

    /// <summary>Where clusters define one host differently.</summary>
    public Live<string, ObjectProblems> Disagreements { get; }

    /// <summary>What objects claim that belongs to others.</summary>
    public Live<ObjectRef, ObjectProblems> ForeignClaims { get; }

    /// <summary>What an object claims that belongs to others, as far as is known now. May be used by any thread.</summary>
    public IEnumerable<Problem> ForeignClaimsOf(object? config) => config switch
    {
        ServiceEntry entry => _ownership.Claims(Reader.Now, entry, _ofEntries),
        VirtualService routing => _ownership.NotGranted(Reader.Now, routing.Source, HostsOf(routing), Services),
        DestinationRule rule => _ownership.NotGranted(Reader.Now, rule.Source, HostsOf(rule), Services),
        _ => [],
    };

    /// <summary>At gateways, wildcards take no calls of others.</summary>
    private static IEnumerable<(string Path, string Host)> HostsOf(VirtualService routing) =>
        routing.Hosts.Index().Where(host => routing.ForSidecars || HostOwners.NamespaceOf(host.Item) != HostOwners.Everybody)
            .Select(host => ($"spec.hosts[{host.Index}]", host.Item));

    private static IEnumerable<(string Path, string Host)> HostsOf(DestinationRule rule) => [("spec.host", rule.Host)];

    private static KeyValuePair<ObjectRef, ObjectProblems>[] Problems(ObjectRef source, IEnumerable<Problem> problems) =>
        problems.ToValueList() is { IsEmpty: false } found ? One(source, new ObjectProblems(found)) : [];

    /// <summary>The endpoints of hosts without an address of their own, which listeners and names have.</summary>
    internal Live<string, HostEndpoints> ListedEndpoints { get; }

    /// <summary>The gateways of the networks that a host has endpoints in.</summary>
    internal Live<string, GatewayTable> GatewaysByHost { get; }

    /// <summary>Under the empty key: some route, or a policy that applies to a host, needs the filter for sessions. Proxies have it only then. All
    /// replicas of a control plane see the same objects, so their listeners are the same whatever was there before.</summary>
    internal Live<string, KeptSessions> Sessions { get; }

    /// <summary>As if they were ready.</summary>
    internal Live<ObjectRef, Workload> Workloads => _workloads.All;

    internal Live<AccountKey, ValueList<Workload>> Machines => _workloads.Machines;

    internal Live<string, MeshService> Unaddressed { get; }

    /// <summary>Hosts that need an address of the allocator.</summary>
    internal Live<string, AddressNeed> AddressNeeds { get; }

    internal Live<ObjectRef, GatewaySet> GatewaySets { get; }

    /// <summary>The current mesh: immutable, safe to read from any thread.</summary>
    public MeshView View() => new(
        SettingsNow(),
        new(Services.Items, Endpoints.Items, GatewaysByHost.Items),
        TrafficNow(),
        new(PeersByNamespace.Items, AuthorizationsByNamespace.Items, TokensByNamespace.Items) { Keys = Sources.IssuerKeys.Items },
        new(ServicesByNamespace.Items, Workloads.Items, Sources.Nodes.Items) { Machines = Machines.Items },
        new(SidecarsByNamespace.Items, FiltersByNamespace.Items, Sources.Credentials.Items)
        {
            Telemetries = TelemetriesByNamespace.Items, Plugins = PluginsByNamespace.Items, GatewaysByLabel = GatewaysByLabel.Items,
            SecretAccess = Sources.SecretAccess.Items,
            CaBundles = Sources.CaBundles.Items, SecretNamespaces = SecretNamespaces,
        })
    {
        CallerTraits = CallerTraits.Items,
    };

    private MeshConfig SettingsNow()
    {
        var read = (Sources.Settings.Items.GetValueOrDefault("") ?? MeshSettings.Default).Mesh;
        if (Sessions.Items.Count == 0) return read;
        if (_settings is not { } known || !ReferenceEquals(known.Read, read)) _settings = known = (read, read with { KeepsSessions = true });
        return known.Made;
    }

    /// <summary>The same object as long as it is the same: what is looked up in it is prepared once.</summary>
    private TrafficRules TrafficNow()
    {
        var known = _traffic;
        if (ReferenceEquals(_known, Routings.Items) && ReferenceEquals(known?.Rules, RulesByHost.Items)) return known!;
        _known = Routings.Items;
        var now = new TrafficRules(RoutingsByHost.Items, RulesByHost.Items)
        {
            ListedByGateway = GatewayRoutings.Listed.Items, ByGatewayHost = GatewayRoutings.ByHost.Items,
            HasWildcards = _wildcards.Count > 0,
        };
        return _traffic = now;
    }

    /// <summary>The gateways of networks as found, including those that are not ready.</summary>
    public IEnumerable<NetworkGateway> Gateways => GatewaySets.Items.Values.SelectMany(set => set.Gateways);

    /// <summary>Whether MeshConfig, or Istio's defaults, keep a host to each cluster.</summary>
    public bool IsClusterLocal(string host) =>
        ServiceAgreement.IsClusterLocal(host, (Sources.Settings.Items.GetValueOrDefault("") ?? MeshSettings.Default).Mesh);

    /// <summary>The network that the Pods of a cluster are in, unless their labels say otherwise; empty when nothing says it.</summary>
    public string NetworkOf(string cluster)
    {
        var settings = Sources.Settings.Items.GetValueOrDefault("") ?? MeshSettings.Default;
        return Sources.Namespaces.Items.TryGetValue(new(cluster, "", settings.Mesh.SystemNamespace), out var system) && system.Network.Length > 0
            ? system.Network : settings.Networks.OfRegistry(cluster);
    }

    /// <summary>Host names of gateways that have to be resolved into <see cref="MeshSources.ResolvedHosts"/>.</summary>
    public IReadOnlyList<(string Host, ValueList<string> Clusters)> GatewayHostNames =>
    [
        .. GatewaySets.Items.Values.SelectMany(set => set.Names).GroupBy(name => name.Host, StringComparer.Ordinal)
            .Select(group => (group.Key,
                group.Select(name => name.Cluster).Where(cluster => cluster.Length > 0).Distinct().Order(StringComparer.Ordinal).ToValueList())),
    ];

    /// <summary>Where the control plane has to fetch keys of issuers: proxies fetch only those that hosts of the mesh serve without TLS.</summary>
    public IReadOnlySet<KeyPlace> KeyPlaces => Sources.RequestAuthentications.Items.Values.SelectMany(policy => policy.Rules)
        .Where(rule => rule.Jwks.Length == 0 && (rule.JwksUri.Length == 0 ? rule.Place.Discovery is not null : !IsServedHere(new(rule.JwksUri))))
        .Select(rule => rule.Place).ToHashSet();

    private bool IsServedHere(Uri uri) =>
        uri.Scheme == "http" && Services.Items.Keys.Any(host => host == uri.Host || host.StartsWith($"{uri.Host}.", StringComparison.Ordinal));

    private IEnumerable<KeyValuePair<string, AddressNeed>> Needs(Reader read, MeshService service) =>
        _hosts.NeedsAddress(service, Clusters(read)) ? One(service.Hostname, new AddressNeed(service.Hostname)) : [];

    private IEnumerable<KeyValuePair<string, MeshService>> Addressed(Reader read, MeshService service) =>
        One(service.Hostname, _hosts.WithAllocated(service, read.Get(Sources.Allocated, service.Hostname)?.Addresses ?? default, Clusters(read)));

    private ValueList<string> Clusters(Reader read) => read.Get(_clusterIds, "")?.Ids ?? default;

    private IEnumerable<KeyValuePair<ObjectKey, RouteSet>> RoutesOf(Reader read, VirtualService routing)
    {
        var source = routing.Source;
        var mesh = (read.Get(Sources.Settings, "") ?? MeshSettings.Default).Mesh;
        var merged = Delegation.Merge(routing, name => read.Get(_routings, new ObjectKey(source.Cluster, name.Namespace, name.Name)));
        if (merged.ExportTo.IsEmpty) merged = merged with { ExportTo = mesh.DefaultVirtualServiceExportTo };
        return One(KeyOf(source), merged.ToRoutes());
    }

    private static ObjectKey KeyOf(ObjectRef source) => new(source.Cluster, source.Namespace, source.Name);

    /// <summary>What the objects of a collection ask for about callers: each trait once, whoever asks.</summary>
    private static Live<CallerTrait, CountedTrait> Traits<TKey, T>(Live<TKey, T> objects, Func<T, string> key, Func<T, IEnumerable<CallerTrait>> of,
        string name) where TKey : notnull where T : IEquatable<T> => objects
            .Derive((_, item) => of(item).Distinct().Select(trait => KeyValuePair.Create($"{key(item)} {trait.Fact} {trait.Label}", new CountedTrait(trait))),
                $"traits of {name}")
            .GroupBy(counted => counted.Trait, $"traits of {name} together")
            .Derive((_, all) => One(all[0].Trait, all[0]), $"counted traits of {name}");

    private static KeyValuePair<TKey, T>[] One<TKey, T>(TKey key, T value) => [KeyValuePair.Create(key, value)];
}
