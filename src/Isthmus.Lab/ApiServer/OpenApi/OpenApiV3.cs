using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.OpenApi;

/// <summary>
/// The OpenAPI v3 document of one group version: what clients need to know that the server validates fields itself,
/// and the schemas that `kubectl explain` shows.
/// </summary>
internal static class OpenApiV3
{
    internal static JsonObject Of(IReadOnlyList<KindDescriptor> kinds)
    {
        var paths = new JsonObject();
        var schemas = new JsonObject();
        foreach (var kind in kinds)
        {
            var prefix = kind.Group.Length == 0 ? $"/api/{kind.Version}" : $"/apis/{kind.Group}/{kind.Version}";
            paths[$"{prefix}/{(kind.Namespaced ? "namespaces/{namespace}/" : "")}{kind.Plural}/{{name}}"] = new JsonObject
            {
                ["patch"] = new JsonObject
                {
                    ["operationId"] = $"patch{kind.Group.Split('.')[0]}{kind.Version}{kind.Kind}",
                    ["parameters"] = new JsonArray(Parameter("dryRun"), Parameter("fieldManager"), Parameter("fieldValidation")),
                    ["responses"] = new JsonObject { ["200"] = new JsonObject { ["description"] = "OK" } },
                    ["x-kubernetes-action"] = "patch",
                    ["x-kubernetes-group-version-kind"] = Gvk(kind),
                },
            };
            if (kind.OpenApiSchema is { } schema)
            {
                var component = (JsonObject)schema.DeepClone();
                component["x-kubernetes-group-version-kind"] = new JsonArray(Gvk(kind));
                schemas[$"{string.Join('.', kind.Group.Split('.').Reverse())}.{kind.Version}.{kind.Kind}"] = component;
            }
        }
        return new()
        {
            ["openapi"] = "3.0.0",
            ["info"] = new JsonObject { ["title"] = "Kubernetes", ["version"] = "v1.32.0" },
            ["paths"] = paths,
            ["components"] = new JsonObject { ["schemas"] = schemas },
        };
    }

    private static JsonObject Gvk(KindDescriptor kind) => new() { ["group"] = kind.Group, ["version"] = kind.Version, ["kind"] = kind.Kind };

    private static JsonObject Parameter(string name) =>
        new() { ["name"] = name, ["in"] = "query", ["schema"] = new JsonObject { ["type"] = "string", ["uniqueItems"] = true } };
}
