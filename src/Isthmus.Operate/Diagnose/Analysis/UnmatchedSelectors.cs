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

    private static IEnumerable<Finding> Unmatched(MeshSnapshot mesh) =>
        from config in mesh.Clusters
        from item in Selecting(config)
        where !item.Selector.IsEmpty && !config.Selected(item.Source.Namespace, item.Selector).Any()
        let ns = item.Source.Namespace == config.Cluster.RootNamespace ? null : item.Source.Namespace
        select IstioCodes.NoMatchingWorkloads.At(config.Cluster, $"{item.Source.Kind} {item.Source.Namespace}/{item.Source.Name}", item.Path,
            $"no workload of {(ns is null ? "the mesh" : $"namespace {ns}")} has the labels "
                + $"{item.Selector}{GatewayWorkloads.Elsewhere(mesh, config, item.Selector, ns)}");

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
        return cluster.Istio<AuthorizationPolicy>().SelectMany(item => Of(item, "spec.selector"))
            .Concat(cluster.Istio<RequestAuthentication>().SelectMany(item => Of(item, "spec.selector")))
            .Concat(cluster.Istio<PeerAuthentication>().Select(item => (item.Source, "spec.selector", (WorkloadSelector)item.Selector)))
            .Concat(cluster.Istio<ProxyConfig>().Select(item => (item.Source, "spec.selector", (WorkloadSelector)item.Selector)))
            .Concat(cluster.Istio<EnvoyFilter>().SelectMany(item => Of(item, "spec.workloadSelector")))
            .Concat(cluster.Istio<WasmPlugin>().SelectMany(item => Of(item, "spec.selector")))
            .Concat(cluster.Istio<DestinationRule>().Select(item => (item.Source, "spec.workloadSelector", (WorkloadSelector)item.WorkloadSelector)))
            .Concat(cluster.Istio<ServiceEntry>().Select(item => (item.Source, "spec.workloadSelector", (WorkloadSelector)item.WorkloadSelector)));
    }

    /// <summary>Each Gateway by itself: another one does not excuse that it is missing.</summary>
    private static IEnumerable<(ObjectRef Source, string Path, WorkloadSelector Selector)> Of(IWorkloadPolicy policy, string selector) =>
        policy.Selector.Each.Select(each => (policy.Source, each.IsOfGateways ? "spec.targetRefs" : selector, each));
}
