using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>StatefulSets and DaemonSets that replace no Pod by themselves, and whose template has changed since: what was mended there does not reach their
/// Pods. Pure.</summary>
public static class KeptTemplates
{
    public static Analyzer Analyzer
    {
        get;
    } = new("workload.KeptTemplateAnalyzer", "Checks for Pods that are not ready, and whose StatefulSet or DaemonSet keeps them at an older template",
        [WorkloadCodes.PodOfOlderTemplate], ["StatefulSet", "DaemonSet", "Pod"], mesh =>
        from cluster in mesh.Readable
        from kept in cluster.Pods.Where(pod => !pod.Status.IsReady && pod.Metadata.DeletionTimestamp is null).GroupBy(OwnerOf, StringComparer.Ordinal)
        where cluster.Find(kept.Key) is { } workload
        let pods = kept.Where(pod => Keeps(cluster.Find(kept.Key)!, pod)).Select(pod => pod.Metadata.Name).Order(StringComparer.Ordinal).ToList()
        where pods.Count > 0
        select WorkloadCodes.PodOfOlderTemplate.At(cluster, kept.Key, "spec.updateStrategy.type",
            $"is OnDelete, so that {(pods.Count == 1 ? "Pod" : "Pods")} {string.Join(", ", pods)} of an older template "
                + $"{(pods.Count == 1 ? "stays, although it is" : "stay, although they are")} not ready",
            $"kubectl --context={cluster.Context} -n {kept.First().Metadata.Namespace} delete pod {string.Join(' ', pods)}"));

    /// <summary>What a Pod belongs to, as the inventory names it; empty for nobody.</summary>
    private static string OwnerOf(Pod pod) =>
        pod.Metadata.OwnerReferences.FirstOrDefault(one => one.Controller == true) is { } owner ? $"{owner.Kind} {pod.Metadata.Namespace}/{owner.Name}" : "";

    /// <summary>Whether a workload keeps a Pod that is of an older template than its own, until somebody deletes it.</summary>
    public static bool Keeps(JsonObject workload, Pod pod)
    {
        if (workload["spec"]?["updateStrategy"]?["type"]?.ToString() != "OnDelete") return false;
        var (of, newest) = workload["kind"]?.ToString() == "StatefulSet"
            ? ("controller-revision-hash", workload["status"]?["updateRevision"]?.ToString())
            // Their status does not name the newest revision.
            : ("pod-template-generation", workload["metadata"]?["annotations"]?["deprecated.daemonset.template.generation"]?.ToString());
        return newest is { Length: > 0 } && pod.Metadata.Labels.GetValueOrDefault(of, newest) != newest;
    }
}
