using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a destination has no endpoints, and why the application does not accept the call.</summary>
internal sealed class EndpointCauses(TraceFacts facts, TraceNeeds needs, CallerConfig config, VisibilityCauses visibility, AvailabilityCauses availability,
    SubsetCauses subsets, NetworkCauses networks)
{
    /// <summary>Why the caller's proxy has no endpoint of a destination.</summary>
    public Problem NoEndpoints(MeshHost? host, int port, string subset, string cluster)
    {
        if (host is null)
            return Unexported(ProxyTables.Split(cluster).Host, port)
                ?? Faults.Of("ISM2040", $"cluster {cluster}", "", "has no endpoints, and no Service of these clusters has its name",
                    facts.Client.Show("endpoints"));
        needs.NeedPods(host.Namespace);
        if (host.Services.Count == 0) return Vacant(host.Entries[0]);
        var all = host.Services.Where(service => service.Port(port) is not null && ServicePods.Ready(service, port).Any()).ToList();
        var offering = host.Services.Where(service => service.Port(port) is not null).Select(service => subsets.PartOf(service, host, subset)).ToList();
        var ready = offering.Where(service => ServicePods.Ready(service, port).Any()).ToList();
        // What a subset selects may not be ready, while the rest of the Service is; or nothing has its labels.
        if (ready.Count == 0 && subset.Length > 0 && offering.Where(ServicePods.IsMeant).ToList() is { Count: > 0 } meant) return Unready(meant, port);
        if (subset.Length > 0 && all.Count > 0 && subsets.SelectNothing(host, subset, all, port) is { } wrong) return wrong;
        if (ready.Count == 0 && offering.Count > 0
            && host.Services.FirstOrDefault(service => service.Port(port) is null && service.Pods.Any(pod => pod.Status.IsReady)) is { } odd)
        {
            var lacking = ServicePods.WithoutPort(odd, port,
                $"give the Service the same ports in {string.Join(" and ", host.Services.Select(service => service.Cluster.Context))}");
            return lacking with
            {
                Message = $"{lacking.Message}. Its Pods are the only ones of {host.Fqdn} that are ready; "
                    + $"{string.Join(" and ", offering.Select(service => service.Cluster.Context))} has the port, but no ready Pod",
            };
        }
        if (ready.Count == 0) return Unready(host.Services, port);
        if (visibility.Hidden(host, port) is { } hidden) return hidden;
        if (NotOnNode(host, subset) is { } elsewhere) return elsewhere;
        if (ready.All(service => service.Cluster != facts.Home) && visibility.ClusterLocal(host, ready) is { } local) return local;
        if (ready.All(service => service.Cluster != facts.Home) && visibility.OnlyByName(host, port) is { } foreign) return foreign;
        if (availability.Unwatched([.. ready.Where(service => service.Cluster != facts.Home)]) is { } unwatched) return unwatched;
        return ready.Select(service => networks.Unreachable(service, port) ?? networks.PlainAcrossNetworks(host, service, port, subset))
            .FirstOrDefault(problem => problem is not null)
            ?? availability.Untold() ?? Distributed(host, port, subset) ?? availability.NotTold(host);
    }

    /// <summary>Why Services have no ready Pods: of the one that was most likely meant to have some.</summary>
    private Problem Unready(IEnumerable<ServiceInCluster> services, int port) =>
        services.Select(service => (Problem: availability.Empty(service, port), Rank: availability.Rank(service))).MaxBy(found => found.Rank).Problem;

    /// <summary>A name of the MCS API leads only to Pods of clusters that export the Service, and none of these has a ready one; null for other
    /// names.</summary>
    private Problem? Unexported(string name, int port)
    {
        if (!name.EndsWith(HostCauses.SetZone, StringComparison.Ordinal)
            || facts.Host(name[..^HostCauses.SetZone.Length]) is not { Services.Count: > 0 } host) return null;
        needs.NeedPods(host.Namespace);
        var ready = host.Services.Where(service => service.Port(port) is not null && ServicePods.Ready(service, port).Any()).ToList();
        if (ready is not [var first, ..]) return Unready(host.Services, port);
        var contexts = string.Join(" and ", ready.Select(service => service.Cluster.Context));
        return MistypedExports.Of(facts, host, name) ?? Faults.Of("ISM2108", first.Name, "",
            $"is not exported by {contexts}, where its ready Pods are, and {name} leads only to Pods of clusters that have a ServiceExport of it",
            string.Join("; ", ready.Select(service => $"kubectl --context={service.Cluster.Context} apply -f - <<< '{Export(host)}'")));
    }

    /// <summary>The ServiceExport of a Service.</summary>
    public static string Export(MeshHost host) => "{\"apiVersion\": \"multicluster.x-k8s.io/v1alpha1\", \"kind\": \"ServiceExport\", \"metadata\": "
        + $"{{\"name\": \"{host.Name}\", \"namespace\": \"{host.Namespace}\"}}}}";

    /// <summary>A ServiceEntry without endpoints, by itself or by what its selector does not select.</summary>
    private Problem Vacant(ServiceEntry entry)
    {
        var name = $"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}";
        var selector = entry.WorkloadSelector;
        if (selector.Count == 0)
            return OtherNetwork(name, entry) ?? Faults.Of("ISM2042", name, "spec.endpoints", "has no endpoint with an address",
                "add endpoints, or a workloadSelector that selects something");
        if (UnhealthyEntries.Of(facts.Clusters, entry.Namespace, selector) is { } unhealthy) return unhealthy;
        if (OtherNetwork(entry) is { } beyond) return beyond;
        var text = ServicePods.Text(selector.ToDictionary(StringComparer.Ordinal));
        var nothing = $"{text} selects no WorkloadEntry and no Pod of namespace {entry.Namespace}, so {entry.Hosts[0]} has no endpoint with an address";
        const string only = "and a ServiceEntry selects in its own namespace only";
        if (Stray(entry) is { } stray)
            return Faults.Of("ISM2042", name, "spec.workloadSelector.labels",
                $"{nothing}; WorkloadEntry {stray.Namespace}/{stray.Name} has these labels, but is in namespace {stray.Namespace}, {only}",
                $"move WorkloadEntry {stray.Namespace}/{stray.Name} to namespace {entry.Namespace}, or the ServiceEntry to namespace {stray.Namespace}");
        // What has one of the labels, or nearly so, was probably meant.
        var near = config.At.Istio<WorkloadEntry>().Where(workload => workload.Namespace == entry.Namespace)
            .FirstOrDefault(workload => selector.Any(pair => workload.Endpoint.Labels.TryGetValue(pair.Key, out var value)
                && (value == pair.Value || Spelling.IsMistyped(value, pair.Value))));
        if (near is null && config.At.Pods.FirstOrDefault(pod => pod.Metadata.Namespace != entry.Namespace
            && LabelSelector.Selects(selector, pod.Metadata.Labels)) is { } elsewhere)
            return Faults.Of("ISM2042", name, "spec.workloadSelector.labels",
                $"{nothing}; Pod {elsewhere.Key} has these labels, but is in namespace {elsewhere.Metadata.Namespace}, {only}",
                $"if it is meant, move the ServiceEntry to namespace {elsewhere.Metadata.Namespace}; otherwise start the workload, or fix the selector");
        return Faults.Of("ISM2042", name, "spec.workloadSelector.labels", nothing
                + (near is null ? "" : $"; WorkloadEntry {near.Name} has {ServicePods.Text(near.Endpoint.Labels.ToDictionary(StringComparer.Ordinal))}"),
            near is null ? "start the workload, or fix the selector" : "fix the selector, or the labels of the WorkloadEntry");
    }

    /// <summary>A WorkloadEntry of another namespace with the labels that an entry selects, which none of its own namespace selects; null for none.</summary>
    private WorkloadEntry? Stray(ServiceEntry entry) => config.At.Istio<WorkloadEntry>().FirstOrDefault(one => one.Namespace != entry.Namespace
        && Selectors.Matches(entry.WorkloadSelector, one.Endpoint.Labels)
        && !config.At.Istio<ServiceEntry>().Any(other => other.Namespace == one.Namespace && other.WorkloadSelector.Count > 0
            && Selectors.Matches(other.WorkloadSelector, one.Endpoint.Labels)));

    /// <summary>An endpoint is in another network, whose gateway passes mesh TLS only, which it does not say that it speaks; null when none is.</summary>
    private Problem? OtherNetwork(string name, ServiceEntry entry)
    {
        var own = facts.Home.NetworkOf(facts.ClientPod);
        foreach (var (i, endpoint) in entry.Endpoints.Index())
        {
            if (endpoint.Network.Length == 0 || endpoint.Network == own) continue;
            return Faults.Of("ISM2051", name, $"spec.endpoints[{i}].network",
                $"is {endpoint.Network}, and the caller is in {(own.Length > 0 ? own : "no network")}: only mesh TLS can pass the gateway of that network, and "
                    + "the endpoint does not say that a proxy of the mesh is at its address",
                $"remove the field, if callers reach {endpoint.Address} directly; if a proxy of the mesh is there, set location: MESH_INTERNAL, and give the "
                    + $"endpoint the label {Isthmus.Core.Names.Labels.TlsMode}: istio");
        }
        return null;
    }

    /// <summary>WorkloadEntries are selected, and are in a network whose gateway passes mesh TLS only, which they do not say that they speak; null for
    /// others.</summary>
    private Problem? OtherNetwork(ServiceEntry entry)
    {
        var own = facts.Home.NetworkOf(facts.ClientPod);
        var here = own.Length > 0 ? own : "no network";
        var selected = config.At.Istio<WorkloadEntry>().Where(one => one.Namespace == entry.Namespace
            && Selectors.Matches(entry.WorkloadSelector, one.Endpoint.Labels)).ToList();
        if (selected.Find(one => one.Endpoint.Network.Length > 0 && one.Endpoint.Network != own) is not { } beyond) return null;
        return Faults.Of("ISM2051", $"WorkloadEntry {beyond.Namespace}/{beyond.Name} in {config.At.Context}", "spec.network",
            $"is {beyond.Endpoint.Network}, and the caller is in {here}: only mesh TLS can pass the gateway of that network, and the entry does not say that a "
                + "proxy of the mesh is at its address",
            $"correct the field, if callers of {here} reach {beyond.Endpoint.Address} directly; if a proxy runs there, give the entry the label "
                + $"{Isthmus.Core.Names.Labels.TlsMode}: istio");
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
            : (facts.Settings.Mesh.LocalityLb, facts.MeshConfigOf(facts.Home), TraceFacts.MeshField("localityLbSetting.distribute"));
        if (!lb.Enabled || lb.Distribute.IsEmpty) return null;
        // The first entry that the caller is in counts: its proxy learns nothing of the others, and without a locality, of none.
        var own = facts.Locality is { } at ? lb.Distribute.Where(one => !at.IsUnknown && at.IsIn(one.From)).Take(1).ToList() : [.. lb.Distribute];
        // If the locality of the caller is not known, an entry counts only where it is the only one.
        if (own.Count != 1) return null;
        var sent = own.Select(one => $"from {one.From} to {string.Join(", ", one.To.Select(to => to.Key))} only");
        return Faults.Of("ISM2107", owner, field, $"sends calls {string.Join(" and ", sent)}, and the caller's proxy knows no endpoint of {host.Fqdn} there",
            "name localities in which its Pods run (as nodes have them in the labels topology.kubernetes.io/region and …/zone), or remove distribute");
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
    private Problem? NotOnNode(MeshHost host, string subset)
    {
        if (host.In(facts.Home) is not { Service.Spec.InternalTrafficPolicy: "Local" } own
            || subsets.PartOf(own, host, subset).Pods.Any(pod => pod.Status.IsReady && pod.Spec.NodeName == facts.ClientPod.Spec.NodeName)) return null;
        return Faults.Of("ISM2099", own.Name, "spec.internalTrafficPolicy",
            $"is Local, and no ready Pod of the Service{subsets.PartOf(own, host, subset).Part} runs on Node {facts.ClientPod.Spec.NodeName} of the caller",
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
        var part = subsets.PartAt(cluster, service, host, subset);
        if (!ServicePods.Ready(part, port).Any() && ServicePods.IsMeant(part)) return availability.Empty(part, port);
        return subsets.SelectNothingAt(cluster, service, subset, port)
            ?? (subset.Length > 0 ? subsets.SelectNothing(host, subset, [service], port) : null) ?? networks.PlainWorkload(service, port)
            ?? Faults.Of("ISM2044", $"Gateway of {cluster.Context}", "", $"the gateway's proxy has not received the Pods of {host.Fqdn}",
                $"isthmus proxy-status --context={cluster.Context}");
    }

    /// <summary>An endpoint of a ServiceEntry is a Service, which does not have the port to which the entry leads.</summary>
    /// <param name="cluster">The name of the proxy's cluster.</param>
    public Problem LedToNoPort(string cluster, ServiceInCluster service, EndPoint address, int number)
    {
        var (_, called, _, fqdn) = ProxyTables.Split(cluster);
        var has = $"{service.Name}, which has no port {number}: it has {ServicePods.Ports(service.Service)}";
        var dialled = address is IPEndPoint ip ? ip.Address.ToString() : "";
        foreach (var entry in facts.EntriesFor(fqdn))
        {
            // Names have been resolved.
            var index = entry.Endpoints.ToList().FindIndex(one => one.Address.ToString() is var text
                && (text == dialled || facts.Host(text)?.Services.Any(meant => meant.Service == service.Service) == true));
            if (index < 0 || entry.Ports.FirstOrDefault(port => $"{port.Number}" == called) is not { } port) continue;
            return Faults.Of(Faults.NoSuchPort, $"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}", $"spec.endpoints[{index}].ports",
                $"leads port {called} to port {number} of {has}",
                service.Service.Spec.Ports is [{ Port: var only }] ? $"add ports: {{{port.Name}: {only}}} to the endpoint"
                    : $"add ports: {{{port.Name}: PORT}} to the endpoint, with the port of the Service that is meant");
        }
        return Faults.Of(Faults.NoSuchPort, service.Name, "spec.ports", $"has no port {number}, which a ServiceEntry points to",
            "fix the ports of the ServiceEntry, or add the port to the Service");
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
        if (host is not null && OfEntry(host, pod, port, target.Port, others) is { } entry) return entry;
        var declared = pod.Spec.Containers.SelectMany(container => container.Ports).Any(candidate => candidate.Number == target.Port);
        var service = host?.Services.FirstOrDefault(candidate => candidate.Cluster == cluster && candidate.Pods.Contains(pod))
            // A route may lead to another Service than the one that is called.
            ?? cluster.Services.Where(candidate => cluster.Behind(candidate).Contains(pod)
                && candidate.Spec.Ports.Any(open => ServiceInCluster.TargetOf(open, pod) == target.Port))
                .Select(candidate => new ServiceInCluster(cluster, candidate)).FirstOrDefault();
        if (service is not null && OfAnother(service, pod, target.Port, others) is { } foreign) return foreign;
        if (service is null || declared || others.Count == 0)
        {
            var state = pod.Status.ContainerStatuses.FirstOrDefault(status => status.Name != "istio-proxy");
            var meant = others.Count > 0 || service is null || host is null ? "" : Unmeant(host, service, pod);
            if (state is not null && service is not null && TooEarly(service, pod, target.Port, state) is { } early)
                return early with { Remedy = early.Remedy + meant };
            return Faults.Of("ISM2072", name.ToString(), "",
                $"nothing listens on port {target.Port}{(others.Count > 0 ? $": its programs listen on {string.Join(", ", others)}" : "")}"
                    + $"{(state is { Ready: false } ? $"; container {state.Name} is not ready" : "")}",
                service is null || others.Count == 0 || state is { Ready: false }
                    ? $"kubectl --context={name.Context} -n {name.Namespace} logs {name.Name}{meant}"
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

    /// <summary>A Pod that gets calls before its application listens: nothing waits for that, or the Service does not mind. Null for others.</summary>
    private Problem? TooEarly(ServiceInCluster service, Pod pod, int port, ContainerStatus state)
    {
        var (kind, name) = ServicePods.OwnerOf(pod);
        if (!pod.Status.IsReady && service.Service.Spec.PublishNotReadyAddresses)
            return Faults.Of("ISM2072", service.Name, "spec.publishNotReadyAddresses",
                $"is true, so that calls come to Pods that are not ready: nothing listens on port {port} of Pod {pod.Metadata.Name}; {ServicePods.Why(pod)}",
                "remove it, unless the members of a cluster must find each other before they are ready; then give callers a Service of their own without it");
        var index = pod.Spec.Containers.FindIndex(container => container.Name == state.Name);
        return index < 0 || pod.Spec.Containers[index].ReadinessProbe is not null || state.State.Running?.StartedAt is not { } since
            || facts.Now - since is not { TotalMinutes: < 5 } age ? null
            : Faults.Of("ISM2072", $"{kind} {pod.Metadata.Namespace}/{name} in {service.Cluster.Context}",
                $"{(kind == "Pod" ? "spec" : "spec.template.spec")}.containers[{index}].readinessProbe",
                $"is not set, so that Pod {pod.Metadata.Name} gets calls as soon as it runs: container {state.Name} started {(int)age.TotalSeconds} s ago, and "
                    + $"nothing listens on port {port} yet",
                "add a readinessProbe, so that the Pod gets calls once it answers; if it never listens there, see its log: "
                    + $"kubectl --context={service.Cluster.Context} -n {pod.Metadata.Namespace} logs {pod.Metadata.Name}");
    }

    /// <summary>The port of a ServiceEntry that selects a Pod leads to one on which nothing listens there; null for others.</summary>
    private Problem? OfEntry(MeshHost host, Pod pod, int number, int target, IReadOnlyList<int> others)
    {
        if (others.Count == 0 || host.Entries.FirstOrDefault(one => one.Namespace == pod.Metadata.Namespace && one.WorkloadSelector.Count > 0
            && LabelSelector.Selects(one.WorkloadSelector, pod.Metadata.Labels)) is not { } entry) return null;
        var (index, port) = entry.Ports.Index().FirstOrDefault(one => one.Item.Number == number);
        if (port is null || (port.TargetPort.Length > 0 ? port.TargetPort != $"{target}" : port.Number != target)) return null;
        return Faults.Of("ISM2070", $"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}", $"spec.ports[{index}].targetPort",
            (port.TargetPort.Length > 0 ? $"is {target}" : $"is not set, so that calls go to port {target}, the number of the port")
                + $", and nothing listens there in Pod {pod.Metadata.Name}, which the entry selects: its programs listen on {string.Join(", ", others)}",
            $"set it to the port of the application, {string.Join(" or ", others)}");
    }

    /// <summary>Pods of another workload listen on the port to which the Service leads: its selector takes more Pods than it should; null where none is
    /// known to.</summary>
    private Problem? OfAnother(ServiceInCluster service, Pod pod, int port, IReadOnlyList<int> others)
    {
        if (service.Pods.FirstOrDefault(one => one.Status.IsReady && WorkloadOf(one) != WorkloadOf(pod) && facts.Proxies
            .GetValueOrDefault(PodRef.Of(service.Cluster, one))?.Listening?.Any(at => at.Port == port) == true) is not { } right) return null;
        var (selector, context) = (service.Service.Spec.Selector, service.Cluster.Context);
        // A label that only the intended Pods have tells them apart.
        var own = right.Metadata.Labels.FirstOrDefault(label => label.Key != ServicePods.TemplateHash
            && !label.Key.Contains(".istio.io/", StringComparison.Ordinal) && pod.Metadata.Labels.GetValueOrDefault(label.Key) != label.Value);
        return Faults.Of("ISM2116", service.Name, "spec.selector",
            $"{ServicePods.Text(selector)} also selects Pod {pod.Metadata.Name} of {WorkloadOf(pod)}, in which nothing listens on port {port}, as in Pod "
                + $"{right.Metadata.Name} of {WorkloadOf(right)}{(others.Count > 0 ? $": its programs listen on {string.Join(", ", others)}" : "")}",
            own.Key is null
                ? $"give the Pods of {WorkloadOf(right)} a label that those of {WorkloadOf(pod)} do not have, and add it to the selector"
                : $"kubectl --context={context} -n {service.Service.Metadata.Namespace} patch service {service.Service.Metadata.Name} --type=merge -p "
                    + $"'{{\"spec\":{{\"selector\":{{\"{own.Key}\":\"{own.Value}\"}}}}}}'");
    }

    /// <summary>A workload that only this cluster's part of a Service has may have its labels by mistake, as the end of a remedy; empty where the ready Pods of
    /// other clusters are of the same one, or there are none.</summary>
    private static string Unmeant(MeshHost host, ServiceInCluster service, Pod pod)
    {
        var there = host.Services.Where(other => other.Cluster != service.Cluster)
            .SelectMany(other => other.Pods.Where(one => one.Status.IsReady).Select(one => (Workload: WorkloadOf(one), other.Cluster.Context))).ToList();
        return there.Count == 0 || WorkloadOf(pod).StartsWith("Pod ", StringComparison.Ordinal) || there.Exists(one => one.Workload == WorkloadOf(pod)) ? ""
            : $"; or, if {WorkloadOf(pod)} is not meant to serve {service.Name}, as {there[0].Workload} in {there[0].Context} does, change its labels: the "
                + $"selector is {ServicePods.Text(service.Service.Spec.Selector)}";
    }

    private static string WorkloadOf(Pod pod)
    {
        var (kind, name) = ServicePods.OwnerOf(pod);
        return $"{kind} {name}";
    }

    /// <summary>The Sidecar by which calls of a port leave it in the Pod; null when none does.</summary>
    private (Sidecar Sidecar, int Index, SidecarIngress Ingress)? Diverted(Callee callee, IPEndPoint target)
    {
        if (config.SidecarOf(callee.Cluster, callee.Pod) is not { } sidecar) return null;
        foreach (var (index, ingress) in sidecar.Ingress.Index())
            if (ingress.Port == callee.Address.Port && ingress.DefaultEndpoint?.Port == target.Port)
                return (sidecar, index, ingress);
        return null;
    }
}
