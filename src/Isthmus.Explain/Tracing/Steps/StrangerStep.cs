using System.Net;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Proxy.Decisions;


namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Judges an address that belongs to none of the clusters.</summary>
internal sealed class StrangerStep(TraceFacts facts, TraceRecord record, TraceCauses causes)
{
    /// <summary>The address belongs to something outside, or to a deleted Pod whose removal the proxy has not received.</summary>
    /// <param name="entry">The ServiceEntry or WorkloadEntry that lists the address; null when none does.</param>
    public void Walk(string address, WorkloadView workload, ClusterObjects near, string? entry = null)
    {
        if (workload.Namespace.Length > 0) causes.Needs.NeedPods(workload.Namespace);
        if (OfNode(address, workload, near) is { } pod)
        {
            record.Add("workload", HopStatus.Unknown, $"{pod}, in the network of its Node: it has no proxy that could say whether anything listens", null);
            return;
        }
        var summary = Unclaimed(address, "Pod");
        if (entry is null && workload.Namespace.Length > 0 && facts.ById(workload.Cluster, near) is { Error: "" } cluster
            && cluster.PodNamespaces.Contains(workload.Namespace)) record.Warn("workload", summary,
            causes.Availability.Gone(address, workload.Namespace, cluster));
        else record.Add("workload", HopStatus.Unknown, summary, null, (HopFacts.EntryFact, entry ?? ""));
    }

    /// <summary>The Pod of a workload that has the address of its Node; null when there is none.</summary>
    private PodRef? OfNode(string address, WorkloadView workload, ClusterObjects near)
    {
        if (workload.Namespace.Length == 0 || facts.ById(workload.Cluster, near) is not { } cluster || !IPEndPoint.TryParse(address, out var at)) return null;
        return cluster.Pods.FirstOrDefault(pod => pod.Spec.HostNetwork && pod.Metadata.Namespace == workload.Namespace && pod.Status.Phase == "Running"
            && pod.Status.PodIP == at.Address.ToString()) is { } found ? PodRef.Of(cluster, found) : null;
    }

    /// <summary>Describes an address that belongs to no cluster that can be queried.</summary>
    public string Unclaimed(string address, string what)
    {
        var silent = facts.Clusters.Where(cluster => cluster.Error.Length > 0).ToList();
        return silent.Count == 0 ? $"{address} is not a {what} in these clusters"
            : $"{address} may be a {what} of {string.Join(" or ", silent.Select(cluster => cluster.Context))}, which cannot be queried: {silent[0].Error}";
    }
}
