using System.Globalization;
using System.Net;
using Isthmus.Explain.Tracing.Reading;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>Services as they are called from anywhere: by the address of their load balancer, or by that of a Node.</summary>
internal static class Entrances
{
    /// <summary>Where each Node runs Pods.</summary>
    private const string OnEachNode = "kube-system";

    /// <summary>The Service at an address; null: no cluster has one with Pods there, or several do.</summary>
    public static ServiceInCluster? At(TraceFacts facts, TraceNeeds needs, IPEndPoint address)
    {
        var all = Of(facts, address).Where(place => place.PortAt(address) is not null).ToList();
        // Addresses of Nodes are known by the Pods there.
        if (all.Count == 0 && facts.Clusters.Any(cluster => cluster.Services.Any(service =>
            new ServiceInCluster(cluster, service).NodePort(address.Port) is not null))) needs.NeedPods(OnEachNode);
        if (all is not [var only]) return null;
        needs.NeedPods(only.Service.Metadata.Namespace);
        return only.Pods.Count > 0 ? only : null;
    }

    /// <summary>What has an address outside of the clusters; empty when none of their Services does.</summary>
    public static string Owner(TraceFacts facts, IPEndPoint address)
    {
        var all = Of(facts, address).ToList();
        var names = string.Join(" and ", all.Select(place => place.Name));
        return all.Count == 0 || all.Exists(place => place.PortAt(address) is not null) ? names
            : $"{names}, which {(all.Count > 1 ? "have" : "has")} no port {address.Port.ToString(CultureInfo.InvariantCulture)}";
    }

    /// <summary>The Services that have an address, and those that have its port at a Node with that address.</summary>
    private static IEnumerable<ServiceInCluster> Of(TraceFacts facts, IPEndPoint address) =>
        from cluster in facts.Clusters
        from service in cluster.Services
        let place = new ServiceInCluster(cluster, service)
        where place.IsBalanced(address.Address)
            || (place.NodePort(address.Port) is not null && cluster.Pods.Any(pod => pod.Status.HostIP == address.Address.ToString()))
        select place;
}
