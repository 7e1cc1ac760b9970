using System.Collections.Immutable;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>One line of <c>remote-clusters</c>.</summary>
/// <param name="Status"><c>synced</c>, <c>syncing</c>, <c>timeout</c> (not reached in time; still being tried) or <c>invalid</c>.</param>
/// <param name="LastContact">When its API server last said something; null: never.</param>
/// <param name="Error">What is wrong; empty when nothing is.</param>
public sealed record ClusterStatus(string Id, string Secret, string Status, DateTimeOffset? LastContact, string Error);

/// <summary>
/// The clusters of the mesh: the configuration cluster, and those named by remote secrets. The only owner of watches.
/// Changed credentials are taken make-before-break: the new watch syncs, then the old one ends.
/// </summary>
public sealed partial class ClusterSet(
    DiscoverySettings settings, ClusterWatch config, IClusterObjects objects, RemoteRoots roots, TimeProvider time, ILogger<ClusterSet> log) : IAsyncDisposable
{
    private readonly Dictionary<string, IReadOnlyList<RemoteCluster>> _bySecret = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IReadOnlyList<(string Cluster, Problem Problem)>> _problems = new(StringComparer.Ordinal);
    private volatile ImmutableDictionary<string, ClusterWatch> _watches = ImmutableDictionary<string, ClusterWatch>.Empty;
    private readonly Dictionary<string, DateTimeOffset> _since = new(StringComparer.Ordinal);
    private readonly Lock _guard = new(); // guards _since and _problems, which status pages read
    private readonly TaskCompletionSource _secretsSeen = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<Task> _retiring = [];

    public ClusterWatch Config => config;

    /// <summary>The watches of remote clusters, by cluster ID.</summary>
    public IReadOnlyDictionary<string, ClusterWatch> Remotes => _watches;

    /// <summary>Raised when a remote cluster's watch begins, and (null) when the cluster has left.</summary>
    public event Action<string, ClusterWatch?>? Changed;

    /// <summary>The client of a cluster by its ID, for token reviews; null when the cluster is unknown.</summary>
    public KubeClient? ClientOf(string clusterId) =>
        clusterId.Length == 0 || clusterId == settings.ClusterId ? config.Client : _watches.GetValueOrDefault(clusterId)?.Client;

    /// <summary>Watches remote secrets until stopped.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        config.Start();
        var informer = new Informer<Secret>(config.Client, Kinds.Secret,
            new InformerSettings { Namespace = settings.Namespace, LabelSelector = RemoteSecretReader.Selector }, time);
        await informer.RunAsync(changes =>
        {
            foreach (var change in changes) Read(change.Key, change.Object);
            Reconcile();
            _secretsSeen.TrySetResult();
            return ValueTask.CompletedTask;
        }, stop);
    }

    /// <summary>Ready once the own cluster is known, and every remote one is or has had its time: an absent cluster must not hold up the others.</summary>
    public async Task ReadyAsync(CancellationToken stop)
    {
        await config.Synced.WaitAsync(stop);
        await _secretsSeen.Task.WaitAsync(stop);
        var remotes = Task.WhenAll(_watches.Values.Select(watch => watch.Synced));
        if (settings.RemoteClusterTimeout <= TimeSpan.Zero) await remotes.WaitAsync(stop);
        else
        {
            try { await remotes.WaitAsync(settings.RemoteClusterTimeout, time, stop); }
            catch (TimeoutException) { RemotesTimedOut(log, settings.RemoteClusterTimeout.TotalSeconds); }
        }
    }

    public IReadOnlyList<ClusterStatus> Status()
    {
        var now = time.GetUtcNow();
        lock (_guard)
        {
            var lines = _watches.Values.Select(watch =>
            {
                var contact = watch.Contact;
                var status = contact.Synced ? "synced" : now - _since.GetValueOrDefault(watch.Id, now) > settings.RemoteClusterTimeout ? "timeout" : "syncing";
                return new ClusterStatus(watch.Id, watch.Secret, status,
                    contact.LastContact == 0 ? null : DateTimeOffset.FromUnixTimeSeconds(contact.LastContact), Describe(watch));
            });
            var invalid = _problems.SelectMany(secret => secret.Value.Select(problem =>
                new ClusterStatus(problem.Cluster, secret.Key, "invalid", null, problem.Problem.ToString())));
            return [.. lines.Concat(invalid).OrderBy(line => line.Id, StringComparer.Ordinal)];
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var watch in _watches.Values) await watch.DisposeAsync();
        await Task.WhenAll(_retiring).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await config.DisposeAsync();
    }

    private string Describe(ClusterWatch watch) => watch.LastError switch
    {
        null => roots.Difference(watch.Id),
        KubeException { Code: 401 } => $"{watch.Access.Server} rejects the token: it has expired or its account is gone; make the secret again with 'isthmus create-remote-secret'",
        KubeException { Code: 403 } e => $"{watch.Access.Server}: {e.Message}; the account of the secret lacks rights",
        { } error => $"{watch.Access.Server} cannot be reached: {error.InnerException?.Message ?? error.Message}",
    };

    private void Read(string key, Secret? secret)
    {
        lock (_guard)
        {
            _bySecret.Remove(key);
            _problems.Remove(key);
            if (secret is null) return;
            var (clusters, problems) = RemoteSecretReader.Read(secret, settings.ClusterId);
            _bySecret[key] = clusters;
            if (problems.Count == 0) return;
            _problems[key] = problems;
        }
        foreach (var (_, problem) in _problems[key]) SecretInvalid(log, problem.ToString());
    }

    /// <summary>Brings the watches in line with the secrets. The first Secret that names a cluster owns it.</summary>
    private void Reconcile()
    {
        var wanted = new Dictionary<string, RemoteCluster>(StringComparer.Ordinal);
        foreach (var cluster in _bySecret.OrderBy(entry => entry.Key, StringComparer.Ordinal).SelectMany(entry => entry.Value))
        {
            if (!wanted.TryAdd(cluster.Id, cluster)) ClusterNamedTwice(log, cluster.Id, cluster.Secret, wanted[cluster.Id].Secret);
        }
        foreach (var (id, watch) in _watches)
        {
            if (wanted.ContainsKey(id)) continue;
            _watches = _watches.Remove(id);
            // The last good value of a cluster whose secret became unreadable stays: only its removal takes it away.
            if (_problems.Values.Any(problems => problems.Any(problem => problem.Cluster == id)))
            {
                _watches = _watches.SetItem(id, watch);
                continue;
            }
            Retire(watch);
        }
        foreach (var (id, cluster) in wanted)
        {
            if (_watches.TryGetValue(id, out var current) && current.Access == cluster.Access && current.Secret == cluster.Secret) continue;
            Begin(cluster, current);
        }
    }

    private void Begin(RemoteCluster cluster, ClusterWatch? old)
    {
        var watch = new ClusterWatch(cluster.Id, cluster.Secret, cluster.Access, isConfig: false, settings.Namespace, objects, time);
        lock (_guard) _since[cluster.Id] = time.GetUtcNow();
        _watches = _watches.SetItem(cluster.Id, watch);
        watch.Start();
        ClusterBegun(log, cluster.Id, cluster.Secret, cluster.Access.Server);
        Changed?.Invoke(cluster.Id, watch);
        // The old watch goes on feeding until the new one has listed everything: no endpoint leaves in between.
        if (old is not null) _retiring.Add(watch.Synced.ContinueWith(_ => old.DisposeAsync().AsTask(), TaskScheduler.Default).Unwrap());
    }

    private void Retire(ClusterWatch watch)
    {
        ClusterLeft(log, watch.Id);
        _retiring.Add(Task.Run(async () =>
        {
            await watch.DisposeAsync();
            if (!_watches.ContainsKey(watch.Id)) await objects.Remove(watch.Id);
        }));
        Changed?.Invoke(watch.Id, null);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Watching cluster {Cluster} of Secret {Secret} at {Server}")]
    private static partial void ClusterBegun(ILogger log, string cluster, string secret, Uri server);

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Cluster} has left the mesh: its remote secret is gone")]
    private static partial void ClusterLeft(ILogger log, string cluster);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Remote secret ignored: {Problem}")]
    private static partial void SecretInvalid(ILogger log, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Cluster {Cluster} of Secret {Secret} ignored: Secret {First} names it already")]
    private static partial void ClusterNamedTwice(ILogger log, string cluster, string secret, string first);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Remote clusters failed to sync after {Seconds} s; serving without them, and still trying")]
    private static partial void RemotesTimedOut(ILogger log, double seconds);
}
