using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Services that other networks take for gateways, and that lead to Pods which pass nothing on, beside the Pods that do. Pure.</summary>
public static class StrayGateways
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.GatewaySelectorAnalyzer", "Checks that Services which are gateways of networks select the Pods that pass calls on",
        [ClusterCodes.GatewayAstray], ["Gateway", "Service", "Pod"], mesh =>
        from config in mesh.Clusters
        from service in config.Cluster.Services
        where service.Metadata.Labels.ContainsKey(Labels.Network) && service.Spec.Selector.Count > 0
        let serving = LeftOutServices.Gateways(mesh, config).ToList()
        let stray = config.Reach.First(area => area.Cluster == config.Cluster).Behind(service).FirstOrDefault(workload => workload.IsGateway
            && serving.TrueForAll(other => other.Name != workload.Name))
        let meant = serving.Find(workload => workload.Namespace == service.Metadata.Namespace
            && !LabelSelector.Selects(service.Spec.Selector, workload.Labels))
        where stray is not null && meant is not null
        let gateway = mesh.Passing(config).First(gateway => gateway.Selector.Count > 0 && LabelSelector.Selects(gateway.Selector.Items, meant.Labels))
        select ClusterCodes.GatewayAstray.At(config.Cluster, $"Service {service.Key}", "spec.selector",
            $"is {string.Join(',', service.Spec.Selector.Select(label => $"{label.Key}={label.Value}"))}, and selects {stray.Name}, which no Gateway with "
                + $"tls.mode AUTO_PASSTHROUGH selects, while {meant.Name} serves Gateway {gateway.FullName}: calls of other networks do not get there",
            PassingGateways.Select(config.Cluster.Context, service.Key, gateway.Selector)));
}
