using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Kinds of Istio that one cluster with a control plane does not define, and another one does: their objects went with the definition. Pure.</summary>
public static class MissingDefinitions
{
    private const string OfVerify = "ISM1046";

    /// <summary>Every version of Istio in use defines these; others came later.</summary>
    private static readonly IReadOnlyList<KindDescriptor> Kinds = [.. MeshApi.Effective.Where(kind =>
        kind.Group == MeshApi.VirtualService.Group || kind.Group == MeshApi.AuthorizationPolicy.Group)];

    public static Analyzer Analyzer { get; } = new("cluster.DefinitionAnalyzer", "Checks that clusters with a control plane define the kinds of Istio",
        [ClusterCodes.DefinitionMissing], [], mesh => Of([.. mesh.Readable]).Select(lack =>
            ClusterCodes.DefinitionMissing.At(lack.Cluster, $"cluster {lack.Cluster.Context}", "", lack.Message, lack.Remedy)));

    /// <summary>The same for <c>verify</c>.</summary>
    public static IEnumerable<Check> Checks(IReadOnlyList<ClusterInventory> clusters) => Of([.. clusters.Where(cluster => cluster.Error.Length == 0)])
        .Select(lack => new Check(lack.Cluster.Context, "definitions", "incomplete",
            new Problem(OfVerify, $"cluster {lack.Cluster.Context}", "", lack.Message, lack.Remedy)));

    private static IEnumerable<(ClusterInventory Cluster, string Message, string Remedy)> Of(List<ClusterInventory> clusters)
    {
        var members = clusters.Where(MeshSnapshot.HasControlPlane).ToList();
        foreach (var cluster in members)
        {
            var lacking = Kinds.Where(kind => cluster.Undefined.Contains(kind.Name)
                && members.Exists(other => other != cluster && other.Knows(kind.Name) && !other.Undefined.Contains(kind.Name))).ToList();
            // Where all are gone, nothing of the base is installed, or a control plane elsewhere has them.
            if (lacking.Count == 0 || Kinds.All(kind => cluster.Undefined.Contains(kind.Name))) continue;
            var names = string.Join(", ", lacking.Select(kind => kind.CrdName));
            var other = members.First(other => other != cluster && !other.Undefined.Contains(lacking[0].Name));
            yield return (cluster, $"has no CustomResourceDefinition {names}, which {other.Context} has: no "
                + $"{string.Join(" or ", lacking.Select(kind => kind.Kind))} can exist there, and those that did went with it",
                $"install again, with the file of this cluster: isthmus install -y --context={cluster.Context} -f FILE (or isthmus mesh up -f FILE); then "
                    + "apply the objects again");
        }
    }
}
