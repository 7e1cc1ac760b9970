using Isthmus.Dns.Config;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.Dns.Cluster;

/// <summary>Feeds a directory from an API server. It survives Corefile changes that do not affect what is watched.</summary>
internal sealed class ClusterSource : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly KubeClient _client;
    private readonly Task _running;
    private readonly Task _synced;
    private readonly ImportSource? _imports;

    internal ClusterSource(KubernetesPlan plan, ClusterAccess access, TimeProvider time)
    {
        Plan = plan;
        var directory = new ClusterDirectory(plan.EndpointPodNames);
        Names = new(directory, plan);
        var imports = new ImportDirectory();
        SetNames = new(imports, plan.Ttl);
        _client = new KubeClient(access, "coredns");
        List<(Task Synced, Func<CancellationToken, Task> Run)> lists = [];
        if (!plan.Zones.All(plan.SetZones.Contains))
        {
            var services = new WatchedList<Service>(_client, Kinds.Service, new() { LabelSelector = plan.LabelSelector }, time)
                .Listen(change => directory.Put(change.Object, change.Key));
            var namespaces = new WatchedList<Namespace>(_client, Kinds.Namespace, new(), time).Listen(change => directory.Put(change.Object, change.Key));
            lists.AddRange([(services.Synced, services.RunAsync), (namespaces.Synced, namespaces.RunAsync)]);
        }
        if (!plan.NoEndpoints)
        {
            var slices = new WatchedList<EndpointSlice>(_client, Kinds.EndpointSlice, new(), time).Listen(change =>
            {
                directory.Put(change.Object, change.Before);
                if (!plan.SetZones.IsEmpty) imports.Put(change.Object, change.Before);
            });
            lists.Add((slices.Synced, slices.RunAsync));
        }
        if (plan.Pods == PodMode.Verified)
        {
            var pods = new WatchedList<Pod>(_client, Kinds.Pod, new(), time).Listen(change => directory.Put(change.Object, change.Before));
            lists.Add((pods.Synced, pods.RunAsync));
        }
        _synced = Task.WhenAll(lists.Select(list => list.Synced));
        if (!plan.SetZones.IsEmpty)
        {
            _imports = new(_client, imports, time);
            lists.Add((Task.CompletedTask, _imports.RunAsync));
        }
        _running = Task.WhenAll(lists.Select(list => list.Run(_stop.Token)));
    }

    internal KubernetesPlan Plan { get; }

    internal ClusterNames Names { get; }

    internal ClusterSetNames SetNames { get; }

    /// <summary>A cluster without the API of cluster sets is read all the same: it has no names of one.</summary>
    internal bool Synced => _synced.IsCompletedSuccessfully && _imports is null or { IsRead: true };

    internal bool IsReadFor(bool ofSet) => ofSet ? Synced : _synced.IsCompletedSuccessfully;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _client.Dispose();
        _stop.Dispose();
    }
}
