using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>The schema of one version of a custom resource, read once. Immutable.</summary>
internal sealed class StructuralSchema
{
    private StructuralSchema(JsonObject source)
    {
        Source = source;
        Type = Json.Text(source["type"]);
        Nullable = Json.Truth(source["nullable"]) == true;
        PreserveUnknown = Json.Truth(source["x-kubernetes-preserve-unknown-fields"]) == true;
        IsEmbedded = Json.Truth(source["x-kubernetes-embedded-resource"]) == true;
        IsIntOrString = Json.Truth(source["x-kubernetes-int-or-string"]) == true;
        ListType = Json.Text(source["x-kubernetes-list-type"]);
        ListKeys = Json.Texts(source["x-kubernetes-list-map-keys"]);
        Required = Json.Texts(source["required"]);
        Format = Json.Text(source["format"]);
        Enum = source["enum"] as JsonArray;
        Default = source["default"];
        Pattern = Json.Text(source["pattern"]) is { Length: > 0 } pattern ? GoPattern.Compile(pattern) : null;
        Properties = source["properties"] is JsonObject properties
            ? properties.Where(pair => pair.Value is JsonObject).ToDictionary(pair => pair.Key, pair => Read((JsonObject)pair.Value!))
            : [];
        Additional = source["additionalProperties"] is JsonObject additional ? Read(additional) : null;
        AllowsAdditional = Additional is not null || Json.Truth(source["additionalProperties"]) == true;
        Items = source["items"] is JsonObject items ? Read(items) : null;
        AllOf = Many(source["allOf"]);
        AnyOf = Many(source["anyOf"]);
        OneOf = Many(source["oneOf"]);
        Not = source["not"] is JsonObject not ? Read(not) : null;
        Rules = SchemaRule.Read(source["x-kubernetes-validations"]);
        HasRules = source["x-kubernetes-validations"] is JsonArray { Count: > 0 }
            || Properties.Values.Append(Additional).Append(Items).Any(child => child?.HasRules == true);
    }

    public static StructuralSchema Read(JsonObject schema) => new(schema);

    public JsonObject Source { get; }

    /// <summary>Empty for any, as inside junctors.</summary>
    public string Type { get; }

    public bool Nullable { get; }

    public bool PreserveUnknown { get; }

    public bool IsEmbedded { get; }

    public bool IsIntOrString { get; }

    /// <summary>atomic, set or map.</summary>
    public string ListType { get; }

    public ValueList<string> ListKeys { get; }

    public ValueList<string> Required { get; }

    public string Format { get; }

    public JsonArray? Enum { get; }

    public JsonNode? Default { get; }

    public Regex? Pattern { get; }

    public IReadOnlyDictionary<string, StructuralSchema> Properties { get; }

    public StructuralSchema? Additional { get; }

    public bool AllowsAdditional { get; }

    public StructuralSchema? Items { get; }

    public IReadOnlyList<StructuralSchema> AllOf { get; }

    public IReadOnlyList<StructuralSchema> AnyOf { get; }

    public IReadOnlyList<StructuralSchema> OneOf { get; }

    public StructuralSchema? Not { get; }

    /// <summary>The rules of <c>x-kubernetes-validations</c> that can be evaluated here.</summary>
    public ValueList<SchemaRule> Rules { get; }

    /// <summary>Rules are here or somewhere below, evaluated or not.</summary>
    public bool HasRules { get; }

    public long? Whole(string limit) => Json.Whole(Source[limit]);

    public double? Number(string limit) => Json.Number(Source[limit]);

    /// <summary>The schema of a field, or null for one that is not specified.</summary>
    public StructuralSchema? Of(string field) => Properties.TryGetValue(field, out var property) ? property : Additional;

    private static StructuralSchema[] Many(JsonNode? list) => [.. Json.Objects(list).Select(Read)];
}
