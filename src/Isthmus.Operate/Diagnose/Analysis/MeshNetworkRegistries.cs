using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Clusters that <c>meshNetworks</c> names and nobody knows. Pure.</summary>
public static class MeshNetworkRegistries
{
    public static Analyzer Analyzer
    {
        get;
    } = new("multicluster.MeshNetworksAnalyzer", "Checks that the clusters in meshNetworks exist", [IstioCodes.UnknownRegistry], ["Pod"], mesh =>
    {
        var known = mesh.Readable.SelectMany(cluster => Ids(cluster.Pods).Concat(cluster.Registries)
            .Concat(cluster.RemoteSecrets.Select(entry => entry.Cluster))).ToHashSet(StringComparer.Ordinal);
        return known.Count == 0 ? [] :
            from cluster in mesh.Readable
            from network in cluster.Networks.Networks
            from endpoints in network.Value.Endpoints
            where endpoints.FromRegistry.Length > 0 && !known.Contains(endpoints.FromRegistry)
            select IstioCodes.UnknownRegistry.At(cluster, cluster.MeshMapName, $"data[meshNetworks].networks.{network.Key}.endpoints",
                $"fromRegistry \"{endpoints.FromRegistry}\" is not the ID of an analyzed cluster, which have "
                    + $"{string.Join(", ", known.Order(StringComparer.Ordinal))}");
    });

    /// <summary>The names by which control planes and proxies know their cluster.</summary>
    internal static IEnumerable<string> Ids(IEnumerable<Pod> pods) => pods.SelectMany(pod => pod.Spec.Containers.Concat(pod.Spec.InitContainers))
        .SelectMany(container => container.Env)
        .Where(variable => variable.Name is Core.Names.ProxyVariables.ClusterId or "CLUSTER_ID").Select(variable => variable.Value).OfType<string>()
        .Where(value => value.Length > 0);
}
