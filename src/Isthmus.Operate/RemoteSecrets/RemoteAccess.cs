using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;

namespace Isthmus.Operate.RemoteSecrets;

/// <summary>Access to other clusters, as remote secrets give it. The rules for their kubeconfigs are those of the control plane.</summary>
public static class RemoteAccess
{
    /// <summary>The selector of remote secrets.</summary>
    public const string Selector = RemoteSecretReader.Selector;

    /// <summary>Each cluster once, by its name, and the problems of those that are skipped.</summary>
    /// <param name="own">The cluster that the secrets are in.</param>
    public static (IReadOnlyList<ClusterAccess> Clusters, IReadOnlyList<Problem> Problems) Read(IEnumerable<Secret> secrets, string own)
    {
        var read = secrets.OrderBy(secret => secret.Key, StringComparer.Ordinal).Select(secret => RemoteSecretReader.Read(secret, own)).ToList();
        return ([.. read.SelectMany(one => one.Clusters).Select(cluster => cluster.Access).DistinctBy(access => access.Name)],
            [.. read.SelectMany(one => one.Problems).Select(one => one.Problem)]);
    }
}
