using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Resolve;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Network labels of workloads that name a network which nothing else knows: no gateway leads there. Pure.</summary>
public static class NetworkLabels
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.NetworkAnalyzer", "Checks that the networks of workloads are those of a cluster or a gateway", [OwnCodes.NetworkUnknown],
        ["Namespace", "Pod", "Service"], mesh =>
    {
        var known = mesh.Readable.SelectMany(Networks).ToHashSet(StringComparer.Ordinal);
        return known.Count == 0 ? [] :
            from area in mesh.Workloads
            from workload in area.All
            let network = workload.Labels.GetValueOrDefault(Labels.Network, "")
            where network.Length > 0 && !known.Contains(network) && mesh.ReadsAll
            select OwnCodes.NetworkUnknown.At(area.Cluster, workload.Name, $"metadata.labels[{Labels.Network}]",
                $"names the network \"{network}\", which no cluster has, and no gateway leads to: other networks do not reach it",
                Spelling.Nearest(network, known) is { } near
                    ? $"did you mean \"{near}\"?"
                    : $"use one of {string.Join(", ", known.Order(StringComparer.Ordinal))}, or remove the label");
    });

    /// <summary>Pods whose own label names the network of other clusters: proxies look for them where their addresses do not lead.</summary>
    public static Analyzer OfOthers { get; } = new("multicluster.NetworkOfOthersAnalyzer",
        "Checks that workloads are not said to be in the networks of other clusters", [OwnCodes.NetworkOfOthers], ["Namespace", "Pod", "Service"], mesh =>
            from area in mesh.Workloads
            let own = Network(area.Cluster)
            // An installation with the file of another cluster gives Pods its network as well.
            where RemoteSecrets.Twin([.. mesh.Readable], area.Cluster) is null
            // WorkloadEntries are where their label says. Pods of one template have one cause.
            from workload in area.All.Where(workload => workload.Pod is not null).DistinctBy(workload => OwnerOf(workload.Pod!))
            let said = workload.Labels.GetValueOrDefault(Labels.Network, "")
            let others = NetworkOfOthers.Clusters(said, own, Networks(area.Cluster),
                mesh.Readable.Where(other => other != area.Cluster).Select(other => (other.Context, Network(other))))
            where others.Count > 0
            select OwnCodes.NetworkOfOthers.At(area.Cluster, workload.Name, $"metadata.labels[{Labels.Network}]",
                $"is {said}, the network of {string.Join(" and ", others)}, and {area.Cluster.Context} is in {own}: callers of {said} connect to its address "
                    + $"directly, and all others through the gateway of {said}", Remedy(area.Cluster, workload, own)));

    private static string Remedy(ClusterInventory cluster, Workload workload, string own)
    {
        var template = cluster.Templates.Where(one => one.Namespace == workload.Namespace && LabelSelector.Selects(one.Labels, workload.Labels))
            .MaxBy(one => one.Labels.ContainsKey(Labels.Network));
        return NetworkOfOthers.Remedy(cluster.Context, own, template?.FullName ?? "", template?.Labels.ContainsKey(Labels.Network) == true);
    }

    /// <summary>What creates a Pod from a template; the Pod itself where nothing does.</summary>
    private static (string Namespace, string Kind, string Name) OwnerOf(Pod pod) =>
        pod.Metadata.OwnerReferences.FirstOrDefault(owner => owner.Controller == true) is { } owner
            ? (pod.Metadata.Namespace, owner.Kind, owner.Name) : (pod.Metadata.Namespace, MeshApi.Pod.Name, pod.Metadata.Name);

    private static string Network(ClusterInventory cluster) =>
        cluster.Namespaces.FirstOrDefault(ns => ns.Metadata.Name == cluster.SystemNamespace)?.Metadata.Labels.GetValueOrDefault(Labels.Network) ?? "";

    /// <summary>The networks of the system namespace, of gateways, and of the MeshConfig.</summary>
    private static IEnumerable<string> Networks(ClusterInventory cluster) =>
        cluster.Namespaces.Where(ns => ns.Metadata.Name == cluster.SystemNamespace).Select(ns => ns.Metadata.Labels.GetValueOrDefault(Labels.Network, ""))
        .Concat(cluster.Services.Select(service => service.Metadata.Labels.GetValueOrDefault(Labels.Network, ""))).Concat(cluster.Networks.Networks.Keys)
        .Where(network => network.Length > 0);
}
