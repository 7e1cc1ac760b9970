using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose;

/// <summary>Checks whether clusters agree about each other: names, primaries, remote secrets.</summary>
public static partial class MeshVerification
{
    /// <summary>A cluster without its own control plane is a remote of the control planes that it names.</summary>
    private static IEnumerable<Check> Remote(ClusterFacts cluster, List<ClusterFacts> members)
    {
        if (cluster.ControlPlanes.Count > 0 || HostOf(cluster, members).Plane is not null) yield break;
        var primaries = members.Where(other => other.ControlPlanes.Count > 0).ToList();
        if (primaries.Count == 0) yield break;
        var named = cluster.ControlPlaneClusters;
        var by = primaries.Where(primary => named.Contains(primary.Name) || named.Contains("*")).ToList();
        if (by.Count == 0 && !named.IsEmpty)
        {
            yield return new(cluster.Context, "primary", $"of {string.Join(", ", named)}", Wrong("ISM1009", cluster, $"Namespace {cluster.SystemNamespace}",
                $"annotation {Annotations.ControlPlaneClusters} names {string.Join(", ", named)}, and no control plane of these clusters has that name; "
                    + $"existing ones: {string.Join(", ", primaries.Select(primary => primary.Name))}",
                $"kubectl --context={cluster.Context} annotate namespace {cluster.SystemNamespace} {Annotations.ControlPlaneClusters}={primaries[0].Name} "
                    + $"--overwrite"));
            yield break;
        }
        foreach (var check in Way(cluster, by.Count > 0 ? by : primaries)) yield return check;
        yield return new(cluster.Context, "primary",
            by.Count > 0 ? $"remote, of {string.Join(", ", by.Select(primary => primary.Context))}" : "remote, of no cluster by name", null);
    }

    private static IEnumerable<Check> Names(List<ClusterFacts> installed)
    {
        foreach (var same in installed.Where(cluster => cluster.Name.Length > 0 && !cluster.IsJoinedByNames)
            .GroupBy(cluster => cluster.Name, StringComparer.Ordinal).Where(group => group.Count() > 1))
        {
            foreach (var cluster in same.Skip(1))
            {
                yield return new(cluster.Context, "cluster name", same.Key,
                    Wrong("ISM1024", cluster, "", $"is called {same.Key}, and so is {same.First().Context}: each hides the Pods of the other",
                    $"install {cluster.Context} again with another --set values.global.multiCluster.clusterName, and create the remote secrets again"));
            }
        }
    }

    private static IEnumerable<Check> Secrets(ClusterFacts cluster, List<ClusterFacts> members, DateTimeOffset now)
    {
        var named = members.Select(member => new NamedCluster(member.Context, member.Name, member.Server)).ToList();
        foreach (var secret in cluster.RemoteSecrets)
        {
            var problem = RemoteSecretFaults.Of(cluster.Context, secret, cluster.RemoteSecrets, named, now);
            yield return new(cluster.Context, "remote secret",
                secret.Expires is { } end ? string.Create(CultureInfo.InvariantCulture,
                    $"{secret.Cluster} at {secret.Server}, until {end:yyyy-MM-dd}") : $"{secret.Cluster} at {secret.Server}",
                problem is null ? null : problem with { Object = $"{problem.Object} in {cluster.Context}" });
        }
    }
}
