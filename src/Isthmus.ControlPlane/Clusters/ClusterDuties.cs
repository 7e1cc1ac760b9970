using Isthmus.ControlPlane.Ca;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Webhooks;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>
/// What one control plane does for a whole cluster: root certificates in its namespaces, CA bundles in its webhooks.
/// Elected by Leases in that cluster, so that replicas, and control planes of several clusters that manage the same remote,
/// do not overwrite each other.
/// </summary>
/// <param name="names">Resolves the control plane's host name for a remote cluster; null in its own cluster.</param>
public sealed class ClusterDuties(KubeClient client, DiscoverySettings settings, bool validating, INameClient? names, CaState ca, TimeProvider time,
    ILoggerFactory logs)
{
    private readonly RootDistribution _roots = new(client, ca, time, logs.CreateLogger<RootDistribution>());
    private readonly CaBundlePatcher _webhooks = new(client, settings.Revision, validating, ca, time, logs.CreateLogger<CaBundlePatcher>());
    private readonly ControlPlaneAddress? _address = names is null
        ? null
        : new(client, settings.Namespace, names, time, logs.CreateLogger<ControlPlaneAddress>());
    private readonly LeaderElection _rootsLead = Election(client, settings, "istio-namespace-controller-election", time, logs);
    private readonly LeaderElection _webhooksLead = Election(client, settings, WellKnown.WebhooksLease(settings.Revision), time, logs);

    /// <summary>The last error that has not been resolved; null when there is none.</summary>
    internal Exception? LastError => _rootsLead.LastError ?? _webhooksLead.LastError ?? _roots.LastError ?? _webhooks.LastError ?? _address?.LastError;

    /// <inheritdoc cref="CaBundlePatcher.Bundles"/>
    internal IEnumerable<(string Object, string Bundle)> WebhookBundles => _webhooks.Bundles;

    /// <summary>Runs until stopped. If one part ends, the other ends too, and the error is thrown.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task[] parts = [_rootsLead.RunAsync(_roots.RunAsync, ended.Token), _webhooksLead.RunAsync(WebhooksAsync, ended.Token)];
        await Task.WhenAny(parts);
        await ended.CancelAsync();
        await Task.WhenAll(parts);
    }

    /// <summary>Webhooks and proxies need the control plane's address as well as its root.</summary>
    private async Task WebhooksAsync(CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task[] parts = _address is null ? [_webhooks.RunAsync(ended.Token)] : [_webhooks.RunAsync(ended.Token), _address.RunAsync(ended.Token)];
        await Task.WhenAny(parts);
        await ended.CancelAsync();
        await Task.WhenAll(parts);
    }

    /// <summary>An election in a cluster, by a Lease in the namespace of the control plane.</summary>
    internal static LeaderElection Election(KubeClient client, DiscoverySettings settings, string name, TimeProvider time, ILoggerFactory logs) =>
        new(client, new LeaseTerms(settings.Namespace, name, $"{settings.PodName}.{settings.ClusterId}")
        {
            Labels = new Dictionary<string, string> { [Labels.MadeBy] = Labels.Discovery },
        }, time, logs.CreateLogger<LeaderElection>());
}
