using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Tables;

/// <summary>Tables of apps, batch and autoscaling.</summary>
internal static class WorkloadTables
{
    internal static KindTable Deployments() => KindTable.Named()
        .Text("Ready", row => $"{row.Number("status.readyReplicas")}/{row.Number("spec.replicas")}")
        .Text("Up-to-date", row => row.Number("status.updatedReplicas"))
        .Text("Available", row => row.Number("status.availableReplicas"))
        .Age().Workload("spec.template.spec", "spec.selector");

    internal static KindTable ReplicaSets() => KindTable.Named()
        .Count("Desired", "spec.replicas").Count("Current", "status.replicas").Count("Ready", "status.readyReplicas")
        .Age().Workload("spec.template.spec", "spec.selector");

    internal static KindTable StatefulSets() => KindTable.Named()
        .Text("Ready", row => $"{row.Number("status.readyReplicas")}/{row.Number("spec.replicas")}")
        .Age().Workload("spec.template.spec", null);

    internal static KindTable DaemonSets() => KindTable.Named()
        .Count("Desired", "status.desiredNumberScheduled").Count("Current", "status.currentNumberScheduled").Count("Ready", "status.numberReady")
        .Count("Up-to-date", "status.updatedNumberScheduled").Count("Available", "status.numberAvailable")
        .Text("Node Selector", row => KindTable.Selector(row.At("spec.template.spec.nodeSelector")))
        .Age().Workload("spec.template.spec", "spec.selector");

    internal static KindTable Scales() => KindTable.Named().Count("Desired", "spec.replicas").Count("Available", "status.replicas").Age();

    internal static KindTable ControllerRevisions() => KindTable.Named()
        .Text("Controller", row => Owner(row)).Text("Revision", row => row.Number("revision")).Age();

    internal static KindTable Jobs() => KindTable.Named()
        .Text("Status", row => JobStatus(row))
        .Text("Completions", row => Completions(row))
        .Text("Duration", row => Duration(row))
        .Age().Workload("spec.template.spec", "spec.selector");

    internal static KindTable CronJobs() => KindTable.Named()
        .Path("Schedule", "spec.schedule").Path("Timezone", "spec.timeZone", "<none>")
        .Boolean("Suspend", row => row.Text("spec.suspend") == "true" ? "True" : "False")
        .Integer("Active", row => row.Items("status.active").Count())
        .Text("Last Schedule", row => row.Since("status.lastScheduleTime", "<none>"))
        .Age().Workload("spec.jobTemplate.spec.template.spec", "spec.jobTemplate.spec.selector");

    internal static KindTable Autoscalers() => KindTable.Named()
        .Text("Reference", row => $"{row.Text("spec.scaleTargetRef.kind")}/{row.Text("spec.scaleTargetRef.name")}")
        .Text("Targets", row => Targets(row))
        .Text("MinPods", row => row.Text("spec.minReplicas", "<unset>"))
        .Text("MaxPods", row => row.Number("spec.maxReplicas"))
        .Text("Replicas", row => row.Number("status.currentReplicas"))
        .Age();

    private static string Owner(Row row)
    {
        var owner = row.Items("metadata.ownerReferences").FirstOrDefault(reference => Tree.Text(reference["controller"]) == "true");
        if (owner is null) return "<none>";
        var group = GroupVersion.Parse(Tree.Text(owner["apiVersion"])).Group;
        return $"{Tree.Text(owner["kind"]).ToLowerInvariant()}{(group.Length > 0 ? "." + group : "")}/{Tree.Text(owner["name"])}";
    }

    private static string JobStatus(Row row)
    {
        bool Has(string type) =>
            row.Items("status.conditions").Any(condition => Tree.Text(condition["type"]) == type && Tree.Text(condition["status"]) == "True");
        return Has("Complete") ? "Complete"
            : Has("Failed") ? "Failed"
            : row.Text("metadata.deletionTimestamp").Length > 0 ? "Terminating"
            : Has("Suspended") ? "Suspended"
            : Has("FailureTarget") ? "FailureTarget"
            : Has("SuccessCriteriaMet") ? "SuccessCriteriaMet"
            : "Running";
    }

    private static string Completions(Row row)
    {
        var done = row.Number("status.succeeded");
        if (row.At("spec.completions") is not null) return $"{done}/{row.Number("spec.completions")}";
        var parallel = row.Number("spec.parallelism");
        return parallel > 1 ? $"{done}/1 of {parallel}" : $"{done}/1";
    }

    private static string Duration(Row row)
    {
        if (ApiTime.Parse(row.Text("status.startTime")) is not { } start) return "";
        return ApiTime.Age((ApiTime.Parse(row.Text("status.completionTime")) ?? row.Now) - start);
    }

    private static string Targets(Row row)
    {
        var metrics = row.Items("spec.metrics").ToList();
        if (metrics.Count == 0)
            return row.At("spec.targetCPUUtilizationPercentage") is null ? "<none>" : $"cpu: <unknown>/{row.Number("spec.targetCPUUtilizationPercentage")}%";
        return metrics.Select(metric =>
        {
            var name = Tree.Text(metric["resource"]?["name"]);
            var current = row.Items("status.currentMetrics").FirstOrDefault(m => Tree.Text(m["resource"]?["name"]) == name);
            var used = Tree.Number(current?["resource"]?["current"]?["averageUtilization"]);
            var target = Tree.Number(metric["resource"]?["target"]?["averageUtilization"]);
            return target is { } percent
                ? $"{name}: {(used is { } u ? $"{u}%" : "<unknown>")}/{percent}%"
                : $"{name}: <unknown>/{Tree.Text(metric["resource"]?["target"]?["averageValue"])}";
        }).Join();
    }
}
