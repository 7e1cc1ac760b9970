using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a Pod is not ready, as far as objects alone tell it.</summary>
internal static class UnreadyPods
{
    /// <param name="like">Who else is in the same state; empty when nobody is.</param>
    /// <param name="listening">Where programs of the Pod listen; null when nobody knows.</param>
    /// <param name="now">The time; null when nobody knows.</param>
    public static Problem Of(ClusterObjects cluster, Pod pod, string like = "", IReadOnlyList<int>? listening = null,
        DateTimeOffset? now = null) =>
        Kept(cluster, pod, like) ?? Uninjected(cluster, pod, like) ?? Starved(cluster, pod, like) ?? PortOfProxy(cluster, pod)
            ?? PortOfNode(cluster, pod, like) ?? UnplacedPods.Of(cluster, pod, like, now) ?? Misdirected(cluster, pod)
            ?? AbsentReference.Of(cluster, pod, like) ?? Lingering(cluster, pod, like)
            ?? FailedChecks.NotYet(cluster, pod, like, now) ?? FailedChecks.Of(cluster, pod, like, listening) ?? StartingPods.Of(cluster, pod, like, now)
            ?? Faults.Of("ISM2047", $"Pod {pod.Key} in {cluster.Context}", "status",
                $"is not ready{like}: {ServicePods.Why(pod)}{FailedChecks.Describe(cluster, pod)}", ServicePods.Look(pod, cluster.Context));

    /// <summary>A Pod of an older template, which stays until somebody deletes it: what was mended in the template does not reach it. Null for
    /// others.</summary>
    private static Problem? Kept(ClusterObjects cluster, Pod pod, string like)
    {
        if (pod.Metadata.DeletionTimestamp is not null || cluster.ControllerOf(pod) is not { } workload || !KeptTemplates.Keeps(workload, pod)) return null;
        var (kind, name) = ServicePods.OwnerOf(pod);
        return Faults.Of("ISM2047", $"{kind} {pod.Metadata.Namespace}/{name} in {cluster.Context}", "spec.updateStrategy.type",
            $"is OnDelete, and the template is newer than Pod {pod.Metadata.Name}, which stays as it was and is not ready{like}: "
                + $"{ServicePods.Why(pod)}{FailedChecks.Describe(cluster, pod)}",
            $"let the newer template apply: kubectl --context={cluster.Context} -n {pod.Metadata.Namespace} delete pod {pod.Metadata.Name}");
    }

    /// <summary>A Pod with a container that an injector should have changed, and has not; null for others.</summary>
    private static Problem? Uninjected(ClusterObjects cluster, Pod pod, string like)
    {
        if (!ImageAuto.HasAuto(pod.Spec)) return null;
        var (why, remedy) = ImageAuto.Uninjected(pod, cluster.Context, cluster.LabelsOf(pod.Metadata.Namespace), like);
        return Faults.Of("ISM2047", $"Pod {pod.Key} in {cluster.Context}", "spec.containers", why, remedy);
    }

    /// <summary>A Pod whose proxy was killed for lack of memory; null for others.</summary>
    public static Problem? Starved(ClusterObjects cluster, Pod pod, string like = "") => StarvedProxies.Find(pod, cluster.Context) is not { } starved ? null
        : Faults.Of("ISM2047", $"Pod {pod.Key} in {cluster.Context}", starved.Field, $"{starved.Says}: the Pod is not ready{like}", starved.Remedy);

    /// <summary>A Pod whose proxy asks for a control plane where none answers it; null for others.</summary>
    public static Problem? Misdirected(ClusterObjects cluster, Pod pod)
    {
        if (!ServicePods.AwaitsProxy(pod) || ClusterObjects.DiscoveryOf(pod) is not { Length: > 0 } address) return null;
        var colon = address.LastIndexOf(':');
        // Others may be names of hosts outside.
        if (address[..Math.Max(0, colon)].Split('.') is not [var name, var ns, "svc", ..]) return null;
        var service = cluster.Service(ns, name);
        var isPlain = address[(colon + 1)..] == Ports.DiscoveryPlain.ToString(CultureInfo.InvariantCulture);
        if (service is not null && !isPlain && (service.Spec.Ports.Count == 0
            || service.Spec.Ports.Exists(port => port.Port.ToString(CultureInfo.InvariantCulture) == address[(colon + 1)..]))) return null;
        // The control plane is there, and so is its name in the settings: nobody leads calls of it there any more.
        if (service is null && cluster.ControlPlanes.Any(plane => plane.Namespace == ns))
            return Faults.Of("ISM2003", $"Service {ns}/{name} in {cluster.Context}", "",
                $"does not exist, although its control plane is there: proxies ask for their configuration at {address}, and Pod {pod.Key} is never ready",
                "create it again by the installation of this cluster (isthmus install, with the same file)");
        return Faults.Of("ISM2003", $"Pod {pod.Key} in {cluster.Context}", $"metadata.annotations[{Annotations.ProxyConfig}]",
            $"lets its proxy ask for its configuration at {address}, "
                + (service is null ? $"and no Service {ns}/{name} is there: it is never ready"
                    : isPlain ? "where the control plane takes no TLS, without which proxies ask for nothing: it is never ready"
                    : $"and Service {ns}/{name} has no such port: it has {ServicePods.Ports(service)}"),
            "correct discoveryAddress in the annotation of the Pod's template, or in meshConfig.defaultConfig"
                + $"{(service is null ? "" : $" (port {Ports.DiscoveryTls})")}, or remove it");
    }

    /// <summary>A Pod of which an init container of the application runs and does not end, such as one that waits for a service which it cannot reach
    /// without the Pod's proxy; null for others.</summary>
    private static Problem? Lingering(ClusterObjects cluster, Pod pod, string like)
    {
        if (ServicePods.Lingering(pod) is not { State.Running: { } running } status) return null;
        var (kind, name) = ServicePods.OwnerOf(pod);
        var index = pod.Spec.InitContainers.Where(one => !ServicePods.IsOfMesh(one)).ToList().FindIndex(one => one.Name == status.Name);
        var unproxied = ServicePods.Unproxied(pod, status.Name);
        return Faults.Of("ISM2047", $"{kind} {pod.Metadata.Namespace}/{name} in {cluster.Context}",
            $"{(kind == "Pod" ? "spec" : "spec.template.spec")}.initContainers[{index}]",
            $"{status.Name} {(running.StartedAt is { } since ? $"runs since {since.UtcDateTime:u}" : "runs")} and has not ended, and the containers after it "
                + $"wait for that: Pod {pod.Metadata.Name} is not ready{like}{unproxied}",
            $"see what it waits for: kubectl --context={cluster.Context} -n {pod.Metadata.Namespace} logs {pod.Metadata.Name} -c {status.Name}"
                + (unproxied.Length == 0 ? "" : "; if it calls services of the mesh, let the proxy start before it: sidecar.istio.io/nativeSidecar: \"true\" "
                    + "in the annotations of the Pod's template (holdApplicationUntilProxyStarts does not help init containers), or let the application "
                    + "wait itself"));
    }

    /// <summary>A Pod that no Node takes, because another one has the port of the Node that it demands; null for others.</summary>
    private static Problem? PortOfNode(ClusterObjects cluster, Pod pod, string like)
    {
        var told = pod.Status.Conditions.FirstOrDefault(condition => condition is { Type: "PodScheduled", Status: "False" })?.Message ?? "";
        if (!told.Contains("free ports", StringComparison.Ordinal)) return null;
        var (kind, name) = ServicePods.OwnerOf(pod);
        var demanded = (from container in pod.Spec.Containers.Where(one => one.Name != "istio-proxy").Index()
                        from port in container.Item.Ports.Index()
                        where port.Item.HostPort > 0
                        let holder = cluster.Pods.FirstOrDefault(other => other != pod && other.Status.Phase is "Running" or "Pending"
                            && other.Spec.NodeName.Length > 0 && other.Spec.Containers.Exists(one => one.Ports.Exists(taken =>
                                taken.HostPort == port.Item.HostPort && taken.Protocol == port.Item.Protocol)))
                        orderby holder is null
                        select (container.Index, At: port.Index, Port: port.Item, Holder: holder)).ToList();
        return demanded is not [var (index, at, wanted, taker), ..] ? null
            : Faults.Of("ISM2047", $"{kind} {pod.Metadata.Namespace}/{name} in {cluster.Context}",
                $"{(kind == "Pod" ? "spec" : "spec.template.spec")}.containers[{index}].ports[{at}].hostPort",
                $"is {wanted.HostPort}, and only one Pod of each Node can have it"
                    + $"{(taker is null ? "" : $", as Pod {taker.Key} has on {taker.Spec.NodeName}")}"
                    + $": Pod {pod.Metadata.Name} is on no Node{like} ({PodText.Message(told)})",
                "remove hostPort: Services lead to the Pod's own port; or run no more Pods than there are Nodes, or use another port");
    }

    /// <summary>A Pod whose proxy does not start, because a container says that it listens on one of the proxy's ports; null for others.</summary>
    private static Problem? PortOfProxy(ClusterObjects cluster, Pod pod)
    {
        if (ClusterObjects.Sidecar(pod) is null) return null;
        var ending = pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses)
            .Where(status => !status.Ready && (IsRefusal(status.State.Terminated) || IsRefusal(status.LastState.Terminated)))
            .Select(status => status.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var (index, container) in pod.Spec.Containers.Index())
        {
            if (container.Name == "istio-proxy" || !(ending.Contains(container.Name) || ending.Contains("istio-proxy"))
                || container.Ports.Find(port => Ports.IsOfProxy(port.Number)) is not { } port) continue;
            return Faults.Of("ISM2111", $"Pod {pod.Key} in {cluster.Context}", $"spec.containers[{index}].ports",
                $"has {port.Number}, a port of the Pod's proxy: two programs cannot listen there, so that one of them ends again and again",
                "let the application listen on another port, and set containerPort in the Pod's template and targetPort of the Service to it");
        }
        return null;
    }

    /// <summary>Whether a program may have ended because it could not listen: it failed by itself.</summary>
    private static bool IsRefusal(ContainerStateTerminated? state) => state is { ExitCode: not 0, Reason: not "OOMKilled" };
}
