using System.Collections.Frozen;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>Drops fields that a schema does not specify.</summary>
internal static class Pruning
{
    private static readonly FrozenSet<string> TypeFields = new[] { "apiVersion", "kind", "metadata" }.ToFrozenSet();

    private static readonly FrozenSet<string> MetadataFields = new[]
    {
        "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers", "managedFields",
    }.ToFrozenSet();

    /// <param name="dropped">Receives <c>unknown field "spec.x"</c> for each.</param>
    public static void Prune(JsonObject o, StructuralSchema schema, List<string>? dropped) => Object(o, schema, "", dropped, isResource: true);

    private static void Any(JsonNode? node, StructuralSchema schema, string path, List<string>? dropped)
    {
        switch (node)
        {
            case JsonObject o:
                Object(o, schema, path, dropped, schema.IsEmbedded);
                break;
            case JsonArray list when schema.Items is { } items:
                for (var i = 0; i < list.Count; i++) Any(list[i], items, $"{path}[{i}]", dropped);
                break;
        }
    }

    private static void Object(JsonObject o, StructuralSchema schema, string path, List<string>? dropped, bool isResource)
    {
        foreach (var key in o.Select(pair => pair.Key).ToList())
        {
            var at = path.Length == 0 ? key : $"{path}.{key}";
            if (isResource && TypeFields.Contains(key))
            {
                if (key == "metadata" && path.Length > 0 && o[key] is JsonObject metadata) Metadata(metadata, at, dropped);
            }
            else if (schema.Of(key) is { } known)
            {
                Any(o[key], known, at, dropped);
            }
            else if (!schema.PreserveUnknown && !schema.AllowsAdditional)
            {
                o.Remove(key);
                dropped?.Add($"unknown field \"{at}\"");
            }
        }
    }

    private static void Metadata(JsonObject metadata, string path, List<string>? dropped)
    {
        foreach (var key in metadata.Select(pair => pair.Key).Where(key => !MetadataFields.Contains(key)).ToList())
        {
            metadata.Remove(key);
            dropped?.Add($"unknown field \"{path}.{key}\"");
        }
    }
}

/// <summary>Fills in defaults, also for a null where null is not allowed. Without a default, such a field is dropped.</summary>
internal static class Defaulting
{
    public static void Default(JsonNode? node, StructuralSchema schema)
    {
        switch (node)
        {
            case JsonObject o:
                foreach (var (key, property) in schema.Properties)
                {
                    if (o[key] is null && !(o.ContainsKey(key) && property.Nullable))
                    {
                        if (property.Default is { } value) o[key] = value.DeepClone();
                        else o.Remove(key);
                    }
                    Default(o[key], property);
                }
                if (schema.Additional is not { } additional) break;
                foreach (var (key, value) in o.Where(pair => !schema.Properties.ContainsKey(pair.Key)).ToList())
                {
                    if (value is null && !additional.Nullable) o.Remove(key);
                    else Default(value, additional);
                }
                break;
            case JsonArray list when schema.Items is { } items:
                foreach (var item in list) Default(item, items);
                break;
        }
    }
}
