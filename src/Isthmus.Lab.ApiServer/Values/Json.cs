using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;

namespace Isthmus.Lab.ApiServer.Values;

/// <summary>Reads trees that clients sent: a missing field and one of the wrong type both read as absent.</summary>
internal static class Json
{
    /// <summary>The text, or empty.</summary>
    public static string Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : "";

    public static string? TextOrNull(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    public static bool? Truth(JsonNode? node) => node is JsonValue value && value.TryGetValue(out bool truth) ? truth : null;

    /// <summary>A whole number; also one written as 1.0.</summary>
    public static long? Whole(JsonNode? node)
    {
        if (node is not JsonValue value || value.GetValueKind() != JsonValueKind.Number) return null;
        if (value.TryGetValue(out long whole)) return whole;
        if (value.TryGetValue(out int small)) return small;
        return Number(value) is { } number && Math.Floor(number) == number && Math.Abs(number) < 9e18 ? (long)number : null;
    }

    public static double? Number(JsonNode? node) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.Number
        && double.TryParse(value.ToJsonString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            ? number
            : null;

    /// <summary>The node below a path of keys, or null.</summary>
    public static JsonNode? At(this JsonNode? node, params ReadOnlySpan<string> path)
    {
        foreach (var key in path)
        {
            if (node is not JsonObject o) return null;
            node = o[key];
        }
        return node;
    }

    public static string TextAt(this JsonNode? node, params ReadOnlySpan<string> path) => Text(node.At(path));

    /// <summary>The object elements of a list; others are skipped.</summary>
    public static IEnumerable<JsonObject> Objects(JsonNode? node) => node is JsonArray list ? list.OfType<JsonObject>() : [];

    public static ValueList<string> Texts(JsonNode? node) =>
        node is JsonArray list ? list.Select(TextOrNull).OfType<string>().ToValueList() : [];

    /// <summary>A map of texts: labels, annotations, selectors.</summary>
    public static ValueMap<string> Map(JsonNode? node) =>
        node is JsonObject o ? o.Select(pair => KeyValuePair.Create(pair.Key, Text(pair.Value))).ToValueMap() : default;

    public static JsonArray Array(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)text)]);

    /// <summary>The object at a key, made if it is missing or null.</summary>
    public static JsonObject Ensure(this JsonObject o, string key)
    {
        if (o[key] is JsonObject held) return held;
        var made = new JsonObject();
        o[key] = made;
        return made;
    }

    /// <summary>Sets a default: only where the field is missing or null.</summary>
    public static void Default(this JsonObject o, string key, JsonNode value)
    {
        if (o[key] is null) o[key] = value;
    }
}
