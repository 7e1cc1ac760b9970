using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Policies that select the Pods of a Gateway of the Gateway API by labels, where they could name the Gateway. Pure.</summary>
public static class GatewaySelectors
{
    public static Analyzer Analyzer { get; } = new("k8sgateway.SelectorAnalyzer", "Checks that policies for Gateways of the Gateway API name the Gateway",
        [IstioCodes.SelectedGateway], ["Pod"], mesh => mesh.Clusters.SelectMany(Check));

    private static IEnumerable<Finding> Check(ConfigCluster config) =>
        from policy in config.Cluster.Istio<IWorkloadPolicy>()
        where policy is AuthorizationPolicy or RequestAuthentication or Telemetry or WasmPlugin && !policy.Selector.IsOfGateways && !policy.Selector.IsEmpty
        let gateways = config.Reach.SelectMany(area => area.In(policy.Source.Namespace))
            .Where(workload => workload.Labels.ContainsKey(GatewayNaming.GatewayLabel) && LabelSelector.Selects(policy.Selector.Labels, workload.Labels))
            .Select(workload => workload.Labels[GatewayNaming.GatewayLabel]).Distinct().Order(StringComparer.Ordinal).ToList()
        where gateways.Count > 0
        select IstioCodes.SelectedGateway.At(config.Cluster, $"{policy.Source.Kind} {policy.Source.Namespace}/{policy.Source.Name}", "spec.selector",
            $"selects the Pods of Gateway {string.Join(", ", gateways)} by their labels, which Isthmus accepts; control planes of Istio ignore it if "
                + "ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY is false");
}
