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
        // Entries have the Pods of all clusters, as Services do.
        where item.Source.Kind != "ServiceEntry" || !EntriesElsewhere.Selected(mesh, config, item.Source.Namespace, part.Selector).Any()
        let stray = Stray(config, item.Source, part.Selector)
        select IstioCodes.NoMatchingWorkloads.At(config.Cluster, $"{item.Source.Kind} {item.Source.Namespace}/{item.Source.Name}",
            Path(item.Selector, item.Path), $"no workload of {part.Place} has the labels {part.Selector}{part.Elsewhere}"
                + (stray is null ? "" : $"; {stray.Name} has them, and a ServiceEntry selects in its own namespace only"),
            stray is { Pod: null } && stray.Name.StartsWith("WorkloadEntry ", StringComparison.Ordinal)
                ? $"move {stray.Name} to namespace {item.Source.Namespace}, or the ServiceEntry to namespace {stray.Namespace}"
                : Remedy(config, item.Source.Kind, item.Source.Namespace, part.Selector));

    /// <summary>What a ServiceEntry selects but for its namespace: a WorkloadEntry that no ServiceEntry of its own namespace selects, or a Pod; null for
    /// none.</summary>
    private static Workload? Stray(ConfigCluster config, ObjectRef source, WorkloadSelector selector)
    {
        if (source.Kind != "ServiceEntry") return null;
        var there = config.Reach.SelectMany(area => area.All).Where(workload => selector.Selects(workload.Labels)
            && (workload.Pod is not null || workload.Name.StartsWith("WorkloadEntry ", StringComparison.Ordinal))).ToList();
        return there.Find(workload => workload.Pod is null && !config.Cluster.Istio<ServiceEntry>().Any(other => other.Namespace == workload.Namespace
            && other.WorkloadSelector.Count > 0 && new WorkloadSelector(other.WorkloadSelector, default).Selects(workload.Labels)))
            ?? there.Find(workload => workload.Pod is not null);
    }

    /// <summary>What helps where a part of an object's selector selects nothing; null where only what the code says does.</summary>
    internal static string? Remedy(ConfigCluster config, string kind, string ns, WorkloadSelector part)
    {
        var all = config.Reach.SelectMany(area => area.All).ToList();
        var there = all.Where(workload => part.Selects(workload.Labels)).Select(workload => workload.Namespace).Distinct()
            .Order(StringComparer.Ordinal).ToList();
        if (part.IsOfGateways)
            return there.Count == 0 ? $"name a Gateway of namespace {ns} whose Pods run, or create Gateway {part.Gateways[0]} there"
                : $"move the {kind} to namespace {there[0]}, where Gateway {part.Gateways[0]} is: targetRefs are of its own namespace";
        var own = all.Where(workload => workload.Namespace == ns);
        if (there.Count == 1 && !own.Any(workload => part.Labels.Any(label => workload.Labels.ContainsKey(label.Key))))
            return $"move the {kind} to namespace {there[0]}, where such workloads are, or correct the selector";
        var seen = all.Where(workload => config.Scope(ns, part) is not { } only || workload.Namespace == only).ToList();
        foreach (var (key, value) in part.Labels)
            if (seen.Select(workload => workload.Labels.GetValueOrDefault(key)).OfType<string>().FirstOrDefault(has => has != value
                && Spelling.IsMistyped(value, has)) is { } near) return $"did you mean {key}={near}?";
        // The stages of an application have the same labels. If Pods elsewhere have them, the object most likely waits for Pods of its own namespace.
        return there.Count > 0 ? "correct the selector, or wait for the Pods" : null;
    }

    /// <summary>It may be there for Pods to come, or in the wrong namespace.</summary>
    private static IEnumerable<Finding> Empty(MeshSnapshot mesh) =>
        from config in mesh.Clusters
        from policy in config.Cluster.Istio<AuthorizationPolicy>()
        where policy.Selector.IsEmpty && policy.Namespace != config.Cluster.RootNamespace && !config.Selected(policy.Namespace, policy.Selector).Any()
        select IstioCodes.NoMatchingWorkloads.At(config.Cluster, $"AuthorizationPolicy {policy.Namespace}/{policy.Name}", "",
            $"namespace {policy.Namespace} has no workloads",
            $"move it to the namespace of the workloads that it is for, or delete it; it has an effect once namespace {policy.Namespace} has a Pod",
            severity: Severity.Info);

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
