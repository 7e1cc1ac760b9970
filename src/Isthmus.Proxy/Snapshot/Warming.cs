using Google.Protobuf;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Tls;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;

namespace Isthmus.Proxy.Snapshot;

/// <summary>
/// Which resources are in use, and which wait for others that they need (Envoy: warming). It decides and does nothing: it starts no task,
/// opens no socket, reads no clock and takes no lock. Each method takes what happened and returns what follows. A change costs what needs
/// the changed resource, not all that there is.
/// </summary>
/// <param name="create">Makes the runtime state of a cluster; the second is that of an earlier resource of its name.</param>
internal sealed class Warming(Func<ClusterSnapshot, ClusterState?, ClusterState> create)
{
    /// <summary>Envoy's <c>initial_fetch_timeout</c>: how long a listener waits for the first clusters, and for a secret that nobody says is
    /// missing.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly Dictionary<string, ResourceEntry<ClusterState>> _clusters = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ResourceEntry<ListenerSnapshot>> _listeners = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ResourceEntry<RouteTable>> _routes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ResourceEntry<LoadAssignment>> _assignments = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Type, string Name), Rejection> _rejections = [];
    private readonly Dictionary<string, string> _versions = new(StringComparer.Ordinal);
    private readonly NeedIndex _neededEndpoints = new(), _neededRoutes = new(), _neededSecrets = new();
    private readonly HashSet<string> _waitingClusters = new(StringComparer.Ordinal), _waitingListeners = new(StringComparer.Ordinal);
    private readonly HashSet<ClusterState> _resolving = [], _resolved = [], _checking = [], _checked = [];
    private ProxySnapshot _current = ProxySnapshot.Empty;
    private bool _hasClusters;

    public ResourceBooks Books => new(_clusters, _listeners, _routes, _assignments, _versions);

    public IReadOnlyCollection<Rejection> Rejections => _rejections.Values;

    /// <summary>The first listeners have arrived and are all in use.</summary>
    public bool HasListeners { get; private set; }

    /// <summary>Something waits, so a secret or the time can change what is in use.</summary>
    public bool IsWaiting => _waitingClusters.Count + _waitingListeners.Count > 0;

    /// <summary>Names of the load assignments that clusters need, in order.</summary>
    public IReadOnlyList<string> WantedEndpoints => _neededEndpoints.Names;

    /// <summary>Names of the route tables that listeners need, in order.</summary>
    public IReadOnlyList<string> WantedRoutes => _neededRoutes.Names;

    /// <summary>Names of the certificates and roots that the control plane must provide, or that are in files, in order.</summary>
    public IReadOnlyList<string> WantedSecrets => _neededSecrets.Names;

    /// <summary>Resources have arrived. Those that are not valid are refused; their last good versions stay.</summary>
    public Consequences Apply(ResourceUpdate update, Surroundings around) => Follow(around, result =>
    {
        _versions[update.TypeUrl] = update.Version;
        foreach (var resource in update.Changed)
        {
            try
            {
                if (!IsKnown(update.TypeUrl, resource)) Take(update.TypeUrl, resource, around, result);
                _rejections.Remove((update.TypeUrl, resource.Name));
            }
            catch (Exception e) when (ResourceException.IsFault(e))
            {
                var rejection = new Rejection(update.TypeUrl, resource.Name, e.Message, resource.Version, around.Now);
                _rejections[(update.TypeUrl, resource.Name)] = rejection;
                result.Rejected.Add(rejection);
            }
        }
        foreach (var name in update.Removed) Remove(update.TypeUrl, name, result);
    });

    /// <summary>The names of a cluster were resolved for the first time.</summary>
    public Consequences Resolve(ClusterState cluster, Surroundings around) => Follow(around, result =>
    {
        if (_resolving.Contains(cluster) && _resolved.Add(cluster)) SettleCluster(cluster.Config.Name, around, result);
    });

    /// <summary>The first hosts of a cluster were checked for the first time.</summary>
    public Consequences Check(ClusterState cluster, Surroundings around) => Follow(around, result =>
    {
        if (_checking.Contains(cluster) && _checked.Add(cluster)) SettleCluster(cluster.Config.Name, around, result);
    });

    /// <summary>A secret came or is known to be missing, or time has passed: nothing waits forever.</summary>
    public Consequences Look(Surroundings around) => Follow(around, result =>
    {
        foreach (var name in _waitingClusters.ToArray()) SettleCluster(name, around, result);
        foreach (var name in _waitingListeners.ToArray()) SettleListener(name, around, result);
    });

    private Consequences Follow(Surroundings around, Action<Consequences> change)
    {
        var (result, isEarly) = (new Consequences(), !_hasClusters);
        change(result);
        if (isEarly)
            foreach (var name in _waitingListeners.ToArray()) SettleListener(name, around, result);
        HasListeners |= _versions.ContainsKey(TypeUrls.Listener) && _waitingListeners.All(name => _listeners[name].Active is not null);
        if (result.Next is not null) result.Next = _current = new(_current.Version + 1, Active(_listeners), Active(_clusters), Active(_routes));
        return result;
    }

    /// <summary>An equal resource changes nothing.</summary>
    private bool IsKnown(string typeUrl, NamedResource resource) => typeUrl switch
    {
        TypeUrls.Cluster => IsEqual(_clusters, resource),
        TypeUrls.Listener => IsEqual(_listeners, resource),
        TypeUrls.Route => IsEqualTable(resource),
        TypeUrls.Endpoints => IsEqual(_assignments, resource),
        _ => throw new ResourceException($"{typeUrl} is not known"),
    };

    private static bool IsEqual<T>(Dictionary<string, ResourceEntry<T>> entries, NamedResource resource)
        where T : class
    {
        if (!entries.TryGetValue(resource.Name, out var entry) || !entry.Bytes.Equals(resource.Value.Value)) return false;
        entry.Version = resource.Version;
        return true;
    }

    private bool IsEqualTable(NamedResource resource)
    {
        if (!_routes.TryGetValue(resource.Name, out var entry) || !entry.Active!.Parts.Equals(PartsOf(resource))) return false;
        entry.Version = resource.Version;
        return true;
    }

    private static XdsParts PartsOf(NamedResource resource) =>
        resource.Parts ?? XdsParts.Split(resource.Value.Value, RouteConfiguration.VirtualHostsFieldNumber);

    private void Take(string typeUrl, NamedResource resource, Surroundings around, Consequences result)
    {
        var (name, bytes) = (resource.Name, resource.Value.Value);
        switch (typeUrl)
        {
            case TypeUrls.Cluster:
                var before = _clusters.TryGetValue(name, out var earlier) ? earlier.Waiting ?? earlier.Active : null;
                var cluster = create(ClusterDecoder.Decode(bytes), before);
                Change(name, Put(_clusters, resource, around), entry =>
                {
                    if (entry.Waiting is { } dropped) Retire(dropped, result);
                    entry.Waiting = cluster;
                });
                _waitingClusters.Add(name);
                if (cluster.Config.Kind == ClusterKind.Eds && _assignments.TryGetValue(cluster.Config.AssignmentName, out var known))
                    result.Fed.Add((cluster, known.Active!));
                if (cluster.Config.Zones is not null && _assignments.TryGetValue(OwnZones.Assignment, out var own)) result.Placed.Add((cluster, own.Active));
                SettleCluster(name, around, result);
                break;
            case TypeUrls.Listener:
                var listener = ListenerDecoder.Decode(bytes);
                Change(name, Put(_listeners, resource, around), entry => entry.Waiting = listener);
                _waitingListeners.Add(name);
                SettleListener(name, around, result);
                break;
            case TypeUrls.Route:
                var routes = RouteDecoder.Decode(PartsOf(resource), _routes.GetValueOrDefault(name)?.Active);
                Put(_routes, resource, around).Active = routes;
                Publish(result);
                foreach (var dependent in _neededRoutes.Of(name)) SettleListener(dependent, around, result);
                break;
            case TypeUrls.Endpoints:
                var assignment = EndpointDecoder.Decode(ClusterLoadAssignment.Parser.ParseFrom(bytes));
                Put(_assignments, resource, around).Active = assignment;
                foreach (var dependent in _neededEndpoints.Of(name)) Feed(dependent, name, assignment, around, result);
                break;
        }
    }

    private static ResourceEntry<T> Put<T>(Dictionary<string, ResourceEntry<T>> entries, NamedResource resource, Surroundings around)
        where T : class
    {
        if (!entries.TryGetValue(resource.Name, out var entry)) entries[resource.Name] = entry = new();
        entry.Version = resource.Version;
        entry.Updated = around.Now;
        entry.Bytes = resource.Value.Value;
        return entry;
    }

    private void Feed(string name, string assignmentName, LoadAssignment assignment, Surroundings around, Consequences result)
    {
        var entry = _clusters[name];
        foreach (var cluster in new[] { entry.Active, entry.Waiting })
            if (cluster?.Config.Zones is not null && assignmentName == OwnZones.Assignment) result.Placed.Add((cluster, assignment));
            else if (cluster?.Config is { Kind: ClusterKind.Eds } config && config.AssignmentName == assignmentName) result.Fed.Add((cluster, assignment));
        SettleCluster(name, around, result);
    }

    private void Remove(string typeUrl, string name, Consequences result)
    {
        _rejections.Remove((typeUrl, name));
        switch (typeUrl)
        {
            case TypeUrls.Cluster when _clusters.Remove(name, out var cluster):
                _waitingClusters.Remove(name);
                var (active, waiting) = (cluster.Active, cluster.Waiting);
                Change(name, cluster, entry => entry.Active = entry.Waiting = null);
                if (active is not null) Publish(result);
                foreach (var each in new[] { active, waiting })
                    if (each is not null) Retire(each, result);
                break;
            case TypeUrls.Listener when _listeners.Remove(name, out var listener):
                _waitingListeners.Remove(name);
                if (listener.Active is not null) Publish(result);
                Change(name, listener, entry => entry.Active = entry.Waiting = null);
                break;
            case TypeUrls.Route when _routes.Remove(name): Publish(result); break;
            case TypeUrls.Endpoints when _assignments.Remove(name) && name == OwnZones.Assignment:
                foreach (var entry in _neededEndpoints.Of(name).Select(dependent => _clusters[dependent]))
                    foreach (var placed in new[] { entry.Active, entry.Waiting }.OfType<ClusterState>()) result.Placed.Add((placed, null));
                break;
        }
    }

    private void SettleCluster(string name, Surroundings around, Consequences result)
    {
        var entry = _clusters[name];
        if (entry.Waiting is not { } waiting || !IsReady(waiting, around, result)) return;
        if (entry.Active is { } old) Retire(old, result);
        Change(name, entry, promoted => (promoted.Active, promoted.Waiting) = (waiting, null));
        _waitingClusters.Remove(name);
        Publish(result);
    }

    private bool IsReady(ClusterState cluster, Surroundings around, Consequences result)
    {
        // A cluster whose secret does not exist replaces the one before: that one may be less strict. Its connections fail.
        if (cluster.Config.Secrets.Any(secret => around.Secret(secret) == SecretStanding.Awaited)) return false;
        if (!HasHosts(cluster, result)) return false;
        if (cluster.Health is null) return true;
        // As in Envoy: before their first check, all hosts are unhealthy, so the cluster could only refuse requests.
        if (_checking.Add(cluster)) result.Unchecked.Add(cluster);
        return _checked.Contains(cluster);
    }

    private bool HasHosts(ClusterState cluster, Consequences result)
    {
        switch (cluster.Config.Kind)
        {
            case ClusterKind.Eds:
                return _assignments.ContainsKey(cluster.Config.AssignmentName);
            case ClusterKind.StrictDns or ClusterKind.LogicalDns:
                if (_resolving.Add(cluster)) result.Unresolved.Add(cluster);
                return _resolved.Contains(cluster);
            default:
                return true;
        }
    }

    private void SettleListener(string name, Surroundings around, Consequences result)
    {
        var entry = _listeners[name];
        if (entry.Waiting is not { } waiting || !HasClusters(entry, around) || !waiting.Chains.All.All(HasRoutes)) return;
        var lacking = LackingListener.Lacks(waiting, around.Has).ToList();
        if (lacking.Count == 0)
        {
            Change(name, entry, promoted => (promoted.Active, promoted.Waiting, promoted.Partly) = (waiting, null, null));
            _waitingListeners.Remove(name);
            Publish(result);
            return;
        }
        var hasWaited = around.Now - entry.Updated >= Patience;
        if (!lacking.All(secret => around.Secret(secret) == SecretStanding.Absent || (hasWaited && CanDoWithout(secret)))) return;
        var names = string.Join(' ', lacking);
        if (entry.Partly is { } partly && ReferenceEquals(partly.From, waiting) && partly.Lacking == names) return;
        Change(name, entry, served => (served.Active, served.Partly) = (LackingListener.Serve(waiting, served.Active, around.Has), (waiting, names)));
        Publish(result);
    }

    /// <summary>The first clusters have arrived with their endpoints: before, a listener could only refuse what it accepts.</summary>
    private bool HasClusters(ResourceEntry<ListenerSnapshot> waiting, Surroundings around) => _hasClusters |=
        (_versions.ContainsKey(TypeUrls.Cluster) && _waitingClusters.All(name => _clusters[name].Active is not null))
            || around.Now - waiting.Updated >= Patience;

    private bool HasRoutes(FilterChainSnapshot chain) => chain.Action is not HttpAction { Routes: null } http || _routes.ContainsKey(http.RouteName);

    /// <summary>The proxy's own certificate is not one of many: without it, a proxy is not ready.</summary>
    private static bool CanDoWithout(string secret) =>
        DiscoveredSecrets.Has(secret) || IdentityNames.Has(secret) || secret.StartsWith("file-", StringComparison.Ordinal);

    private void Retire(ClusterState cluster, Consequences result)
    {
        result.Retired.Add(cluster);
        result.Unresolved.Remove(cluster);
        result.Unchecked.Remove(cluster);
        foreach (var clusters in (HashSet<ClusterState>[])[_resolving, _resolved, _checking, _checked]) clusters.Remove(cluster);
    }

    /// <summary>There will be a new snapshot, with all that this change brings.</summary>
    private void Publish(Consequences result) => result.Next = _current;

    private static Dictionary<string, T> Active<T>(Dictionary<string, ResourceEntry<T>> entries)
        where T : class => entries.Where(e => e.Value.Active is not null).ToDictionary(e => e.Key, e => e.Value.Active!, StringComparer.Ordinal);

    /// <summary>Changes an entry, and what it is known to need.</summary>
    private void Change<T>(string name, ResourceEntry<T> entry, Action<ResourceEntry<T>> change)
        where T : class
    {
        var before = ResourceNeeds.Of(entry);
        change(entry);
        var after = ResourceNeeds.Of(entry);
        _neededEndpoints.Move(name, before.Endpoints, after.Endpoints);
        _neededRoutes.Move(name, before.Routes, after.Routes);
        _neededSecrets.Move(name, before.Secrets, after.Secrets);
    }
}
