using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;

namespace Isthmus.Lab.ApiServer.OpenApi;

/// <summary>
/// The OpenAPI v3 document of one group version: what clients need to know that the server validates fields itself,
/// and the schemas that `kubectl explain` shows.
/// </summary>
internal static class OpenApiV3
{
    private const string Prefix = "#/components/schemas/";

    internal static JsonObject Of(IReadOnlyList<KindDescriptor> kinds)
    {
        var paths = new JsonObject();
        foreach (var kind in kinds) paths[FieldForms.PathOf(kind)] = PathItem(kind);
        return new()
        {
            ["openapi"] = "3.0.0",
            ["info"] = new JsonObject { ["title"] = "Kubernetes", ["version"] = KubernetesVersion.Text },
            ["paths"] = paths,
            ["components"] = new JsonObject { ["schemas"] = Schemas(kinds) },
        };
    }

    private static JsonObject PathItem(KindDescriptor kind) => new()
    {
        // kubectl explain finds a resource's kind by the operation that gets it.
        ["get"] = Operation(kind, "get", []),
        ["patch"] = Operation(kind, "patch", [Parameter("dryRun"), Parameter("fieldManager"), Parameter("fieldValidation")]),
    };

    private static JsonObject Operation(KindDescriptor kind, string action, JsonNode[] parameters) => new()
    {
        ["operationId"] = $"{action}{kind.Group.Split('.')[0]}{kind.Version}{kind.Kind}",
        ["parameters"] = new JsonArray(parameters),
        ["responses"] = new JsonObject { ["200"] = new JsonObject { ["description"] = "OK" } },
        ["x-kubernetes-action"] = action,
        ["x-kubernetes-group-version-kind"] = Gvk(kind),
    };

    private static JsonObject Schemas(IReadOnlyList<KindDescriptor> kinds)
    {
        var schemas = new JsonObject();
        var byType = kinds.Where(kind => kind.Schema is not null).ToLookup(kind => kind.Schema!.Name);
        if (byType.Count > 0)
            foreach (var (name, type, format) in SchemaNames.Leaves) schemas[name] = Leaf(type, format);
        foreach (var type in SchemaNames.Closure(kinds)) schemas[SchemaNames.Of(type.Name)] = Definition(type, [.. byType[type.Name]]);
        foreach (var kind in kinds.Where(kind => kind.OpenApiSchema is not null))
        {
            var schema = (JsonObject)kind.OpenApiSchema!.DeepClone();
            schema["x-kubernetes-group-version-kind"] = new JsonArray(Gvk(kind));
            schemas[SchemaNames.Of(kind)] = schema;
        }
        return schemas;
    }

    private static JsonObject Definition(TypeSchema type, IReadOnlyList<KindDescriptor> kinds)
    {
        var properties = new JsonObject();
        if (kinds.Count > 0 || type.HasTypeMeta) (properties["apiVersion"], properties["kind"]) = (Leaf("string", ""), Leaf("string", ""));
        foreach (var field in type.Fields) properties[field.Name] = Property(type, field);
        var definition = new JsonObject { ["type"] = "object", ["properties"] = properties };
        if (kinds.Count > 0) definition["x-kubernetes-group-version-kind"] = new JsonArray([.. kinds.Select(kind => (JsonNode)Gvk(kind))]);
        return definition;
    }

    private static JsonObject Property(TypeSchema type, FieldSchema field)
    {
        var item = Item(type, field);
        var schema = field.Shape switch
        {
            FieldShape.List => new JsonObject { ["type"] = "array", ["items"] = item },
            FieldShape.Map => new JsonObject { ["type"] = "object", ["additionalProperties"] = item },
            _ => item,
        };
        if (FieldForms.PatchStrategy(field) is { Length: > 0 } strategy) schema["x-kubernetes-patch-strategy"] = strategy;
        if (field.MergeKey.Length > 0) schema["x-kubernetes-patch-merge-key"] = field.MergeKey;
        if (field.ListKeys.Count > 0) schema["x-kubernetes-list-map-keys"] = new JsonArray([.. field.ListKeys.Select(key => (JsonNode)key)]);
        if (field.Shape == FieldShape.List) schema["x-kubernetes-list-type"] = field.ListKeys.Count > 0 ? "map" : field.Set ? "set" : "atomic";
        return schema;
    }

    private static JsonObject Item(TypeSchema type, FieldSchema field)
    {
        if (FieldForms.Definition(type, field) is { } definition) return Reference(definition);
        if (field.Type == FieldType.StringList) return new() { ["type"] = "array", ["items"] = Leaf("string", "") };
        if (field.Type == FieldType.Any) return new() { ["x-kubernetes-preserve-unknown-fields"] = true };
        var (name, format) = FieldForms.Scalar(field.Type);
        return Leaf(name, format);
    }

    private static JsonObject Leaf(string type, string format)
    {
        var leaf = new JsonObject { ["type"] = type };
        if (format.Length > 0) leaf["format"] = format;
        return leaf;
    }

    private static JsonObject Reference(string name) => new() { ["allOf"] = new JsonArray(new JsonObject { ["$ref"] = Prefix + name }) };

    private static JsonObject Gvk(KindDescriptor kind) => new() { ["group"] = kind.Group, ["version"] = kind.Version, ["kind"] = kind.Kind };

    private static JsonObject Parameter(string name) =>
        new() { ["name"] = name, ["in"] = "query", ["schema"] = new JsonObject { ["type"] = "string", ["uniqueItems"] = true } };
}
