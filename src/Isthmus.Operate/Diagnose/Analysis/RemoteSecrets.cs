using Isthmus.Core.Names;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Remote secrets by which control planes cannot read the clusters that they name. Tokens that end are among the certificates. Pure.</summary>
public static class RemoteSecrets
{
    private static readonly AnalysisCode[] Codes =
        [OwnCodes.RemoteSecretTwice, OwnCodes.RemoteSecretUnusable, OwnCodes.RemoteSecretMisnamed, OwnCodes.RemoteSecretOfPod, OwnCodes.RemoteSecretOfItself,
            ClusterCodes.RemoteSecretUnlabelled, ClusterCodes.RemoteSecretMisplaced];

    public static Analyzer Analyzer { get; } = new("multicluster.RemoteSecretAnalyzer",
        "Checks that control planes can read other clusters by their remote secrets",
        [.. Codes], [], mesh => Check([.. mesh.Readable]));

    private static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters)
    {
        var members = clusters.Select(Member).ToList();
        foreach (var (cluster, own) in clusters.Zip(members))
        {
            var twin = Twin(clusters, cluster);
            // One of the two is to be changed.
            if (twin is not null && clusters.TakeWhile(one => one != cluster).Contains(twin))
                yield return OwnCodes.RemoteSecretTwice.At(cluster, $"cluster {cluster.Context}", "",
                    $"its control plane calls it {own.Name}, and that of {twin.Context} calls its own cluster so: each hides the Pods of the other",
                    $"install one of them again with the file of that cluster, or with another --set values.global.multiCluster.clusterName: isthmus install "
                        + $"--context={cluster.Context} -f FILE; then restart the workloads that were made meanwhile");
            foreach (var lost in cluster.UnlabelledSecrets.Where(lost => lost.Cluster != own.Name
                && cluster.RemoteSecrets.All(entry => entry.Cluster != lost.Cluster)))
                yield return ClusterCodes.RemoteSecretUnlabelled.At(cluster, $"Secret {lost.Secret}", UnlabelledSecret.Path, lost.Message,
                    lost.Remedy(cluster.Context));
            foreach (var finding in Misplaced(cluster, own.Name)) yield return finding;
            foreach (var entry in cluster.RemoteSecrets)
            {
                var path = $"data[{entry.Cluster}]";
                // One set of Secrets may be applied to all clusters.
                if (own.Name.Length > 0 && entry.Cluster == own.Name && !entry.IsConfig)
                {
                    if (twin is not null) continue;
                    yield return OwnCodes.RemoteSecretOfItself.At(cluster, $"Secret {entry.Secret}", path,
                        $"{own.Name} is the cluster that the Secret is in: its control planes ignore the entry");
                }
                else if (RemoteSecretFaults.Of(cluster.Context, entry, cluster.RemoteSecrets, members, DateTimeOffset.MinValue) is { } problem)
                    yield return Codes.First(code => code.Code == problem.Code).At(cluster, problem.Object, path, problem.Message, problem.Remedy);
            }
        }
    }

    /// <summary>Another cluster of the mesh that has the same name; null when none has.</summary>
    internal static ClusterInventory? Twin(IReadOnlyList<ClusterInventory> clusters, ClusterInventory cluster) =>
        NameOf(cluster) is not { Length: > 0 } name || cluster.IsJoinedByNames ? null
            // Clusters that nobody joins may be called alike.
            : clusters.FirstOrDefault(other => other != cluster && !other.IsJoinedByNames && NameOf(other) == name
                && clusters.Any(one => (one == cluster || one == other) && one.RemoteSecrets.Any(entry => !entry.IsConfig)));

    /// <summary>Those that have the label, where no control plane looks for them, and none is in their place.</summary>
    private static IEnumerable<Finding> Misplaced(ClusterInventory cluster, string own)
    {
        var looked = cluster.ControlPlanes.Select(plane => plane.Namespace).Distinct().Order(StringComparer.Ordinal).ToList();
        // Who hides theirs may have another one for the same cluster.
        if (looked.Count == 0 || cluster.HidesRemoteSecrets) yield break;
        var place = looked.Contains(cluster.SystemNamespace) ? cluster.SystemNamespace : looked[0];
        foreach (var lost in cluster.MisplacedSecrets.Where(lost => !looked.Contains(lost.Namespace) && lost.Cluster != own
            && cluster.RemoteSecrets.All(entry => entry.Cluster != lost.Cluster)))
            yield return ClusterCodes.RemoteSecretMisplaced.At(cluster, $"Secret {lost.Namespace}/{lost.Name}", MisplacedSecret.Path,
                lost.Message(cluster.Context, looked), lost.Remedy(place));
    }

    /// <summary>The clusters that control planes of the mesh read, as far as their remote secrets say, and that are not among those that were read.</summary>
    internal static IEnumerable<string> LeftOut(IReadOnlyList<ClusterInventory> clusters)
    {
        var members = clusters.Select(Member).ToList();
        var names = clusters.SelectMany(cluster => MeshNetworkRegistries.Ids(cluster.Pods)).ToHashSet(StringComparer.Ordinal);
        return clusters.SelectMany(cluster => cluster.RemoteSecrets).Where(entry => !entry.IsConfig && !names.Contains(entry.Cluster)
            && !members.Exists(member => (member.Server.Length > 0 && member.Server == entry.Server) || (member.Uid.Length > 0 && member.Uid == entry.Uid)))
            .Select(entry => entry.Cluster).Distinct().Order(StringComparer.Ordinal);
    }

    private static NamedCluster Member(ClusterInventory cluster) => new(cluster.Context, NameOf(cluster), cluster.Server,
        cluster.Namespaces.FirstOrDefault(ns => ns.Metadata.Name == "kube-system")?.Metadata.Uid ?? "");

    /// <summary>How its control plane calls it, or its proxies where the control plane is elsewhere; empty when nobody says it.</summary>
    private static string NameOf(ClusterInventory cluster)
    {
        var planes = cluster.Pods.Where(pod => pod.Metadata.Namespace == cluster.SystemNamespace
            && pod.Metadata.Labels.GetValueOrDefault("app") == WellKnown.Istiod).ToList();
        var names = MeshNetworkRegistries.Ids(planes.Count > 0 ? planes : cluster.Pods).Distinct(StringComparer.Ordinal).ToList();
        return names.Count == 1 ? names[0] : "";
    }
}
