using Google.Protobuf;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Tls;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Proxy.Snapshot;

/// <summary>
/// The one mutable holder of configuration: takes resources as they arrive, rejects bad ones individually, holds clusters
/// and listeners back until their dependencies are there (endpoints, routes, secrets, first DNS answers), and publishes a
/// new <see cref="ProxySnapshot"/> with one store.
/// </summary>
internal sealed class SnapshotState : IDisposable
{
    /// <summary>Envoy's <c>initial_fetch_timeout</c>: how long a listener waits for the first clusters, and for a secret that nobody says is
    /// missing.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly ProxyPorts _ports;
    private readonly ISecretSource _secrets;
    private readonly BackgroundTasks _background;
    private readonly Lock _lock = new();   // guards every field below; readers use Current alone
    private readonly Dictionary<string, Entry<ClusterState>> _clusters = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Entry<ListenerSnapshot>> _listeners = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Entry<RouteTable>> _routes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Entry<LoadAssignment>> _assignments = new(StringComparer.Ordinal);
    private readonly Dictionary<ClusterState, CancellationTokenSource> _resolving = [];
    private readonly HashSet<ClusterState> _resolved = [];
    private readonly Dictionary<(string Type, string Name), Rejection> _rejections = [];
    private readonly Dictionary<string, string> _versions = new(StringComparer.Ordinal);
    private volatile ProxySnapshot _current = ProxySnapshot.Empty;
    private volatile bool _hasListeners;
    private bool _hasClusters;
    private bool _disposed;

    /// <summary>A resource in use and possibly a newer one that still waits.</summary>
    internal sealed class Entry<T>
        where T : class
    {
        public T? Active;
        public T? Waiting;
        public string Version = "";
        public DateTimeOffset Updated;
        public ByteString Bytes = ByteString.Empty;

        /// <summary>The waiting resource is served already, without these secrets.</summary>
        public (T From, string Lacking)? Partly;
    }

    public SnapshotState(ProxyPorts ports, ISecretSource secrets, BackgroundTasks background)
    {
        _background = background;
        _ports = ports;
        _secrets = secrets;
        _secrets.Changed += OnSecret;
    }

    public ProxySnapshot Current => _current;

    /// <summary>The first listeners have arrived and are all in use. There may be none: a gateway that nobody uses yet is
    /// ready too.</summary>
    public bool HasListeners => _hasListeners;

    /// <summary>Raised inside the writer after a snapshot was published; handlers must be quick.</summary>
    public event Action<ProxySnapshot>? Published;

    /// <summary>Raised when <see cref="WantedEndpoints"/> or <see cref="WantedRoutes"/> changed: the xDS client subscribes
    /// to them.</summary>
    public event Action? WantedChanged;

    /// <summary>Names of the load assignments that clusters ask for, in order.</summary>
    public IReadOnlyList<string> WantedEndpoints { get; private set; } = [];

    /// <summary>Names of the route tables that listeners ask for, in order.</summary>
    public IReadOnlyList<string> WantedRoutes { get; private set; } = [];

    /// <summary>Names of the certificates and roots that the control plane must provide, in order.</summary>
    public IReadOnlyList<string> WantedSecrets { get; private set; } = [];

    /// <summary>Rejected resources that no good version has replaced so far.</summary>
    public IReadOnlyList<Rejection> Rejections
    {
        get
        {
            lock (_lock) return [.. _rejections.Values];
        }
    }

    /// <summary>
    /// Clusters and listeners have arrived, and their sockets can be served. A gateway may have no listener yet; a sidecar without its listeners would drop its Pod's traffic.
    /// </summary>
    public bool IsReady(bool isSidecar)
    {
        lock (_lock)
        {
            if (!_versions.ContainsKey(TypeUrls.Cluster) || !_versions.ContainsKey(TypeUrls.Listener)) return false;
            var bound = _listeners.Values.Where(l => (l.Active ?? l.Waiting)!.BindToPort).ToArray();
            return isSidecar ? bound.Length > 0 && bound.All(l => l.Active is not null) : bound.Length == 0 || bound.Any(l => l.Active is not null);
        }
    }

    /// <summary>Applies a change and returns the rejected resources, each with its reason (the text of the NACK).</summary>
    public IReadOnlyList<Rejection> Apply(ResourceUpdate update)
    {
        var rejected = new List<Rejection>();
        bool wanted;
        lock (_lock)
        {
            _versions[update.TypeUrl] = update.Version;
            foreach (var resource in update.Changed)
            {
                try
                {
                    Take(update.TypeUrl, resource);
                    _rejections.Remove((update.TypeUrl, resource.Name));
                }
                catch (Exception e) when (e is ResourceException or InvalidProtocolBufferException)
                {
                    var rejection = new Rejection(update.TypeUrl, resource.Name, e.Message, resource.Version, _ports.Time.GetUtcNow());
                    _rejections[(update.TypeUrl, resource.Name)] = rejection;
                    rejected.Add(rejection);
                }
            }
            foreach (var name in update.Removed) Remove(update.TypeUrl, name);
            wanted = Settle(isNeedChanged: update.TypeUrl is TypeUrls.Cluster or TypeUrls.Listener);
        }
        if (wanted) WantedChanged?.Invoke();
        return rejected;
    }

    /// <summary>Once a second: listeners do not wait forever for clusters, and for secrets that some of their chains need.</summary>
    public void Look()
    {
        lock (_lock)
        {
            if (!_disposed && _listeners.Values.Any(entry => entry.Waiting is not null)) Settle();
        }
    }

    /// <summary>Reads the state for dumps, under the lock.</summary>
    public T Read<T>(Func<ResourceBooks, T> read)
    {
        lock (_lock) return read(new(_clusters, _listeners, _routes, _assignments, _versions));
    }

    public void Dispose()
    {
        _secrets.Changed -= OnSecret;
        lock (_lock)
        {
            _disposed = true;
            foreach (var resolving in _resolving.Values) resolving.Cancel();
            _resolving.Clear();
        }
    }

    private void Take(string typeUrl, NamedResource resource)
    {
        switch (typeUrl)
        {
            case TypeUrls.Cluster:
                var cluster = Cluster.Parser.ParseFrom(resource.Value.Value);
                if (Begin(_clusters, resource) is { } clusterEntry) Replace(clusterEntry, resource, () => new ClusterState(ClusterDecoder.Decode(cluster), _ports.Time, _ports.Random), _clusters);
                break;
            case TypeUrls.Listener:
                var listener = Listener.Parser.ParseFrom(resource.Value.Value);
                if (Begin(_listeners, resource) is { } listenerEntry) Replace(listenerEntry, resource, () => ListenerDecoder.Decode(listener), _listeners);
                break;
            case TypeUrls.Route:
                var route = RouteConfiguration.Parser.ParseFrom(resource.Value.Value);
                if (Begin(_routes, resource) is { } routeEntry) Replace(routeEntry, resource, () => RouteDecoder.Decode(route), _routes);
                break;
            case TypeUrls.Endpoints:
                var assignment = ClusterLoadAssignment.Parser.ParseFrom(resource.Value.Value);
                if (Begin(_assignments, resource) is { } assignmentEntry) Replace(assignmentEntry, resource, () => EndpointDecoder.Decode(assignment), _assignments);
                break;
            default:
                throw new ResourceException($"{typeUrl} is not known");
        }
    }

    // Null when the bytes equal the current ones: an equal resource changes nothing.
    private Entry<T>? Begin<T>(Dictionary<string, Entry<T>> entries, NamedResource resource)
        where T : class
    {
        if (!entries.TryGetValue(resource.Name, out var entry)) return new();
        if (!entry.Bytes.Equals(resource.Value.Value)) return entry;
        entry.Version = resource.Version;
        return null;
    }

    private void Replace<T>(Entry<T> entry, NamedResource resource, Func<T> decode, Dictionary<string, Entry<T>> entries)
        where T : class
    {
        var decoded = decode();
        if (entry.Waiting is ClusterState dropped) Retire(dropped);
        entry.Waiting = decoded;
        entry.Version = resource.Version;
        entry.Updated = _ports.Time.GetUtcNow();
        entry.Bytes = resource.Value.Value;
        entries[resource.Name] = entry;
    }

    private void Remove(string typeUrl, string name)
    {
        _rejections.Remove((typeUrl, name));
        switch (typeUrl)
        {
            case TypeUrls.Cluster when _clusters.Remove(name, out var cluster):
                if (cluster.Active is not null) Retire(cluster.Active);
                if (cluster.Waiting is not null) Retire(cluster.Waiting);
                break;
            case TypeUrls.Listener: _listeners.Remove(name); break;
            case TypeUrls.Route: _routes.Remove(name); break;
            case TypeUrls.Endpoints: _assignments.Remove(name); break;
        }
    }

    /// <summary>Activates everything whose dependencies are now there, publishes if anything changed; returns whether the
    /// wanted names changed.</summary>
    /// <param name="isNeedChanged">Clusters or listeners are others than before; only they need resources by name.</param>
    private bool Settle(bool isNeedChanged = false)
    {
        var changed = false;
        foreach (var entry in _assignments.Values) Promote(entry, ready: true);
        foreach (var entry in _clusters.Values) changed |= SettleCluster(entry);
        foreach (var entry in _routes.Values) changed |= Promote(entry, ready: true);
        foreach (var entry in _listeners.Values) changed |= SettleListener(entry);
        changed |= _current.Clusters.Count != _clusters.Values.Count(c => c.Active is not null)
            || _current.Listeners.Count != _listeners.Values.Count(c => c.Active is not null) || _current.Routes.Count != _routes.Count;
        if (changed) Publish();
        if (!_hasListeners) _hasListeners = _versions.ContainsKey(TypeUrls.Listener) && _listeners.Values.All(l => l.Active is not null);
        return (changed || isNeedChanged) && UpdateWanted();
    }

    private static bool Promote<T>(Entry<T> entry, bool ready)
        where T : class
    {
        if (entry.Waiting is null || !ready) return false;
        entry.Active = entry.Waiting;
        entry.Waiting = null;
        return true;
    }

    private bool SettleListener(Entry<ListenerSnapshot> entry)
    {
        if (entry.Waiting is not { } waiting || !HasClusters(entry) || !waiting.Chains.All.All(HasRoutes)) return false;
        var lacking = LackingListener.Lacks(waiting, IsThere).ToList();
        if (lacking.Count > 0)
        {
            var waited = _ports.Time.GetUtcNow() - entry.Updated;
            if (!lacking.All(secret => _secrets.IsAbsent(secret) || (waited >= Patience && CanDoWithout(secret)))) return false;
            var names = string.Join(' ', lacking);
            if (entry.Partly is { } partly && ReferenceEquals(partly.From, waiting) && partly.Lacking == names) return false;
            entry.Partly = (waiting, names);
            entry.Active = LackingListener.Serve(waiting, entry.Active, IsThere);
            return true;
        }
        entry.Partly = null;
        return Promote(entry, ready: true);
    }

    /// <summary>The first clusters have arrived with their endpoints: before, a listener could only refuse what it accepts.</summary>
    private bool HasClusters(Entry<ListenerSnapshot> waiting) => _hasClusters |=
        (_versions.ContainsKey(TypeUrls.Cluster) && _clusters.Values.All(cluster => cluster.Active is not null)) || _ports.Time.GetUtcNow() - waiting.Updated >= Patience;

    private bool HasRoutes(FilterChainSnapshot chain) =>
        chain.Action is not HttpAction { Routes: null } http || (_routes.TryGetValue(http.RouteName, out var route) && route.Active is not null);

    /// <summary>The workload's own certificate is not one of many: without it, a proxy is not ready.</summary>
    private static bool CanDoWithout(string secret) => DiscoveredSecrets.Has(secret) || secret.StartsWith("file-", StringComparison.Ordinal);

    private bool SettleCluster(Entry<ClusterState> entry)
    {
        if (entry.Active is { Config.Kind: ClusterKind.Eds } active) Feed(active);
        if (entry.Waiting is not { } waiting || !IsReady(waiting)) return false;
        if (entry.Active is { } old) Retire(old);
        return Promote(entry, ready: true);
    }

    private void Feed(ClusterState cluster)
    {
        if (_assignments.TryGetValue(cluster.Config.AssignmentName, out var entry) && entry.Active is { } assignment && !ReferenceEquals(assignment, cluster.Assignment))
            cluster.Update(assignment);
    }

    private bool IsReady(ClusterState cluster)
    {
        // A cluster whose secret does not exist replaces the one before: that one may be less strict. Its connections fail.
        if (!cluster.Config.Secrets.All(secret => IsThere(secret) || _secrets.IsAbsent(secret))) return false;
        switch (cluster.Config.Kind)
        {
            case ClusterKind.Eds:
                Feed(cluster);
                return _assignments.TryGetValue(cluster.Config.AssignmentName, out var entry) && entry.Active is not null;
            case ClusterKind.StrictDns or ClusterKind.LogicalDns:
                if (!_resolving.ContainsKey(cluster)) Resolve(cluster);
                return _resolved.Contains(cluster);
            default:
                return true;
        }
    }

    private bool IsThere(string secret) => _secrets.FindCertificate(secret) is not null || _secrets.FindRoots(secret) is not null;

    private void Resolve(ClusterState cluster)
    {
        if (_disposed) return;
        var stop = new CancellationTokenSource();
        _resolving[cluster] = stop;
        var refresh = new DnsRefresh(cluster, _ports.Resolver, _ports.Time);
        // Captured here: the source may be disposed before the refresh starts.
        var token = stop.Token;
        // The refresh ends with its token, which Retire and Dispose cancel.
        _background.Start($"DNS refresh of {cluster.Config.Name}", () => refresh.RunAsync(() => OnResolved(cluster), token));
    }

    private void OnResolved(ClusterState cluster)
    {
        lock (_lock)
        {
            if (_disposed || !_resolving.ContainsKey(cluster)) return;
            _resolved.Add(cluster);
            Settle();
        }
    }

    private void OnSecret(string name)
    {
        lock (_lock)
        {
            if (!_disposed) Settle();
        }
    }

    private void Retire(ClusterState cluster)
    {
        cluster.Retire();
        _resolved.Remove(cluster);
        if (!_resolving.Remove(cluster, out var resolving)) return;
        resolving.Cancel();
        resolving.Dispose();
    }

    private void Publish()
    {
        var next = new ProxySnapshot(_current.Version + 1, Active(_listeners), Active(_clusters), Active(_routes));
        _current = next;
        Published?.Invoke(next);
    }

    private static Dictionary<string, T> Active<T>(Dictionary<string, Entry<T>> entries)
        where T : class => entries.Where(e => e.Value.Active is not null).ToDictionary(e => e.Key, e => e.Value.Active!, StringComparer.Ordinal);

    private bool UpdateWanted()
    {
        IEnumerable<ClusterState> clusters = _clusters.Values.SelectMany(e => new[] { e.Active, e.Waiting }).OfType<ClusterState>();
        string[] endpoints = [.. clusters.Where(c => c.Config.Kind == ClusterKind.Eds).Select(c => c.Config.AssignmentName).Distinct().Order(StringComparer.Ordinal)];
        var listeners = _listeners.Values.SelectMany(e => new[] { e.Active, e.Waiting }).OfType<ListenerSnapshot>();
        string[] routes = [.. listeners.SelectMany(l => l.Chains.All).Select(c => c.Action).OfType<HttpAction>()
            .Where(h => h.Routes is null).Select(h => h.RouteName).Distinct().Order(StringComparer.Ordinal)];
        string[] secrets = [.. listeners.SelectMany(l => l.Chains.All).SelectMany(c => c.Tls?.Secrets ?? []).Concat(clusters.SelectMany(c => c.Config.Secrets))
            .Where(DiscoveredSecrets.Has).Distinct().Order(StringComparer.Ordinal)];
        if (endpoints.SequenceEqual(WantedEndpoints) && routes.SequenceEqual(WantedRoutes) && secrets.SequenceEqual(WantedSecrets)) return false;
        WantedSecrets = secrets;
        WantedEndpoints = endpoints;
        WantedRoutes = routes;
        return true;
    }
}

/// <summary>The state of the configuration, to be read under its lock.</summary>
internal sealed record ResourceBooks(
    IReadOnlyDictionary<string, SnapshotState.Entry<ClusterState>> Clusters,
    IReadOnlyDictionary<string, SnapshotState.Entry<ListenerSnapshot>> Listeners,
    IReadOnlyDictionary<string, SnapshotState.Entry<RouteTable>> Routes,
    IReadOnlyDictionary<string, SnapshotState.Entry<LoadAssignment>> Assignments,
    IReadOnlyDictionary<string, string> Versions);
