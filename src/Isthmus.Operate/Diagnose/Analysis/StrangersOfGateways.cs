using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Pods of applications with the labels of a gateway. Pure.</summary>
public static class StrangersOfGateways
{
    public static Analyzer Analyzer
    {
        get;
    } = new("gateway.LabelAnalyzer", "Checks that the Services of gateways select gateways only", [GatewayCodes.StrangerAmongGateways],
        ["Gateway", "Service", "Pod"], mesh =>
        from config in mesh.Clusters
        from area in config.Reach
        from service in area.Cluster.Services
        where service.Spec.ClusterIP != "None"
        let pods = area.Behind(service).Select(workload => workload.Pod!).ToList()
        let found = GatewayStrangers.Of(service, pods)
        // Other Services may be for gateways and applications alike, such as those of metrics.
        where found is not null && (service.Metadata.Labels.ContainsKey(Labels.Network) || service.Spec.Type != "ClusterIP"
            || config.Cluster.Istio<Gateway>().Any(gateway => gateway.Selector.Count > 0
                && pods.Exists(pod => GatewayStrangers.IsGateway(pod) && LabelSelector.Selects(gateway.Selector.Items, pod.Metadata.Labels))))
        select new Finding(area.Cluster.Context, found));
}
