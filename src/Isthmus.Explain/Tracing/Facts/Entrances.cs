using System.Globalization;
using System.Net;
using Isthmus.Explain.Tracing.Reading;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>Gateways by which calls enter the clusters, as they are called from anywhere: by the address of their load balancer.</summary>
internal static class Entrances
{
    /// <summary>The Service of the gateway at an address; null: no cluster has one there, or several do.</summary>
    public static ServiceInCluster? At(TraceFacts facts, TraceNeeds needs, IPEndPoint address)
    {
        if (Balanced(facts, address).Where(place => place.Port(address.Port) is not null).ToList() is not [var only]) return null;
        needs.NeedPods(only.Service.Metadata.Namespace);
        return only.Pods.Any(ClusterObjects.IsGateway) ? only : null;
    }

    /// <summary>What has an address outside of the clusters, gateway or not; empty when none of their Services does.</summary>
    public static string Owner(TraceFacts facts, IPEndPoint address)
    {
        var all = Balanced(facts, address).ToList();
        var names = string.Join(" and ", all.Select(place => place.Name));
        return all.Count == 0 || all.Exists(place => place.Port(address.Port) is not null) ? names
            : $"{names}, which {(all.Count > 1 ? "have" : "has")} no port {address.Port.ToString(CultureInfo.InvariantCulture)}";
    }

    /// <summary>The Services whose load balancers, or external IPs, have an address.</summary>
    public static IEnumerable<ServiceInCluster> Balanced(TraceFacts facts, IPEndPoint address)
    {
        var ip = address.Address.ToString();
        return from cluster in facts.Clusters
               from service in cluster.Services
               where service.Status.LoadBalancer.Ingress.Any(ingress => ingress.Ip == ip) || service.Spec.ExternalIPs.Contains(ip)
               select new ServiceInCluster(cluster, service);
    }
}
