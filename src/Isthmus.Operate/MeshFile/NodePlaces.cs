using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.MeshFile;

/// <summary>The region and zone of a cluster in the file, as labels of its Nodes: those without one get it, and one that says otherwise is a mistake
/// in the file.</summary>
internal sealed class NodePlaces(MeshDesign design, ClusterLink link)
{
    private IEnumerable<(string Field, string Label, string Value)> Wanted =>
        ((string, string, string)[])[("region", Labels.Region, link.Cluster.Region), ("zone", Labels.Zone, link.Cluster.Zone)];

    /// <summary>The Nodes to label, and those that are elsewhere.</summary>
    public async Task<(IReadOnlyList<Change> Changes, IReadOnlyList<Problem> Problems)> CompareAsync(CancellationToken stop)
    {
        var wanted = Wanted.Where(place => place.Value.Length > 0).ToList();
        if (wanted.Count == 0) return ([], []);
        var at = design.Mesh.Clusters.ToList().IndexOf(link.Cluster);
        var (changes, problems) = (new List<Change>(), new List<Problem>());
        foreach (var node in await NodesAsync(stop))
        {
            var name = node["metadata"]!["name"]!.ToString();
            foreach (var (field, label, value) in wanted.Where(place => Label(node, place.Label) is { } found && found != place.Value))
            {
                problems.Add(new("ISM0344", design.Mesh.Source, $"spec.clusters[{at}].{field}",
                    $"is '{value}', but Node {name} of '{link.Name}' has {label}={Label(node, label)}", "correct it, or omit it: each Node says where it is"));
            }
            var lacking = wanted.Where(place => Label(node, place.Label) is null)
                .Select(place => new FieldDifference($"metadata.labels[{place.Label}]", place.Value, "")).ToValueList();
            if (!lacking.IsEmpty) changes.Add(new(link.Name, Part.Nodes, ChangeKind.Change, $"Node {name}", lacking));
        }
        return (changes, problems);
    }

    /// <summary>Labels the Nodes, and remembers on them which labels are the file's.</summary>
    public async Task ApplyAsync(CancellationToken stop)
    {
        foreach (var node in await NodesAsync(stop))
        {
            var lacking = Wanted.Where(place => place.Value.Length > 0 && Label(node, place.Label) is null).ToList();
            if (lacking.Count == 0) continue;
            string[] ours = [.. Given(node), .. lacking.Select(place => place.Label)];
            var labels = new JsonObject(lacking.Select(place => KeyValuePair.Create<string, JsonNode?>(place.Label, place.Value)));
            await PatchAsync(node, labels, string.Join(",", ours.Distinct()), stop);
        }
    }

    /// <summary>Takes back the labels that the file gave.</summary>
    public async Task RemoveAsync(CancellationToken stop)
    {
        foreach (var node in await NodesAsync(stop))
        {
            if (Given(node) is not { Length: > 0 } given) continue;
            await PatchAsync(node, new JsonObject(given.Select(label => KeyValuePair.Create<string, JsonNode?>(label, null))), null, stop);
        }
    }

    private static string[] Given(JsonObject node) =>
        node["metadata"]!["annotations"]?[Annotations.MeshPlaces]?.ToString().Split(',', StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static string? Label(JsonObject node, string label) => node["metadata"]!["labels"]?[label]?.ToString();

    private Task<IReadOnlyList<JsonObject>> NodesAsync(CancellationToken stop) =>
        link.Client.ListAllAsync<JsonObject>(Kinds.Node, null, new ListOptions(), stop);

    private Task PatchAsync(JsonObject node, JsonObject labels, string? given, CancellationToken stop)
    {
        var metadata = new JsonObject { ["labels"] = labels, ["annotations"] = new JsonObject { [Annotations.MeshPlaces] = given } };
        return link.Client.PatchAsync(Kinds.Node, null, node["metadata"]!["name"]!.ToString(), new JsonObject { ["metadata"] = metadata }, PatchType.Merge,
            stop);
    }
}
