using System.Collections.Concurrent;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Lifecycle;

/// <summary>Deletes objects that have lost their owners, of every kind that the API server serves, including custom
/// ones.</summary>
internal sealed class GarbageCollector : Controller
{
    private static readonly TimeSpan SettleTime = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(30);

    private readonly OwnerGraph _graph = new();
    private readonly Dictionary<ResourceKind, (Task Running, CancellationTokenSource Stop)> _watches = [];
    private readonly SemaphoreSlim _kindsChanged = new(1);
    private volatile IReadOnlyList<ResourceKind> _served = [];

    /// <summary>Kinds whose lists the other controllers already keep.</summary>
    private readonly HashSet<ResourceKind> _shared =
    [
        Kinds.Pod, Kinds.Service, Kinds.Endpoints, Kinds.EndpointSlice, Kinds.Node, Kinds.Namespace, Kinds.Deployment, Kinds.ReplicaSet,
        Kinds.ServiceAccount, Kinds.Secret,
    ];

    internal GarbageCollector(Runtime runtime) : base("garbage-collector", runtime)
    {
        Share(View.Pods, Kinds.Pod);
        Share(View.Services, Kinds.Service);
        Share(View.Endpoints, Kinds.Endpoints);
        Share(View.Slices, Kinds.EndpointSlice);
        Share(View.Nodes, Kinds.Node);
        Share(View.Namespaces, Kinds.Namespace);
        Share(View.Deployments, Kinds.Deployment);
        Share(View.ReplicaSets, Kinds.ReplicaSet);
        Share(View.ServiceAccounts, Kinds.ServiceAccount);
        Share(View.Secrets, Kinds.Secret);
    }

    internal override async Task RunAsync(CancellationToken stop) => await Task.WhenAll(FollowKindsAsync(stop), base.RunAsync(stop));

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (_graph.Find(key) is not { } node) return;
        var states = new List<OwnerState>();
        if (!node.IsLeaving)
            foreach (var owner in node.Metadata.OwnerReferences) states.Add(await StateAsync(node, owner, stop));
        await DoAsync(key, GarbagePlan.For(node, states, _graph.Dependents(key)), stop);
    }

    /// <summary>Reads from the API server whether an owner is absent: a stale list must never cause a deletion.</summary>
    private async Task<OwnerState> StateAsync(GraphNode node, OwnerReference owner, CancellationToken stop)
    {
        if (_graph.Find(owner.Uid) is { } known)
        {
            // An owner in another namespace owns nothing here.
            if (known.Kind.Namespaced && known.Metadata.Namespace != node.Metadata.Namespace) return OwnerState.Absent;
            return known.WaitsForDependents ? OwnerState.WaitsForDependents : OwnerState.Present;
        }
        var kind = _served.FirstOrDefault(served => served.Kind == owner.Kind && served.ApiVersion == owner.ApiVersion)
            ?? _served.FirstOrDefault(served => served.Kind == owner.Kind && owner.ApiVersion.StartsWith(served.Group + "/", StringComparison.Ordinal))
            ?? Kinds.Find(owner.ApiVersion, owner.Kind)
            ?? throw new InvalidDataException($"the kind {owner.ApiVersion} {owner.Kind} of an owner is not served");
        if (kind.Namespaced && node.Metadata.Namespace.Length == 0) return OwnerState.Absent;
        var live = await Runtime.Client.FindAsync<PartialObject>(kind, kind.Namespaced ? node.Metadata.Namespace : null, owner.Name, stop);
        return live?.Metadata.Uid == owner.Uid ? OwnerState.Present : OwnerState.Absent;
    }

    private void Share<T>(WatchedList<T> list, ResourceKind kind) where T : KubeObject => list.Listen(change => Take(kind, change.Object, change.Before));

    private void Take(ResourceKind kind, KubeObject? now, KubeObject? before)
    {
        if (before is not null && before.Metadata.Uid != now?.Metadata.Uid)
            foreach (var uid in _graph.Remove(before.Metadata.Uid)) Enqueue(uid);
        if (now is null) return;
        foreach (var uid in _graph.Put(kind, now.Metadata)) Enqueue(uid);
        if (kind == Kinds.CustomResourceDefinition && _kindsChanged.CurrentCount == 0) _kindsChanged.Release();
    }

    /// <summary>Watches every kind that supports deletion. It discovers kinds again when a definition changes, and
    /// periodically.</summary>
    private async Task FollowKindsAsync(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await _kindsChanged.WaitAsync(LookAgain, stop);
                // The API server serves a new kind a moment after its definition is written.
                await Task.Delay(SettleTime, Runtime.Time, stop);
                try
                {
                    await WatchAllAsync(await Discovery.KindsAsync(Runtime.Client, stop), stop);
                }
                catch (Exception e) when (e is KubeException or HttpRequestException)
                {
                    Runtime.Log($"{Name}: cannot list the kinds: {e.Message}; retrying");
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            foreach (var (running, end) in _watches.Values)
            {
                await running;
                end.Dispose();
            }
        }
    }

    private async Task WatchAllAsync(IReadOnlyList<Discovery.Found> found, CancellationToken stop)
    {
        var wanted = found.Where(one => one.Verbs.Contains("list") && one.Verbs.Contains("watch") && one.Verbs.Contains("delete")
            && one.Kind.Plural != "events")
            .Select(one => one.Kind).ToList();
        _served = [.. found.Select(one => one.Kind)];
        foreach (var kind in wanted.Where(kind => !_shared.Contains(kind) && !_watches.ContainsKey(kind)))
        {
            var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var list = new Informer<PartialObject>(Runtime.Client, kind, new(), Runtime.Time);
            _watches[kind] = (list.RunAsync(changes =>
            {
                foreach (var change in changes) Take(kind, change.Object, change.Before);
                return ValueTask.CompletedTask;
            }, end.Token), end);
        }
        foreach (var kind in _watches.Keys.Where(kind => !wanted.Contains(kind)).ToList())
        {
            var (running, end) = _watches[kind];
            _watches.Remove(kind);
            await end.CancelAsync();
            await running;
            end.Dispose();
        }
    }
}
