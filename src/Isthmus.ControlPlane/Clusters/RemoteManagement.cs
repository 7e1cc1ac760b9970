using Isthmus.ControlPlane.Ca;
using Isthmus.ControlPlane.Webhooks;
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
internal static class RemoteManagement
{
    internal static async Task RunAsync(KubeClient client, DiscoverySettings settings, CaState ca, TimeProvider time, ILoggerFactory logs, CancellationToken stop)
    {
        CancellationTokenSource? managing = null;
        var informer = new Informer<Namespace>(client, Kinds.Namespace, new InformerSettings { FieldSelector = $"metadata.name={settings.Namespace}" }, time);
        try
        {
            await informer.RunAsync(async changes =>
            {
                foreach (var change in changes)
                {
                    var ours = change.Object is { } ns && Names(ns, settings.ClusterId);
                    if (ours && managing is null)
                    {
                        managing = CancellationTokenSource.CreateLinkedTokenSource(stop);
                        _ = new RootDistribution(client, ca, time, logs.CreateLogger<RootDistribution>()).RunAsync(managing.Token);
                        _ = new CaBundlePatcher(client, settings.Revision, validating: false, ca, time, logs.CreateLogger<CaBundlePatcher>()).RunAsync(managing.Token);
                    }
                    else if (!ours && managing is not null)
                    {
                        await managing.CancelAsync();
                        managing.Dispose();
                        managing = null;
                    }
                }
            }, stop);
        }
        finally
        {
            managing?.Dispose();
        }
    }

    private static bool Names(Namespace ns, string cluster) =>
        (ns.Metadata.Annotations.GetValueOrDefault(Annotations.ControlPlaneClusters) ?? "")
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Any(name => name == "*" || name == cluster);
}
