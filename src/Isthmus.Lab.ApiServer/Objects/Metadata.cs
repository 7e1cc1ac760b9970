using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.Objects;

/// <summary>Reads and preserves metadata of trees.</summary>
public static class Metadata
{
    private static readonly string[] SystemFields =
        ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"];

    public static JsonObject Of(JsonObject o)
    {
        if (o["metadata"] is JsonObject metadata) return metadata;
        metadata = [];
        o["metadata"] = metadata;
        return metadata;
    }

    public static string Text(JsonObject o, string field) =>
        (o["metadata"] as JsonObject)?[field] is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    public static string Name(JsonObject o) => Text(o, "name");

    public static string Namespace(JsonObject o) => Text(o, "namespace");

    public static bool IsDeleted(JsonObject o) => Text(o, "deletionTimestamp").Length > 0;

    public static List<string> Finalizers(JsonObject o) =>
        (o["metadata"] as JsonObject)?["finalizers"] is JsonArray list ? [.. list.Select(item => (string?)item ?? "")] : [];

    public static void SetFinalizers(JsonObject o, IReadOnlyCollection<string> finalizers)
    {
        if (finalizers.Count == 0) Of(o).Remove("finalizers");
        else Of(o)["finalizers"] = new JsonArray([.. finalizers.Select(text => (JsonNode)text)]);
    }

    internal static void RemoveSystemFields(JsonObject metadata)
    {
        foreach (var field in SystemFields) metadata.Remove(field);
    }

    /// <summary>Copies the fields that only the server sets from the stored object, whatever the client sent.</summary>
    internal static void KeepSystemFields(JsonObject from, JsonObject to)
    {
        foreach (var field in SystemFields)
        {
            if (from[field] is { } value) to[field] = value.DeepClone();
            else to.Remove(field);
        }
        foreach (var field in (ReadOnlySpan<string>)["name", "namespace", "generateName"])
        {
            if (from[field] is { } value) to[field] = value.DeepClone();
            else if (field != "generateName") to.Remove(field);
        }
    }

    internal static void Keep(JsonObject from, JsonObject to, string field)
    {
        if (from[field] is { } value) to[field] = value.DeepClone();
        else to.Remove(field);
    }
}
