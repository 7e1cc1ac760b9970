using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Pod = Isthmus.Kubernetes.Objects.Pod;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a Service has no ready Pods, or a proxy no control plane: either may cause the other.</summary>
internal sealed class AvailabilityCauses(TraceFacts facts, TraceNeeds needs)
{
    /// <summary>Why a proxy has no configuration at all.</summary>
    public Problem Unconfigured(PodRef pod, string what) => Unserved(facts.Clusters.First(cluster => cluster.Context == pod.Context), RevisionOf(pod))
        ?? Nameless(pod, what) ?? Refused(pod) ?? GoneRevision.Of(facts, pod)
        ?? Faults.Of("ISM2003", pod.ToString(), "", $"{what}: it has not reached a control plane",
            $"isthmus proxy-status --context={pod.Context}; kubectl --context={pod.Context} -n {pod.Namespace} logs {pod.Name} -c istio-proxy");

    /// <summary>A Pod whose names the DNS of its cluster does not resolve: its proxy does not find the control plane; null for others.</summary>
    private Problem? Nameless(PodRef pod, string what)
    {
        var cluster = facts.Clusters.First(cluster => cluster.Context == pod.Context);
        var found = cluster.Pods.FirstOrDefault(one => one.Metadata.Name == pod.Name && one.Metadata.Namespace == pod.Namespace);
        var servers = cluster.Services.Where(one => one.Metadata.Labels.GetValueOrDefault("k8s-app") == "kube-dns").Select(one => one.Spec.ClusterIP).ToList();
        return found is null || ServicePods.WithoutDns(found, servers) is not var (field, why, remedy) ? null
            : Faults.Of("ISM2003", pod.ToString(), field,
                $"{what}: {why} the Pod from the DNS of {pod.Context}, by which its proxy finds the control plane", remedy);
    }

    private Problem? Refused(PodRef pod)
    {
        var cluster = facts.Clusters.First(one => one.Context == pod.Context);
        return cluster.Pods.FirstOrDefault(one => one.Metadata.Name == pod.Name && one.Metadata.Namespace == pod.Namespace) is { } found
            && OtherName(cluster, found).Length > 0 ? Misnamed(cluster, found, 1) : null;
    }

    /// <summary>The name by which a Pod's proxy calls its cluster, where the control plane calls it otherwise; empty where both agree.</summary>
    public static string OtherName(ClusterObjects cluster, Pod pod) =>
        cluster.IsNamed && ClusterObjects.NameBy(pod) is { Length: > 0 } name && name != cluster.Id ? name : "";

    /// <param name="count">How many Pods are like the one that is named.</param>
    public static Problem Misnamed(ClusterObjects cluster, Pod pod, int count)
    {
        var name = OtherName(cluster, pod);
        return Faults.Of("ISM2106", $"Pod {pod.Key} in {cluster.Context}", "ISTIO_META_CLUSTER_ID",
            $"{(count > 1 ? $"its proxy, like {count - 1} more, calls" : "its proxy calls")} the cluster {name}, and its control plane calls it {cluster.Id}: "
                + "the control plane refuses it, so it gets no changes and no new certificate",
            $"create the Pod again (it was injected when the cluster was installed as {name}), or install with values.global.multiCluster.clusterName={name}");
    }

    /// <summary>Whether the caller's control plane does not watch clusters that have the service; null also when it must be
    /// queried first.</summary>
    public Problem? Unwatched(IReadOnlyList<ServiceInCluster> services) => Unwatched(services.Select(service => service.Cluster).Distinct());

    public Problem? Unwatched(IEnumerable<ClusterObjects> clusters)
    {
        if (facts.ControlPlanesOf(facts.Home) is not [var plane, ..]) return null;
        foreach (var cluster in clusters.Where(cluster => cluster != plane.Config))
        {
            if (!facts.Watched.TryGetValue(plane.Config.Context, out var watched))
            {
                needs.Watches.Add(plane.Config.Context);
                return null;
            }
            if (plane.Config.IsJoinedByNames && cluster.IsJoinedByNames) continue;
            // Entries for its own name are ignored.
            if (cluster.Id == plane.Config.Id && SharedNames.Of(facts) is { } shared) return shared;
            var line = watched.FirstOrDefault(candidate => candidate.Id == cluster.Id);
            if (line is null && facts.Unlabelled.GetValueOrDefault(plane.Config.Context)?.FirstOrDefault(secret => secret.Cluster == cluster.Id) is { } lost)
                return Faults.Of("ISM1021", $"Secret {lost.Secret} in {plane.At.Context}", UnlabelledSecret.Path, lost.Message, lost.Remedy(plane.At.Context));
            if (line is null && facts.Misplaced.GetValueOrDefault(plane.Config.Context)?.FirstOrDefault(secret => secret.Cluster == cluster.Id)
                is { } misplaced)
                return Faults.Of("ISM1021", $"Secret {misplaced.Namespace}/{misplaced.Name} in {plane.At.Context}", MisplacedSecret.Path,
                    misplaced.Message(plane.At.Context, [plane.Namespace]), misplaced.Remedy(plane.Namespace));
            if (line is null)
            {
                var lacking = watched.Any(other => other.IsInFile) ? "kubeconfig" : "remote secret (label istio/multiCluster: \"true\")";
                return Faults.Of("ISM1021", plane.ToString(), $"Secret {plane.Namespace}/{WellKnown.RemoteSecretPrefix}{cluster.Id}",
                    $"does not watch {cluster.Id}: there is no {lacking} for it, so its "
                        + $"Services and Pods are unknown here",
                    WatchedCluster.Beginning(watched, WatchedCluster.Create(cluster.Context, cluster.Id, plane.At.Context, plane.Namespace)));
            }
            if (RemoteSecretFaults.Astray(plane.At.Context, plane.Namespace, line,
                [.. facts.Clusters.Select(one => new NamedCluster(one.Context, one.Id, "", one.Uid))]) is { } astray)
                return astray with { Object = $"{astray.Object} in {plane.At.Context}" };
            if (line.Status != "synced" || line.Message.Length > 0)
                return Faults.Of("ISM1020", $"{line.Place} in {plane.At.Context}", "",
                    line.Message.Length > 0 ? line.Message : $"cluster {line.Id} is {line.Status}",
                    $"fix the cause, or {line.Renewal(cluster.Context, plane.At.Context, plane.Namespace)}");
        }
        return null;
    }

    /// <summary>Why the caller's proxy hears of nothing; null when no cause is visible.</summary>
    public Problem? Untold() => facts.UnreadableMap ?? (
        OtherName(facts.Home, facts.ClientPod).Length > 0 ? Misnamed(facts.Home, facts.ClientPod, 1)
            : Unserved(facts.Home, RevisionOf(facts.Client)) ?? GoneRevision.Of(facts, facts.Client));

    /// <summary>What the caller's proxy knows of a host does not lead to it, and no object says why. Only the control plane knows whether the proxy has all
    /// that is meant for it.</summary>
    public Problem NotTold(MeshHost host)
    {
        if (ClusterObjects.Sidecar(facts.ClientPod) is null)
        {
            var without = Sidecarless.Of(facts.Home, facts.ClientPod);
            return Faults.Of("ISM2028", without.Object, without.Field,
                $"{without.Because}has no sidecar, and nothing else leads its calls of {host.Fqdn} out of {facts.Home.Context}", without.Remedy);
        }
        if (Untold() is { } cause) return cause;
        var status = $"isthmus proxy-status --context={facts.Home.Context}";
        return needs.Follows(facts.Client) switch
        {
            false => Faults.Of("ISM2014", facts.Client.ToString(), "",
                $"its proxy has not received the configuration of {host.Fqdn}: it is not connected to its control plane, or does not accept what that sends",
                $"find out why: {status}; kubectl --context={facts.Home.Context} -n {facts.Client.Namespace} logs {facts.Client.Name} -c istio-proxy"),
            var follows => Faults.Of("ISM2147", facts.Client.ToString(), "",
                $"its proxy knows no way to {host.Fqdn}, and no object was found that says why"
                    + (follows is null ? "" : "; it has all that its control plane has for it"),
                $"see what it has: {facts.Client.Show("endpoints")}; {status}"),
        };
    }

    /// <summary>Proxies still have the address of a deleted Pod.</summary>
    public Problem Gone(string address, string ns, ClusterObjects cluster) =>
        SharedNames.Of(facts) ?? Unserved(facts.Home, RevisionOf(facts.Client)) ?? GoneRevision.Of(facts, facts.Client) ?? Unwatched([cluster])
        ?? Faults.Of("ISM2015", facts.Client.ToString(), "",
            $"its proxy still has {address}, which no longer belongs to a Pod of namespace {ns} in {cluster.Context}",
            $"check whether it is connected to its control plane: isthmus proxy-status --context={facts.Home.Context}");

    /// <summary>Why no proxy of a cluster can reach a control plane; null when no cause is visible.</summary>
    /// <param name="revision">The revision of the control plane that it asks; empty for any.</param>
    public Problem? Unserved(ClusterObjects cluster, string revision)
    {
        var planes = facts.ControlPlanesOf(cluster);
        if (planes.Count == 0)
        {
            return Faults.Of("ISM1003", $"cluster {cluster.Context}", "",
                $"no control plane serves it: none runs there, and none of {string.Join(", ", facts.Clusters.Select(other => other.Context))} runs one for it",
                Member(cluster).Command([.. facts.Clusters.Where(other => other != cluster && facts.ControlPlanesOf(other).Count > 0).Select(Member)]));
        }
        Problem? first = null;
        foreach (var plane in planes)
        {
            // One ready control plane is enough.
            if ((Down(plane, revision) ?? (plane.At == cluster ? null : OutOfReach(cluster, plane)) ?? Unauthenticated(cluster, plane)) is not { } problem)
                return null;
            first ??= problem;
        }
        return first;
    }

    /// <summary>The name of a cluster without a control plane is what its proxies were given, if there are any.</summary>
    private MemberInstallation Member(ClusterObjects cluster) => new(cluster.Context, cluster.Id == cluster.Context ? "" : cluster.Id, cluster.Network,
        facts.MeshIdOf(cluster), cluster.SystemNamespace, cluster.Root);

    private Problem? Down(ControlPlanePlace plane, string revision)
    {
        needs.NeedPods(plane.Namespace);
        var deployments = plane.Deployments.Where(candidate => candidate.Metadata.Labels.GetValueOrDefault(Labels.Revision) == revision).ToList();
        if (deployments.Count == 0) deployments = [.. plane.Deployments];
        var pods = plane.At.Pods.Where(pod => pod.Metadata.Namespace == plane.Namespace
            && deployments.Any(deployment => deployment.Spec.Selector.Matches(pod.Metadata.Labels)))
            .ToList();
        if (!plane.At.PodNamespaces.Contains(plane.Namespace) || pods.Any(pod => pod.Status.IsReady)) return null;
        var deployment = deployments[0];
        // Without a CA it is never ready.
        var given = pods.Count > 0 ? needs.Held(new(plane.At.Context, "Secret", plane.Namespace, WellKnown.CaCerts)) : null;
        if (given?.AuthorityEnds is [var (key, end), ..] && end <= facts.Now)
            return Faults.Of("ISM1003", $"Secret {plane.Namespace}/{WellKnown.CaCerts} in {plane.At.Context}", $"data[{key}]",
                $"has a certificate that ended at {end.UtcDateTime:u}, and the control plane of {plane.Config.Context} is not ready "
                    + "without a CA that is in force",
                key is "root-cert.pem" or "ca.crt" && given.AuthorityEnds.All(one => one.End <= facts.Now)
                    ? "the root has ended: give all clusters a CA of a new root (isthmus ca root, isthmus ca intermediate), "
                        + "and restart control planes, then workloads"
                    : "put a new CA of the same root into the Secret (isthmus ca intermediate), in one step: the control plane then becomes ready");
        if (given is { CaProblem: { Length: > 0 } refused })
            return Faults.Of("ISM1003", $"Secret {plane.Namespace}/{WellKnown.CaCerts} in {plane.At.Context}", "data",
                $"is not used, and the control plane of {plane.Config.Context} is not ready without it: {refused}",
                "put a CA into it whose four files belong together (isthmus ca intermediate): replace the Secret in one step, and do not delete it "
                    + "(without it, the control plane makes a root of its own)");
        return Faults.Of("ISM1003", $"Deployment {deployment.Key} in {plane.At.Context}", deployment.Spec.Replicas == 0 ? "spec.replicas" : "status",
            deployment.Spec.Replicas == 0
                ? $"is 0, so nothing configures the proxies of {plane.Config.Context}, and none can start"
                : $"the control plane of {plane.Config.Context} is not ready: {(pods.Count == 0 ? "it has no Pods" : ServicePods.Why(pods[0]))}",
            deployment.Spec.Replicas == 0
                ? $"kubectl --context={plane.At.Context} -n {plane.Namespace} scale deployment {deployment.Metadata.Name} --replicas=1"
                : $"kubectl --context={plane.At.Context} -n {plane.Namespace} describe pod -l app={WellKnown.Istiod}");
    }

    /// <summary>Proxies find a control plane elsewhere through a Service without a selector. Its endpoints are the gateway
    /// in front of the control plane.</summary>
    private Problem? OutOfReach(ClusterObjects cluster, ControlPlanePlace plane)
    {
        var service = cluster.Services.FirstOrDefault(candidate => candidate.Metadata.Namespace == cluster.SystemNamespace
            && candidate.Metadata.Name.StartsWith(WellKnown.Istiod, StringComparison.Ordinal));
        if (service is null && cluster.NamedPrimaries.Count == 0 && cluster.LacksInjector)
            return Faults.Of("ISM1003", $"cluster {cluster.Context}", "",
                "has no control plane, and nothing that a remote cluster has: no webhook, no Service istiod, no annotation "
                    + $"{Annotations.ControlPlaneClusters} of Namespace {cluster.SystemNamespace}. If it had one, it was removed",
                InjectorWebhook.Again(cluster.Context));
        if (service is null)
            return Faults.Of("ISM1018", $"Service {cluster.SystemNamespace}/{WellKnown.Istiod} in {cluster.Context}", "",
                $"does not exist, so proxies do not find the control plane in {plane.At.Context}",
                "install the profile 'remote' with values.global.remotePilotAddress");
        if (service.Spec.ExternalName.Length > 0) return null;
        var name = $"Service {service.Key} in {cluster.Context}";
        var addresses = cluster.Slices.Where(slice => slice.Metadata.Namespace == service.Metadata.Namespace
            && slice.Metadata.Labels.GetValueOrDefault(Labels.ServiceName) == service.Metadata.Name)
            .SelectMany(slice => slice.Endpoints).SelectMany(endpoint => endpoint.Addresses).Distinct().ToList();
        var entries = plane.At.Services.Where(candidate => candidate.Spec.Ports.Any(port => port.Port == Core.Names.Ports.DiscoveryTls)
            && candidate.Status.LoadBalancer.Ingress.Count > 0)
            .ToList();
        var known = string.Join(", ", entries.SelectMany(Addresses).Distinct());
        var meant = entries.Where(candidate => addresses.Intersect(Addresses(candidate)).Any()).ToList();
        if (meant.Count == 0)
        {
            // Another load balancer may be in front of it: only an address that matches none of its own is an error.
            if (addresses.Count > 0 && entries.Count == 0) return null;
            return Faults.Of("ISM1018", name, "endpoints",
                addresses.Count == 0
                    ? $"has none, so proxies do not find the control plane in {plane.At.Context}"
                    : $"points to {string.Join(", ", addresses)}, but the gateway in front of the control plane in {plane.At.Context} is at {known}",
                $"reinstall with values.global.remotePilotAddress={(known.Length > 0 ? known : "the address of the gateway in front of the control plane")}");
        }
        var closed = meant.Select(entry => Closed(plane, new(plane.At, entry))).ToList();
        return closed.Contains(null) ? null : closed[0];
    }

    private static IEnumerable<string> Addresses(Kubernetes.Objects.Service service) =>
        service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip).Concat(service.Spec.ExternalIPs).Where(ip => ip.Length > 0);

    /// <summary>Why the gateway in front of a control plane does not forward traffic to it.</summary>
    private Problem? Closed(ControlPlanePlace plane, ServiceInCluster entry)
    {
        needs.NeedPods(entry.Service.Metadata.Namespace);
        if (!plane.At.PodNamespaces.Contains(entry.Service.Metadata.Namespace)) return null;
        var pods = entry.Pods.Where(pod => pod.Status.IsReady).ToList();
        if (pods.Count == 0)
        {
            var empty = GatewayWithoutPods(entry);
            return empty with { Message = $"{empty.Message}, and proxies in other clusters reach the {plane} through it" };
        }
        if (pods.Find(pod => pod.Metadata.Labels.ContainsKey(GatewayNaming.GatewayLabel)) is { } made)
            return new ApiGatewayCauses(facts).WithoutWay(plane.At, made, Core.Names.Ports.DiscoveryTls, $"{plane}");
        var target = entry.Port(Core.Names.Ports.DiscoveryTls)!;
        var port = int.TryParse(target.TargetPort?.ToString(), out var number) ? number : target.Port;
        var opening = plane.At.Istio<Gateway>().Where(gateway => gateway.Servers.Any(server => server.Port == port)).ToList();
        var selecting = opening.Where(gateway => pods.Any(pod => Selectors.Matches(gateway.Selector, pod.Metadata.Labels.ToValueMap()))).ToList();
        var expose = plane.At == plane.Config
            ? $"kubectl --context={plane.At.Context} apply -n {plane.Namespace} -f samples/multicluster/expose-istiod.yaml"
            : $"kubectl --context={plane.At.Context} apply -n {plane.Namespace} -f samples/multicluster/expose-external-istiod.yaml";
        if (selecting.Count == 0)
        {
            return opening.Count > 0
                ? Faults.Of("ISM2052", $"Gateway {opening[0].FullName} in {plane.At.Context}", "spec.selector",
                    $"{ServicePods.Text(opening[0].Selector.ToDictionary(StringComparer.Ordinal))} selects no Pod of {entry.Name}, so the {plane} is not "
                        + $"reachable there",
                    "fix the selector, or the labels of the gateway")
                : Faults.Of("ISM1019", entry.Name, "", $"no Gateway opens port {port} on it, so proxies in other clusters do not reach the {plane}", expose);
        }
        var bound = selecting.Select(gateway => gateway.FullName).ToHashSet(StringComparer.Ordinal);
        var routes = plane.At.Istio<VirtualService>().ToList();
        if (routes.Any(route => route.Gateways.Any(gateway => bound.Contains(Full(gateway, route.Namespace))))) return null;
        return Faults.Of("ISM1019", $"Gateway {selecting[0].FullName} in {plane.At.Context}", "", $"no VirtualService routes its traffic to the {plane}",
            expose);
    }

    private static string Full(string gateway, string ns) => gateway.Contains('/', StringComparison.Ordinal) ? gateway : $"{ns}/{gateway}";

    /// <summary>A control plane validates a proxy's token with the proxy's own cluster, so it must watch that
    /// cluster.</summary>
    private Problem? Unauthenticated(ClusterObjects cluster, ControlPlanePlace plane) =>
        cluster == plane.Config || facts.ControlPlanesOf(facts.Home) is not [var own, ..] || own != plane ? null : Unwatched([cluster]);

    /// <summary>The revision of the control plane that injected a Pod.</summary>
    private string RevisionOf(PodRef pod) =>
        facts.Clusters.First(cluster => cluster.Context == pod.Context).Pods.Where(candidate => candidate.Metadata.Name == pod.Name
            && candidate.Metadata.Namespace == pod.Namespace)
            .Select(ClusterObjects.RevisionOf).FirstOrDefault()
            ?? "";

    public Problem GatewayWithoutPods(ServiceInCluster gateway)
    {
        needs.NeedPods(gateway.Service.Metadata.Namespace);
        return Empty(gateway, gateway.Service.Spec.Ports.FirstOrDefault()?.Port ?? 0);
    }

    /// <summary>Higher for a cluster in which the workload is more likely meant to run: the cause is most likely
    /// there.</summary>
    public int Rank(ServiceInCluster service) =>
        (service.Pods.Count > 0 ? 8 : 0) + RankOf(ServicePods.Workloads(service))
            + (service.Service.Spec.Selector.Count > 0 && ServicePods.Candidates(service).Any() ? 2 : 0) + (service.Cluster == facts.Home ? 1 : 0);

    /// <summary>One without replicas often only gives the Service its name in that cluster.</summary>
    private static int RankOf(IEnumerable<Deployment> workloads) => workloads.Max(workload => (int?)(workload.Spec.Replicas is 0 ? 4 : 6)) ?? 0;

    /// <summary>The kubelet checks the Pod without the mutual TLS that its proxy demands; null when something else keeps it from being ready.</summary>
    private Problem? RefusedProbe(ClusterObjects cluster, Pod pod)
    {
        if (ClusterObjects.Sidecar(pod) is null
            || pod.Status.ContainerStatuses.Find(status => !status.Ready) is not { State: { Waiting: null, Terminated: null } } unready)
            return null;
        var container = $"spec.containers[{pod.Spec.Containers.FindIndex(one => one.Name == unready.Name)}]";
        var (path, port) = RefusedProbes.Of(pod, port => PeerPolicies.ModeOf(facts, cluster, pod, port))
            .FirstOrDefault(probe => probe.Path.StartsWith(container, StringComparison.Ordinal));
        return path is null ? null
            : Faults.Of("ISM2047", $"Pod {pod.Key} in {cluster.Context}", path,
                $"is not ready: {ServicePods.Why(pod)}, because it checks port {port} without mutual TLS, "
                + $"and {(PeerPolicies.PolicyOf(facts, cluster, pod, port) is { } policy
                    ? $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster}" : "the PeerAuthentication")} is STRICT",
                "remove the annotation sidecar.istio.io/rewriteAppHTTPProbers: \"false\" from the Pod's template, so that the agent makes the check, or set "
                    + "PERMISSIVE for the port in portLevelMtls");
    }

    /// <summary>What is wrong with the EndpointSlices that somebody wrote for a Service without a selector; null where there are none.</summary>
    private static Problem? Written(ServiceInCluster service, int number)
    {
        var slices = service.Slices().Where(slice => slice.Endpoints.Count > 0).ToList();
        if (slices is not [var first, ..] || service.Port(number) is not { } port) return null;
        var (context, ns) = (service.Cluster.Context, service.Service.Metadata.Namespace);
        var having = slices.Where(slice => slice.Ports.Exists(one => one.Name == port.Name)).ToList();
        var kubectl = $"kubectl --context={context} -n {ns}";
        if (having.Count > 0)
            return Faults.Of("ISM2045", $"EndpointSlice {having[0].Key} in {context}", "endpoints[*].conditions.ready",
                $"is false, so {service.Name} has no ready endpoint", $"set it to true when they are: {kubectl} edit endpointslice {having[0].Metadata.Name}");
        var names = string.Join(", ", first.Ports.Select(one => one.Name is { Length: > 0 } name ? name : "none"));
        return Faults.Of("ISM2045", $"EndpointSlice {first.Key} in {context}", "ports[*].name",
            $"{(first.Ports.Count == 0 ? "is missing" : $"is {names}")}, and port {number} of {service.Name} "
                + $"{(port.Name.Length > 0 ? $"is named {port.Name}" : "has no name")}: the names must be the same, so its endpoints do not have the port",
            first.Ports.Count == 1
                ? $"{kubectl} patch endpointslice {first.Metadata.Name} --type=json "
                    + $"-p '[{{\"op\":\"add\",\"path\":\"/ports/0/name\",\"value\":\"{port.Name}\"}}]'"
                : $"name its port {port.Name}: {kubectl} edit endpointslice {first.Metadata.Name}");
    }

    public Problem Empty(ServiceInCluster service, int port)
    {
        var (cluster, ns) = (service.Cluster.Context, service.Service.Metadata.Namespace);
        if (service.Service.Spec.Selector.Count == 0 && ServicePods.LostSlice(service) is { } lost)
            return Faults.Of("ISM2045", $"EndpointSlice {lost.Key} in {cluster}", $"metadata.labels[{Labels.ServiceName}]",
                $"is not set, so its endpoints belong to no Service, and {service.Name} has none",
                $"kubectl --context={cluster} -n {ns} label endpointslice {lost.Metadata.Name} {Labels.ServiceName}={service.Service.Metadata.Name}");
        if (service.Service.Spec.Selector.Count == 0)
            return Written(service, port) ?? Faults.Of("ISM2045", service.Name, "spec.selector", "is empty, and the Service has no endpoints",
                "add a selector, or create EndpointSlices");
        var selector = string.Join(",", service.Service.Spec.Selector.Select(pair => $"{pair.Key}={pair.Value}"));
        if (service.Pods.Count > 0)
        {
            var named = service.Port(port);
            if (service.Pods.FirstOrDefault(pod => !ServicePods.TargetExists(named, pod)) is { } without)
                return Faults.Of("ISM2046", service.Name, $"spec.ports[{named!.Name}].targetPort",
                    $"names port \"{named.TargetPort}\", which no container of Pod {without.Metadata.Name} has",
                    "use the name of a container port, or a number");
            var pod = service.Pods[0];
            needs.NeedCheck(service.Cluster, pod);
            return (UnreadyPods.Misdirected(service.Cluster, pod)
                ?? (ServicePods.AwaitsProxy(pod) ? Unserved(service.Cluster, ClusterObjects.RevisionOf(pod)) : null))
                ?? RefusedProbe(service.Cluster, pod) ?? UnreadyPods.Of(service.Cluster, pod, listening: needs.Listening(service.Cluster, pod),
                    now: facts.Now);
        }
        if (UnhealthyEntries.Of([service.Cluster], ns, service.Service.Spec.Selector.ToValueMap(), service.Within.ToValueMap()) is { } unhealthy)
            return unhealthy;
        if (ServicePods.Workloads(service).FirstOrDefault() is { } workload)
        {
            var refused = PodRefusal.Why(workload);
            if (workload.Spec.Replicas > 0 && (refused.Length == 0 || refused.Contains("webhook", StringComparison.Ordinal))
                && Unserved(service.Cluster, service.Cluster.RevisionOf(ns)) is { } unserved)
                return unserved;
            return workload.Spec.Replicas == 0
                ? Faults.Of("ISM2048", $"Deployment {workload.Key} in {cluster}", "spec.replicas", $"is 0, so {service.Name} has no Pods{service.Part}",
                    $"kubectl --context={cluster} -n {ns} scale deployment {workload.Metadata.Name} --replicas=1")
                : RefusedPods.Missing(service.Cluster, workload);
        }
        if (RefusedPods.Kept(facts.Clusters, service.Service) is { } kept) return kept;
        if (service.Within.Count == 0 && ServicePods.Stray(facts.Clusters, service.Service) is var (there, stray))
            return Faults.Of("ISM2049", service.Name, "spec.selector",
                $"{selector} matches no Pod of namespace {ns}, and Deployment {stray.Key} in {there.Context}, whose Pods have these labels, is in another "
                    + "namespace",
                $"move the Deployment to namespace {ns}, or the Service to {stray.Metadata.Namespace}");
        var near = ServicePods.Candidates(service).FirstOrDefault();
        if (near is null && Namesake(service.Service, port) is { } meant)
            return Faults.Of("ISM2049", service.Name, "spec.selector",
                $"{selector} matches no Pod of namespace {ns}{service.Part}, and the name {facts.Target.Host} leads to the Service of the caller's own "
                    + $"namespace; Service {service.Service.Metadata.Name} of namespace {meant} has Pods",
                $"call {service.Service.Metadata.Name}.{meant}, if that one is meant; otherwise start the workload, or fix the selector");
        return Faults.Of("ISM2049", service.Name, "spec.selector",
            $"{selector} matches no Pod of namespace {ns}{service.Part}"
                + (near is null ? "" : $"; those of Deployment {near.Metadata.Name} have {ServicePods.Compared(near, service.Service)}"),
            near is null ? "start the workload, or fix the selector" : "fix the selector, or the labels of the Pods");
    }

    /// <summary>Another namespace whose Service of this name has Pods, where the call names no namespace; null when there is none.</summary>
    private string? Namesake(Service service, int port)
    {
        if (facts.Target.Host != service.Metadata.Name || service.Metadata.Namespace != facts.Client.Namespace) return null;
        var others = facts.Clusters.SelectMany(cluster => cluster.Services)
            .Where(one => one.Metadata.Name == service.Metadata.Name && one.Metadata.Namespace != service.Metadata.Namespace && one.Spec.Selector.Count > 0)
            .Select(one => one.Metadata.Namespace).Distinct().Order(StringComparer.Ordinal).ToList();
        others.ForEach(needs.NeedPods);
        return others.FirstOrDefault(ns => facts.Host($"{service.Metadata.Name}.{ns}") is { } host
            && host.Services.Any(one => one.Port(port) is not null && ServicePods.Ready(one, port).Any()));
    }
}
