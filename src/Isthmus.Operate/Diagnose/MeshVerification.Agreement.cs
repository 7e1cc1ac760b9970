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
                $"annotation {Annotations.ControlPlaneClusters} names {string.Join(", ", named)}, and no control plane of these clusters has that name; existing ones: {string.Join(", ", primaries.Select(primary => primary.Name))}",
                $"kubectl --context={cluster.Context} annotate namespace {cluster.SystemNamespace} {Annotations.ControlPlaneClusters}={primaries[0].Name} --overwrite"));
            yield break;
        }
        foreach (var check in Way(cluster, by.Count > 0 ? by : primaries)) yield return check;
        yield return new(cluster.Context, "primary", by.Count > 0 ? $"remote, of {string.Join(", ", by.Select(primary => primary.Context))}" : "remote, of no cluster by name", null);
    }

    private static IEnumerable<Check> Names(List<ClusterFacts> installed)
    {
        foreach (var same in installed.Where(cluster => cluster.Name.Length > 0 && !cluster.IsJoinedByNames).GroupBy(cluster => cluster.Name, StringComparer.Ordinal).Where(group => group.Count() > 1))
        {
            foreach (var cluster in same.Skip(1))
            {
                yield return new(cluster.Context, "cluster name", same.Key, Wrong("ISM1024", cluster, "", $"is called {same.Key}, and so is {same.First().Context}: each hides the Pods of the other",
                    $"install {cluster.Context} again with another --set values.global.multiCluster.clusterName, and create the remote secrets again"));
            }
        }
    }

    private static IEnumerable<Check> Secrets(ClusterFacts cluster, List<ClusterFacts> members, DateTimeOffset now)
    {
        foreach (var secret in cluster.RemoteSecrets)
        {
            var problem = Judge(cluster, secret, members, now)
                ?? (cluster.RemoteSecrets.FirstOrDefault(other => other != secret && other.Cluster == secret.Cluster) is { } twin && string.CompareOrdinal(twin.Secret, secret.Secret) < 0
                    ? Wrong("ISM1024", cluster, $"Secret {secret.Secret}", $"names cluster {secret.Cluster}, and so does Secret {twin.Secret}: only one of them is used", "delete one of them") : null);
            yield return new(cluster.Context, "remote secret", secret.Expires is { } end ? string.Create(CultureInfo.InvariantCulture, $"{secret.Cluster} at {secret.Server}, until {end:yyyy-MM-dd}") : $"{secret.Cluster} at {secret.Server}", problem);
        }
    }

    private static Problem? Judge(ClusterFacts cluster, RemoteSecretFacts secret, List<ClusterFacts> members, DateTimeOffset now)
    {
        var @object = $"Secret {secret.Secret}";
        var meant = members.FirstOrDefault(member => member.Name == secret.Cluster);
        var again = $"isthmus create-remote-secret --context={meant?.Context ?? "CONTEXT"} --name={secret.Cluster} | kubectl apply -f - --context={cluster.Context}";
        if (secret.Error.Length > 0) return Wrong("ISM1025", cluster, @object, $"cannot be used: {secret.Error}", again);
        if (Uri.TryCreate(secret.Server, UriKind.Absolute, out var server) && (server.IsLoopback || server.Host is "0.0.0.0"))
        {
            return Wrong("ISM1027", cluster, @object, $"points to {secret.Server}, which is the control plane's own Pod, not the API server of {secret.Cluster}",
                $"create it with an address that Pods can reach: isthmus create-remote-secret --context={meant?.Context ?? "CONTEXT"} --name={secret.Cluster} --server=https://ADDRESS:6443");
        }
        if (secret.Expires <= now) return Wrong("ISM1023", cluster, @object, $"its token expired at {secret.Expires:u}", again);
        var other = members.FirstOrDefault(member => member.Server == secret.Server && member.Name.Length > 0 && member.Name != secret.Cluster);
        return other is null || meant?.Server == secret.Server || members.Count(member => member.Name == other.Name) > 1 ? null
            : Wrong("ISM1026", cluster, @object, $"calls the cluster at {secret.Server} {secret.Cluster}, and that one calls itself {other.Name}", $"create it again with --name={other.Name}");
    }
}
