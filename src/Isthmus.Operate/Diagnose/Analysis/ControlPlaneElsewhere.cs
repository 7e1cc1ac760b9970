using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Whether what the proxies and the API server of a cluster call as its control plane leads out of the cluster. Pure.</summary>
internal static class ControlPlaneElsewhere
{
    /// <summary>Whether objects say so: a Service istiod that selects no Pods, or an injector that is called at a URL. A Service that selects Pods is of a
    /// control plane here, even while none of them runs.</summary>
    /// <param name="cluster">What was read of the cluster.</param>
    /// <param name="ns">The namespace of the control plane.</param>
    internal static bool Serves(ClusterInventory cluster, string ns)
    {
        var services = cluster.Services.Where(service => service.Metadata.Namespace == ns && (service.Metadata.Name == WellKnown.Istiod
            || service.Metadata.Name.StartsWith($"{WellKnown.Istiod}-", StringComparison.Ordinal))).ToList();
        if (services.Exists(service => service.Spec.Selector.Count > 0)) return false;
        return services.Count > 0 || cluster.Objects("MutatingWebhookConfiguration").Where(InjectorWebhook.IsInjector)
            .SelectMany(value => value["webhooks"] as JsonArray ?? []).Any(webhook => webhook?["clientConfig"]?["url"] is not null);
    }
}
