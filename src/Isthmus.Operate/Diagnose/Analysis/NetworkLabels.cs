using Isthmus.Core.Names;
using Isthmus.Core.Problems;
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
            where network.Length > 0 && !known.Contains(network)
            select OwnCodes.NetworkUnknown.At(area.Cluster, workload.Name, $"metadata.labels[{Labels.Network}]",
                $"names the network \"{network}\", which no cluster has, and no gateway leads to: other networks do not reach it",
                Spelling.Nearest(network, known) is { } near
                    ? $"did you mean \"{near}\"?"
                    : $"use one of {string.Join(", ", known.Order(StringComparer.Ordinal))}, or remove the label");
    });

    /// <summary>The networks of the system namespace, of gateways, and of the MeshConfig.</summary>
    private static IEnumerable<string> Networks(ClusterInventory cluster) =>
        cluster.Namespaces.Where(ns => ns.Metadata.Name == cluster.RootNamespace).Select(ns => ns.Metadata.Labels.GetValueOrDefault(Labels.Network, ""))
        .Concat(cluster.Services.Select(service => service.Metadata.Labels.GetValueOrDefault(Labels.Network, ""))).Concat(cluster.Networks.Networks.Keys)
        .Where(network => network.Length > 0);
}
