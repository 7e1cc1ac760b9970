using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>The annotations in which Deployments keep their history. <c>kubectl rollout</c> reads them.</summary>
internal static class DeploymentAnnotations
{
    internal const string Revision = "deployment.kubernetes.io/revision";
    internal const string RevisionHistory = "deployment.kubernetes.io/revision-history";
    internal const string DesiredReplicas = "deployment.kubernetes.io/desired-replicas";
    internal const string MaxReplicas = "deployment.kubernetes.io/max-replicas";

    private static readonly HashSet<string> NotCopied =
    [
        "kubectl.kubernetes.io/last-applied-configuration", Revision, RevisionHistory, DesiredReplicas, MaxReplicas, "deprecated.deployment.rollback.to",
    ];

    internal static long RevisionOf(KubeObject item) =>
        item.Metadata.Annotations.TryGetValue(Revision, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : 0;

    internal static int? Number(KubeObject item, string annotation) =>
        item.Metadata.Annotations.TryGetValue(annotation, out var text) && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : null;

    /// <summary>The annotations of the newest ReplicaSet: its revision, the Deployment's own annotations, and the desired
    /// size.</summary>
    internal static Dictionary<string, string> ForNewest(Deployment deployment, ReplicaSet? present, long revision)
    {
        var wanted = deployment.Metadata.Annotations.Where(pair => !NotCopied.Contains(pair.Key))
            .ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
        wanted[Revision] = revision.ToString(CultureInfo.InvariantCulture);
        if (present is not null && RevisionOf(present) is var old && old != revision && old > 0)
        {
            var history = present.Metadata.Annotations.GetValueOrDefault(RevisionHistory);
            wanted[RevisionHistory] = string.IsNullOrEmpty(history) ? $"{old}" : $"{history},{old}";
        }
        if (present is null) Sizes(deployment, wanted);
        return wanted;
    }

    internal static JsonObject SizesOf(Deployment deployment)
    {
        var sizes = new Dictionary<string, string>(StringComparer.Ordinal);
        Sizes(deployment, sizes);
        return Tree.Map(sizes);
    }

    private static void Sizes(Deployment deployment, Dictionary<string, string> into)
    {
        var replicas = deployment.Spec.Replicas ?? 1;
        into[DesiredReplicas] = replicas.ToString(CultureInfo.InvariantCulture);
        into[MaxReplicas] = (replicas + RollingNumbers.Of(deployment.Spec).Surge).ToString(CultureInfo.InvariantCulture);
    }
}
