using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.Dns.Cluster;

/// <summary>Feeds a directory with ServiceImports, while and in the version that the cluster serves them.</summary>
internal sealed class ImportSource(KubeClient client, ImportDirectory directory, TimeProvider time)
{
    private static readonly string[] Versions = ["v1beta1", "v1alpha1"];
    private static readonly ResourceKind[] Imports = [.. Versions.Select(version => new ResourceKind("multicluster.x-k8s.io", version, "ServiceImport",
        "serviceimports", Namespaced: true))];

    private volatile bool _isRead;
    private volatile WatchedList<JsonObject>? _list;

    /// <summary>Whether the directory has everything that the cluster has and shows.</summary>
    internal bool IsRead => _isRead || _list?.Informer.LastError is KubeException { IsNotFound: true } or KubeException { Code: 403 };

    internal async Task RunAsync(CancellationToken stop)
    {
        var served = new ServedKinds(client, new(), time);
        var definitions = served.RunAsync(stop);
        try
        {
            while (true)
            {
                var (version, changed) = await served.FindAsync(Imports[0], Versions, stop);
                if (version is null)
                {
                    directory.Clear();
                    _isRead = true;
                    await changed.WaitAsync(stop);
                    continue;
                }
                await WatchAsync(Imports.First(kind => kind.Version == version), served, changed, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await definitions.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task MarkAsync(Task synced, CancellationToken stop)
    {
        await synced.WaitAsync(stop);
        _isRead = true;
    }

    /// <summary>Until another version is to be read.</summary>
    private async Task WatchAsync(ResourceKind kind, ServedKinds served, Task changed, CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var list = new WatchedList<JsonObject>(client, kind, new(), time).Listen(change => directory.Put(change.Object, change.Key));
        _list = list;
        var running = list.RunAsync(ended.Token);
        var synced = MarkAsync(list.Synced, ended.Token);
        try
        {
            while (true)
            {
                await changed.WaitAsync(stop);
                (var version, changed) = await served.FindAsync(Imports[0], Versions, stop);
                if (version is null || kind.Version != version) return;
            }
        }
        finally
        {
            await ended.CancelAsync();
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await synced.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
