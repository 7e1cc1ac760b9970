using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>A JSON patch is malformed, or does not apply to its document. The messages are those of Kubernetes' library.</summary>
public sealed class JsonPatchException(string message) : Exception(message);

/// <summary>JSON patch (RFC 6902), of users and of webhooks. All or nothing.</summary>
public static class JsonPatch
{
    private const int MaxOperations = 10_000;

    /// <summary>The patched document; <paramref name="target"/> may have been changed when this throws.</summary>
    /// <exception cref="JsonPatchException">An operation is malformed or does not apply.</exception>
    /// <exception cref="ApiException">413: too many operations.</exception>
    public static JsonNode? Apply(JsonArray operations, JsonNode? target)
    {
        if (operations.Count > MaxOperations)
            throw new ApiException(413, "RequestEntityTooLarge", $"The allowed maximum operations in a JSON patch is {MaxOperations}, got {operations.Count}");
        var root = new JsonObject { ["root"] = target };
        foreach (var operation in operations)
            new Step(operation as JsonObject ?? throw new JsonPatchException("a JSON patch operation must be an object")).Apply(root);
        var result = root["root"];
        root.Remove("root");
        return result;
    }

    /// <summary>One operation. Documents are held below a root, so that the path "" is not special.</summary>
    private readonly struct Step(JsonObject operation)
    {
        private readonly string _op = Json.Text(operation["op"]);

        internal void Apply(JsonObject root)
        {
            var path = Json.Text(operation["path"]);
            switch (_op)
            {
                case "add":
                    Add(root, path, Value(path));
                    break;
                case "remove":
                    Remove(root, path);
                    break;
                case "replace":
                    Replace(root, path, Value(path));
                    break;
                case "move":
                    Add(root, path, Remove(root, From));
                    break;
                case "copy":
                    Add(root, path, Get(root, From)?.DeepClone());
                    break;
                case "test":
                    if (!JsonNode.DeepEquals(Find(root, path), operation["value"])) throw new JsonPatchException($"testing value {path} failed: test failed");
                    break;
                default:
                    throw new JsonPatchException($"Unexpected kind: {_op}");
            }
        }

        private string From => Json.Text(operation["from"]);

        private JsonNode? Value(string path) => operation.ContainsKey("value") ? operation["value"]?.DeepClone() : throw Missing(path);

        private void Add(JsonObject root, string path, JsonNode? value)
        {
            switch (Holder(root, path))
            {
                case (JsonObject o, var key):
                    o[key] = value;
                    break;
                case (JsonArray list, var key):
                    list.Insert(key == "-" ? list.Count : Index(key, list.Count + 1, path), value);
                    break;
            }
        }

        private JsonNode? Remove(JsonObject root, string path)
        {
            var (holder, key) = Holder(root, path);
            if (holder is JsonArray list)
            {
                var index = Index(key, list.Count, path);
                var item = list[index];
                list.RemoveAt(index);
                return item;
            }
            var o = (JsonObject)holder;
            if (!o.TryGetPropertyValue(key, out var value)) throw Missing(path);
            o.Remove(key);
            return value;
        }

        private void Replace(JsonObject root, string path, JsonNode? value)
        {
            var (holder, key) = Holder(root, path);
            if (holder is JsonArray list) list[Index(key, list.Count, path)] = value;
            else if (((JsonObject)holder).ContainsKey(key)) holder[key] = value;
            else throw Missing(path);
        }

        /// <summary>Null where nothing is: a test against null passes there.</summary>
        private JsonNode? Find(JsonObject root, string path)
        {
            var (holder, key) = Holder(root, path);
            return holder is JsonArray list ? list[Index(key, list.Count, path)] : holder[key];
        }

        private JsonNode? Get(JsonObject root, string path)
        {
            var (holder, key) = Holder(root, path);
            return holder is JsonArray list ? list[Index(key, list.Count, path)]
                : ((JsonObject)holder).TryGetPropertyValue(key, out var found) ? found
                : throw Missing(path);
        }

        /// <summary>The object or list that holds the last step of a path.</summary>
        private (JsonNode Holder, string Key) Holder(JsonObject root, string path)
        {
            if (path.Length == 0) return (root, "root");
            if (path[0] != '/') throw Missing(path);
            var steps = path[1..].Split('/').Select(step => step.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal))
                .ToArray();
            var at = root["root"];
            foreach (var step in steps[..^1])
            {
                at = at switch
                {
                    JsonObject o => o[step],
                    JsonArray list => list[Index(step, list.Count, path)],
                    _ => null,
                };
            }
            return at is JsonObject or JsonArray ? (at, steps[^1]) : throw Missing(path);
        }

        private int Index(string key, int end, string path) =>
            int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < end ? index
                : throw new JsonPatchException($"{_op} operation does not apply: doc is missing path: {path}: invalid index referenced");

        private JsonPatchException Missing(string path) => new($"{_op} operation does not apply: doc is missing path: {path}: missing value");
    }
}
