using System.Net;
using Isthmus.Explain.Tracing.Reading;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>Gateways by which calls enter the clusters, as they are called from anywhere: by the address of their load balancer.</summary>
internal static class Entrances
{
    /// <summary>The Service of the gateway at an address; null: no cluster has one there, or several do.</summary>
    public static ServiceInCluster? At(TraceFacts facts, TraceNeeds needs, IPEndPoint address)
    {
        var ip = address.Address.ToString();
        var found = (from cluster in facts.Clusters
                     from service in cluster.Services
                     where service.Status.LoadBalancer.Ingress.Any(ingress => ingress.Ip == ip) || service.Spec.ExternalIPs.Contains(ip)
                     let place = new ServiceInCluster(cluster, service)
                     where place.Port(address.Port) is not null
                     select place).ToList();
        if (found is not [var only]) return null;
        needs.NeedPods(only.Service.Metadata.Namespace);
        return only.Pods.Any(ClusterObjects.IsGateway) ? only : null;
    }
}
