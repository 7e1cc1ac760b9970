using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>ServiceEntries that select Pods of another network, whose gateway does not know their host: it has what its own control plane has, and passes on
/// what its Gateway lists. Pure.</summary>
public static class EntriesElsewhere
{
    public static Analyzer Analyzer
    {
        get;
    } = new("serviceentry.SelectorAnalyzer", "Checks that gateways of other networks know the hosts of ServiceEntries that select Pods there",
        [ClusterCodes.EntryElsewhere], ["ServiceEntry", "Gateway", "Namespace", "Pod"], mesh =>
        from config in mesh.Clusters
        where MeshSnapshot.HasControlPlane(config.Cluster)
        from entry in config.Cluster.Istio<ServiceEntry>()
        where !entry.External && entry.WorkloadSelector.Count > 0
        from area in Selected(mesh, config, entry.Namespace, new WorkloadSelector(entry.WorkloadSelector, default))
        where SubsetsDiffer.NetworkOf(area.Cluster) != SubsetsDiffer.NetworkOf(config.Cluster)
        let far = mesh.Clusters.FirstOrDefault(other => MeshSnapshot.HasControlPlane(other.Cluster) && other.Reach.Contains(area))
        where far is not null
        from host in entry.Hosts.Index()
        let isUnknown = !far.Cluster.Istio<ServiceEntry>().Any(other => other.Hosts.Any(pattern => Hosts.Covers(pattern, host.Item)))
        let closed = Closed(mesh, far, host.Item)
        where isUnknown || closed is not null
        let lacks = $"{(isUnknown ? $"has no ServiceEntry of {host.Item}" : "")}{(isUnknown && closed is not null ? ", and " : "")}"
            + (closed is null ? "" : $"has no Gateway that passes {host.Item} on")
        select ClusterCodes.EntryElsewhere.At(config.Cluster, $"ServiceEntry {entry.Namespace}/{entry.Name}", $"spec.hosts[{host.Index}]",
            $"is {host.Item}, and spec.workloadSelector selects Pods of {area.Cluster.Context}, to which calls of {config.Cluster.Context} go by its gateway: "
                + $"{far.Cluster.Context} {lacks}, so that these calls fail",
            $"{(isUnknown ? $"apply the ServiceEntry in {far.Cluster.Context} as well" : "")}{(isUnknown && closed is not null ? ", and " : "")}"
                + (closed is null ? "" : $"add {host.Item} to spec.servers[*].hosts of Gateway {closed.FullName} there")));

    /// <summary>Other clusters with Pods that an entry selects: a control plane has those of all clusters that it watches.</summary>
    internal static IEnumerable<ClusterWorkloads> Selected(MeshSnapshot mesh, ConfigCluster config, string ns, WorkloadSelector selector) =>
        mesh.Workloads.Where(area => !config.Reach.Contains(area) && MeshSnapshot.ShareHosts(config.Cluster, area.Cluster)
            && area.In(ns).Any(workload => workload.Pod is not null && selector.Selects(workload.Labels)));

    /// <summary>A Gateway to which the host may be added, where none passes it on; null when one does, or none passes on anything.</summary>
    private static Gateway? Closed(MeshSnapshot mesh, ConfigCluster far, string host)
    {
        var passing = mesh.Passing(far).ToList();
        return passing.Exists(gateway => gateway.Servers.Any(server => server.Tls is { Mode: ServerTlsMode.AutoPassthrough }
            && server.Hosts.Any(one => Hosts.Covers(one[(one.IndexOf('/', StringComparison.Ordinal) + 1)..], host)))) ? null : passing.FirstOrDefault();
    }
}
