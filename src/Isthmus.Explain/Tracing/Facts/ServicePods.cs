using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using ServicePort = Isthmus.Kubernetes.Objects.ServicePort;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>The Pods and Deployments behind a Service.</summary>
internal static class ServicePods
{
    /// <summary>The label by which a Deployment tells its generations of Pods apart.</summary>
    public const string TemplateHash = "pod-template-hash";

    public static IEnumerable<Pod> Ready(ServiceInCluster service, int port) =>
        service.Pods.Where(pod => pod.Status.IsReady && TargetExists(service.Port(port), pod));

    public static bool TargetExists(ServicePort? port, Pod pod) =>
        port?.TargetPort?.ToString() is not { Length: > 0 } text || int.TryParse(text, out _)
            || pod.Spec.Containers.Any(container => container.Ports.Any(candidate => candidate.Name == text));

    /// <summary>The number of the Pod's port to which a port of a Service leads; 0 when no container has the name that it gives.</summary>
    public static int Target(ServicePort port, Pod pod)
    {
        if (port.TargetPort?.ToString() is not { Length: > 0 } text) return port.Port;
        return int.TryParse(text, out var number) ? number
            : pod.Spec.Containers.SelectMany(container => container.Ports).FirstOrDefault(candidate => candidate.Name == text)?.Number ?? 0;
    }

    /// <summary>Deployments whose Pods the Service selects.</summary>
    public static IEnumerable<Deployment> Workloads(ServiceInCluster service) => service.Cluster.Deployments.Where(deployment =>
        deployment.Metadata.Namespace == service.Service.Metadata.Namespace && service.Service.Spec.Selector.Count > 0
            && LabelSelector.Selects(service.Service.Spec.Selector, deployment.Spec.TemplateLabels)
            && LabelSelector.Selects(service.Within, deployment.Spec.TemplateLabels));

    /// <summary>Whether a Service has Pods or Deployments, or was meant to have: of a part of it, somebody may have meant other labels.</summary>
    public static bool IsMeant(ServiceInCluster service) => service.Pods.Count > 0 || Workloads(service).Any() || Candidates(service).Any();

    /// <summary>The kind and name of what a Pod belongs to: of a Deployment's, the Deployment; of nobody's, the Pod itself.</summary>
    public static (string Kind, string Name) OwnerOf(Pod pod)
    {
        // Static Pods belong to their Node.
        if (pod.Metadata.OwnerReferences.FirstOrDefault(one => one.Controller == true) is not { Kind: not "Node" } owner) return ("Pod", pod.Metadata.Name);
        var hash = pod.Metadata.Labels.GetValueOrDefault(TemplateHash, "");
        return hash.Length > 0 && owner.Kind == "ReplicaSet" && owner.Name.EndsWith($"-{hash}", StringComparison.Ordinal)
            ? ("Deployment", owner.Name[..^(hash.Length + 1)]) : (owner.Kind, owner.Name);
    }

    /// <summary>Where the labels and annotations of a Pod are changed: a Pod that is there does not change its proxy.</summary>
    public static string TemplateOf(Pod pod) =>
        OwnerOf(pod) is ({ } kind and not "Pod", var name) ? $"the Pod's template ({kind} {pod.Metadata.Namespace}/{name})" : "the Pod, and create it again";

    /// <summary>Deployments that the Service may have been meant to select: one label matches, or the name does.</summary>
    public static IEnumerable<Deployment> Candidates(ServiceInCluster service) => service.Cluster.Deployments
        .Where(deployment => deployment.Metadata.Namespace == service.Service.Metadata.Namespace
            && LabelSelector.Selects(service.Within, deployment.Spec.TemplateLabels))
        .Select(deployment => (deployment,
            Score: service.Service.Spec.Selector.Count(pair => deployment.Spec.TemplateLabels.GetValueOrDefault(pair.Key) == pair.Value) * 2
            + (deployment.Metadata.Name.StartsWith(service.Service.Metadata.Name, StringComparison.Ordinal)
                || Spelling.Distance(deployment.Metadata.Name, service.Service.Metadata.Name) <= 2
                ? 3
                : 0)))
        .Where(candidate => candidate.Score > 0).OrderByDescending(candidate => candidate.Score).Select(candidate => candidate.deployment);

    /// <summary>The labels of a Deployment's Pods that a Service's selector names; all of them when it names none.</summary>
    public static string Compared(Deployment deployment, Kubernetes.Objects.Service service)
    {
        var labels = deployment.Spec.TemplateLabels;
        var named = labels.Where(pair => service.Spec.Selector.ContainsKey(pair.Key)).ToDictionary(StringComparer.Ordinal);
        return Text(named.Count > 0 ? named : labels);
    }

    /// <summary>An EndpointSlice that somebody wrote for a Service without the label that says so; null if none has its name.</summary>
    public static EndpointSlice? LostSlice(ServiceInCluster service)
    {
        var (name, ns) = (service.Service.Metadata.Name, service.Service.Metadata.Namespace);
        return service.Cluster.Slices.FirstOrDefault(slice => slice.Metadata.Namespace == ns
            && !slice.Metadata.Labels.ContainsKey(Labels.ServiceName) && !slice.Metadata.Labels.ContainsKey(Labels.ImportName)
            && (slice.Metadata.Name == name || slice.Metadata.Name.StartsWith($"{name}-", StringComparison.Ordinal)));
    }

    public static string Text(IReadOnlyDictionary<string, string> labels) =>
        string.Join(",", labels.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));

    public static string Ports(Kubernetes.Objects.Service service) => service.Spec.Ports.Count == 0 ? "none"
        : string.Join(", ", service.Spec.Ports.Select(port => string.Join(" ", (string[])[$"{port.Port}", .. Details(port)])));

    private static string[] Details(ServicePort port)
    {
        var details = string.Join(", ", new[] { port.Name, port.Protocol is "TCP" or "" ? "" : port.Protocol }.Where(detail => detail.Length > 0));
        return details.Length > 0 ? [$"({details})"] : [];
    }

    /// <summary>A Service has no port of TCP with a number: it has another, or one of UDP.</summary>
    public static Problem WithoutPort(ServiceInCluster service, int number, string remedy)
    {
        var other = service.Service.Spec.Ports.Find(port => port.Port == number);
        return other is null
            ? Faults.Of(Faults.NoSuchPort, service.Name, "spec.ports", $"has no port {number}: it has {Ports(service.Service)}", remedy)
            : Faults.Of(Faults.NoSuchPort, service.Name, $"spec.ports[{(other.Name.Length > 0 ? other.Name : $"{number}")}].protocol",
                $"is {other.Protocol} at port {number}, so the Service takes no TCP connections there", "set it to TCP");
    }

    /// <summary>The application itself may be healthy while the proxy next to it has never received a
    /// configuration.</summary>
    public static bool AwaitsProxy(Pod pod) =>
        pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses).Any(status => status is { Name: "istio-proxy", Ready: false });

    /// <summary>A Deployment of another namespace whose Pods have the labels that a Service selects, and that no Service there selects; or one of the same name
    /// alone, in a cluster where the namespace has another name. Null when there is none.</summary>
    public static (ClusterObjects Cluster, Deployment Deployment)? Stray(IEnumerable<ClusterObjects> clusters, Service service)
    {
        foreach (var cluster in clusters)
            foreach (var one in cluster.Deployments.Where(one => one.Metadata.Namespace != service.Metadata.Namespace && one.Spec.Replicas is not 0
                && LabelSelector.Selects(service.Spec.Selector, one.Spec.TemplateLabels)))
                if (!cluster.Services.Any(other => other.Metadata.Namespace == one.Metadata.Namespace && other.Spec.Selector.Count > 0
                    && LabelSelector.Selects(other.Spec.Selector, one.Spec.TemplateLabels)
                    && (other.Metadata.Name != service.Metadata.Name
                        || cluster.Service(service.Metadata.Namespace, service.Metadata.Name) is not null))) return (cluster, one);
        return null;
    }

    /// <summary>Why a Pod does not find the control plane by its name, with the field; null for others.</summary>
    /// <param name="servers">The addresses of the cluster's DNS; empty when they are not known.</param>
    public static (string Field, string Why, string Remedy)? WithoutDns(Pod pod, IReadOnlyList<string> servers)
    {
        const string usual = "set dnsPolicy to ClusterFirst (for hostNetwork: ClusterFirstWithHostNet), or ";
        if (pod.Spec is { DnsPolicy: "Default" } or { DnsPolicy: "None", DnsConfig: null or { Nameservers.Count: 0 } })
            return ("spec.dnsPolicy", $"dnsPolicy {pod.Spec.DnsPolicy} keeps", $"{usual}name the cluster's DNS in dnsConfig");
        // Names that end with the domain of the cluster need no search domain.
        if (pod.Spec is not { DnsPolicy: "None", DnsConfig: { } config }
            || ClusterObjects.DiscoveryOf(pod).Contains($".{WellKnown.DefaultDomainSuffix}", StringComparison.Ordinal)) return null;
        if (!config.Searches.Exists(search => search.TrimEnd('.') == WellKnown.DefaultDomainSuffix))
            return ("spec.dnsConfig.searches", $"dnsPolicy None, and no {WellKnown.DefaultDomainSuffix} in searches of dnsConfig, keep",
                $"{usual}add {WellKnown.DefaultDomainSuffix} to searches of dnsConfig");
        // Caches on Nodes have addresses of the link.
        return servers.Count == 0 || config.Nameservers.Exists(one => servers.Contains(one) || one.StartsWith("169.254.", StringComparison.Ordinal)) ? null
            : ("spec.dnsConfig.nameservers", $"dnsPolicy None with the nameservers {string.Join(", ", config.Nameservers)} keeps",
                $"{usual}name the cluster's DNS in dnsConfig: {string.Join(", ", servers)}");
    }

    /// <summary>An init container of the application that runs and has not ended, so that nothing after it starts; null for others.</summary>
    public static ContainerStatus? Lingering(Pod pod) => pod.Status.InitContainerStatuses.Find(status => status.State.Running is not null
        && pod.Spec.InitContainers.Exists(one => one.Name == status.Name && one.RestartPolicy != "Always" && !IsOfMesh(one)));

    private static Container? Find(Pod pod, string name) => pod.Spec.Containers.Find(container => container.Name == name);

    /// <summary>Whether injection has added an init container.</summary>
    public static bool IsOfMesh(Container container) => container.Name is "istio-init" or "istio-validation" or "istio-proxy";

    public static string Why(Pod pod)
    {
        if (Lingering(pod) is { } lingering) return $"init container {lingering.Name} runs and has not ended{Unproxied(pod, lingering.Name)}";
        foreach (var status in pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses))
        {
            if (NeverStarted(status) is { } refused) return $"container {status.Name} cannot be started: {PodText.Message(refused)}";
            if (status is { State.Waiting: not null, LastState.Terminated: { ExitCode: not 0 } last })
                return $"container {status.Name} exits with code {last.ExitCode} again and again ({status.State.Waiting.Reason}){Unproxied(pod, status.Name)}";
            // Most programs that are told to end do so with code 0, and those that are not in time with 137.
            if (status is { State.Waiting: not null, LastState.Terminated: { ExitCode: 0 } } && Find(pod, status.Name) is { LivenessProbe: not null })
                return $"container {status.Name} ends with code 0 again and again ({status.State.Waiting.Reason}), as when its liveness probe fails";
            if (EndsByItself(pod, status) is { } ended)
                return $"container {status.Name} ends with code 0 again and again ({status.State.Waiting!.Reason})"
                    + (ended is { StartedAt: { } begin, FinishedAt: { } end } ? $", {Math.Max(0, (long)(end - begin).TotalSeconds)} s after its start" : "")
                    + $": its program ({PodText.Program(Find(pod, status.Name)!)}) is not a server, or goes to the background";
            if (status.State.Waiting is { Message: "", Reason: "ContainerCreating" or "PodInitializing" } prepared)
                return $"its containers are not started yet ({prepared.Reason}), as while a volume cannot be mounted or an image is fetched";
            if (status.State.Waiting is { } waiting) return $"container {status.Name} waits: {waiting.Reason} {PodText.Message(waiting.Message)}".TrimEnd();
            if (status.State.Terminated is { ExitCode: not 0 } terminated)
                return $"container {status.Name} exited with code {terminated.ExitCode}{Unproxied(pod, status.Name)}";
        }
        if (pod.Status.ContainerStatuses.FirstOrDefault(status => !status.Ready) is { } unready)
            return (Find(pod, unready.Name) is { StartupProbe: not null } && unready.Started != true
                ? $"the startup probe of container {unready.Name} has not succeeded"
                : Find(pod, unready.Name) is { ReadinessProbe: null, Name: not "istio-proxy" } ? $"container {unready.Name} runs, and has not become ready"
                : $"the readiness probe of container {unready.Name}{(ReadinessCheck.Of(pod) is { } check ? $" ({check.Text})" : "")} fails")
                + (unready.Name == "istio-proxy" && WithoutDns(pod, []) is { } nameless
                    ? $"; {nameless.Why} it from the cluster's DNS, by which it finds its control plane" : "");
        var condition = pod.Status.Conditions.FirstOrDefault(candidate => candidate is { Type: "PodScheduled" or "Ready", Status: not "True" });
        return condition is { Message.Length: > 0 } ? PodText.Message(condition.Message) : $"phase {pod.Status.Phase}";
    }

    /// <summary>Whether a container has run: its volumes were there then.</summary>
    public static bool HasRun(Pod pod) => pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses)
        .Any(status => status.State.Running is not null || status.State.Terminated is not null || status.LastState.Terminated is not null);

    /// <summary>How a container ended last that ends again and again without an error, and that no probe of the kubelet ends; null for others.</summary>
    private static ContainerStateTerminated? EndsByItself(Pod pod, ContainerStatus status) =>
        status is { State.Waiting.Reason: "CrashLoopBackOff", LastState.Terminated: { ExitCode: 0 } ended }
            && Find(pod, status.Name) is { LivenessProbe: null, StartupProbe: null } ? ended : null;

    /// <summary>Why the program of a container could not be started, such as one that the image does not have; null where it ran. It has no log.</summary>
    private static string? NeverStarted(ContainerStatus status) =>
        (status.State.Terminated ?? status.LastState.Terminated) is { Reason: "StartError" or "ContainerCannotRun", Message: { Length: > 0 } said }
            ? said : null;

    /// <summary>The command that shows more of why a Pod is not ready: the log of the container that has ended, or else its events.</summary>
    public static string Look(Pod pod, string context)
    {
        var at = $"kubectl --context={context} -n {pod.Metadata.Namespace}";
        var ended = pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses).FirstOrDefault(status => !status.Ready
            && NeverStarted(status) is null && (EndsByItself(pod, status) is not null || status.State.Terminated is { ExitCode: not 0 }
                || status is { State.Waiting: not null, LastState.Terminated.ExitCode: not 0 }));
        return ended is null ? $"{at} describe pod {pod.Metadata.Name}"
            : $"{at} logs {pod.Metadata.Name} -c {ended.Name}{(ended.State.Terminated is null ? " --previous" : "")}";
    }

    /// <summary>What an init container that ends before the Pod's proxy starts may not know: it calls without the proxy.</summary>
    public static string Unproxied(Pod pod, string container)
    {
        var at = pod.Spec.InitContainers.FindIndex(one => one.Name == container);
        if (at < 0 || pod.Spec.InitContainers[at] is { RestartPolicy: "Always" } || IsOfMesh(pod.Spec.InitContainers[at])
            || ClusterObjects.Sidecar(pod) is null) return "";
        var proxy = pod.Spec.InitContainers.FindIndex(one => one.Name == "istio-proxy");
        if (proxy >= 0 && proxy < at) return "";
        var capture = pod.Spec.InitContainers.FindIndex(one => one.Name is "istio-init" or "istio-validation");
        return capture >= 0 && capture < at ? "; it runs while connections already go to the Pod's proxy and the proxy does not run yet, so they are refused"
            : "; it runs before the Pod's proxy, so its calls leave in plain text, which workloads with STRICT mutual TLS refuse";
    }
}
