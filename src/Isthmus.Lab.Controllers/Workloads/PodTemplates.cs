using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>Creates Pods from templates, and compares templates.</summary>
internal static class PodTemplates
{
    internal const string HashLabel = "pod-template-hash";

    /// <summary>The letters of generated names: no vowels, so no words appear, and no letters that look alike.</summary>
    private const string Letters = "bcdfghjklmnpqrstvwxz2456789";

    /// <summary>A Pod from the template, owned by <paramref name="owner"/>. The API server names it.</summary>
    internal static JsonObject Pod(JsonObject template, ResourceKind ownerKind, KubeObject owner)
    {
        var metadata = new JsonObject { ["generateName"] = owner.Metadata.Name + "-", ["namespace"] = owner.Metadata.Namespace };
        foreach (var field in (string[])["labels", "annotations", "finalizers"])
            if (template["metadata"]?[field] is { } value) metadata[field] = value.DeepClone();
        metadata["ownerReferences"] = new JsonArray(Tree.OwnedBy(ownerKind, owner));
        return new() { ["apiVersion"] = "v1", ["kind"] = "Pod", ["metadata"] = metadata, ["spec"] = template["spec"]?.DeepClone() };
    }

    /// <summary>Whether two templates define the same Pods; the hash label does not count.</summary>
    internal static bool Same(JsonObject left, JsonObject right) => JsonNode.DeepEquals(Essence(left), Essence(right));

    /// <summary>A short hash of the template: the same on every run and for any order of fields.</summary>
    internal static string Hash(JsonObject template, int? collisions)
    {
        var text = new StringBuilder();
        Canonical(Essence(template), text);
        if (collisions is { } count) text.Append('#').Append(count);
        return SafeName(Fnv1a(text.ToString()));
    }

    internal static string SafeName(uint hash) =>
        string.Concat(hash.ToString(CultureInfo.InvariantCulture).Select(digit => Letters[digit % Letters.Length]));

    internal static uint Fnv1a(string text)
    {
        var hash = 2166136261u;
        foreach (var b in Encoding.UTF8.GetBytes(text)) hash = (hash ^ b) * 16777619u;
        return hash;
    }

    private static JsonObject Essence(JsonObject template)
    {
        var essence = (JsonObject)Tree.WithoutNulls(template)!;
        (essence["metadata"]?["labels"] as JsonObject)?.Remove(HashLabel);
        return essence;
    }

    private static void Canonical(JsonNode? node, StringBuilder text)
    {
        switch (node)
        {
            case JsonObject map:
                text.Append('{');
                foreach (var (key, value) in map.OrderBy(field => field.Key, StringComparer.Ordinal))
                {
                    text.Append(key).Append(':');
                    Canonical(value, text);
                    text.Append(',');
                }
                text.Append('}');
                break;
            case JsonArray list:
                text.Append('[');
                foreach (var item in list)
                {
                    Canonical(item, text);
                    text.Append(',');
                }
                text.Append(']');
                break;
            default:
                text.Append(node?.ToJsonString() ?? "null");
                break;
        }
    }
}
