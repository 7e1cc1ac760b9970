using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>The objects of files.</summary>
/// <param name="Origins">Where each object begins, as <c>FILE:LINE</c>, by <c>Kind namespace/name</c>.</param>
/// <param name="Problems">Documents that are not objects.</param>
/// <param name="Skipped">Files of directories, and named files, that have other names than manifests.</param>
public sealed record ManifestFiles(IReadOnlyList<JsonObject> Objects, IReadOnlyDictionary<string, string> Origins, IReadOnlyList<Problem> Problems,
    IReadOnlyList<string> Skipped)
{
    /// <summary>The name of the cluster that stands for files without a cluster.</summary>
    public const string ClusterName = "files";

    /// <summary>The endings of files that are read.</summary>
    public static readonly IReadOnlyList<string> Extensions = [".json", ".yaml", ".yml"];

    /// <param name="paths">Files and directories; <c>-</c> is the standard input.</param>
    /// <param name="ns">The namespace of objects that do not have one.</param>
    public static ManifestFiles Read(IEnumerable<string> paths, bool recursive, string ns, TextReader input)
    {
        var (objects, origins, problems, skipped) = (new List<JsonObject>(), new Dictionary<string, string>(StringComparer.Ordinal), new List<Problem>(),
            new List<string>());
        var named = paths.ToList();
        foreach (var path in named.SelectMany(path => Files(path, recursive)))
        {
            // Whoever names a file that is not there is told so, whatever its name.
            if (path != "-" && !Extensions.Contains(Path.GetExtension(path)) && (File.Exists(path) || !named.Contains(path)))
            {
                skipped.Add(path);
                continue;
            }
            try
            {
                foreach (var (line, content) in YamlText.ParseDocuments(path == "-" ? input.ReadToEnd() : InputFile.Read(path, path), path))
                    Add(content, path, line);
            }
            catch (ProblemException e) when (path == "-" || File.Exists(path))
            {
                problems.Add(e.Problem);
            }
        }
        return new(objects, origins, problems, skipped);

        void Add(JsonNode? content, string path, int line)
        {
            if (content is not JsonObject value || value["kind"] is null || value["apiVersion"] is null)
            {
                problems.Add(new("", $"{path}:{line}", "", "is not a Kubernetes object: it lacks apiVersion or kind"));
                return;
            }
            if (value["items"] is JsonArray items && value["kind"]!.ToString().EndsWith("List", StringComparison.Ordinal))
            {
                foreach (var item in items) Add(item?.DeepClone(), path, line);
                return;
            }
            var meta = value["metadata"] as JsonObject ?? (JsonObject)(value["metadata"] = new JsonObject())!;
            if (meta["namespace"] is null && MeshApi.Find(value["apiVersion"]!.ToString(), value["kind"]!.ToString()) is not { IsNamespaced: false })
                meta["namespace"] = ns;
            objects.Add(value);
            origins[ClusterInventory.NameOf(value)] = $"{path}:{line}";
        }
    }

    /// <summary>A cluster that has nothing but the objects of the files. Kinds that the files lack count as unread: they are probably elsewhere.</summary>
    public ClusterInventory Alone(string systemNamespace)
    {
        var unread = InventoryReader.Lists.Append(MeshApi.ConfigMap).Select(kind =>
            kind.Name).Except(Objects.Select(ClusterInventory.KindOf)).ToHashSet(StringComparer.Ordinal);
        return WithSecrets(ClusterInventory.From(ClusterName, Objects, systemNamespace: systemNamespace, unread: unread), isAll: true);
    }

    /// <summary>A cluster as if the files were applied.</summary>
    public ClusterInventory AppliedTo(ClusterInventory cluster) => WithSecrets(cluster.With(Objects), isAll: false);

    private ClusterInventory WithSecrets(ClusterInventory cluster, bool isAll) =>
        GatewayApiReferences.WithSecrets(CredentialReferences.WithSecrets(cluster, Objects, isAll), Objects, isAll);

    /// <summary>The findings with the files of their objects.</summary>
    /// <param name="cluster">The cluster that has the objects of the files.</param>
    public IEnumerable<Finding> Located(IEnumerable<Finding> findings, string cluster) =>
        findings.Select(finding => finding.Cluster == cluster && Origins.TryGetValue(finding.Problem.Object, out var origin)
            ? finding with { Reference = origin }
            : finding);

    private static IEnumerable<string> Files(string path, bool recursive) => !Directory.Exists(path) ? [path]
        : Directory.EnumerateFiles(path, "*", recursive ? SearchOption.AllDirectories : SearchOption.TopDirectoryOnly).Order(StringComparer.Ordinal);
}
