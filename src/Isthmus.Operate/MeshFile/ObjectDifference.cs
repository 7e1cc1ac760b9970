using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.MeshFile;

/// <summary>One field whose value in a cluster differs from the file.</summary>
/// <param name="Found">Empty when the field is absent.</param>
public sealed record FieldDifference(string Path, string Wanted, string Found);

/// <summary>
/// Compares the desired object with the live one by meaning. Fields that are not specified are not differences: defaults,
/// status, and what controllers and other people added. Neither is another notation of the same quantity.
/// </summary>
public static class ObjectDifference
{
    private const int MostShown = 80;

    public static IReadOnlyList<FieldDifference> Find(JsonObject wanted, JsonObject live)
    {
        var found = new List<FieldDifference>();
        foreach (var (field, value) in wanted)
        {
            if (field is "apiVersion" or "kind") continue;
            Compare(value, live[field], field, found);
        }
        return found;
    }

    private static void Compare(JsonNode? wanted, JsonNode? live, string path, List<FieldDifference> differences)
    {
        // API servers omit empty values.
        if (live is null && IsEmpty(wanted)) return;
        switch (wanted, live)
        {
            case (JsonObject mapping, JsonObject other):
                foreach (var (field, value) in mapping)
                {
                    if (!IsTheControlPlanes(path, field, value, other[field])) Compare(value, other[field], $"{path}.{field}", differences);
                }
                return;
            case (JsonArray list, JsonArray other) when list.Count == other.Count:
                for (var i = 0; i < list.Count; i++) Compare(list[i], other[i], $"{path}[{i}]", differences);
                return;
            case (JsonArray list, JsonArray other) when Named(list) is { } names && Named(other) is { } found:
                foreach (var (name, (item, at)) in names) Compare(item, found.GetValueOrDefault(name).Item, $"{path}[{at}]", differences);
                foreach (var (name, (item, _)) in found.Where(pair => !names.ContainsKey(pair.Key))) differences.Add(new($"{path}[{name}]", "", Show(item)));
                return;
            case (JsonObject mapping, null):
                foreach (var (field, value) in mapping) Compare(value, null, $"{path}.{field}", differences);
                return;
        }
        if (JsonNode.DeepEquals(wanted, live) || SameQuantity(path, wanted, live)) return;
        differences.Add(new(path, Show(wanted), live is null ? "" : Show(live)));
    }

    /// <summary>The indexes of a list's items by their names; null unless each item has a unique name.</summary>
    private static Dictionary<string, (JsonNode Item, int At)>? Named(JsonArray list)
    {
        var names = new Dictionary<string, (JsonNode, int)>(StringComparer.Ordinal);
        for (var i = 0; i < list.Count; i++)
        {
            if (list[i] is not JsonObject item || item["name"] is not { } name || !names.TryAdd(name.ToString(), (item, i))) return null;
        }
        return names;
    }

    /// <summary>The validation webhook is installed to fail open. The control plane closes it once it serves.</summary>
    private static bool IsTheControlPlanes(string path, string field, JsonNode? wanted, JsonNode? live) =>
        field == "failurePolicy" && path.StartsWith("webhooks[", StringComparison.Ordinal) && wanted?.ToString() == "Ignore" && live?.ToString() == "Fail";

    private static bool IsEmpty(JsonNode? node) => node switch
    {
        null => true,
        JsonObject mapping => mapping.All(field => IsEmpty(field.Value)),
        JsonArray list => list.Count == 0,
        _ => node.GetValueKind() switch
        {
            JsonValueKind.String => node.ToString().Length == 0,
            JsonValueKind.False => true,
            JsonValueKind.Number => node.ToJsonString() == "0",
            _ => false,
        },
    };

    /// <summary>API servers write quantities in their shortest form: 1024Mi comes back as 1Gi.</summary>
    private static bool SameQuantity(string path, JsonNode? wanted, JsonNode? live) =>
        path.Contains(".resources.", StringComparison.Ordinal) && wanted is JsonValue && live is JsonValue
        && Quantity.Nanos(wanted.ToString()) is { } one && one == Quantity.Nanos(live.ToString());

    private static string Show(JsonNode? node)
    {
        var text = node is null
            ? "null"
            : node is JsonValue value && value.GetValueKind() == JsonValueKind.String
            ? node.ToString().ReplaceLineEndings("\\n")
            : node.ToJsonString();
        return text.Length > MostShown ? text[..MostShown] + "…" : text;
    }
}
