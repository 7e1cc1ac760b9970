using Isthmus.ControlPlane.Ca;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>
/// Looks after a remote cluster that names us in the annotation <c>topology.istio.io/controlPlaneClusters</c> of its system namespace:
/// root certificates and the CA bundles of webhooks. Begins and ends with the annotation.
/// </summary>
internal sealed partial class RemoteManagement(string cluster, KubeClient client, DiscoverySettings settings, CaState ca, INameClient names, TimeProvider time, ILoggerFactory logs)
{
    private readonly ILogger _log = logs.CreateLogger<RemoteManagement>();
    private volatile ClusterDuties? _duties;

    /// <summary>What keeps us from looking after the cluster although it wants it; empty when nothing does.</summary>
    public string Problem => _duties?.LastError switch
    {
        null => "",
        KubeException { Code: 403 } e => $"it names us as its control plane, but does not let us act: {e.Message}; run 'isthmus install' with profile remote there again",
        { } e => $"root certificates or webhooks are not kept up to date there: {e.Message}",
    };

    public async Task RunAsync(CancellationToken stop)
    {
        CancellationTokenSource? managing = null;
        var work = Task.CompletedTask;
        async Task EndAsync()
        {
            if (managing is null) return;
            await managing.CancelAsync();
            await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            managing.Dispose();
            (managing, _duties) = (null, null);
        }
        var informer = new Informer<Namespace>(client, Kinds.Namespace, new InformerSettings { FieldSelector = $"metadata.name={settings.Namespace}" }, time);
        try
        {
            await informer.RunAsync(async changes =>
            {
                foreach (var change in changes)
                {
                    var ours = change.Object is { Metadata.DeletionTimestamp: null } ns && Names(ns, settings.ClusterId);
                    if (ours && managing is null)
                    {
                        Begun(_log, cluster);
                        managing = CancellationTokenSource.CreateLinkedTokenSource(stop);
                        _duties = new ClusterDuties(client, settings, validating: false, names, ca, time, logs);
                        work = _duties.RunAsync(managing.Token);
                    }
                    else if (!ours && managing is not null)
                    {
                        Ended(_log, cluster);
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

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Cluster} names us as its control plane: writing root certificates and webhook trust there")]
    private static partial void Begun(ILogger log, string cluster);

    [LoggerMessage(Level = LogLevel.Information, Message = "Cluster {Cluster} no longer names us as its control plane")]
    private static partial void Ended(ILogger log, string cluster);
}
