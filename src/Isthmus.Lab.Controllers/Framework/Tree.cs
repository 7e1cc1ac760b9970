using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>Builds the recurring parts of objects.</summary>
internal static class Tree
{
    internal static JsonObject OwnedBy(ResourceKind kind, KubeObject owner) => new()
    {
        ["apiVersion"] = kind.ApiVersion, ["kind"] = kind.Kind, ["name"] = owner.Metadata.Name, ["uid"] = owner.Metadata.Uid,
        ["controller"] = true, ["blockOwnerDeletion"] = true,
    };

    internal static JsonObject Map(IEnumerable<KeyValuePair<string, string>> items)
    {
        var map = new JsonObject();
        foreach (var (key, value) in items) map[key] = value;
        return map;
    }

    internal static JsonArray Strings(IEnumerable<string> items) => [.. items.Select(item => (JsonNode)item)];

    /// <summary>A copy without null fields.</summary>
    internal static JsonNode? WithoutNulls(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject map:
                var kept = new JsonObject();
                foreach (var (key, value) in map)
                    if (value is not null) kept[key] = WithoutNulls(value);
                return kept;
            case JsonArray list:
                return new JsonArray([.. list.Select(WithoutNulls)]);
            default:
                return node?.DeepClone();
        }
    }

    /// <summary>True when <paramref name="present"/> already has every field of <paramref name="patch"/>: merging would
    /// change nothing.</summary>
    internal static bool Holds(JsonNode? patch, JsonNode? present)
    {
        if (patch is not JsonObject wanted) return JsonNode.DeepEquals(patch, present);
        if (present is not JsonObject there) return wanted.All(field => Holds(field.Value, null));
        return wanted.All(field => Holds(field.Value, there[field.Key]));
    }

    /// <summary>The only reference with <c>controller: true</c>, or null.</summary>
    internal static OwnerReference? ControllerOf(KubeObject item)
    {
        foreach (var owner in item.Metadata.OwnerReferences)
            if (owner.Controller == true) return owner;
        return null;
    }

    internal static (string Namespace, string Name) Split(string key)
    {
        var slash = key.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? ("", key) : (key[..slash], key[(slash + 1)..]);
    }
}
