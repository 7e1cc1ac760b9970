using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Hosts that Pods of a Gateway of the Gateway API serve for a Gateway of Istio, too. Pure.</summary>
public static class GatewayApiHosts
{
    public static Analyzer Analyzer { get; } = new("gatewayapi.IstioHostAnalyzer",
        "Checks for hosts that the same Pods serve for a Gateway of Istio and for one of the Gateway API",
        [OwnCodes.HostSharedWithIstio], ["Gateway"], mesh =>
            from api in mesh.GatewayApis
            from gateway in api.Cluster.Istio<Gateway>()
            from server in gateway.Servers.Index()
            from host in server.Item.Hosts.Index()
            from listener in api.Verdicts.Servers
            from other in listener.Servers
            where other.Port == server.Item.Port && SharePods(api, gateway, listener)
            let shared = other.Hosts.FirstOrDefault(taken => Overlap(NameOf(host.Item), taken))
            where shared is not null
            select OwnCodes.HostSharedWithIstio.At(api.Cluster, $"Gateway {gateway.FullName}", $"spec.servers[{server.Index}].hosts[{host.Index}]",
                $"host {NameOf(host.Item)} and hostname {shared} of listener {other.PortName} of {listener.Author} are on port {other.Port} of the same Pods"
                + Bound(api, gateway, shared)));

    private static string Bound(JudgedGatewayApi api, Gateway gateway, string shared)
    {
        var names = api.Cluster.Istio<VirtualService>().Where(routing => routing.Gateways.Contains(gateway.FullName) && routing.Hosts.Any(host =>
            Overlap(host, shared)))
            .Select(routing => $"{routing.Namespace}/{routing.Name}").ToList();
        return names.Count == 0 ? "" : $", with the routes of VirtualService {string.Join(", ", names)}";
    }

    private static bool SharePods(JudgedGatewayApi api, Gateway gateway, Gateway listener)
    {
        var pods = api.Cluster.Pods.Where(pod => pod.Metadata.Namespace == listener.PodNamespace && LabelSelector.Selects(listener.Selector,
            pod.Metadata.Labels)).ToList();
        return pods.Count > 0 ? pods.Exists(pod => LabelSelector.Selects(gateway.Selector, pod.Metadata.Labels)) : LabelSelector.Selects(gateway.Selector,
            listener.Selector);
    }

    private static bool Overlap(string one, string other) => Hosts.Covers(one, other) || Hosts.Covers(other, one);

    /// <summary>A host may begin with the namespaces whose routes it takes.</summary>
    private static string NameOf(string host) => host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..];
}
