using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a destination has no endpoints, and why the application does not accept the call.</summary>
internal sealed class EndpointCauses(TraceFacts facts, TraceNeeds needs, CallerConfig config, VisibilityCauses visibility, AvailabilityCauses availability,
    SubsetCauses subsets, NetworkCauses networks)
{
    /// <summary>Why the caller's proxy has no endpoint of a destination.</summary>
    public Problem NoEndpoints(MeshHost? host, int port, string subset, string cluster)
    {
        if (host is null)
            return Faults.Of("ISM2040", $"cluster {cluster}", "", "has no endpoints, and no Service of these clusters has its name",
                "isthmus proxy-config endpoints shows what the proxy knows");
        needs.NeedPods(host.Namespace);
        if (host.Services.Count == 0) return Vacant(host.Entries[0]);
        var offering = host.Services.Where(service => service.Port(port) is not null).ToList();
        var ready = offering.Where(service => ServicePods.Ready(service, port).Any()).ToList();
        if (ready.Count == 0 && offering.Count > 0
            && host.Services.FirstOrDefault(service => service.Port(port) is null && service.Pods.Any(pod => pod.Status.IsReady)) is { } odd)
        {
            return Faults.Of(Faults.NoSuchPort, odd.Name, "spec.ports",
                $"has no port {port}: it has {ServicePods.Ports(odd.Service)}. Its Pods are the only ones of {host.Fqdn} that are ready; "
                    + $"{string.Join(" and ", offering.Select(service => service.Cluster.Context))} has the port, but no ready Pod",
                $"give the Service the same ports in {string.Join(" and ", host.Services.Select(service => service.Cluster.Context))}");
        }
        if (ready.Count == 0)
            return host.Services.Select(service => (Problem: availability.Empty(service, port), Rank: availability.Rank(service)))
                .MaxBy(found => found.Rank).Problem;
        if (subset.Length > 0 && subsets.SelectNothing(host, subset, ready, port) is { } wrong) return wrong;
        if (visibility.Hidden(host, port) is { } hidden) return hidden;
        if (NotOnNode(host) is { } elsewhere) return elsewhere;
        if (ready.All(service => service.Cluster != facts.Home) && visibility.ClusterLocal(host, ready) is { } local) return local;
        if (ready.All(service => service.Cluster != facts.Home) && visibility.OnlyByName(host, port) is { } foreign) return foreign;
        if (availability.Unwatched([.. ready.Where(service => service.Cluster != facts.Home)]) is { } unwatched) return unwatched;
        return ready.Select(service => networks.Unreachable(service, port) ?? networks.PlainAcrossNetworks(host, service, port, subset))
            .FirstOrDefault(problem => problem is not null)
            ?? availability.Untold() ?? Distributed(host, port, subset) ?? availability.NotTold(host);
    }

    /// <summary>A ServiceEntry without endpoints, by itself or by what its selector does not select.</summary>
    private Problem Vacant(ServiceEntry entry)
    {
        var name = $"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}";
        var selector = entry.WorkloadSelector;
        if (selector.Count == 0)
            return Faults.Of("ISM2042", name, "spec.endpoints", "has no endpoint with an address",
                "add endpoints, or a workloadSelector that selects something");
        // What has one of the labels, or nearly so, was probably meant.
        var near = config.At.Istio<WorkloadEntry>().Where(workload => workload.Namespace == entry.Namespace)
            .FirstOrDefault(workload => selector.Any(pair => workload.Endpoint.Labels.TryGetValue(pair.Key, out var value)
                && (value == pair.Value || Spelling.IsMistyped(value, pair.Value))));
        return Faults.Of("ISM2042", name, "spec.workloadSelector.labels",
            $"{ServicePods.Text(selector.ToDictionary(StringComparer.Ordinal))} selects no WorkloadEntry and no Pod of namespace {entry.Namespace}, so "
                + $"{entry.Hosts[0]} has no endpoint with an address"
                + (near is null ? "" : $"; WorkloadEntry {near.Name} has {ServicePods.Text(near.Endpoint.Labels.ToDictionary(StringComparer.Ordinal))}"),
            near is null ? "start the workload, or fix the selector" : "fix the selector, or the labels of the WorkloadEntry");
    }

    /// <summary>The proxy connects to the address of the Service itself (PASSTHROUGH), behind which the kernel finds no Pod: those that are ready are in
    /// other clusters; null where it finds one.</summary>
    /// <param name="rule">The DestinationRule that asks for it.</param>
    public Problem? Elsewhere(MeshHost? host, int port, string rule)
    {
        if (rule.Length == 0 || host is null || host.Services.Count == 0) return null;
        needs.NeedPods(host.Namespace);
        var ready = host.Services.Where(service => service.Port(port) is not null && ServicePods.Ready(service, port).Any()).ToList();
        return ready.Count == 0 || ready.Exists(service => service.Cluster == facts.Home) ? null
            : Faults.Of("ISM2110", $"DestinationRule {rule}", "spec.trafficPolicy.loadBalancer.simple",
                $"is PASSTHROUGH, so proxies connect to the address that the application called, which leads to Pods of {facts.Home.Context} only; the ready "
                    + $"Pods of {host.Fqdn} are in {string.Join(" and ", ready.Select(service => service.Cluster.Context))}",
                "remove simple, or choose another algorithm, such as LEAST_REQUEST");
    }

    /// <summary>All calls go to localities where no Pod is; null when no setting divides them.</summary>
    private Problem? Distributed(MeshHost host, int port, string subset)
    {
        var of = config.RulesFor(host).Select(rule => (Rule: rule,
            Lb: TrafficPolicy.Effective(rule, rule.Subsets.FirstOrDefault(one => one.Name == subset), port).Balancing?.Locality))
            .FirstOrDefault(one => one.Lb is not null);
        var (lb, owner, field) = of.Lb is { } ofRule
            ? (ofRule, $"DestinationRule {of.Rule.Namespace}/{of.Rule.Name} in {config.At.Context}",
                "spec.trafficPolicy.loadBalancer.localityLbSetting.distribute")
            : (MeshConfigReader.ReadMesh(facts.MeshSettings("mesh")).Config.LocalityLb, $"MeshConfig of {config.At.Context}", "localityLbSetting.distribute");
        if (!lb.Enabled || lb.Distribute.IsEmpty) return null;
        // The first that the caller is in counts; of another one, it knows nothing, and a caller without a locality knows none.
        var own = facts.Locality is { } at ? lb.Distribute.Where(one => !at.IsUnknown && at.IsIn(one.From)).Take(1).ToList() : [.. lb.Distribute];
        // Of a caller whose locality nobody knows, only one entry can be the one.
        if (own.Count != 1) return null;
        var sent = own.Select(one => $"from {one.From} to {string.Join(", ", one.To.Select(to => to.Key))} only");
        return Faults.Of("ISM2107", owner, field, $"sends calls {string.Join(" and ", sent)}, and the caller's proxy knows no endpoint of {host.Fqdn} there",
            "name localities in which its Pods run (kubectl get nodes -L topology.kubernetes.io/region,topology.kubernetes.io/zone), or remove distribute");
    }

    /// <summary>The names of endpoints have no address where the caller's proxy asks.</summary>
    public Problem Unresolved(MeshHost? host, IReadOnlyList<string> names)
    {
        var (@object, field) = (facts.Client.ToString(), "");
        if (host?.Services.FirstOrDefault(service => service.Service.Spec.ExternalName.Length > 0) is { } alias)
            (@object, field) = (alias.Name, "spec.externalName");
        else if (host?.Entries is [var entry, ..])
        {
            var index = entry.Endpoints.ToList().FindIndex(endpoint => names.Contains(endpoint.Address.ToString()));
            (@object, field) = ($"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}", index < 0 ? "spec.hosts"
                : $"spec.endpoints[{index}].address");
        }
        return Faults.Of("ISM2098", @object, field, $"{string.Join(", ", names)} has no address in the DNS that the proxy of {facts.Client} asks",
            "correct the name, or make it known to the DNS of the caller's cluster");
    }

    /// <summary>A Service that keeps calls on the caller's Node, which has none of its Pods.</summary>
    private Problem? NotOnNode(MeshHost host)
    {
        if (host.In(facts.Home) is not { Service.Spec.InternalTrafficPolicy: "Local" } own
            || own.Pods.Any(pod => pod.Status.IsReady && pod.Spec.NodeName == facts.ClientPod.Spec.NodeName)) return null;
        return Faults.Of("ISM2099", own.Name, "spec.internalTrafficPolicy",
            $"is Local, and no ready Pod of the Service runs on Node {facts.ClientPod.Spec.NodeName} of the caller",
            "set it to Cluster, or run a Pod on each Node (DaemonSet)");
    }

    /// <summary>Why a gateway of <paramref name="cluster"/> has no endpoint of a destination: only its own network
    /// counts.</summary>
    public Problem NoEndpointsIn(ClusterObjects cluster, MeshHost? host, int port, string subset)
    {
        if (host?.In(cluster) is not { } service)
            return Faults.Of("ISM2043", $"Service {host?.Namespace}/{host?.Name}", "", $"does not exist in {cluster.Context}, where the gateway routes to",
                $"create it in {cluster.Context}, or do not send calls there");
        needs.NeedPods(host.Namespace);
        if (!ServicePods.Ready(service, port).Any()) return availability.Empty(service, port);
        return (subset.Length > 0 ? subsets.SelectNothing(host, subset, [service], port) : null) ?? networks.PlainWorkload(service, port)
            ?? Faults.Of("ISM2044", $"Gateway of {cluster.Context}", "", $"the gateway's proxy has not received the Pods of {host.Fqdn}",
                $"isthmus proxy-status --context={cluster.Context}");
    }

    /// <summary>Why nothing accepts the connection at a Pod.</summary>
    /// <param name="port">The port of the host that is called.</param>
    /// <param name="target">Where the callee's proxy sends the call.</param>
    public Problem NobodyListens(Callee callee, MeshHost? host, int port, IPEndPoint target, IReadOnlyList<IPEndPoint> listening)
    {
        var (name, cluster, pod) = (callee.Name, callee.Cluster, callee.Pod);
        var apps = listening.Where(at => at.Port is < 15000 or > 15099).ToList();
        if (apps.FirstOrDefault(at => at.Port == target.Port) is { } loopback)
        {
            return Faults.Of("ISM2071", name.ToString(), "", $"its application listens only on {loopback}, but calls arrive at {target}",
                "make it listen on 0.0.0.0, or give the port a Sidecar ingress with defaultEndpoint " + loopback);
        }
        var others = apps.Select(at => at.Port).Distinct().Order().ToList();
        if (Diverted(callee, target) is var (sidecar, index, ingress))
        {
            return Faults.Of("ISM2070", $"Sidecar {sidecar.Namespace}/{sidecar.Name} in {facts.ConfigOf(cluster).Context}",
                $"spec.ingress[{index}].defaultEndpoint",
                $"sends calls of port {ingress.Port} to {ingress.DefaultEndpoint}, where nothing listens in Pod {pod.Metadata.Name}"
                    + $"{(others.Count > 0 ? $": its programs listen on {string.Join(", ", others)}" : "")}",
                others.Count > 0 ? $"set it to 127.0.0.1:{string.Join(" or ", others)}" : "set it to where the application listens, or start the application");
        }
        var declared = pod.Spec.Containers.SelectMany(container => container.Ports).Any(candidate => candidate.Number == target.Port);
        var service = host?.Services.FirstOrDefault(candidate => candidate.Cluster == cluster && candidate.Pods.Contains(pod))
            // A route may lead to another Service than the one that is called.
            ?? cluster.Services.Where(candidate => cluster.Behind(candidate).Contains(pod)
                && candidate.Spec.Ports.Any(open => ServiceInCluster.TargetOf(open, pod) == target.Port))
                .Select(candidate => new ServiceInCluster(cluster, candidate)).FirstOrDefault();
        if (service is null || declared || others.Count == 0)
        {
            var state = pod.Status.ContainerStatuses.FirstOrDefault(status => status.Name != "istio-proxy");
            return Faults.Of("ISM2072", name.ToString(), "",
                $"nothing listens on port "
                    + $"{target.Port}{(others.Count > 0 ? $": its programs listen on {string.Join(", ", others)}" : "")}{(state is { Ready: false } ? $"; container {state.Name} is not ready" : "")}",
                service is null || others.Count == 0 || state is { Ready: false }
                    ? $"kubectl --context={name.Context} -n {name.Namespace} logs {name.Name}"
                    : $"let the application listen on port {target.Port}, or set targetPort and containerPort to {string.Join(" or ", others)}");
        }
        if (service.Service.Spec.ClusterIP == "None")
        {
            return Faults.Of("ISM2070", service.Name, "spec.ports",
                $"is headless, so callers connect to its Pods, where nothing listens on port {target.Port} (Pod {pod.Metadata.Name}): its programs listen on "
                    + string.Join(", ", others),
                $"call port {string.Join(" or ", others)}, and give the Service that port: targetPort does not count for its Pods' addresses");
        }
        var own = service.Service.Spec.Ports.FirstOrDefault(candidate => ServiceInCluster.TargetOf(candidate, pod) == target.Port) ?? service.Port(port);
        return Faults.Of("ISM2070", service.Name,
            $"spec.ports[{(own?.Name.Length > 0 ? own.Name : own?.Port.ToString(System.Globalization.CultureInfo.InvariantCulture))}].targetPort",
            $"points to port {target.Port}, on which nothing listens in Pod {pod.Metadata.Name}: its programs listen on {string.Join(", ", others)}",
            $"set targetPort to the port of the application, {string.Join(" or ", others)}");
    }

    /// <summary>The Sidecar by which calls of a port leave it in the Pod; null when none does.</summary>
    private (Sidecar Sidecar, int Index, SidecarIngress Ingress)? Diverted(Callee callee, IPEndPoint target)
    {
        if (config.SidecarOf(callee.Cluster, callee.Pod) is not { } sidecar) return null;
        foreach (var (index, ingress) in sidecar.Ingress.Index())
            if (ingress.Port == callee.Address.Port && IPEndPoint.TryParse(ingress.DefaultEndpoint, out var to) && to.Port == target.Port)
                return (sidecar, index, ingress);
        return null;
    }
}
