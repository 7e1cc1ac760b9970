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
    /// <summary>Why WorkloadEntries of a namespace get no calls, where labels select some in these clusters and none is healthy; null otherwise.</summary>
    /// <param name="within">Further labels that they have, as of a subset.</param>
    public static Problem? Of(IEnumerable<ClusterObjects> clusters, string ns, ValueMap<string> selector, ValueMap<string> within = default)
    {
        if (selector.Count == 0) return null;
        var selected = clusters.SelectMany(cluster => cluster.Istio<WorkloadEntry>().Where(entry => entry.Namespace == ns
            && Selectors.Matches(selector, entry.Endpoint.Labels) && Selectors.Matches(within, entry.Endpoint.Labels)).Select(entry => (cluster, entry)))
            .ToList();
        if (selected is not [var (cluster, first), ..] || selected.Exists(one => !one.entry.IsUnhealthy)) return null;
        var others = selected.Count - 1;
        return Faults.Of("ISM2181", $"WorkloadEntry {first.Namespace}/{first.Name} in {cluster.Context}", "status.conditions[Healthy]",
            $"is not True, and the annotation {Annotations.HealthChecks} asks for it, so {first.Endpoint.Address} gets no calls"
                + (others switch { 0 => "", 1 => ", nor does the other one that is selected", _ => $", nor do the {others} others that are selected" }),
            $"see to the workload at {first.Endpoint.Address}, and to what writes the condition (Isthmus reads it only); without health checks, kubectl "
                + $"--context={cluster.Context} -n {first.Namespace} annotate workloadentry {first.Name} {Annotations.HealthChecks}-");
    }
}
