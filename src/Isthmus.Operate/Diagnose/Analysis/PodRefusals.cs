using System.Text.Json.Nodes;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Workloads whose Pods the API server refuses: nobody sees a Pod that was never made, and older ones may answer in its place. Pure.</summary>
public static class PodRefusals
{
    public static Analyzer Analyzer
    {
        get;
    } = new("deployment.RefusedPodAnalyzer", "Checks for workloads whose Pods are refused: by the injector, a quota, Pod Security or a limit",
        [OwnCodes.PodRefused], ["Deployment"], mesh =>
            (from cluster in mesh.Readable
             from workload in cluster.Deployments
             let why = PodRefusal.Why(workload)
             where why.Length > 0
             select OwnCodes.PodRefused.At(cluster, $"Deployment {workload.Key}", "status.conditions", $"its Pods are refused: {why}",
                 PodRefusal.Remedy(cluster.Context, workload)))
            .Concat(
                from cluster in mesh.Readable
                from refused in cluster.Refusals
                let workload = cluster.Find(refused.Key)
                where workload is not null && LacksPods(workload)
                select OwnCodes.PodRefused.At(cluster, refused.Key, "status", $"its Pods are refused: {refused.Value}",
                    PodRefusal.Remedy(cluster.Context, refused.Key, refused.Value))));

    /// <summary>Whether a StatefulSet or DaemonSet has fewer Pods than it wants: events stay for a while.</summary>
    private static bool LacksPods(JsonObject workload)
    {
        int Number(string part, string field, int otherwise) =>
            workload[part]?[field] is JsonValue number && number.TryGetValue(out int value) ? value : otherwise;
        return workload["kind"]?.ToString() == "DaemonSet"
            ? Number("status", "currentNumberScheduled", 0) < Number("status", "desiredNumberScheduled", 0)
            : Number("status", "replicas", 0) < Number("spec", "replicas", 1);
    }
}
