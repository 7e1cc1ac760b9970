using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Inventory;

/// <summary>Why the API server refuses the Pods of a workload, and what helps.</summary>
public static partial class PodRefusal
{
    /// <summary>Why no Pods are made, as the Deployment says; empty when it says nothing.</summary>
    public static string Why(Deployment workload) =>
        workload.Status.Conditions.FirstOrDefault(condition => condition is { Type: "ReplicaFailure", Status: "True" })?.Message ?? "";

    public static string Remedy(string context, Deployment workload) => Remedy(context, $"Deployment {workload.Key}", Why(workload));

    [GeneratedRegex("no PriorityClass with name (\\S+) was found")]
    private static partial Regex MissingClass();

    /// <summary>As the API server says it.</summary>
    [GeneratedRegex("serviceaccount \"([^\"]+)\" not found")]
    private static partial Regex MissingAccount();

    /// <param name="workload">As <c>Kind namespace/name</c>.</param>
    internal static string Remedy(string context, string workload, string why)
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
            : MissingClass().Match(why) is { Success: true } priority
            ? $"create PriorityClass {priority.Groups[1].Value} in this cluster, as another one may have it (kubectl --context=OTHER get priorityclass "
                + $"{priority.Groups[1].Value} -o yaml | kubectl --context={context} apply -f -), or remove priorityClassName"
            : why.Contains("violates PodSecurity", StringComparison.Ordinal)
            ? $"correct in the template what the message names for containers of the application; sidecars need NET_ADMIN unless the CNI node agent is there "
                + $"(components.cni.enabled=true); or allow more: kubectl --context={context} label namespace {ns} --overwrite "
                + "pod-security.kubernetes.io/enforce=privileged"
            : MissingAccount().Match(why) is { Success: true } account
            ? $"create the ServiceAccount, with the rights that it had (what an installation made, the installation makes again): "
                + $"kubectl --context={context} -n {ns} create serviceaccount {account.Groups[1].Value}; or name another one in serviceAccountName"
            : $"kubectl --context={context} -n {ns} describe {kind} {name}";
    }
}
