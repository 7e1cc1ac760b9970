using System.Text.Json.Nodes;

namespace Isthmus.Mesh.Config;

/// <summary>The CustomResourceDefinitions of Istio's kinds, made from the same schemas that validation uses.</summary>
public static class IstioCrds
{
    /// <summary>One <c>apiextensions.k8s.io/v1</c> object for each kind; the caller owns the objects.</summary>
    public static IReadOnlyList<JsonObject> All => [.. MeshApi.Istio.Select(Of)];

    public static JsonObject Of(KindDescriptor kind) => new()
    {
        ["apiVersion"] = "apiextensions.k8s.io/v1",
        ["kind"] = "CustomResourceDefinition",
        ["metadata"] = new JsonObject
        {
            ["name"] = kind.CrdName,
            ["labels"] = new JsonObject { ["app"] = "istio-pilot", ["release"] = "istio" },
        },
        ["spec"] = new JsonObject
        {
            ["group"] = kind.Group,
            ["names"] = Names(kind),
            ["scope"] = kind.IsNamespaced ? "Namespaced" : "Cluster",
            ["versions"] = new JsonArray([.. kind.Versions.Select(version => Version(kind, version))]),
        },
    };

    private static JsonObject Names(KindDescriptor kind)
    {
        var names = new JsonObject
        {
            ["categories"] = new JsonArray("istio-io", kind.Group.Replace('.', '-')),
            ["kind"] = kind.Kind,
            ["listKind"] = kind.Kind + "List",
            ["plural"] = kind.Plural,
            ["singular"] = kind.Kind.ToLowerInvariant(),
        };
        if (kind.ShortNames.Length > 0) names["shortNames"] = new JsonArray([.. kind.ShortNames.Select(name => JsonValue.Create(name))]);
        return names;
    }

    private static JsonObject Version(KindDescriptor kind, string version)
    {
        var result = new JsonObject
        {
            ["name"] = version,
            ["served"] = true,
            ["storage"] = version == kind.StoredVersion,
            ["schema"] = new JsonObject
            {
                ["openAPIV3Schema"] = Root(kind),
            },
            ["subresources"] = new JsonObject { ["status"] = new JsonObject() },
        };
        if (kind.Columns.Length > 0) result["additionalPrinterColumns"] = new JsonArray([.. kind.Columns.Select(Column)]);
        return result;
    }

    private static JsonObject Root(KindDescriptor kind)
    {
        var shape = new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject { ["spec"] = (kind.Spec ?? (Schema)Schema.Anything).ToOpenApi(), ["status"] = Schema.Anything.ToOpenApi() },
        };
        if (kind.NeedsSpec) shape["required"] = new JsonArray("spec");
        // A selector that is indented too little: without it, the policy would apply to its whole namespace.
        if (kind.IsPolicy) shape["x-kubernetes-preserve-unknown-fields"] = true;
        return shape;
    }

    private static JsonObject Column((string Name, string Path, string Text) column) => new()
    {
        ["name"] = column.Name,
        ["jsonPath"] = column.Path,
        ["description"] = column.Text,
        ["type"] = column.Name == "Age" ? "date" : "string",
    };
}
