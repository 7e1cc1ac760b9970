using Isthmus.ControlPlane.Running;
using Isthmus.Graph.Settings;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>
/// Manages a remote cluster that lists this control plane in the annotation <c>topology.istio.io/controlPlaneClusters</c>
/// of its system namespace: root certificates and the CA bundles of webhooks. Starts and stops with the annotation.
/// </summary>
internal sealed partial class RemoteManagement(string cluster, KubeClient client, DiscoverySettings settings, Func<KubeClient, ClusterDuties> duties,
    Supervisor tasks, TimeProvider time, ILogger log)
{
    private volatile ClusterDuties? _duties;

    /// <summary>Why the cluster cannot be managed although it asks for it; empty when it can.</summary>
    public string Problem => _duties?.LastError switch
    {
        null => "",
        KubeException { Code: 403 } e =>
            $"it names this control plane but denies it permissions: {e.Message}; run 'isthmus install' with the profile remote there again",
        { } e => $"root certificates or webhooks are not kept up to date there: {e.Message}",
    };

    /// <inheritdoc cref="ClusterDuties.WebhookBundles"/>
    public IEnumerable<(string Object, string Bundle)> WebhookBundles => _duties?.WebhookBundles ?? [];

    public async Task RunAsync(CancellationToken stop)
    {
        RunningTask? managing = null;
        async Task EndAsync()
        {
            if (managing is not null) await managing.StopAsync();
            (managing, _duties) = (null, null);
        }
        var informer = new Informer<Namespace>(client, Kinds.Namespace,
            new InformerSettings { FieldSelector = $"metadata.name={settings.Namespace}", ConsumerFailed = e => tasks.Failed($"management of {cluster}", e) },
            time);
        try
        {
            await informer.RunAsync(async changes =>
            {
                foreach (var change in changes)
                {
                    var ours = change.Object is { Metadata.DeletionTimestamp: null } ns && Names(ns, settings.ClusterId);
                    if (ours && managing is null)
                    {
                        Begun(log, cluster);
                        var begun = _duties = duties(client);
                        managing = tasks.Keep($"duties for {cluster}", begun.RunAsync);
                    }
                    else if (!ours && managing is not null)
                    {
                        Ended(log, cluster);
                        await EndAsync();
                    }
                }
            }, stop);
        }
        finally
        {
            await EndAsync();
        }
    }

    private static bool Names(Namespace ns, string cluster) =>
        (ns.Metadata.Annotations.GetValueOrDefault(Annotations.ControlPlaneClusters) ?? "")
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Any(name => name == "*" || name == cluster);

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Cluster} names this control plane: writing root certificates and webhook trust there")]
    private static partial void Begun(ILogger log, string cluster);

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Cluster} no longer names this control plane")]
    private static partial void Ended(ILogger log, string cluster);
}
