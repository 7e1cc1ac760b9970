using System.Collections.Concurrent;
using Isthmus.ControlPlane.Ca;
using Isthmus.ControlPlane.Resolve;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>Remote clusters that may want to be looked after: one <see cref="RemoteManagement"/> for each watch, ended with it.</summary>
public sealed partial class ManagedRemotes(DiscoverySettings settings, CaState ca, INameClient names, TimeProvider time, ILoggerFactory logs) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, (RemoteManagement Management, CancellationTokenSource Stop, Task Work)> _remotes = new(StringComparer.Ordinal);
    private readonly ILogger _log = logs.CreateLogger<ManagedRemotes>();

    /// <summary>What keeps us from looking after a cluster that wants it; empty when nothing does.</summary>
    public string Problem(string cluster) => _remotes.TryGetValue(cluster, out var remote) ? remote.Management.Problem : "";

    /// <summary>A cluster's watch began (with other credentials perhaps), or, when null, the cluster has left.</summary>
    public void Changed(string cluster, ClusterWatch? watch)
    {
        if (_remotes.TryRemove(cluster, out var old)) _ = EndAsync(old.Stop, old.Work);
        if (watch is null || settings.ExternalIstiod == false) return;
        var stop = new CancellationTokenSource();
        var management = new RemoteManagement(cluster, watch.Client, settings, ca, names, time, logs);
        _remotes[cluster] = (management, stop, Task.Run(() => WorkAsync(cluster, management, stop.Token)));
    }

    public async ValueTask DisposeAsync()
    {
        var remotes = _remotes.Values.ToList();
        _remotes.Clear();
        await Task.WhenAll(remotes.Select(remote => EndAsync(remote.Stop, remote.Work)));
    }

    private async Task WorkAsync(string cluster, RemoteManagement management, CancellationToken stop)
    {
        try { await management.RunAsync(stop); }
        catch (OperationCanceledException) when (stop.IsCancellationRequested) { /* the cluster has left, or its credentials changed */ }
        catch (Exception e) { Failed(_log, e, cluster); }
    }

    private static async Task EndAsync(CancellationTokenSource stop, Task work)
    {
        await stop.CancelAsync();
        await work;
        stop.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Cluster {Cluster} is no longer looked after")]
    private static partial void Failed(ILogger log, Exception e, string cluster);
}
