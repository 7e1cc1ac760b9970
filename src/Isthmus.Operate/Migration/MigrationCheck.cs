using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Migration;

/// <summary>What a check reads of one cluster, or of files.</summary>
/// <param name="GatewayApi">The objects of the Gateway API.</param>
/// <param name="Operators">The IstioOperators, which the inventory does not have.</param>
/// <param name="Unknown">What could not be read.</param>
public sealed record MigrationInput(ClusterInventory Cluster, IReadOnlyList<JsonObject> GatewayApi, IReadOnlyList<JsonObject> Operators,
    IReadOnlyList<HelmRelease> Releases, IReadOnlyList<Problem> Unknown);

/// <summary><c>isthmus migrate check</c>: what of a mesh of Istio would work otherwise under Isthmus. Pure.</summary>
public static class MigrationCheck
{
    /// <summary>What makes Pods that have annotations of their own; Pods of others are checked one by one.</summary>
    private static readonly string[] Owners = ["ReplicaSet", "StatefulSet", "DaemonSet"];

    public static MigrationReport Of(IEnumerable<MigrationInput> inputs)
    {
        var (findings, objects, unknown) = (new List<MigrationFinding>(), 0, new List<Problem>());
        foreach (var input in inputs)
        {
            if (input.Cluster.Error.Length > 0) unknown.Add(new("", $"cluster {input.Cluster.Context}", "", input.Cluster.Error));
            unknown.AddRange(input.Unknown);
            var (found, count) = Of(input);
            findings.AddRange(found);
            objects += count;
        }
        return new([.. findings.Distinct().OrderByDescending(finding => finding.Level).ThenBy(finding => finding.Cluster, StringComparer.Ordinal)
            .ThenBy(finding => finding.Object, StringComparer.Ordinal).ThenBy(finding => finding.Field, StringComparer.Ordinal)],
            objects, unknown);
    }

    private static (IEnumerable<MigrationFinding> Findings, int Objects) Of(MigrationInput input)
    {
        var cluster = input.Cluster;
        var istio = cluster.AllObjects.Where(value => MeshApi.FindIstio(value["apiVersion"]?.ToString() ?? "", value["kind"]!.ToString()) is { } kind
            && kind != MeshApi.IstioOperator)
            .ToList();
        var maps = cluster.Objects("ConfigMap").ToList();
        var annotated = Annotated(cluster).ToList();
        IEnumerable<MigrationFinding> findings =
        [
            .. istio.SelectMany(value => FieldFindings.OfObject(cluster.Context, value)),
            .. maps.SelectMany(map => FieldFindings.OfSettings(cluster.Context, map)),
            .. maps.SelectMany(map => InstallationFindings.OfInjector(cluster.Context, map)),
            .. annotated.SelectMany(one => FieldFindings.OfAnnotations(cluster.Context, one.Name, one.Annotations)
                .Concat(InstallationFindings.OfTemplates(cluster.Context, one.Name, one.Annotations))),
            .. cluster.Templates.Where(template => cluster.Find(template.FullName) is { } whole && !OtherControlPlanes.IsOurs(whole))
                .SelectMany(template => InstallationFindings.OfControlPlane(cluster.Context, template)),
            .. input.Operators.SelectMany(value => InstallationFindings.OfOperator(cluster.Context, value)),
            .. input.Releases.SelectMany(release => InstallationFindings.OfRelease(cluster.Context, release)),
            .. MeshFindings.OfAmbient(cluster),
            .. MeshFindings.OfGatewayApi(cluster.Context, input.GatewayApi),
            .. MeshFindings.OfImages(cluster),
            .. ProxyOverrides.Of(cluster),
        ];
        return (findings, istio.Count + maps.Count + annotated.Count + input.Operators.Count + input.Releases.Count + input.GatewayApi.Count);
    }

    private static IEnumerable<(string Name, IReadOnlyDictionary<string, string> Annotations)> Annotated(ClusterInventory cluster) =>
        cluster.Templates.Select(template => (template.FullName, template.Annotations))
            .Concat(cluster.Pods.Where(pod => pod.Metadata.OwnerReferences.TrueForAll(owner => !Owners.Contains(owner.Kind)))
                .Select(pod => ($"Pod {pod.Key}", (IReadOnlyDictionary<string, string>)pod.Metadata.Annotations)));
}
