using System.Globalization;
using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>JSON patch (RFC 6902). All or nothing.</summary>
public static class JsonPatch
{
    private const int MaxOperations = 10_000;

    /// <summary>The patched document; <paramref name="target"/> may have been changed when this throws.</summary>
    /// <exception cref="ApiException">400 malformed; 422 an operation does not fit.</exception>
    public static JsonNode? Apply(JsonArray operations, JsonNode? target)
    {
        if (operations.Count > MaxOperations) throw new ApiException(413, "RequestEntityTooLarge", $"The allowed maximum operations in a JSON patch is {MaxOperations}, got {operations.Count}");
        var root = new JsonObject { ["root"] = target };
        foreach (var operation in operations) Apply(operation as JsonObject ?? throw Malformed("an operation is not an object"), root);
        var result = root["root"];
        root.Remove("root");
        return result;
    }

    private static void Apply(JsonObject operation, JsonObject root)
    {
        var path = Pointer(operation, "path");
        switch (Text(operation, "op"))
        {
            case "add":
                Add(root, path, Value(operation));
                break;
            case "remove":
                Remove(root, path);
                break;
            case "replace":
                Replace(root, path, Value(operation));
                break;
            case "move":
                Add(root, path, Remove(root, Pointer(operation, "from")));
                break;
            case "copy":
                Add(root, path, Get(root, Pointer(operation, "from"))?.DeepClone());
                break;
            case "test":
                if (!JsonNode.DeepEquals(Find(root, path), operation["value"])) throw Rejected();
                break;
            default:
                throw Rejected();
        }
    }

    private static JsonNode? Value(JsonObject operation) =>
        operation.ContainsKey("value") ? operation["value"]?.DeepClone() : throw Rejected();

    private static void Add(JsonObject root, List<string> path, JsonNode? value)
    {
        var (parent, key) = Parent(root, path);
        switch (parent)
        {
            case JsonObject o:
                o[key] = value;
                break;
            case JsonArray list:
                list.Insert(key == "-" ? list.Count : Index(key, list.Count + 1), value);
                break;
            default:
                throw Rejected();
        }
    }

    private static JsonNode? Remove(JsonObject root, List<string> path)
    {
        var (parent, key) = Parent(root, path);
        if (parent is JsonObject o && o.ContainsKey(key))
        {
            var value = o[key];
            o.Remove(key);
            return value;
        }
        if (parent is not JsonArray list) throw Rejected();
        var index = Index(key, list.Count);
        var item = list[index];
        list.RemoveAt(index);
        return item;
    }

    private static void Replace(JsonObject root, List<string> path, JsonNode? value)
    {
        var (parent, key) = Parent(root, path);
        if (parent is JsonObject o && o.ContainsKey(key)) o[key] = value;
        else if (parent is JsonArray list) list[Index(key, list.Count)] = value;
        else throw Rejected();
    }

    /// <summary>Null where nothing is: a test against null passes there.</summary>
    private static JsonNode? Find(JsonObject root, List<string> path)
    {
        var (parent, key) = Parent(root, path);
        return parent switch
        {
            JsonObject o => o[key],
            JsonArray list => list[Index(key, list.Count)],
            _ => throw Rejected(),
        };
    }

    private static JsonNode? Get(JsonObject root, List<string> path)
    {
        var (parent, key) = Parent(root, path);
        return parent is JsonObject o ? o.ContainsKey(key) ? o[key] : throw Rejected()
            : parent is JsonArray list ? list[Index(key, list.Count)]
            : throw Rejected();
    }

    private static (JsonNode? Parent, string Key) Parent(JsonObject root, List<string> path)
    {
        JsonNode? node = root;
        foreach (var key in path.Take(path.Count - 1))
        {
            node = node switch
            {
                JsonObject o => o[key],
                JsonArray list => list[Index(key, list.Count)],
                _ => null,
            };
            if (node is null) throw Rejected();
        }
        return (node, path[^1]);
    }

    private static int Index(string key, int end) =>
        int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < end ? index : throw Rejected();

    private static List<string> Pointer(JsonObject operation, string name)
    {
        var text = Text(operation, name);
        var path = new List<string> { "root" };
        if (text.Length == 0) return path;
        if (text[0] != '/') throw Rejected();
        path.AddRange(text[1..].Split('/').Select(part => part.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)));
        return path;
    }

    private static string Text(JsonObject operation, string name) =>
        operation[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw Rejected();

    private static ApiException Malformed(string why) => ApiException.BadRequest($"error decoding patch: {why}");

    private static ApiException Rejected() => new(422, "Invalid", "the server rejected our request due to an error in our request");
}
