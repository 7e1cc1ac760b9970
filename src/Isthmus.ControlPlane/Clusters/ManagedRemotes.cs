using System.Collections.Concurrent;
using Isthmus.ControlPlane.Running;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>Remote clusters that may ask this control plane to manage them: one <see cref="RemoteManagement"/> for each
/// watch, ended with it.</summary>
/// <param name="duties">The work for a cluster that asks.</param>
public sealed class ManagedRemotes(DiscoverySettings settings, Func<KubeClient, ClusterDuties> duties, Supervisor tasks, TimeProvider time,
    Microsoft.Extensions.Logging.ILogger<ManagedRemotes> log)
{
    private readonly ConcurrentDictionary<string, (RemoteManagement Management, RunningTask Work)> _remotes = new(StringComparer.Ordinal);

    /// <summary>Why a cluster that asks for it cannot be managed; empty when it can.</summary>
    public string Problem(string cluster) => _remotes.TryGetValue(cluster, out var remote) ? remote.Management.Problem : "";

    /// <summary>The same of all managed clusters as <see cref="ClusterDuties.WebhookBundles"/>.</summary>
    internal IEnumerable<(string Cluster, string Object, string Bundle)> WebhookBundles =>
        from remote in _remotes
        from kept in remote.Value.Management.WebhookBundles
        select (remote.Key, kept.Object, kept.Bundle);

    /// <summary>A cluster's watch started (perhaps with other credentials), or, when null, the cluster has left.</summary>
    public void Changed(string cluster, ClusterWatch? watch)
    {
        if (_remotes.TryRemove(cluster, out var old)) tasks.Start($"end of management of {cluster}", _ => old.Work.StopAsync());
        if (watch is null || settings.ExternalIstiod == false) return;
        var management = new RemoteManagement(cluster, watch.Client, settings, duties, tasks, time, log);
        _remotes[cluster] = (management, tasks.Keep($"management of {cluster}", management.RunAsync));
    }
}
