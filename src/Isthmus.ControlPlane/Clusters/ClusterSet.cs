using System.Collections.Immutable;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Running;
using Isthmus.Graph.Settings;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;
using Isthmus.Kubernetes.Watch;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>
/// The clusters of the mesh: the configuration cluster, and those named by remote secrets. The only owner of watches.
/// Credentials are replaced make-before-break: the new watch syncs, then the old one ends. Nothing runs before <see cref="RunAsync"/>.
/// </summary>
public sealed partial class ClusterSet(
    DiscoverySettings settings, ClusterWatch config, KubeClient secrets, WatchedMesh mesh, TimeProvider time, ILogger<ClusterSet> log) : IAsyncDisposable
{
    /// <summary>How long proxies wait for a cluster of which only a snapshot is known.</summary>
    private static readonly TimeSpan SnapshotPatience = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan FolderInterval = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, IReadOnlyList<MeshCluster>> _bySecret = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IReadOnlyList<(string Cluster, Problem Problem)>> _problems = new(StringComparer.Ordinal);
    private volatile ImmutableDictionary<string, ClusterWatch> _watches = ImmutableDictionary<string, ClusterWatch>.Empty;
    private readonly Dictionary<string, DateTimeOffset> _since = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ClusterWatch> _next = new(StringComparer.Ordinal);
    private volatile string _folderProblem = "";
    private readonly Lock _guard = new(); // Guards the fields above, and the order of changes to _watches.
    private readonly TaskCompletionSource _secretsSeen = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _watchesBegun;

    /// <summary>The watch of the configuration cluster.</summary>
    internal ClusterWatch Config => config;

    /// <summary>The watches of remote clusters, by cluster ID.</summary>
    public IReadOnlyDictionary<string, ClusterWatch> Remotes => _watches;

    /// <summary>Completes when the remote secrets have been read once.</summary>
    public Task SecretsSeen => _secretsSeen.Task;

    /// <summary>Raised when a remote cluster's watch takes over, and (null) when the cluster has left.</summary>
    public event Action<string, ClusterWatch?>? Changed;

    /// <summary>The client of a cluster by its ID, for token reviews; null when the cluster is unknown.</summary>
    public KubeClient? ClientOf(string clusterId) =>
        clusterId.Length == 0 || clusterId == settings.ClusterId ? config.Client : _watches.GetValueOrDefault(clusterId)?.Client;

    /// <summary>Whether the objects of a cluster have been read, now or by an earlier control plane.</summary>
    public bool IsKnown(string clusterId) => clusterId == settings.ClusterId ? config.Contact.Synced
        : _watches.GetValueOrDefault(clusterId) is { } watch && (watch.Contact.Synced || watch.SnapshotOf is not null);

    /// <summary>Watches remote secrets, or the files in their place, until stopped.</summary>
    public Task RunAsync(CancellationToken stop)
    {
        config.Start();
        config.ReportContact();
        return settings.RemoteKubeconfigs.Length > 0 ? FollowFilesAsync(settings.RemoteKubeconfigs, stop) : FollowSecretsAsync(stop);
    }

    private async Task FollowSecretsAsync(CancellationToken stop)
    {
        var informer = new Informer<Secret>(secrets, Kinds.Secret,
            new InformerSettings
            {
                Namespace = settings.Namespace, LabelSelector = RemoteSecretReader.Selector, ConsumerFailed = e => mesh.Tasks.Failed("remote secrets", e)
            },
            time);
        await informer.RunAsync(changes =>
        {
            foreach (var change in changes) Read(change.Key, change.Object);
            Reconcile();
            _secretsSeen.TrySetResult();
            return ValueTask.CompletedTask;
        }, stop);
    }

    private async Task FollowFilesAsync(string path, CancellationToken stop)
    {
        var folder = new KubeconfigFolder(path, settings.ClusterId);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var changes = folder.Changes();
                foreach (var (file, content) in changes) Read(file, content);
                if (changes.Count > 0) Reconcile();
                _folderProblem = "";
                _secretsSeen.TrySetResult();
            }
            catch (IOException e)
            {
                // What is known of the files stays in force.
                if (_folderProblem != e.Message) FolderUnreadable(log, path, e.Message);
                _folderProblem = e.Message;
            }
            try { await Task.Delay(FolderInterval, time, stop); }
            catch (OperationCanceledException) when (stop.IsCancellationRequested) { return; }
        }
    }

    /// <summary>Whether a Secret or file names the cluster, even if the rest of the Secret is currently unreadable.</summary>
    public bool IsNamed(string cluster)
    {
        lock (_guard)
        {
            return _bySecret.Values.Any(clusters => clusters.Any(item => item.Id == cluster))
                || _problems.Values.Any(problems => problems.Any(item => item.Cluster == cluster));
        }
    }

    /// <summary>
    /// Ready once the own cluster is synced, and every remote one is synced or timed out: an unreachable cluster must not block the others.
    /// A cluster that is served from a snapshot times out on its first failure.
    /// </summary>
    public async Task ReadyAsync(CancellationToken stop)
    {
        await config.Synced.WaitAsync(stop);
        await _secretsSeen.Task.WaitAsync(stop);
        var remotes = Task.WhenAll(_watches.Values.Select(watch => ServedAsync(watch, stop)));
        if (settings.RemoteClusterTimeout <= TimeSpan.Zero) await remotes.WaitAsync(stop);
        else
        {
            try { await remotes.WaitAsync(settings.RemoteClusterTimeout, time, stop); }
            catch (TimeoutException) { RemotesTimedOut(log, settings.RemoteClusterTimeout.TotalSeconds); }
        }
    }

    /// <summary>What <see cref="ReadyAsync"/> waits for, a text for each cluster.</summary>
    internal IEnumerable<string> Awaited() =>
    [
        .. UnlistedKinds.Describe(config.Id, config.Unlisted),
        .. _secretsSeen.Task.IsCompleted ? (IEnumerable<string>)[] : settings.RemoteKubeconfigs.Length == 0 ? ["the remote secrets are not listed yet"]
            : [$"the folder of PILOT_MULTICLUSTER_KUBECONFIG_PATH is not read yet: {_folderProblem}"],
        .. _watches.Values.Where(watch => watch.SnapshotOf is null).SelectMany(watch => UnlistedKinds.Describe(watch.Id, watch.Unlisted)),
    ];

    private async Task ServedAsync(ClusterWatch watch, CancellationToken stop)
    {
        if (watch.SnapshotOf is null) await watch.Synced.WaitAsync(stop);
        else await Task.WhenAny(watch.Synced, watch.FirstFailure, Task.Delay(SnapshotPatience, time, stop));
    }

    /// <summary>The state of every remote cluster and of every remote secret that cannot be used.</summary>
    internal IReadOnlyList<RemoteState> States()
    {
        var now = time.GetUtcNow();
        lock (_guard)
        {
            return
            [
                .. _watches.Values.Select(watch => new RemoteState.Watched(watch, _next.GetValueOrDefault(watch.Id),
                    now - _since.GetValueOrDefault(watch.Id, now) > settings.RemoteClusterTimeout)),
                .. _problems.SelectMany(secret => secret.Value.Select(problem => new RemoteState.Invalid(problem.Cluster, secret.Key, problem.Problem))),
            ];
        }
    }

    public async ValueTask DisposeAsync()
    {
        List<ClusterWatch> all;
        lock (_guard) all = [.. _watches.Values, .. _next.Values, config];
        foreach (var watch in all) await watch.DisposeAsync();
    }

    private void Read(string key, Secret? secret)
    {
        IReadOnlyList<(string Cluster, Problem Problem)> problems;
        lock (_guard)
        {
            _bySecret.Remove(key);
            _problems.Remove(key);
            // The kubeconfig Secret of the configuration cluster has the same label.
            if (secret is null || secret.Metadata.Name == WellKnown.ConfigSecret) return;
            (_bySecret[key], problems) = RemoteSecretReader.Read(secret, settings.ClusterId);
            if (problems.Count == 0) return;
            _problems[key] = problems;
        }
        foreach (var (_, problem) in problems) SecretInvalid(log, problem.ToString());
    }

    private void Read(string path, RemoteFile? file)
    {
        lock (_guard)
        {
            _bySecret.Remove(path);
            _problems.Remove(path);
            if (file?.Cluster is { } cluster) _bySecret[path] = [cluster];
            if (file?.Problem is not { } problem) return;
            _problems[path] = [(file.Id, problem)];
        }
        SecretInvalid(log, file.Problem.ToString());
    }

    /// <summary>Reconciles the watches with the secrets. The first Secret that names a cluster owns it.</summary>
    private void Reconcile()
    {
        var wanted = new Dictionary<string, MeshCluster>(StringComparer.Ordinal);
        foreach (var cluster in _bySecret.OrderBy(entry => entry.Key, StringComparer.Ordinal).SelectMany(entry => entry.Value))
        {
            if (!wanted.TryAdd(cluster.Id, cluster))
                ClusterNamedTwice(log, cluster.Id, MeshCluster.Described(cluster.Secret), MeshCluster.Described(wanted[cluster.Id].Secret));
        }
        // A cluster whose secret became unreadable keeps its last good value: only deleting the secret removes it.
        foreach (var (id, watch) in _watches.Where(watch => !wanted.ContainsKey(watch.Key) && !IsNamed(watch.Key))) Retire(watch);
        foreach (var cluster in wanted.Values) Follow(cluster);
    }

    private void Follow(MeshCluster cluster)
    {
        ClusterWatch? begun = null, given = null;
        lock (_guard)
        {
            var (current, next) = (_watches.GetValueOrDefault(cluster.Id), _next.GetValueOrDefault(cluster.Id));
            if (next is not null ? Serves(next, cluster) : current is not null && Serves(current, cluster)) return;
            given = next;
            _next.Remove(cluster.Id);
            // Replacing credentials that never worked changes nothing else.
            if (current is null || !Serves(current, cluster)) begun = Begin(cluster, current);
        }
        if (given is not null) End(given);
        if (begun is not null) ClusterBegun(log, cluster.Id, MeshCluster.Described(cluster.Secret), cluster.Access.Server);
        if (begun is not null && _watches.GetValueOrDefault(cluster.Id) == begun) Changed?.Invoke(cluster.Id, begun);
    }

    private static bool Serves(ClusterWatch watch, MeshCluster cluster) => watch.Access == cluster.Access && watch.Secret == cluster.Secret;

    /// <summary>A running watch stays in use until the new one has listed everything: no endpoint is lost in between, even
    /// if the new credentials do not work.</summary>
    private ClusterWatch Begin(MeshCluster cluster, ClusterWatch? current)
    {
        var watch = mesh.Watch(cluster, ++_watchesBegun);
        if (current?.Contact.Synced == true)
        {
            _next[cluster.Id] = watch;
            watch.Start();
            mesh.Tasks.Start($"new credentials of {cluster.Id}", stop => PromoteAsync(watch, stop));
            return watch;
        }
        watch.SnapshotOf = current?.SnapshotOf;
        _since[cluster.Id] = time.GetUtcNow();
        _watches = _watches.SetItem(cluster.Id, watch);
        watch.Start();
        watch.ReportContact();
        if (current is not null) End(current);
        return watch;
    }

    private async Task PromoteAsync(ClusterWatch watch, CancellationToken stop)
    {
        if (!await watch.SyncedInTimeAsync().WaitAsync(stop)) return;
        ClusterWatch? old;
        lock (_guard)
        {
            if (!_next.Remove(watch.Id, out var next)) return;
            if (next != watch)
            {
                _next[watch.Id] = next;
                return;
            }
            old = _watches.GetValueOrDefault(watch.Id);
            _since[watch.Id] = time.GetUtcNow();
            _watches = _watches.SetItem(watch.Id, watch);
        }
        watch.ReportContact();
        CredentialsChanged(log, watch.Id, MeshCluster.Described(watch.Secret), watch.Access.Server);
        Changed?.Invoke(watch.Id, watch);
        if (old is not null) await old.DisposeAsync();
    }

    private void Retire(ClusterWatch watch)
    {
        ClusterWatch? next;
        lock (_guard)
        {
            _watches = _watches.Remove(watch.Id);
            _next.Remove(watch.Id, out next);
        }
        ClusterLeft(log, watch.Id);
        mesh.Tasks.Start($"end of {watch.Id}", async _ =>
        {
            await watch.DisposeAsync();
            if (next is not null) await next.DisposeAsync();
            await mesh.Objects.Remove((next ?? watch).Watch);
        });
        Changed?.Invoke(watch.Id, null);
    }

    private void End(ClusterWatch watch) => mesh.Tasks.Start($"end of a watch of {watch.Id}", _ => watch.DisposeAsync().AsTask());

    [LoggerMessage(Level = LogLevel.Information, Message = "Watching cluster {Cluster} of {Source} at {Server}")]
    private static partial void ClusterBegun(ILogger log, string cluster, string source, Uri server);

    [LoggerMessage(Level = LogLevel.Information, Message = "Watching cluster {Cluster} with the changed credentials of {Source} at {Server}")]
    private static partial void CredentialsChanged(ILogger log, string cluster, string source, Uri server);

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Cluster} has left the mesh: its remote secret or file is gone")]
    private static partial void ClusterLeft(ILogger log, string cluster);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Remote cluster ignored: {Problem}")]
    private static partial void SecretInvalid(ILogger log, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Cluster {Cluster} of {Source} ignored: {First} already names it")]
    private static partial void ClusterNamedTwice(ILogger log, string cluster, string source, string first);

    [LoggerMessage(Level = LogLevel.Error, Message = "Folder {Path} of PILOT_MULTICLUSTER_KUBECONFIG_PATH cannot be read: {Error}")]
    private static partial void FolderUnreadable(ILogger log, string path, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Remote clusters failed to sync after {Seconds} s; serving without them, and still trying")]
    private static partial void RemotesTimedOut(ILogger log, double seconds);
}
