using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using ServicePort = Isthmus.Kubernetes.Objects.ServicePort;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>Why a destination has no endpoints, and why the application does not take the call.</summary>
internal sealed partial class Causes
{
    /// <summary>Why the caller's proxy has no endpoint of a destination.</summary>
    public Problem NoEndpoints(MeshHost? host, int port, string subset, string cluster)
    {
        if (host is null) return Faults.Of("ISM2040", $"cluster {cluster}", "", "has no endpoints, and no Service of these clusters has its name", "isthmus proxy-config endpoints shows what the proxy knows");
        NeedPods(host.Namespace);
        if (host.Services.Count == 0)
            return Faults.Of("ISM2042", $"ServiceEntry {host.Entries[0].Namespace}/{host.Entries[0].Name} in {Config.Context}", "spec.endpoints", "has no endpoint with an address", "add endpoints, or a workloadSelector that selects something");
        var ready = host.Services.Where(service => Ready(service, port).Any()).ToList();
        if (ready.Count == 0) return host.Services.Select(service => (Problem: Empty(service, port), Rank: Rank(service))).MaxBy(found => found.Rank).Problem;
        if (subset.Length > 0 && SubsetSelectsNothing(host, subset, ready, port) is { } wrong) return wrong;
        if (Hidden(host) is { } hidden) return hidden;
        if (ready.All(service => service.Cluster != facts.Home) && OnlyByName(host, port) is { } foreign) return foreign;
        if (Unwatched([.. ready.Where(service => service.Cluster != facts.Home)]) is { } unwatched) return unwatched;
        return ready.Select(service => Unreachable(service, port) ?? PlainAcrossNetworks(host, service, port, subset)).FirstOrDefault(problem => problem is not null) ?? NotTold(host);
    }

    /// <summary>The same as a gateway of <paramref name="cluster"/> sees it: only its own network counts.</summary>
    public Problem NoEndpointsIn(ClusterObjects cluster, MeshHost? host, int port, string subset)
    {
        if (host?.In(cluster) is not { } service) return Faults.Of("ISM2043", $"Service {host?.Namespace}/{host?.Name}", "", $"does not exist in {cluster.Context}, where the gateway leads to", $"create it in {cluster.Context}, or do not send calls there");
        NeedPods(host.Namespace);
        if (!Ready(service, port).Any()) return Empty(service, port);
        return (subset.Length > 0 ? SubsetSelectsNothing(host, subset, [service], port) : null)
            ?? Faults.Of("ISM2044", $"Gateway of {cluster.Context}", "", $"the gateway's proxy has not been told of the Pods of {host.Fqdn}", $"isthmus proxy-status --context={cluster.Context}");
    }

    /// <summary>Why nothing accepts the connection at a Pod.</summary>
    public static Problem NobodyListens(PodRef name, ClusterObjects cluster, Pod pod, MeshHost? host, int port, IPEndPoint target, IReadOnlyList<IPEndPoint> listening)
    {
        var apps = listening.Where(at => at.Port is < 15000 or > 15099).ToList();
        if (apps.FirstOrDefault(at => at.Port == target.Port) is { } loopback)
        {
            return Faults.Of("ISM2071", name.ToString(), "", $"its application listens on {loopback} only, and calls arrive at {target}", "let it listen on 0.0.0.0, or give the port a Sidecar ingress with defaultEndpoint 127.0.0.1");
        }
        var others = apps.Select(at => at.Port).Distinct().Order().ToList();
        var declared = pod.Spec.Containers.SelectMany(container => container.Ports).Any(candidate => candidate.Number == target.Port);
        var service = host?.Services.FirstOrDefault(candidate => candidate.Cluster == cluster && candidate.Pods.Contains(pod))
            ?? cluster.Services.Where(candidate => cluster.Behind(candidate).Contains(pod)).Select(candidate => new ClusterService(cluster, candidate)).FirstOrDefault();
        if (service is null || declared || others.Count == 0)
        {
            var state = pod.Status.ContainerStatuses.FirstOrDefault(status => status.Name != "istio-proxy");
            return Faults.Of("ISM2072", name.ToString(), "", $"nothing listens on port {target.Port}{(others.Count > 0 ? $": its programs listen on {string.Join(", ", others)}" : "")}{(state is { Ready: false } ? $"; container {state.Name} is not ready" : "")}",
                $"kubectl --context={name.Context} -n {name.Namespace} logs {name.Name}");
        }
        var own = service.Port(port) ?? service.Service.Spec.Ports.FirstOrDefault(candidate => candidate.TargetPort?.ToString() == $"{target.Port}");
        return Faults.Of("ISM2070", service.Name, $"spec.ports[{(own?.Name.Length > 0 ? own.Name : own?.Port.ToString(System.Globalization.CultureInfo.InvariantCulture))}].targetPort",
            $"leads to port {target.Port}, where nothing listens in Pod {pod.Metadata.Name}: its programs listen on {string.Join(", ", others)}", $"set targetPort to the port of the application, {string.Join(" or ", others)}");
    }

    private static IEnumerable<Pod> Ready(ClusterService service, int port) => service.Pods.Where(pod => pod.Status.IsReady && TargetExists(service.Port(port), pod));

    private static bool TargetExists(ServicePort? port, Pod pod) =>
        port?.TargetPort?.ToString() is not { Length: > 0 } text || int.TryParse(text, out _) || pod.Spec.Containers.Any(container => container.Ports.Any(candidate => candidate.Name == text));

    /// <summary>Where somebody meant to run something is where it fails.</summary>
    private int Rank(ClusterService service) =>
        (service.Pods.Count > 0 ? 8 : 0) + (Workloads(service).Any() ? 4 : 0) + (service.Service.Spec.Selector.Count > 0 && Candidates(service).Any() ? 2 : 0) + (service.Cluster == facts.Home ? 1 : 0);

    private Problem Empty(ClusterService service, int port)
    {
        var (cluster, ns) = (service.Cluster.Context, service.Service.Metadata.Namespace);
        if (service.Service.Spec.Selector.Count == 0)
            return Faults.Of("ISM2045", service.Name, "spec.selector", "selects nothing, and nobody made endpoints for it", "give it a selector, or make EndpointSlices");
        var selector = string.Join(",", service.Service.Spec.Selector.Select(pair => $"{pair.Key}={pair.Value}"));
        if (service.Pods.Count > 0)
        {
            var named = service.Port(port);
            if (service.Pods.FirstOrDefault(pod => !TargetExists(named, pod)) is { } without)
                return Faults.Of("ISM2046", service.Name, $"spec.ports[{named!.Name}].targetPort", $"names port \"{named.TargetPort}\", which no container of Pod {without.Metadata.Name} has", "name a port of the container, or give a number");
            var pod = service.Pods[0];
            if (AwaitsProxy(pod) && Unserved(service.Cluster, ClusterObjects.RevisionOf(pod)) is { } unserved) return unserved;
            return Faults.Of("ISM2047", $"Pod {pod.Key} in {cluster}", "status", $"is not ready: {Why(pod)}", $"kubectl --context={cluster} -n {ns} describe pod {pod.Metadata.Name}");
        }
        if (Workloads(service).FirstOrDefault() is { } workload)
        {
            var refused = workload.Status.Conditions.FirstOrDefault(condition => condition is { Type: "ReplicaFailure", Status: "True" })?.Message ?? "";
            if (workload.Spec.Replicas > 0 && (refused.Length == 0 || refused.Contains("webhook", StringComparison.Ordinal)) && Unserved(service.Cluster, service.Cluster.RevisionOf(ns)) is { } unserved) return unserved;
            return workload.Spec.Replicas == 0
                ? Faults.Of("ISM2048", $"Deployment {workload.Key} in {cluster}", "spec.replicas", $"is 0, so {service.Name} has no Pods", $"kubectl --context={cluster} -n {ns} scale deployment {workload.Metadata.Name} --replicas=1")
                : Faults.Of("ISM2048", $"Deployment {workload.Key} in {cluster}", "status", refused.Length > 0 ? $"has no Pods: {refused}" : "has no Pods", $"kubectl --context={cluster} -n {ns} describe deployment {workload.Metadata.Name}");
        }
        var near = Candidates(service).FirstOrDefault();
        return Faults.Of("ISM2049", service.Name, "spec.selector", $"{selector} matches no Pod of namespace {ns}" + (near is null ? "" : $"; those of Deployment {near.Metadata.Name} have {Text(TemplateLabels(near))}"),
            near is null ? "start the workload, or mend the selector" : "mend the selector, or the labels of the Pods");
    }

    /// <summary>Deployments whose Pods it would select.</summary>
    private static IEnumerable<Deployment> Workloads(ClusterService service) => service.Cluster.Deployments.Where(deployment =>
        deployment.Metadata.Namespace == service.Service.Metadata.Namespace && service.Service.Spec.Selector.Count > 0 && ClusterObjects.Selects(service.Service.Spec.Selector, TemplateLabels(deployment)));

    /// <summary>Deployments that it may have been meant to select: one label fits, or the name does.</summary>
    private static IEnumerable<Deployment> Candidates(ClusterService service) => service.Cluster.Deployments
        .Where(deployment => deployment.Metadata.Namespace == service.Service.Metadata.Namespace)
        .Select(deployment => (deployment, Score: service.Service.Spec.Selector.Count(pair => TemplateLabels(deployment).GetValueOrDefault(pair.Key) == pair.Value) * 2
            + (deployment.Metadata.Name.StartsWith(service.Service.Metadata.Name, StringComparison.Ordinal) || Spelling.Distance(deployment.Metadata.Name, service.Service.Metadata.Name) <= 2 ? 3 : 0)))
        .Where(candidate => candidate.Score > 0).OrderByDescending(candidate => candidate.Score).Select(candidate => candidate.deployment);

    private static Dictionary<string, string> TemplateLabels(Deployment deployment) =>
        (deployment.Spec.Template["metadata"]?["labels"] as JsonObject ?? []).ToDictionary(pair => pair.Key, pair => pair.Value?.ToString() ?? "", StringComparer.Ordinal);

    private static string Text(IReadOnlyDictionary<string, string> labels) => string.Join(",", labels.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));

    /// <summary>Its application may be well: the proxy beside it was never told anything.</summary>
    private static bool AwaitsProxy(Pod pod) => pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses).Any(status => status is { Name: "istio-proxy", Ready: false });

    private static string Why(Pod pod)
    {
        foreach (var status in pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses))
        {
            if (status.State.Waiting is { } waiting) return $"container {status.Name} waits: {waiting.Reason} {waiting.Message}".TrimEnd();
            if (status.State.Terminated is { ExitCode: not 0 } terminated) return $"container {status.Name} ended with code {terminated.ExitCode}";
        }
        if (pod.Status.ContainerStatuses.FirstOrDefault(status => !status.Ready) is { } unready) return $"the readiness probe of container {unready.Name} fails";
        var condition = pod.Status.Conditions.FirstOrDefault(candidate => candidate is { Type: "PodScheduled" or "Ready", Status: not "True" });
        return condition is { Message.Length: > 0 } ? condition.Message : $"phase {pod.Status.Phase}";
    }

    private Problem? SubsetSelectsNothing(MeshHost host, string subset, IReadOnlyList<ClusterService> services, int port)
    {
        foreach (var rule in RulesFor(host))
        {
            for (var i = 0; i < rule.Subsets.Count; i++)
            {
                var candidate = rule.Subsets[i];
                if (candidate.Name != subset || candidate.Labels.Count == 0) continue;
                var wanted = candidate.Labels.Items.Where(pair => !pair.Key.StartsWith("topology.", StringComparison.Ordinal)).ToDictionary(StringComparer.Ordinal);
                if (services.SelectMany(service => Ready(service, port)).Any(pod => ClusterObjects.Selects(wanted, pod.Metadata.Labels))) continue;
                var have = services.SelectMany(service => service.Pods).Select(pod => Text(pod.Metadata.Labels.Where(pair => wanted.ContainsKey(pair.Key)).ToDictionary(StringComparer.Ordinal))).Where(text => text.Length > 0).Distinct();
                return Faults.Of("ISM2034", $"DestinationRule {rule.Namespace}/{rule.Name} in {Config.Context}", $"spec.subsets[{i}].labels", $"{Text(wanted)} matches no ready Pod of {host.Fqdn}; they have {string.Join(" or ", have.DefaultIfEmpty("none of these labels"))}",
                    "mend the labels of the subset, or of the Pods");
            }
        }
        return null;
    }

    /// <summary>Why ready Pods of a cluster are no endpoints for the caller.</summary>
    private Problem? Unreachable(ClusterService service, int port)
    {
        var pods = Ready(service, port).ToList();
        var (own, their) = (facts.Home.NetworkOf(facts.ClientPod), service.Cluster.NetworkOf(pods[0]));
        if (own == their || own.Length == 0) return null;
        if (GatewayOf(their, service.Cluster) is { } gateway) return gateway;
        if (pods.All(pod => ClusterObjects.Sidecar(pod) is null))
        {
            return Faults.Of("ISM2051", $"Pod {pods[0].Key} in {service.Cluster.Context}", $"metadata.labels[{Labels.Inject}]", $"has no sidecar: through the gateway of {their} only mesh TLS can pass",
                $"label the namespace {Labels.Injection}=enabled (or the Pod {Labels.Inject}=true) and start the Pod anew");
        }
        return null;
    }
}
