using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Protobuf;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;

namespace Isthmus.Lab.ApiServer.OpenApi;

/// <summary>
/// The OpenAPI v2 document in the protobuf form of gnostic's openapi.v2.Document, which kubectl before 1.24 needs to check files and to
/// compute patches, and newer ones fall back to. Field numbers: openapiv2/OpenAPIv2.proto of github.com/google/gnostic.
/// </summary>
internal static class OpenApiV2
{
    internal const string MediaType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

    internal static byte[] Of(IReadOnlyList<KindDescriptor> kinds)
    {
        var definitions = new WireWriter();
        var byType = kinds.Where(kind => kind.Schema is not null).ToLookup(kind => kind.Schema!.Name);
        foreach (var (name, type, format) in SchemaNames.Leaves) Named(definitions, 1, name, Leaf(type, format));
        foreach (var type in SchemaNames.Closure(kinds)) Named(definitions, 1, SchemaNames.Of(type.Name), Definition(type, [.. byType[type.Name]]));
        foreach (var kind in kinds.Where(kind => kind.Schema is null)) Named(definitions, 1, SchemaNames.Of(kind), Custom(kind));
        var paths = new WireWriter();
        foreach (var kind in kinds) Named(paths, 2, FieldForms.PathOf(kind), PathItem(kind));
        return new WireWriter()
            .Text(1, "2.0")
            .Message(2, new WireWriter().Text(1, "Kubernetes").Text(2, KubernetesVersion.Text))
            .Message(8, paths)
            .Message(9, definitions)
            .ToArray();
    }

    /// <summary>Only PATCH and its parameters are asked for: does the server know dryRun and fieldValidation?</summary>
    private static WireWriter PathItem(KindDescriptor kind)
    {
        var operation = new WireWriter().Text(5, $"patch{kind.Kind}");
        foreach (var name in (string[])["dryRun", "fieldManager", "fieldValidation"])
        {
            var query = new WireWriter().Text(2, "query").Text(4, name).Text(6, "string");
            operation.Message(8, new WireWriter().Message(1, new WireWriter().Message(2, new WireWriter().Message(3, query))));
        }
        Extension(operation, 13, "x-kubernetes-action", "patch");
        Extension(operation, 13, "x-kubernetes-group-version-kind", $"group: \"{kind.Group}\"\nversion: {kind.Version}\nkind: {kind.Kind}\n");
        return new WireWriter().Message(8, operation);
    }

    private static WireWriter Definition(TypeSchema type, IReadOnlyList<KindDescriptor> kinds)
    {
        var properties = new WireWriter();
        if (kinds.Count > 0 || type.HasTypeMeta)
        {
            Named(properties, 1, "apiVersion", Leaf("string", ""));
            Named(properties, 1, "kind", Leaf("string", ""));
        }
        foreach (var field in type.Fields) Named(properties, 1, field.Name, Property(type, field));
        var schema = Typed("object").Message(25, properties);
        if (kinds.Count > 0) Kinds(schema, kinds);
        return schema;
    }

    private static WireWriter Property(TypeSchema type, FieldSchema field)
    {
        var item = Item(type, field);
        var schema = field.Shape switch
        {
            FieldShape.List => Typed("array").Message(23, new WireWriter().Message(1, item)),
            FieldShape.Map => Typed("object").Message(21, new WireWriter().Message(1, item)),
            _ => item,
        };
        var strategy = FieldForms.PatchStrategy(field);
        if (strategy.Length > 0) Extension(schema, 31, "x-kubernetes-patch-strategy", strategy);
        if (field.MergeKey.Length > 0) Extension(schema, 31, "x-kubernetes-patch-merge-key", field.MergeKey);
        return schema;
    }

    private static WireWriter Item(TypeSchema type, FieldSchema field)
    {
        if (FieldForms.Definition(type, field) is { } definition) return Reference(definition);
        if (field.Type == FieldType.StringList) return Typed("array").Message(23, new WireWriter().Message(1, Leaf("string", "")));
        if (field.Type == FieldType.Any) return Anything();
        var (name, format) = FieldForms.Scalar(field.Type);
        return Leaf(name, format);
    }

    /// <summary>A custom resource: clients leave its fields to the server.</summary>
    private static WireWriter Custom(KindDescriptor kind)
    {
        var schema = Anything();
        Kinds(schema, [kind]);
        return schema;
    }

    private static WireWriter Anything()
    {
        var schema = new WireWriter();
        Extension(schema, 31, "x-kubernetes-preserve-unknown-fields", "true");
        return schema;
    }

    private static void Kinds(WireWriter schema, IReadOnlyList<KindDescriptor> kinds) =>
        Extension(schema, 31, "x-kubernetes-group-version-kind",
            string.Concat(kinds.Select(kind => $"- group: \"{kind.Group}\"\n  kind: {kind.Kind}\n  version: {kind.Version}\n")));

    private static WireWriter Typed(string type) => new WireWriter().Message(22, new WireWriter().Text(1, type));

    private static WireWriter Leaf(string type, string format) => new WireWriter().Text(2, format).Message(22, new WireWriter().Text(1, type));

    private static WireWriter Reference(string definition) => new WireWriter().Text(1, $"#/definitions/{definition}");

    private static void Named(WireWriter parent, int field, string name, WireWriter value) =>
        parent.Message(field, new WireWriter().Text(1, name).Message(2, value));

    private static void Extension(WireWriter parent, int field, string name, string yaml) =>
        parent.Message(field, new WireWriter().Text(1, name).Message(2, new WireWriter().Text(2, yaml)));
}
