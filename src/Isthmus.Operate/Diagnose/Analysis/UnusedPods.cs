using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Pods of Services that cannot run: others answer in their place, and nobody notices. Pure.</summary>
public static class UnusedPods
{
    private static readonly string[] Failures = ["CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError",
        "CreateContainerError", "RunContainerError"];

    private const string ProxyImage = "sidecar.istio.io/proxyImage";

    public static Analyzer Analyzer
    {
        get;
    } = new("service.PodAnalyzer", "Checks that the Pods of Services can run", [OwnCodes.PodCannotRun], ["Service", "Pod"], mesh =>
        from area in mesh.Workloads
        from service in area.Cluster.Services
        from workload in area.Behind(service)
        let failed = workload.Pod!.Status.InitContainerStatuses.Concat(workload.Pod.Status.ContainerStatuses)
            .FirstOrDefault(status => status.State.Waiting is { } waiting && Failures.Contains(waiting.Reason))
        // More is said of a proxy that no injector gave its image, or that lacks memory.
        where failed is not null && !ImageAuto.IsOf(workload.Pod!.Spec, failed.Name) && StarvedProxies.Find(workload.Pod, area.Cluster.Context) is null
        let others = mesh.Workloads.SelectMany(other => other.Cluster.Services.Where(same => same.Key == service.Key).SelectMany(other.Behind))
            .Count(other => other.Pod!.Status.IsReady)
        select OwnCodes.PodCannotRun.At(area.Cluster, workload.Name, "status.containerStatuses",
            $"container {failed.Name} waits: {failed.State.Waiting!.Reason}, so {(service.Spec.PublishNotReadyAddresses
                ? $"calls of Service {service.Key} that come to it fail (spec.publishNotReadyAddresses) in" : $"Service {service.Key} does not use it in")} "
                + area.Cluster.Context
                + $"{(others == 0 ? ", and no other Pod is ready" : $": {others} other Pod{(others == 1 ? " answers" : "s answer")} in its place")}",
            RemedyOf(area.Cluster.Context, workload.Pod!, failed), others > 0 ? Severity.Warning : null));

    /// <summary>What says the image: that of the proxy is not in the template.</summary>
    private static string Place(Pod pod, ContainerStatus failed) => failed.Name is not ("istio-proxy" or "istio-init" or "istio-validation")
        ? $"image {failed.Image} in the template of the Pod"
        : pod.Metadata.Annotations.ContainsKey(ProxyImage) ? $"the annotation {ProxyImage} in the template of the Pod ({failed.Image})"
        : $"the image of proxies, {failed.Image} (values.global.hub and tag of the control plane)";

    /// <summary>Only a container that has run has a log.</summary>
    private static string RemedyOf(string context, Pod pod, ContainerStatus failed)
    {
        var (kubectl, ns) = ($"kubectl --context={context}", pod.Metadata.Namespace);
        return failed.State.Waiting!.Reason switch
        {
            "CrashLoopBackOff" => $"{kubectl} -n {ns} logs {pod.Metadata.Name} -c {failed.Name} --previous",
            "ErrImagePull" or "ImagePullBackOff" or "InvalidImageName" =>
                $"correct {Place(pod, failed)}, or let the Node pull it: {kubectl} -n {ns} describe pod {pod.Metadata.Name}",
            _ => $"{kubectl} -n {ns} describe pod {pod.Metadata.Name}",
        };
    }
}
