using System.Text.Json.Nodes;
using Isthmus.Core.Collections;

namespace Isthmus.Graph.History;

/// <summary>The fields in which two versions of an object differ. Pure.</summary>
public static class ChangedFields
{
    /// <summary>More than this are not told one by one.</summary>
    public const int Most = 5;

    /// <summary>Stands for those that are left out.</summary>
    public const string More = "…";

    /// <summary>Their paths, as <c>spec.http[0].timeout</c>; a list of another length is one field.</summary>
    public static ValueList<string> Between(JsonNode? before, JsonNode? after, string path = "spec")
    {
        var found = new List<string>();
        Add(found, path, before, after);
        return Bounded(found);
    }

    /// <summary>Those of either.</summary>
    public static ValueList<string> Join(ValueList<string> one, ValueList<string> other) =>
        other.IsEmpty ? one : one.IsEmpty ? other : Bounded([.. one.Concat(other).Distinct().OrderBy(path => path == More)]);

    private static ValueList<string> Bounded(List<string> paths) => paths.Count <= Most ? paths.ToValueList() : paths.Take(Most).Append(More).ToValueList();

    private static void Add(List<string> found, string path, JsonNode? before, JsonNode? after)
    {
        if (found.Count > Most) return;
        switch (before, after)
        {
            case (JsonObject one, JsonObject other):
                foreach (var (name, value) in other) Add(found, $"{path}.{name}", one[name], value);
                foreach (var (name, value) in one)
                    if (!other.ContainsKey(name)) Add(found, $"{path}.{name}", value, null);
                break;
            case (JsonArray one, JsonArray other) when one.Count == other.Count:
                for (var i = 0; i < one.Count; i++) Add(found, $"{path}[{i}]", one[i], other[i]);
                break;
            default:
                if (!JsonNode.DeepEquals(before, after)) found.Add(path);
                break;
        }
    }
}
