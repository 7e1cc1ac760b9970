using System.Text.Json.Nodes;

namespace Isthmus.Injection;

/// <summary>The JSON patch (RFC 6902) that turns one tree into another. It appends to lists that only grew at the end, and
/// replaces others.</summary>
public static class JsonPatchDiff
{
    public static JsonArray Between(JsonNode from, JsonNode to)
    {
        var operations = new JsonArray();
        Compare("", from, to, operations);
        return operations;
    }

    private static void Compare(string path, JsonNode? from, JsonNode? to, JsonArray operations)
    {
        if (JsonNode.DeepEquals(from, to)) return;
        switch (from, to)
        {
            case (JsonObject before, JsonObject after):
                foreach (var (key, _) in before)
                {
                    if (!after.ContainsKey(key)) operations.Add((JsonNode)new JsonObject { ["op"] = "remove", ["path"] = Join(path, key) });
                }
                foreach (var (key, value) in after)
                {
                    if (!before.TryGetPropertyValue(key, out var old)) operations.Add((JsonNode)Operation("add", Join(path, key), value));
                    else Compare(Join(path, key), old, value, operations);
                }
                break;
            case (JsonArray before, JsonArray after) when after.Count >= before.Count && SameIdentity(before, after):
                for (var i = 0; i < before.Count; i++) Compare($"{path}/{i}", before[i], after[i], operations);
                for (var i = before.Count; i < after.Count; i++) operations.Add((JsonNode)Operation("add", $"{path}/{i}", after[i]));
                break;
            default:
                operations.Add((JsonNode)Operation("replace", path, to));
                break;
        }
    }

    private static bool SameIdentity(JsonArray before, JsonArray after)
    {
        for (var i = 0; i < before.Count; i++)
        {
            if (before[i] is JsonObject one && after[i] is JsonObject other && one["name"]?.ToString() != other["name"]?.ToString()) return false;
        }
        return true;
    }

    private static JsonObject Operation(string op, string path, JsonNode? value) =>
        new() { ["op"] = op, ["path"] = path, ["value"] = value?.DeepClone() };

    private static string Join(string path, string key) =>
        $"{path}/{key.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}";
}
