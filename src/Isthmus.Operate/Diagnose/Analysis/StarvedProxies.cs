using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The limit of memory with which the proxy of a Pod was killed.</summary>
/// <param name="Field">Where the limit comes from.</param>
/// <param name="Says">What the limit is, and what became of the proxy.</param>
/// <param name="At">When it was killed. Null if that is not known.</param>
public sealed record StarvedProxy(string Field, string Says, string Remedy, DateTimeOffset? At);

/// <summary>Proxies that the kernel killed because they needed more memory than their limit. Pure.</summary>
public static class StarvedProxies
{
    private const string Annotation = "sidecar.istio.io/proxyMemoryLimit", Killed = "OOMKilled";

    private static readonly string[] OfMesh = ["istio-proxy", "istio-init", "istio-validation"];

    public static Analyzer Analyzer
    {
        get;
    } = new("pod.ProxyMemoryAnalyzer", "Checks for proxies that were killed because their limit of memory is too small",
        [WorkloadCodes.ProxyOutOfMemory], ["Pod"], mesh =>
        from area in mesh.Workloads
        from workload in area.All
        where workload.Pod is not null
        let starved = Find(workload.Pod!, area.Cluster.Context)
        where starved is not null
        let isReady = workload.Pod!.Status.IsReady
        // Once it is ready again, what it last ended with is told as long as the Pod lives.
        select WorkloadCodes.ProxyOutOfMemory.At(area.Cluster, workload.Name, starved.Field, starved.Says
            + (isReady ? $"{Time(starved.At)}; it runs again" : ": the Pod is not ready"), starved.Remedy, isReady ? Severity.Warning : null));

    /// <summary>Null: its proxy was not killed, or has no limit by which it was.</summary>
    /// <param name="context">The context of its cluster.</param>
    public static StarvedProxy? Find(Pod pod, string context)
    {
        var status = pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses)
            .FirstOrDefault(one => OfMesh.Contains(one.Name) && (one.State.Terminated ?? one.LastState.Terminated)?.Reason == Killed);
        var container = pod.Spec.InitContainers.Concat(pod.Spec.Containers).FirstOrDefault(one => one.Name == status?.Name);
        if (container?.Resources.Limits.GetValueOrDefault("memory")?.ToString() is not { Length: > 0 } limit) return null;
        var ended = (status!.State.Terminated ?? status.LastState.Terminated)!;
        var what = $"is {limit}, and container {status.Name} needed more, so that it was killed (OOMKilled, exit code {ended.ExitCode}"
            + (status.RestartCount > 0 ? string.Create(CultureInfo.InvariantCulture, $"; {Counted.Of(status.RestartCount, "restart")})") : ")");
        if (pod.Metadata.Annotations.GetValueOrDefault(Annotation) is { Length: > 0 } given && Quantity.Nanos(given) == Quantity.Nanos(limit))
            return new($"metadata.annotations[{Annotation}]", what, $"raise {Annotation} in the annotations of the Pod's template, or remove it",
                ended.FinishedAt);
        return new($"spec.containers[{status.Name}].resources.limits.memory", what, container.Args.Contains("router")
            ? $"raise it in the template of the gateway, whose owner is named by: kubectl --context={context} -n {pod.Metadata.Namespace} describe pod "
                + pod.Metadata.Name
            : $"raise values.global.proxy.resources.limits.memory of the control plane and restart the workload, or set the annotation {Annotation} in the "
                + "Pod's template", ended.FinishedAt);
    }

    private static string Time(DateTimeOffset? at) => at is { } known ? $" at {known.UtcDateTime:u}" : "";
}
