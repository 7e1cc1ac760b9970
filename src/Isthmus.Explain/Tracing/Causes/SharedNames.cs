using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Two clusters that their control planes call alike, as after an installation with the file of another cluster. What names one of them means
/// both.</summary>
internal static class SharedNames
{
    /// <summary>The cluster that has the name of another one; null when each has its own.</summary>
    public static Problem? Of(TraceFacts facts)
    {
        var named = facts.Clusters.Where(cluster => cluster is { Error: "", IsNamed: true, IsJoinedByNames: false }).ToList();
        if (named.GroupBy(cluster => cluster.Id, StringComparer.Ordinal).FirstOrDefault(same => same.Count() > 1) is not { } shared) return null;
        // Proxies keep the name with which they were injected, and few contexts have the name of another cluster.
        var wrong = shared.FirstOrDefault(cluster => OldNames(cluster).Any()) ?? shared.FirstOrDefault(cluster => cluster.Context != shared.Key)
            ?? shared.Last();
        var (other, old) = (shared.First(cluster => cluster != wrong), OldNames(wrong).FirstOrDefault() ?? "NAME");
        return Faults.Of("ISM1024", $"cluster {wrong.Context}", "",
            $"its control plane calls it {shared.Key}, and that of {other.Context} calls its own cluster so: each hides the Pods of the other"
                + (old == "NAME" ? "" : $"; proxies there still call it {old}"),
            $"install it again with the file of this cluster, or with --set values.global.multiCluster.clusterName={old}: isthmus install "
                + $"--context={wrong.Context} -f FILE; then restart the workloads that were made meanwhile");
    }

    private static IEnumerable<string> OldNames(ClusterObjects cluster) =>
        cluster.Pods.Select(ClusterObjects.NameBy).Where(name => name.Length > 0 && name != cluster.Id).Distinct().Order(StringComparer.Ordinal);
}
