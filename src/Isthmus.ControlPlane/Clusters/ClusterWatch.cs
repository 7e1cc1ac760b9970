using Isthmus.ControlPlane.Derive;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using System.Text.Json.Nodes;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>Watches one cluster's objects for as long as it belongs to the mesh. Losing its API server loses nothing but news.</summary>
public sealed class ClusterWatch : IAsyncDisposable
{
    private static readonly TimeSpan ContactInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AnswerInterval = TimeSpan.FromMilliseconds(20);

    private readonly IClusterObjects _objects;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<(Task Synced, Func<DateTimeOffset?> LastContact, Func<Exception?> LastError)> _informers = [];
    private readonly List<Task> _optional = [];
    private readonly List<Task> _tasks = [];
    private readonly WatchId _id;
    private ClusterContact? _told;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _snapshotOf;

    /// <param name="id">The cluster, and which watch of it this is.</param>
    /// <param name="home">Where the settings of the mesh are, for the configuration cluster of a control plane that runs elsewhere.</param>
    public ClusterWatch(WatchId id, string secret, ClusterAccess access, bool isConfig, string istioNamespace, MultiClusterSettings multiCluster, IClusterObjects objects, TimeProvider time, KubeClient? home = null)
    {
        (_id, Secret, Access, IsConfig, _objects, _time) = (id, secret, access, isConfig, objects, time);
        Client = new KubeClient(access, "isthmus-discovery");
        Add<Service>(Kinds.Service);
        Add<EndpointSlice>(Kinds.EndpointSlice);
        Add<Pod>(Kinds.Pod);
        Add<Node>(Kinds.Node);
        Add<Namespace>(Kinds.Namespace);
        foreach (var kind in MultiClusterFacts.KindsOf(multiCluster)) WatchIfServed<JsonObject>(kind);
        if (!isConfig) return;
        // Istio's resources are read from the configuration cluster only.
        foreach (var kind in IstioKind.Effective)
        {
            Add<JsonObject>(new ResourceKind(kind.Group, kind.StoredVersion, kind.Kind, kind.Plural, true));
        }
        Add<ConfigMap>(Kinds.ConfigMap, istioNamespace, home);
        // Certificates of gateways: nowhere else may a control plane read Secrets.
        WatchIfServed<Secret>(Kinds.Secret, istioNamespace);
    }

    public string Id => _id.Cluster;

    internal WatchId Watch => _id;

    /// <summary>The Secret that names the cluster; empty for the configuration cluster.</summary>
    public string Secret { get; }

    public ClusterAccess Access { get; }

    public bool IsConfig { get; }

    public KubeClient Client { get; }

    /// <summary>Completes when every kind has been listed once, as far as the cluster has it.</summary>
    public Task Synced => Task.WhenAll(_informers.Select(informer => informer.Synced).Concat(_optional));

    /// <summary>Whether it was <see cref="Synced"/> before it was disposed of: what waits must not wait for a watch that is over.</summary>
    public async Task<bool> SyncedInTimeAsync() => await Task.WhenAny(Synced, _ended.Task) != _ended.Task;

    /// <summary>Why the API server could not be reached last; null while all watches are up.</summary>
    public Exception? LastError => _informers.Select(informer => informer.LastError()).FirstOrDefault(error => error is not null);

    /// <summary>When its API server said something last; null: never to this watch.</summary>
    public DateTimeOffset? LastContact => _informers.Select(informer => informer.LastContact()).Max();

    /// <summary>What an earlier control plane knew of the cluster stands in until <see cref="Synced"/>, confirmed at this time; null: nothing does.</summary>
    public DateTimeOffset? SnapshotOf
    {
        get => Volatile.Read(ref _snapshotOf) is var ticks and > 0 ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;
        set => Volatile.Write(ref _snapshotOf, value?.UtcTicks ?? 0);
    }

    public ClusterContact Contact
    {
        get
        {
            var last = LastContact;
            return new(Id, IsConfig, Connected: LastError is null && last is not null, Synced.IsCompletedSuccessfully, last?.ToUnixTimeSeconds() ?? 0, Secret);
        }
    }

    /// <summary>From now on this watch tells how the contact to its cluster is.</summary>
    public void Start() => _tasks.Add(TellContactAsync(_stop.Token));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _ended.TrySetResult();
        await Task.WhenAll(_tasks).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Client.Dispose();
        _stop.Dispose();
    }

    private void Add<T>(ResourceKind kind, string? ns = null, KubeClient? elsewhere = null) where T : class
    {
        var informer = new Informer<T>(elsewhere ?? Client, kind, new InformerSettings { Namespace = ns }, _time);
        _informers.Add((informer.Synced, () => informer.LastContact, () => informer.LastError));
        Run(informer, kind);
    }

    /// <summary>A kind that a cluster may lack, or that an account may not be allowed to read: neither says anything about the cluster's health.</summary>
    private void WatchIfServed<T>(ResourceKind kind, string? ns = null) where T : class
    {
        var informer = new Informer<T>(Client, kind, new InformerSettings { Namespace = ns, LongestBackoff = TimeSpan.FromSeconds(2) }, _time);
        _optional.Add(AnsweredAsync(informer));
        Run(informer, kind);
    }

    private async Task AnsweredAsync<T>(Informer<T> informer) where T : class
    {
        while (!informer.Synced.IsCompleted && informer.LastError is not KubeException { Code: 403 or 404 }) await Task.Delay(AnswerInterval, _time, _stop.Token);
    }

    private void Run<T>(Informer<T> informer, ResourceKind kind) where T : class
    {
        var first = true;
        _tasks.Add(Task.Run(() => informer.RunAsync(async changes =>
        {
            // The first list replaces what an earlier watch of the cluster, with other credentials, had brought.
            if (first) await _objects.Replace(_id, kind, [.. changes.Where(change => change.Object is not null).Select(change => KeyValuePair.Create(change.Key, change.Object!))]);
            else await _objects.Apply(_id, kind, changes);
            first = false;
        }, _stop.Token)));
    }

    /// <summary>Tells when contact is lost or regained; the passing of time alone is no news.</summary>
    private async Task TellContactAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(ContactInterval, _time);
        do
        {
            var contact = Contact;
            if (_told is not null && _told with { LastContact = contact.LastContact } == contact) continue;
            _told = contact;
            await _objects.Contact(contact);
        }
        while (await timer.WaitForNextTickAsync(stop));
    }
}
