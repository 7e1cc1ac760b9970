using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Running;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>What to watch of a cluster.</summary>
/// <param name="Kinds">The table of kinds.</param>
/// <param name="SystemNamespace">The namespace of settings.</param>
/// <param name="Home">The cluster that runs the control plane, if it is not the configuration cluster.</param>
public sealed record WatchScope(MeshKinds Kinds, string SystemNamespace, KubeClient? Home = null)
{
    internal IEnumerable<MeshKind> For(MeshCluster cluster) =>
        Kinds.All.Where(kind => cluster.IsConfig || kind.Place == KindPlace.EveryCluster
            || (kind.Place == KindPlace.CredentialClusters && Kinds.Secrets.InRemotes));

    internal string? NamespaceOf(MeshKind kind) => kind.Place == KindPlace.HomeNamespace ? SystemNamespace : kind.Namespace;

    internal KubeClient ClientOf(MeshKind kind, KubeClient client) => kind.Place == KindPlace.HomeNamespace ? Home ?? client : client;
}

/// <summary>
/// Watches one cluster's objects for as long as it belongs to the mesh. While its API server is unreachable, its last known objects stay.
/// Nothing runs before <see cref="Start"/>.
/// </summary>
public sealed class ClusterWatch : IAsyncDisposable
{
    private static readonly TimeSpan ContactInterval = TimeSpan.FromSeconds(1);

    private readonly MeshCluster _cluster;
    private readonly IClusterObjects _objects;
    private readonly Supervisor _tasks;
    private readonly TimeProvider _time;
    private readonly ServedKinds _served;
    private readonly IReadOnlyList<KindWatch> _kinds;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _guard = new(); // Guards _running.
    private readonly Dictionary<string, RunningTask> _running = new(StringComparer.Ordinal);
    private long _snapshotOf;

    /// <param name="number">Which watch of the cluster this is; a later one has a higher number.</param>
    public ClusterWatch(MeshCluster cluster, long number, WatchScope scope, IClusterObjects objects, Supervisor tasks, TimeProvider time)
    {
        (_cluster, _objects, _tasks, _time) = (cluster, objects, tasks, time);
        Watch = new(cluster.Id, number);
        Client = new KubeClient(cluster.Access, "isthmus-discovery");
        var outage = new ServerOutage(time);
        _served = new(Client, new() { Outage = outage, ConsumerFailed = e => tasks.Failed(Definitions, e) }, time);
        var discovered = new DiscoveredKinds(Client, time);
        _kinds = [.. scope.For(cluster).Select(kind => (Kind: kind, Client: scope.ClientOf(kind, Client)))
            .Select(item => item.Kind.Watch(Watch, item.Kind.IsOptionalIn(cluster.IsConfig),
            // A kind that the mesh cannot do without is an error while it is not served.
            !item.Kind.IsOptionalIn(cluster.IsConfig) ? null : item.Kind.Descriptor.IsDiscovered ? discovered : item.Kind.Descriptor.IsCustom ? _served : null,
            item.Client, objects,
            new()
            {
                Namespace = scope.NamespaceOf(item.Kind),
                FieldSelector = item.Kind.FieldSelector,
                // Another cluster may hold the control plane's settings.
                Outage = item.Client == Client ? outage : null,
                ConsumerFailed = e => tasks.Failed(NameOf(item.Kind), e),
            },
            time))];
        Synced = Task.WhenAll(_kinds.Select(kind => kind.Synced));
        FirstFailure = Task.WhenAny(Required.Select(kind => kind.FirstFailure));
    }

    public string Id => _cluster.Id;

    /// <summary>The kinds that were never listed completely, each with what the API server, or the connection to it, says; null until then.</summary>
    internal IEnumerable<(ResourceKind Kind, Exception? Error)> Unlisted =>
        _kinds.Where(kind => !kind.Synced.IsCompletedSuccessfully).Select(kind => (kind.Kind.Resource, kind.LastError));

    /// <summary>The Secret that names the cluster; empty for the configuration cluster.</summary>
    public string Secret => _cluster.Secret;

    public ClusterAccess Access => _cluster.Access;

    public KubeClient Client { get; }

    internal WatchId Watch { get; }

    /// <summary>Completes when every kind that the cluster has is listed once.</summary>
    public Task Synced { get; }

    /// <summary>Completes when the API server could not be read for the first time.</summary>
    public Task FirstFailure { get; }

    /// <summary>Why the API server could not be read; null while all watches are up.</summary>
    public Exception? LastError => Required.Select(kind => kind.LastError).FirstOrDefault(error => error is not null);

    /// <summary>When its API server last sent something; null if never to this watch.</summary>
    public DateTimeOffset? LastContact => Required.Select(kind => kind.LastContact).Max();

    /// <summary>When the snapshot that is served until <see cref="Synced"/> was last confirmed; null if there is no snapshot.</summary>
    public DateTimeOffset? SnapshotOf
    {
        get => Volatile.Read(ref _snapshotOf) is var ticks and > 0 ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;
        set => Volatile.Write(ref _snapshotOf, value?.UtcTicks ?? 0);
    }

    /// <summary>The kinds that are watched.</summary>
    internal IEnumerable<ResourceKind> Watched => _kinds.Select(kind => kind.Kind.Resource);

    /// <summary>The resource version up to which changes of a kind were passed on; null if unknown.</summary>
    internal string? VersionOf(ResourceKind resource) => _kinds.FirstOrDefault(kind => kind.Kind.Resource == resource)?.Version;

    public ClusterContact Contact
    {
        get
        {
            var last = LastContact;
            return new(Id, _cluster.IsConfig, Connected: LastError is null && last is not null, Synced.IsCompletedSuccessfully, last?.ToUnixTimeSeconds() ?? 0,
                Secret);
        }
    }

    /// <summary>What the mesh cannot do without, and where.</summary>
    internal IEnumerable<(ResourceKind Kind, string? Namespace)> Needed => Required.Select(kind => (kind.Kind.Resource, kind.Kind.Namespace));

    private IEnumerable<KindWatch> Required => _kinds.Where(kind => !kind.IsOptional);

    /// <summary>Starts watching; does nothing if already started.</summary>
    public void Start()
    {
        foreach (var kind in _kinds) Run(NameOf(kind.Kind), kind.RunAsync);
        Run(Definitions, _served.RunAsync);
    }

    /// <summary>From now on this watch reports the state of the connection to its cluster.</summary>
    public void ReportContact() => Run($"contact to {Id}", ReportContactAsync);

    /// <summary>Whether it was <see cref="Synced"/> before it was disposed: nothing must wait for a watch that has ended.</summary>
    public async Task<bool> SyncedInTimeAsync() => await Task.WhenAny(Synced, _ended.Task) != _ended.Task;

    public async ValueTask DisposeAsync()
    {
        List<RunningTask> running;
        lock (_guard)
        {
            _ended.TrySetResult();
            running = [.. _running.Values];
        }
        await Task.WhenAll(running.Select(task => task.StopAsync()));
        Client.Dispose();
    }

    private string Definitions => $"watch of {Kinds.CustomResourceDefinition} in {Id}";

    private string NameOf(MeshKind kind) =>
        (kind.Namespace ?? (kind.Place == KindPlace.HomeNamespace ? "of the mesh" : null)) is { } ns
            ? $"watch of {kind.Resource} in namespace {ns} of {Id}"
            : $"watch of {kind.Resource} in {Id}";

    private void Run(string name, Func<CancellationToken, Task> work)
    {
        lock (_guard)
        {
            if (!_ended.Task.IsCompleted && !_running.ContainsKey(name)) _running[name] = _tasks.Keep(name, work);
        }
    }

    /// <summary>Reports when contact is lost or regained; the passing of time alone is not reported.</summary>
    private async Task ReportContactAsync(CancellationToken stop)
    {
        ClusterContact? reported = null;
        using var timer = new PeriodicTimer(ContactInterval, _time);
        do
        {
            var contact = Contact;
            if (reported is not null && reported with { LastContact = contact.LastContact } == contact) continue;
            await _objects.Contact(contact);
            reported = contact;
        }
        while (await timer.WaitForNextTickAsync(stop));
    }
}
