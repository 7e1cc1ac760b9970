using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>A JSON patch that does not fit its document.</summary>
internal sealed class JsonPatchException(string message) : Exception(message);

/// <summary>Applies the JSON patches (RFC 6902) that webhooks answer with; texts are those of Kubernetes' library.</summary>
internal static class JsonPatchText
{
    /// <returns>The patched document; <paramref name="document"/> itself is not changed.</returns>
    /// <exception cref="JsonPatchException">The patch is malformed, or does not apply.</exception>
    public static JsonNode? Apply(ReadOnlySpan<byte> patch, JsonNode document)
    {
        JsonNode? operations;
        try
        {
            operations = JsonNode.Parse(patch, documentOptions: new() { MaxDepth = JsonText.MaxDepth });
        }
        catch (JsonException e)
        {
            throw new JsonPatchException($"invalid JSON patch: {e.Message}");
        }
        if (operations is not JsonArray list) throw new JsonPatchException("json: cannot unmarshal into Go value of type jsonpatch.Patch");
        JsonNode? root = document.DeepClone();
        foreach (var operation in list)
            root = One(root, operation as JsonObject ?? throw new JsonPatchException("a JSON patch operation must be an object"));
        return root;
    }

    private static JsonNode? One(JsonNode? root, JsonObject operation)
    {
        var (op, path) = (Json.Text(operation["op"]), Json.Text(operation["path"]));
        switch (op)
        {
            case "add":
                return Add(root, path, operation["value"]?.DeepClone());
            case "remove":
                return Remove(root, path, op, out _);
            case "replace":
                root = Remove(root, path, op, out _);
                return Add(root, path, operation["value"]?.DeepClone(), op);
            case "move":
                root = Remove(root, Json.Text(operation["from"]), op, out var moved);
                return Add(root, path, moved);
            case "copy":
                return Add(root, path, Find(root, Json.Text(operation["from"]), op)?.DeepClone());
            case "test":
                if (!JsonNode.DeepEquals(Find(root, path, op), operation["value"]))
                    throw new JsonPatchException($"testing value {path} failed: test failed");
                return root;
            default:
                throw new JsonPatchException($"Unexpected kind: {op}");
        }
    }

    private static JsonNode? Add(JsonNode? root, string path, JsonNode? value, string op = "add")
    {
        if (path.Length == 0) return value;
        var (holder, key) = Holder(root, path, op);
        switch (holder)
        {
            case JsonObject o:
                o[key] = value;
                break;
            case JsonArray list:
                list.Insert(Index(key, list.Count, path, op, mayAppend: true), value);
                break;
        }
        return root;
    }

    private static JsonNode? Remove(JsonNode? root, string path, string op, out JsonNode? removed)
    {
        if (path.Length == 0)
        {
            removed = root;
            return null;
        }
        var (holder, key) = Holder(root, path, op);
        switch (holder)
        {
            case JsonObject o:
                if (!o.TryGetPropertyValue(key, out removed)) throw Missing(op, path);
                o.Remove(key);
                break;
            case JsonArray list:
                var index = Index(key, list.Count, path, op, mayAppend: false);
                removed = list[index];
                list.RemoveAt(index);
                break;
            default:
                throw Missing(op, path);
        }
        return root;
    }

    private static JsonNode? Find(JsonNode? root, string path, string op)
    {
        if (path.Length == 0) return root;
        var (holder, key) = Holder(root, path, op);
        return holder is JsonArray list ? list[Index(key, list.Count, path, op, mayAppend: false)]
            : holder is JsonObject o && o.TryGetPropertyValue(key, out var found) ? found
            : throw Missing(op, path);
    }

    /// <summary>The object or list that holds the last step of a path.</summary>
    private static (JsonNode Holder, string Key) Holder(JsonNode? root, string path, string op)
    {
        if (path[0] != '/') throw Missing(op, path);
        var steps = path[1..].Split('/').Select(step => step.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)).ToArray();
        var at = root;
        foreach (var step in steps[..^1])
            at = at switch
            {
                JsonObject o when o.TryGetPropertyValue(step, out var next) => next,
                JsonArray list => list[Index(step, list.Count, path, op, mayAppend: false)],
                _ => throw Missing(op, path),
            };
        return at is JsonObject or JsonArray ? (at, steps[^1]) : throw Missing(op, path);
    }

    private static int Index(string key, int count, string path, string op, bool mayAppend)
    {
        if (key == "-" && mayAppend) return count;
        return int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < (mayAppend ? count + 1 : count)
            ? index
            : throw new JsonPatchException($"{op} operation does not apply: doc is missing path: {path}: invalid index referenced");
    }

    private static JsonPatchException Missing(string op, string path) =>
        new($"{op} operation does not apply: doc is missing path: {path}: missing value");
}
