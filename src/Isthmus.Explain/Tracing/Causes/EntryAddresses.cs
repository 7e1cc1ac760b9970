using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why the Service of a gateway has no address that clients outside reach.</summary>
internal static class EntryAddresses
{
    /// <summary>It waits for a load balancer.</summary>
    public static Problem Awaited(ServiceInCluster entry)
    {
        var who = $"clients outside {(entry.IsOnNodes ? "reach it at ports of Nodes only" : "do not reach it")}";
        var events = "its events say what a load balancer lacks: "
            + $"kubectl --context={entry.Cluster.Context} -n {entry.Service.Metadata.Namespace} describe service {entry.Service.Metadata.Name}";
        return entry.Service.Spec.LoadBalancerClass is { Length: > 0 } named
            ? Faults.Of("ISM1005", entry.Name, "spec.loadBalancerClass",
                $"is {named}: only the load balancer of that class gives the Service an address, and none has, so {who}",
                $"install the load balancer of class {named}; or create the Service again without the field, which cannot be changed, for the one that the "
                    + $"cluster has; {events}")
            : Faults.Of("ISM1005", entry.Name, "status.loadBalancer", $"has no address: no load balancer has given it one, so {who}",
                $"install a load balancer, or set spec.externalIPs{(entry.IsOnNodes ? "" : " or the type NodePort")}; {events}");
    }

    /// <summary>It is not of a type for which load balancers give addresses.</summary>
    public static Problem Inside(ServiceInCluster entry) => Faults.Of("ISM1005", entry.Name, "spec.type",
        $"is {entry.Service.Spec.Type}, so that the Service has no address outside, and clients there do not reach it",
        "write type LoadBalancer, where the cluster has a load balancer, or NodePort; or set spec.externalIPs");
}
