using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Pod = Isthmus.Kubernetes.Objects.Pod;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why ready Pods of another network are not endpoints for the caller, or why their addresses do not lead to
/// them.</summary>
internal sealed class NetworkCauses(TraceFacts facts, CallerConfig config, GatewayCauses gateways, TlsCauses tls, CallerCauses callers)
{
    /// <summary>A gateway of another network, to which calls do not get.</summary>
    public const string GatewayBeyond = "ISM2148";

    /// <summary>Why ready Pods of a cluster are not endpoints for the caller.</summary>
    public Problem? Unreachable(ServiceInCluster service, int port)
    {
        var pods = ServicePods.Ready(service, port).ToList();
        var (own, their) = (facts.Home.NetworkOf(facts.ClientPod), service.Cluster.NetworkOf(pods[0]));
        if (own == their || own.Length == 0) return null;
        if (callers.NotViewed(their) is { } unseen) return unseen;
        if (gateways.GatewayOf(their, service.Cluster) is { } gateway) return gateway;
        if (pods.All(pod => ClusterObjects.Sidecar(pod) is null))
        {
            var without = Sidecarless.Of(service.Cluster, pods[0]);
            return Faults.Of("ISM2051", without.Object, without.Field,
                $"{without.Because}has no sidecar, but only mesh TLS can pass the gateway of {their}", without.Remedy);
        }
        if (pods.All(pod => ClusterObjects.IsGateway(pod) && pod.Metadata.Labels.GetValueOrDefault(Labels.TlsMode) != "istio"))
            return Faults.Of(GatewayBeyond, service.Name, "",
                $"leads to a gateway, whose only ready Pods are in {service.Cluster.Context} ({their}): only mesh TLS passes the gateway of a network, and "
                    + $"Pods of gateways take none from there, so callers in {own} have no endpoint",
                $"install such a gateway in {facts.Home.Context} as well, or let calls of {facts.Home.Context} go another way");
        if (pods.All(pod => pod.Metadata.Labels.GetValueOrDefault(Labels.TlsMode, "istio") != "istio"))
        {
            return Faults.Of("ISM2051", $"Pod {pods[0].Key} in {service.Cluster.Context}", $"metadata.labels[{Labels.TlsMode}]",
                $"is {pods[0].Metadata.Labels[Labels.TlsMode]}: it says that the Pod takes no mesh TLS, and only that can pass the gateway of {their}",
                "remove the label from the Pod's template");
        }
        return null;
    }

    /// <summary>An address that a Pod of another network has, and nothing in the caller's; null for others.</summary>
    public Problem? OfOtherNetwork(IPEndPoint address)
    {
        var (own, text) = (facts.Home.NetworkOf(facts.ClientPod), address.Address.ToString());
        if (own.Length == 0) return null;
        // Clusters of one network have no address twice; those of others may.
        var found = (from cluster in facts.Clusters
                     from slice in cluster.Slices
                     from endpoint in slice.Endpoints
                     where endpoint.Addresses.Contains(text) && endpoint.TargetRef is { Kind: "Pod" }
                     select (Cluster: cluster, Slice: slice, Pod: endpoint.TargetRef!.Name)).ToList();
        if (found.Count == 0 || found.Exists(one => one.Cluster.Network == own)) return null;
        var (there, first, pod) = found[0];
        var ns = first.Metadata.Namespace;
        var service = first.Metadata.Labels.GetValueOrDefault(Labels.ServiceName, "");
        var port = there.Service(ns, service)?.Spec.Ports.FirstOrDefault(open => first.Ports.Any(one => one.Name == open.Name && one.Port == address.Port));
        return Faults.Of("ISM2117", $"Pod {ns}/{pod} in {there.Context}", "status.podIP",
            $"is {text} in {there.Network}, and the caller is in {own}: addresses of Pods lead nowhere in other networks, only Services do, through gateways",
            service.Length > 0 ? $"call {service}.{ns}{(port is null ? "" : $":{port.Port}")}" : "call a Service of the Pod by its name");
    }

    /// <summary>An EndpointSlice that somebody wrote lists the address of a Pod of another network; null for others. It leads nowhere, unless
    /// something else has it here, because networks may use the same ranges.</summary>
    public Problem? WrittenElsewhere(MeshHost? host, IPAddress address)
    {
        var text = address.ToString();
        if (host?.In(facts.Home) is not { } service || facts.Home.Pods.Any(pod => pod.Status.PodIP == text)) return null;
        foreach (var slice in service.Slices().Where(slice => !slice.Endpoints.Exists(endpoint => endpoint.TargetRef is { Uid.Length: > 0 })))
        {
            var index = slice.Endpoints.FindIndex(endpoint => endpoint.Addresses.Contains(text));
            if (index < 0 || OfOtherNetwork(new(address, slice.Ports.FirstOrDefault()?.Port ?? 0)) is not { } found) continue;
            return Faults.Of(found.Code, $"EndpointSlice {slice.Key} in {facts.Home.Context}", $"endpoints[{index}].addresses",
                $"has {text}, the address of {found.Object}, which {found.Message}",
                $"remove the endpoint: {found.Remedy}, or let the mesh find the Pods: create the Service with their selector in both clusters");
        }
        return null;
    }

    /// <summary>Why ready Pods of another network are not endpoints: only mesh TLS passes a gateway, but mesh TLS is
    /// disabled.</summary>
    public Problem? PlainAcrossNetworks(MeshHost host, ServiceInCluster service, int port, string subset)
    {
        var pod = ServicePods.Ready(service, port).First();
        var (own, their) = (facts.Home.NetworkOf(facts.ClientPod), service.Cluster.NetworkOf(pod));
        if (own == their || own.Length == 0) return null;
        if (config.RulesFor(host)
            .FirstOrDefault(rule => TrafficPolicy.Effective(rule, rule.Subsets.FirstOrDefault(candidate => candidate.Name == subset),
                port).Tls is { Mode: not ClientTlsMode.IstioMutual }) is { } plain)
        {
            return Faults.Of("ISM2056", $"DestinationRule {plain.Namespace}/{plain.Name} in {config.At.Context}", "spec.trafficPolicy.tls.mode",
                $"disables mesh TLS, but only mesh TLS can pass the gateway of {their}", tls.MeshTlsAgain);
        }
        return tls.OfPolicyAcross(host, port, their) ?? PlainWorkload(service, port);
    }

    /// <summary>A PeerAuthentication by which the Pods accept no mesh TLS, so that no gateway passes calls on to them; null for others.</summary>
    public Problem? PlainWorkload(ServiceInCluster service, int port)
    {
        if (ServicePods.Ready(service, port).FirstOrDefault() is not { } pod) return null;
        // Modes of ports are about those of workloads.
        var target = service.Port(port) is { } called ? ServicePods.Target(called, pod) : port;
        return PeerPolicies.ModeOf(facts, service.Cluster, pod, target) == MtlsMode.Disable
            && PeerPolicies.PolicyOf(facts, service.Cluster, pod, target) is { } policy
            ? Faults.Of("ISM2066", $"PeerAuthentication {policy.Namespace}/{policy.Name} in {policy.Source.Cluster}", TlsCauses.ModeField(policy, $"{target}"),
                $"disables mesh TLS, but only mesh TLS can pass the gateway of {service.Cluster.NetworkOf(pod)}", TlsCauses.Encrypted(policy, $"{target}"))
            : null;
    }

    /// <summary>The caller uses the own addresses of Pods in another network, as Istio does when it knows no
    /// gateway.</summary>
    public Problem CalledDirectly(string network, ClusterObjects cluster) => gateways.GatewayOf(network, cluster)
        ?? Faults.Of("ISM1014", $"cluster {cluster.Context}", "",
            $"the caller's control plane knows no gateway of network {network}, so Pods there are called at addresses that are valid only in their own network",
            $"isthmus verify; {LogsOf(facts.Home)}");

    /// <summary>A Pod's own label names the network of other clusters, which is rarely meant; null for others.</summary>
    public Problem? LabelledElsewhere(ClusterObjects cluster, Pod pod)
    {
        var said = pod.Metadata.Labels.GetValueOrDefault(Labels.Network, "");
        var others = NetworkOfOthers.Clusters(said, cluster.Network,
            cluster.Services.Select(service => service.Metadata.Labels.GetValueOrDefault(Labels.Network, "")).Concat(facts.Settings.Networks.Networks.Keys),
            facts.Clusters.Where(other => other != cluster).Select(other => (other.Context, other.Network)));
        if (others.Count == 0) return null;
        var (kind, name) = ServicePods.OwnerOf(pod);
        var template = cluster.Deployments.FirstOrDefault(one => kind == "Deployment" && one.Metadata.Namespace == pod.Metadata.Namespace
            && one.Metadata.Name == name);
        return Faults.Of("ISM1016", $"Pod {pod.Key} in {cluster.Context}", $"metadata.labels[{Labels.Network}]",
            $"is {said}, the network of {string.Join(" and ", others)}, and its cluster is in {cluster.Network}: callers of {said} connect to it directly, and "
                + $"all others through the gateway of {said}, which is not where its address leads",
            NetworkOfOthers.Remedy(cluster.Context, cluster.Network,
                template is null ? "" : $"Deployment {template.Metadata.Namespace}/{template.Metadata.Name}",
                template?.Spec.TemplateLabels.ContainsKey(Labels.Network) == true));
    }

    private string LogsOf(ClusterObjects cluster) => facts.ControlPlanesOf(cluster) is [var plane, ..]
        ? $"kubectl --context={plane.At.Context} -n {plane.Namespace} logs -l app={WellKnown.Istiod}" : $"isthmus proxy-status --context={cluster.Context}";
}
