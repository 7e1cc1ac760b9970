using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Whether the namespace that somebody named is that of a control plane: of another one, there are no certificates to tell. Pure.</summary>
public static class NamespaceOfPlane
{
    /// <summary>What is wrong with the namespace if no cluster has, or had, a control plane there, or is served by one. Null if nothing is
    /// wrong with it, or if that is not known.</summary>
    public static Problem? Fault(IReadOnlyList<ClusterInventory> clusters, string ns)
    {
        var places = clusters.SelectMany(Places).ToList();
        return places.Contains(ns) || clusters.Any(cluster => cluster.Error.Length > 0 || MayHave(cluster, ns)) ? null
            : NoControlPlane.Missing(clusters.Select(cluster => cluster.Context), ns, places);
    }

    private static bool MayHave(ClusterInventory cluster, string ns) => cluster.CertificatesAt is not null
        && (cluster.Trust.InstalledAt is not null || !Places(cluster).Any() || ControlPlaneElsewhere.Serves(cluster, ns));

    private static IEnumerable<string> Places(ClusterInventory cluster) =>
        cluster.Pods.Where(pod => pod.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod).Select(pod => pod.Metadata.Namespace);
}
