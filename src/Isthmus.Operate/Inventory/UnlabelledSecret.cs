using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Inventory;

/// <summary>A remote secret that no control plane reads, because it lacks the label by which they find theirs.</summary>
/// <param name="Secret"><c>namespace/name</c>.</param>
/// <param name="Cluster">The cluster that it is for.</param>
/// <param name="Value">The value of the label; empty when it is not set.</param>
public sealed record UnlabelledSecret(string Secret, string Cluster, string Value)
{
    public static string Path => $"metadata.labels[{Labels.MultiCluster}]";

    public string Message => $"is {(Value.Length > 0 ? $"{Value}, and not true" : "not set")}, so control planes do not read the Secret, and do not watch "
        + $"{Cluster}: its Services and Pods are unknown here";

    /// <param name="context">The context of the cluster that has the Secret.</param>
    public string Remedy(string context) =>
        $"kubectl --context={context} -n {Secret.Split('/')[0]} label secret {Secret.Split('/')[^1]} {Labels.MultiCluster}=true --overwrite";

    /// <summary>Those of a namespace; also empty for users who may not read Secrets. Their values are not read.</summary>
    public static async Task<ValueList<UnlabelledSecret>> ReadAsync(ClusterLists lists, string ns, CancellationToken stop)
    {
        try
        {
            return (await ListAsync(lists, ns, stop)).SelectMany(Of).ToValueList();
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            return [];
        }
    }

    /// <summary>The Secrets behind them.</summary>
    internal static async Task<IReadOnlyList<PartialObject>> ListAsync(ClusterLists lists, string ns, CancellationToken stop) =>
        [.. (await lists.WithoutAsync<PartialObject>(MeshApi.Secret, ns, Labels.MultiCluster, "true", stop))
            .Where(secret => Of(secret).Any()).OrderBy(secret => secret.Metadata.Name, StringComparer.Ordinal)];

    /// <summary>One, or none.</summary>
    internal static IEnumerable<UnlabelledSecret> Of(PartialObject secret)
    {
        var (name, label) = (secret.Metadata.Name, secret.Metadata.Labels.GetValueOrDefault(Labels.MultiCluster, ""));
        var cluster = secret.Metadata.Annotations.GetValueOrDefault(Annotations.ClusterName)
            ?? (name.StartsWith(WellKnown.RemoteSecretPrefix, StringComparison.Ordinal) ? name[WellKnown.RemoteSecretPrefix.Length..] : "");
        // A snapshot does not select by labels.
        if (label != "true" && name != WellKnown.ConfigSecret && cluster.Length > 0) yield return new(secret.Key, cluster, label);
    }
}
