using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Workloads whose Pods the API server refuses: nobody sees a Pod that was never made, and older ones may answer in its place. Pure.</summary>
public static partial class PodRefusals
{
    public static Analyzer Analyzer
    {
        get;
    } = new("deployment.RefusedPodAnalyzer", "Checks for workloads whose Pods are refused: by the injector, a quota, Pod Security or a limit",
        [OwnCodes.PodRefused], ["Deployment"], mesh =>
            (from cluster in mesh.Readable
             from workload in cluster.Deployments
             let why = Why(workload)
             where why.Length > 0
             select OwnCodes.PodRefused.At(cluster, $"Deployment {workload.Key}", "status.conditions", $"its Pods are refused: {why}",
                 Remedy(cluster.Context, workload)))
            .Concat(
                from cluster in mesh.Readable
                from refused in cluster.Refusals
                let workload = cluster.Find(refused.Key)
                where workload is not null && LacksPods(workload)
                select OwnCodes.PodRefused.At(cluster, refused.Key, "status", $"its Pods are refused: {refused.Value}",
                    Remedy(cluster.Context, refused.Key, refused.Value))));

    /// <summary>Whether a StatefulSet or DaemonSet has fewer Pods than it wants: events stay for a while.</summary>
    private static bool LacksPods(JsonObject workload)
    {
        int Number(string part, string field, int otherwise) =>
            workload[part]?[field] is JsonValue number && number.TryGetValue(out int value) ? value : otherwise;
        return workload["kind"]?.ToString() == "DaemonSet"
            ? Number("status", "currentNumberScheduled", 0) < Number("status", "desiredNumberScheduled", 0)
            : Number("status", "replicas", 0) < Number("spec", "replicas", 1);
    }

    /// <summary>Why no Pods are made, as the Deployment says; empty when it says nothing.</summary>
    public static string Why(Deployment workload) =>
        workload.Status.Conditions.FirstOrDefault(condition => condition is { Type: "ReplicaFailure", Status: "True" })?.Message ?? "";

    public static string Remedy(string context, Deployment workload) => Remedy(context, $"Deployment {workload.Key}", Why(workload));

    /// <summary>As the API server says it.</summary>
    [GeneratedRegex("serviceaccount \"([^\"]+)\" not found")]
    private static partial Regex MissingAccount();

    /// <param name="workload">As <c>Kind namespace/name</c>.</param>
    private static string Remedy(string context, string workload, string why)
    {
        var (kind, ns, name) = workload.Split(' ', '/') is [var first, var second, var third] ? (first.ToLowerInvariant(), second, third) : ("", "", workload);
        var (quota, limits) = ($"kubectl --context={context} -n {ns} get resourcequota", $"kubectl --context={context} -n {ns} describe limitrange");
        return why.Contains("must specify", StringComparison.Ordinal)
            ? $"set resources.requests and limits of these containers in the template, or remove the limit: {quota}"
            : why.Contains("quota", StringComparison.Ordinal)
            ? $"raise the quota, or ask for less, in the template and for the proxy ({(why.Contains("limits.", StringComparison.Ordinal)
                ? "sidecar.istio.io/proxyCPULimit, proxyMemoryLimit" : "sidecar.istio.io/proxyCPU, proxyMemory")}): {quota}"
            : why.Contains("metadata.annotations[", StringComparison.Ordinal)
            ? $"correct the annotation in spec.template.metadata: kubectl --context={context} -n {ns} edit {kind} {name}"
            : why.Contains("usage per", StringComparison.Ordinal)
            ? $"ask for what the LimitRange allows, in the template and for the proxy (sidecar.istio.io/proxyCPU, proxyMemory): {limits}"
            : MissingAccount().Match(why) is { Success: true } account
            ? $"create the ServiceAccount, with the rights that it had (what an installation made, the installation makes again): "
                + $"kubectl --context={context} -n {ns} create serviceaccount {account.Groups[1].Value}; or name another one in serviceAccountName"
            : $"kubectl --context={context} -n {ns} describe {kind} {name}";
    }
}
