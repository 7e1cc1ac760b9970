using Isthmus.Core.Tasks;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Snapshot;

/// <summary>
/// The configuration in force. It takes resources as they arrive, lets <see cref="Warming"/> decide what follows, and does that: feeds
/// clusters with endpoints, publishes a new <see cref="ProxySnapshot"/> with one store, ends clusters that are gone, and resolves names.
/// </summary>
internal sealed class SnapshotState : IDisposable
{
    private readonly ProxyPorts _ports;
    private readonly ISecretSource _secrets;
    private readonly HealthChecking _check;
    private readonly string _address;
    private readonly BackgroundTasks _background;
    private readonly Warming _warming;
    private readonly Lock _changing = new();   // one change at a time, with all that follows from it
    private readonly Lock _lock = new();   // guards _warming; nothing waits for sockets while it is held
    private readonly Dictionary<ClusterState, CancellationTokenSource> _tended = [];   // clusters with tasks of their own; guarded by _changing
    private volatile ProxySnapshot _current = ProxySnapshot.Empty;
    private volatile bool _hasListeners;
    private bool _disposed;

    public SnapshotState(ProxyPorts ports, ISecretSource secrets, HealthChecking check, BackgroundTasks background, string address = "")
    {
        _address = address;
        _check = check;
        _background = background;
        _ports = ports;
        _secrets = secrets;
        _warming = new((config, before) => new ClusterState(config, ports.Time, ports.Random, before));
        _secrets.Changed += OnSecret;
    }

    public ProxySnapshot Current => _current;

    /// <summary>The first listeners have arrived and are all in use. There may be none: a gateway that nobody uses yet is
    /// ready too.</summary>
    public bool HasListeners => _hasListeners;

    /// <summary>Raised after a snapshot was published, before the next change begins; handlers must be quick.</summary>
    public event Action<ProxySnapshot>? Published;

    /// <summary>Names of the load assignments that clusters need, in order.</summary>
    public IReadOnlyList<string> WantedEndpoints => Ask(warming => warming.WantedEndpoints);

    /// <summary>Names of the route tables that listeners need, in order.</summary>
    public IReadOnlyList<string> WantedRoutes => Ask(warming => warming.WantedRoutes);

    /// <summary>Names of the certificates and roots that the control plane must provide, that are of other identities, or that are in files, in
    /// order.</summary>
    public IReadOnlyList<string> WantedSecrets => Ask(warming => warming.WantedSecrets);

    /// <summary>Rejected resources that no good version has replaced so far.</summary>
    public IReadOnlyList<Rejection> Rejections => Ask(warming => (Rejection[])[.. warming.Rejections]);

    /// <summary>Applies a change and returns the rejected resources, each with its reason (the text of the NACK).</summary>
    public IReadOnlyList<Rejection> Apply(ResourceUpdate update) => Change(warming => warming.Apply(update, Around())).Rejected;

    /// <summary>Once a second: nothing waits forever for clusters, and for secrets that some filter chains need.</summary>
    public void Look()
    {
        if (Ask(warming => warming.IsWaiting)) Change(warming => warming.Look(Around()));
    }

    /// <summary>Reads the resources for dumps, under the lock.</summary>
    public T Read<T>(Func<ResourceBooks, T> read) => Ask(warming => read(warming.Books));

    public void Dispose()
    {
        _secrets.Changed -= OnSecret;
        lock (_changing)
        {
            _disposed = true;
            foreach (var tasks in _tended.Values) tasks.Cancel();
            _tended.Clear();
        }
    }

    private T Ask<T>(Func<Warming, T> question)
    {
        lock (_lock) return question(_warming);
    }

    private Consequences Change(Func<Warming, Consequences> change)
    {
        lock (_changing)
        {
            if (_disposed) return new();
            Consequences result;
            lock (_lock) result = change(_warming);
            foreach (var (cluster, assignment) in result.Fed) cluster.Update(assignment);
            foreach (var (cluster, own) in result.Placed) cluster.Place(own is null ? null : OwnZones.Of(own, _address));
            if (result.Next is { } next)
            {
                _current = next;
                Published?.Invoke(next);
            }
            foreach (var cluster in result.Retired) Retire(cluster);
            foreach (var cluster in result.Unresolved) Resolve(cluster);
            foreach (var cluster in result.Unchecked) Check(cluster);
            _hasListeners = Ask(warming => warming.HasListeners);
            return result;
        }
    }

    private Surroundings Around() => new(_ports.Time.GetUtcNow(), secret =>
        _secrets.FindCertificate(secret) is not null || _secrets.FindRoots(secret) is not null ? SecretStanding.There
        : _secrets.IsAbsent(secret) ? SecretStanding.Absent : SecretStanding.Awaited);

    private void Resolve(ClusterState cluster)
    {
        var refresh = new DnsRefresh(cluster, _ports.Resolver, _ports.Time);
        var stop = Tend(cluster);
        // The refresh ends with its token, which Retire and Dispose cancel.
        _background.Start($"DNS refresh of {cluster.Config.Name}", () => refresh.RunAsync(() => Change(warming => warming.Resolve(cluster, Around())), stop));
    }

    private void Check(ClusterState cluster)
    {
        var stop = Tend(cluster);
        // The checks end with their token, as above.
        _background.Start($"health checks of {cluster.Config.Name}", () => _check(cluster, () => Change(warming => warming.Check(cluster, Around())), stop));
    }

    /// <summary>When the cluster's tasks must end.</summary>
    private CancellationToken Tend(ClusterState cluster)
    {
        if (!_tended.TryGetValue(cluster, out var tasks)) _tended[cluster] = tasks = new();
        return tasks.Token;
    }

    private void OnSecret(string name) => Look();

    private void Retire(ClusterState cluster)
    {
        cluster.Retire();
        if (!_tended.Remove(cluster, out var tasks)) return;
        tasks.Cancel();
        tasks.Dispose();
    }
}

/// <summary>Checks the hosts of a cluster until it is stopped.</summary>
/// <param name="warmed">To be called once, when each of the first hosts was checked.</param>
internal delegate Task HealthChecking(ClusterState cluster, Action warmed, CancellationToken stop);
