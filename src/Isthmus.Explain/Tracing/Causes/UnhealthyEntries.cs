using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>WorkloadEntries whose health checks do not pass, so that they get no calls.</summary>
internal static class UnhealthyEntries
{
    /// <summary>Why WorkloadEntries of a namespace get no calls, where labels select some and none is healthy; null otherwise.</summary>
    public static Problem? Of(ClusterObjects cluster, string ns, ValueMap<string> selector)
    {
        if (selector.Count == 0) return null;
        var selected = cluster.Istio<WorkloadEntry>().Where(entry => entry.Namespace == ns && Selectors.Matches(selector, entry.Endpoint.Labels)).ToList();
        if (selected is not [var first, ..] || selected.Exists(entry => !entry.IsUnhealthy)) return null;
        var others = selected.Count - 1;
        return Faults.Of("ISM2181", $"WorkloadEntry {first.Namespace}/{first.Name} in {cluster.Context}", "status.conditions[Healthy]",
            $"is not True, and the annotation {Annotations.HealthChecks} asks for it, so {first.Endpoint.Address} gets no calls"
                + (others == 0 ? "" : $", and nor do the {others} others that are selected"),
            $"see to the workload at {first.Endpoint.Address}, and to what writes the condition (Isthmus reads it only); without health checks, kubectl "
                + $"--context={cluster.Context} -n {first.Namespace} annotate workloadentry {first.Name} {Annotations.HealthChecks}-");
    }
}
