using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Selectors of policies and other objects that no workload matches. Gateways, Sidecars and Telemetries have analyzers of their own. Pure.</summary>
public static class UnmatchedSelectors
{
    public static Analyzer Analyzer
    {
        get;
    } = new("workload.SelectorAnalyzer", "Checks that the selectors of policies and other objects match workloads", [IstioCodes.NoMatchingWorkloads], ["Pod"],
        mesh => Unmatched(mesh).Concat(Empty(mesh)));

    /// <summary>The parts of an object's selector that select nothing, with the place where they do not. Each Gateway is a part: another one does not excuse
    /// that it is missing.</summary>
    internal static IEnumerable<(WorkloadSelector Selector, string Place, string Elsewhere)> In(
        MeshSnapshot mesh, ConfigCluster config, string ns, WorkloadSelector selector) =>
        from each in selector.Each
        where !each.IsEmpty && !config.Selected(ns, each).Any()
        let only = config.Scope(ns, each)
        select (each, only is null ? "the mesh" : $"namespace {only}", GatewayWorkloads.Elsewhere(mesh, config, each, only));

    /// <summary>The field that a selector was read from.</summary>
    /// <param name="labels">The field for labels.</param>
    internal static string Path(WorkloadSelector selector, string labels) => selector.IsOfGateways ? "spec.targetRefs" : labels;

    private static IEnumerable<Finding> Unmatched(MeshSnapshot mesh) =>
        from config in mesh.Clusters
        from item in Selecting(config)
        from part in In(mesh, config, item.Source.Namespace, item.Selector)
        select IstioCodes.NoMatchingWorkloads.At(config.Cluster, $"{item.Source.Kind} {item.Source.Namespace}/{item.Source.Name}",
            Path(item.Selector, item.Path), $"no workload of {part.Place} has the labels {part.Selector}{part.Elsewhere}");

    /// <summary>It may be there for Pods to come, or in the wrong namespace.</summary>
    private static IEnumerable<Finding> Empty(MeshSnapshot mesh) =>
        from config in mesh.Clusters
        from policy in config.Cluster.Istio<AuthorizationPolicy>()
        where policy.Selector.IsEmpty && policy.Namespace != config.Cluster.RootNamespace && !config.Selected(policy.Namespace, policy.Selector).Any()
        select IstioCodes.NoMatchingWorkloads.At(config.Cluster, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", "",
            $"namespace {policy.Namespace} has no workloads", severity: Severity.Info);

    private static IEnumerable<(ObjectRef Source, string Path, WorkloadSelector Selector)> Selecting(ConfigCluster config)
    {
        var cluster = config.Cluster;
        return cluster.Istio<AuthorizationPolicy>().Select(item => (item.Source, "spec.selector", item.Selector))
            .Concat(cluster.Istio<RequestAuthentication>().Select(item => (item.Source, "spec.selector", item.Selector)))
            .Concat(cluster.Istio<PeerAuthentication>().Select(item => (item.Source, "spec.selector", (WorkloadSelector)item.Selector)))
            .Concat(cluster.Istio<ProxyConfig>().Select(item => (item.Source, "spec.selector", (WorkloadSelector)item.Selector)))
            .Concat(cluster.Istio<EnvoyFilter>().Select(item => (item.Source, "spec.workloadSelector", item.Selector)))
            .Concat(cluster.Istio<WasmPlugin>().Select(item => (item.Source, "spec.selector", item.Selector)))
            .Concat(cluster.Istio<DestinationRule>().Select(item => (item.Source, "spec.workloadSelector", (WorkloadSelector)item.WorkloadSelector)))
            .Concat(cluster.Istio<ServiceEntry>().Select(item => (item.Source, "spec.workloadSelector", (WorkloadSelector)item.WorkloadSelector)));
    }
}
