using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.Operate.Inventory;

/// <summary>A remote secret with the label by which control planes find theirs, in a namespace where they do not look for it.</summary>
/// <param name="Namespace">Where it is.</param>
/// <param name="Cluster">The cluster that it is for.</param>
public sealed record MisplacedSecret(string Namespace, string Name, string Cluster)
{
    public const string Path = "metadata.namespace";

    /// <summary>What is wrong with it.</summary>
    /// <param name="looked">Where control planes look.</param>
    public string Message(string context, IEnumerable<string> looked) => $"is {Namespace}, and control planes of {context} read remote secrets in "
        + $"{string.Join(", ", looked)} only: they do not watch {Cluster}, whose Services and Pods are unknown here";

    /// <param name="place">The namespace in which it belongs.</param>
    public string Remedy(string place) =>
        $"create the Secret in namespace {place}, for example with isthmus create-remote-secret, and delete it in {Namespace}";

    /// <summary>Those outside of a namespace; also empty for users who may not read Secrets of all. Their values are not read.</summary>
    /// <param name="ns">Where control planes look.</param>
    public static async Task<ValueList<MisplacedSecret>> ReadAsync(ClusterLists lists, string ns, CancellationToken stop)
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
        [.. (await lists.WithAsync<PartialObject>(MeshApi.Secret, null, Labels.MultiCluster, "true", stop))
            .Where(secret => secret.Metadata.Namespace != ns && Of(secret).Any()).OrderBy(secret => secret.Key, StringComparer.Ordinal)];

    /// <summary>One, or none.</summary>
    internal static IEnumerable<MisplacedSecret> Of(PartialObject secret)
    {
        var name = secret.Metadata.Name;
        var cluster = secret.Metadata.Annotations.GetValueOrDefault(Annotations.ClusterName)
            ?? (name.StartsWith(WellKnown.RemoteSecretPrefix, StringComparison.Ordinal) ? name[WellKnown.RemoteSecretPrefix.Length..] : "");
        // A snapshot does not select by labels.
        if (secret.Metadata.Labels.GetValueOrDefault(Labels.MultiCluster) == "true" && cluster.Length > 0)
            yield return new(secret.Metadata.Namespace, name, cluster);
    }
}
