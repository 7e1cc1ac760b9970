using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Patch;

internal enum MergeShape
{
    /// <summary>One value: scalars, atomic lists and maps.</summary>
    Atomic,
    Map,
    KeyedList,
    Set,
}

/// <summary>
/// How server-side apply sees a value: from the built-in types, from the schema of a custom resource, or guessed where there is none.
/// </summary>
internal abstract class MergeType
{
    internal static readonly MergeType Unknown = new Guessed();

    internal abstract MergeShape Shape(JsonNode? value);

    internal virtual IReadOnlyList<string> Keys => [];

    /// <summary>A map with free keys, such as labels.</summary>
    internal virtual bool IsPlainMap => false;

    internal abstract MergeType Field(string name);

    internal abstract MergeType Item { get; }

    internal static MergeType Of(KindDescriptor kind) =>
        kind.Schema is { } type ? new BuiltIn(type)
        : kind.OpenApiSchema is { } schema ? new Custom(schema)
        : Unknown;

    /// <summary>Maps merge, lists are one value.</summary>
    private sealed class Guessed : MergeType
    {
        internal override MergeType Item => this;

        internal override bool IsPlainMap => true;

        internal override MergeShape Shape(JsonNode? value) => value is JsonObject ? MergeShape.Map : MergeShape.Atomic;

        internal override MergeType Field(string name) => this;
    }

    private sealed class BuiltIn(TypeSchema type) : MergeType
    {
        internal override MergeType Item => Unknown;

        internal override MergeShape Shape(JsonNode? value) => type.Atomic || value is not JsonObject ? MergeShape.Atomic : MergeShape.Map;

        internal override MergeType Field(string name) => type.Field(name) is { } field ? new BuiltInField(type, field) : Unknown;
    }

    private sealed class BuiltInField(TypeSchema owner, FieldSchema schema) : MergeType
    {
        private MergeType Value => owner.TypeOf(schema) is { } type ? new BuiltIn(type) : Unknown;

        internal override IReadOnlyList<string> Keys => schema.ListKeys;

        internal override MergeType Item => Value;

        internal override bool IsPlainMap => schema.Shape == FieldShape.Map;

        internal override MergeShape Shape(JsonNode? value) => schema.Shape switch
        {
            FieldShape.List when value is JsonArray => schema.ListKeys.Count > 0 ? MergeShape.KeyedList : schema.Set ? MergeShape.Set : MergeShape.Atomic,
            // Selectors of Services are one value: a key that one manager adds would otherwise narrow what another one wants.
            FieldShape.Map when value is JsonObject => schema.Name == "selector" ? MergeShape.Atomic : MergeShape.Map,
            FieldShape.Single when schema.Type == FieldType.Message => Value.Shape(value),
            _ => MergeShape.Atomic,
        };

        internal override MergeType Field(string name) => schema.Shape == FieldShape.Map ? Value : Value.Field(name);
    }

    private sealed class Custom(JsonObject schema) : MergeType
    {
        internal override IReadOnlyList<string> Keys => [.. (schema["x-kubernetes-list-map-keys"] as JsonArray ?? []).Select(Json.Text)];

        internal override bool IsPlainMap => schema["additionalProperties"] is JsonObject;

        internal override MergeType Item => schema["items"] is JsonObject items ? new Custom(items) : Unknown;

        internal override MergeShape Shape(JsonNode? value) => value switch
        {
            JsonObject => Json.Text(schema["x-kubernetes-map-type"]) == "atomic" ? MergeShape.Atomic : MergeShape.Map,
            JsonArray => Json.Text(schema["x-kubernetes-list-type"]) switch { "map" => MergeShape.KeyedList, "set" => MergeShape.Set, _ => MergeShape.Atomic },
            _ => MergeShape.Atomic,
        };

        internal override MergeType Field(string name)
        {
            if (schema["properties"] is JsonObject properties && properties[name] is JsonObject property) return new Custom(property);
            return schema["additionalProperties"] is JsonObject additional ? new Custom(additional) : name == "metadata" ? Metadata : Unknown;
        }

        private static BuiltIn Metadata => new(Schemas.BuiltInTypes.Find("meta/v1.ObjectMeta")!);
    }
}

/// <summary>Keys of list items as FieldsV1 writes them.</summary>
internal static class ItemKeys
{
    internal static string Of(MergeType list, JsonNode? item)
    {
        if (list.Keys.Count == 0) return "v:" + (item?.ToJsonString(JsonText.Relaxed) ?? "null");
        var key = new JsonObject();
        foreach (var name in list.Keys.Order(StringComparer.Ordinal))
        {
            var value = (item as JsonObject)?[name]?.DeepClone();
            // The one key field of the API that has a default.
            if (value is null && name == "protocol") value = "TCP";
            key[name] = value;
        }
        return "k:" + key.ToJsonString(JsonText.Relaxed);
    }
}
