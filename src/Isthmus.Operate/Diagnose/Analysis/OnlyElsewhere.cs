using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>
/// VirtualServices and DestinationRules of a host of the mesh that one control plane has, and another one with callers of that host has not: callers follow
/// what their own control plane has. Pure.
/// </summary>
public static class OnlyElsewhere
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.OnlyElsewhereAnalyzer", "Checks that what says how calls to a host go exists in all clusters that have callers of it",
        [ClusterCodes.OnlyElsewhere], ["VirtualService", "DestinationRule", "Service", "Namespace", "Pod"], mesh =>
            from near in mesh.Clusters
            where MeshSnapshot.HasControlPlane(near.Cluster)
            from far in mesh.Clusters
            where far != near && MeshSnapshot.HasControlPlane(far.Cluster) && MeshSnapshot.ShareHosts(near.Cluster, far.Cluster)
            from held in HeldBy(near.Cluster)
            where !HeldBy(far.Cluster).Any(other => other.Kind == held.Kind && Hosts.Covers(other.Host, held.Host)) && mesh.Hosts.Find(held.Host).Any()
            let caller = CallerOf(far, held)
            where caller is not null
            let name = $"{held.Kind} {held.Source.Namespace}/{held.Source.Name}"
            let isNeeded = held.Kind == "VirtualService" && IsEmpty(mesh, held.Host)
            select ClusterCodes.OnlyElsewhere.At(near.Cluster, name, held.Field,
                $"is {held.Host}, and {far.Cluster.Context} has no {held.Kind} of it: calls of {caller.Name} and others in {far.Cluster.Context} do not follow "
                    + $"this one, since callers follow the objects of their own control plane{held.But(near.Cluster.Context)}"
                    + (isNeeded ? $"; {held.Host} has no Pods of its own, so that these calls fail" : ""),
                $"{(isNeeded ? "" : "if they are to follow it, ")}apply {name} of {near.Cluster.Context} in {far.Cluster.Context} as well",
                isNeeded ? null : Severity.Info));

    /// <summary>Whether a host is a name for routes alone: no Pod of any cluster is behind it.</summary>
    private static bool IsEmpty(MeshSnapshot mesh, string host) => mesh.ReadsAll && mesh.Hosts.Find(host).All(known =>
        known.Service is { Spec.Selector.Count: > 0 } service && !mesh.Workloads.First(area => area.Cluster == known.Cluster).Selected(service).Any());

    /// <param name="Limits">Whether it has limits of connections, which proxies of callees heed as well.</param>
    private sealed record Held(string Kind, ObjectRef Source, string Field, string Host, ValueList<string> ExportTo, bool Limits)
    {
        /// <summary>What applies to calls of other clusters all the same.</summary>
        public string But(string context) => Limits ? $"; its connectionPool counts for them as well where they come to Pods in {context}" : "";
    }

    /// <summary>A rule that only defines subsets does nothing for callers whose routes use none.</summary>
    private static IEnumerable<Held> HeldBy(ClusterInventory cluster) => cluster.Istio<VirtualService>().Where(routes => routes.ForSidecars)
        .SelectMany(routes => routes.Hosts.Index().Where(host => IsShared(host.Item))
            .Select(host => new Held("VirtualService", routes.Source, $"spec.hosts[{host.Index}]", host.Item, routes.ExportTo, false)))
        .Concat(cluster.Istio<DestinationRule>().Where(rule => rule.Policy is not null && rule.WorkloadSelector.Count == 0 && IsShared(rule.Host))
            .Select(rule => new Held("DestinationRule", rule.Source, "spec.host", rule.Host, rule.ExportTo,
                rule.Policy.Pool is not null || rule.Policy.Ports.Any(port => port.Policy.Pool is not null))));

    /// <summary>Only hosts of the mesh are the same in all clusters.</summary>
    private static bool IsShared(string host) => host.EndsWith(".svc.cluster.local", StringComparison.Ordinal) && !host.StartsWith('*');

    /// <summary>A workload that would follow it: nothing says which ones call the host, but a namespace without proxies has no callers.</summary>
    private static Workload? CallerOf(ConfigCluster config, Held held) => config.Reach.SelectMany(area => area.All).FirstOrDefault(workload =>
        workload.Pod is not null && workload.HasProxy && !MeshSnapshot.IsSystem(workload.Cluster, workload.Namespace)
            && Visibility.Allows(held.ExportTo, held.Source.Namespace, workload.Namespace));
}
