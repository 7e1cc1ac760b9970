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
        var serving = primaries.Where(primary => primary.Name.Length > 0 && Serves(primary, cluster)).ToList();
        var by = primaries.Where(primary => named.Contains(primary.Name) || named.Contains("*")).ToList();
        if (by.Count == 0 && !named.IsEmpty)
        {
            yield return new(cluster.Context, "primary", $"of {string.Join(", ", named)}", Wrong("ISM1009", cluster, $"Namespace {cluster.SystemNamespace}",
                $"annotation {Annotations.ControlPlaneClusters} names {string.Join(", ", named)}, and no control plane of these clusters has that name; "
                    + $"existing ones: {string.Join(", ", primaries.Select(primary => primary.Name).Where(name => name.Length > 0))}",
                serving.Concat(primaries).FirstOrDefault(primary => primary.Name.Length > 0) is { } one ? $"{Assigning(cluster, one)} --overwrite"
                    : "write the names of the clusters of its control planes there"));
            yield break;
        }
        foreach (var check in Way(cluster, by.Count > 0 ? by : primaries)) yield return check;
        yield return new(cluster.Context, "primary",
            by.Count > 0 ? $"remote, of {string.Join(", ", by.Select(primary => primary.Context))}" : "remote, of no cluster by name",
            // Without the annotation, it may also be the cluster of a control plane that runs in none of these, or the rest of an installation.
            by.Count > 0 || serving.Count == 0 ? null : Wrong("ISM1009", cluster, $"Namespace {cluster.SystemNamespace}",
                $"lacks the annotation {Annotations.ControlPlaneClusters}, so no control plane of Isthmus manages the cluster: Pods of new namespaces wait for "
                    + "the ConfigMap istio-ca-root-cert, and webhooks keep the CA bundle that they have", Assigning(cluster, serving[0])) with
            {
                Severity = Severity.Warning,
            });
    }

    /// <summary>Whether proxies of a cluster find the control plane of another one, or that watches the cluster.</summary>
    private static bool Serves(ClusterFacts primary, ClusterFacts cluster) =>
        primary.ControlPlaneEntries.Any(entry => entry.Addresses.Any(cluster.ControlPlaneAt.Contains))
            || (cluster.Name.Length > 0 && primary.Watched.Any(watched => watched.Id == cluster.Name));

    private static string Assigning(ClusterFacts cluster, ClusterFacts primary) =>
        $"kubectl --context={cluster.Context} annotate namespace {cluster.SystemNamespace} {Annotations.ControlPlaneClusters}={primary.Name}";

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

    private static List<NamedCluster> Named(IEnumerable<ClusterFacts> members) =>
        [.. members.Select(member => new NamedCluster(member.Context, member.Name, member.Server, member.Uid))];

    private static IEnumerable<Check> Secrets(ClusterFacts cluster, List<ClusterFacts> members, DateTimeOffset now)
    {
        var named = Named(members);
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
