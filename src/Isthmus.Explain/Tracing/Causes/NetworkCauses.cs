using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why ready Pods of another network are not endpoints for the caller, or why their addresses do not lead to
/// them.</summary>
internal sealed class NetworkCauses(TraceFacts facts, CallerConfig config, GatewayCauses gateways, TlsCauses tls)
{
    /// <summary>Why ready Pods of a cluster are not endpoints for the caller.</summary>
    public Problem? Unreachable(ServiceInCluster service, int port)
    {
        var pods = ServicePods.Ready(service, port).ToList();
        var (own, their) = (facts.Home.NetworkOf(facts.ClientPod), service.Cluster.NetworkOf(pods[0]));
        if (own == their || own.Length == 0) return null;
        if (gateways.GatewayOf(their, service.Cluster) is { } gateway) return gateway;
        if (pods.All(pod => ClusterObjects.Sidecar(pod) is null))
        {
            var without = Sidecarless.Of(service.Cluster, pods[0]);
            return Faults.Of("ISM2051", $"Pod {pods[0].Key} in {service.Cluster.Context}", without.Field,
                $"has no sidecar, but only mesh TLS can pass the gateway of {their}", without.Remedy);
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
        return PlainWorkload(service, port);
    }

    /// <summary>A PeerAuthentication by which the Pods accept no mesh TLS, so that no gateway passes calls on to them; null for others.</summary>
    public Problem? PlainWorkload(ServiceInCluster service, int port)
    {
        if (ServicePods.Ready(service, port).FirstOrDefault() is not { } pod) return null;
        // Modes of ports are about those of workloads.
        var target = service.Port(port) is { } called ? ServicePods.Target(called, pod) : port;
        return tls.ModeOf(service.Cluster, pod, target) == MtlsMode.Disable && tls.PolicyOf(service.Cluster, pod, target) is { } policy
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

    private string LogsOf(ClusterObjects cluster) => facts.ControlPlanesOf(cluster) is [var plane, ..]
        ? $"kubectl --context={plane.At.Context} -n {plane.Namespace} logs -l app={WellKnown.Istiod}" : $"isthmus proxy-status --context={cluster.Context}";
}
