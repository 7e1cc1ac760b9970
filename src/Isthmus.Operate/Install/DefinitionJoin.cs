using System.Text.Json.Nodes;

namespace Isthmus.Operate.Install;

/// <summary>
/// Joins the definition of a kind that a cluster has with ours. Istio, or a later version of Isthmus, may have written it, and objects may
/// be stored in its versions. So nothing is removed from it: its storage version, versions, fields and constraints stay, and what it lacks
/// is added. Its labels and annotations belong to whoever installed it.
/// </summary>
internal static class DefinitionJoin
{
    private const string KeepsUnknown = "x-kubernetes-preserve-unknown-fields";

    /// <returns>What the cluster's definition should have: the one it has, if it lacks nothing.</returns>
    internal static JsonObject Of(JsonObject present, JsonObject ours)
    {
        var versions = new JsonArray();
        foreach (var version in Versions(present)) versions.Add((JsonNode)Version(version, Versions(ours)));
        var stored = Versions(present).FirstOrDefault(version => (bool?)version["storage"] ?? false);
        foreach (var own in Versions(ours).Where(own => Versions(present).All(version => Name(version) != Name(own))))
        {
            var added = (JsonObject)own.DeepClone();
            if (stored is not null)
            {
                added["storage"] = false;
                // An object that is written in this version must not lose fields that the stored version has.
                if (stored["schema"] is { } schema) added["schema"] = Schema(schema.AsObject(), own["schema"]!.AsObject());
            }
            versions.Add((JsonNode)added);
        }
        return new JsonObject
        {
            ["apiVersion"] = ours["apiVersion"]!.DeepClone(),
            ["kind"] = ours["kind"]!.DeepClone(),
            ["metadata"] = new JsonObject { ["name"] = ours["metadata"]!["name"]!.DeepClone() },
            ["spec"] = new JsonObject { ["versions"] = versions },
        };
    }

    /// <summary>All our versions have the same fields, so a version that we do not know gets them, too: written in it, an object would lose them.</summary>
    private static JsonObject Version(JsonObject present, IReadOnlyList<JsonObject> ours)
    {
        var joined = (JsonObject)present.DeepClone();
        if (ours.Any(own => Name(own) == Name(present))) joined["served"] = true;
        if (joined["schema"] is JsonObject schema) joined["schema"] = Schema(schema, ours[0]["schema"]!.AsObject());
        if (joined["subresources"]?["status"] is null)
        {
            var parts = joined["subresources"] as JsonObject ?? (JsonObject)(joined["subresources"] = new JsonObject())!;
            parts["status"] = new JsonObject();
        }
        return joined;
    }

    private static JsonObject Schema(JsonObject present, JsonObject ours) => new()
    {
        ["openAPIV3Schema"] = present["openAPIV3Schema"] is JsonObject shape
            ? Shape(shape, ours["openAPIV3Schema"]!.AsObject())
            : ours["openAPIV3Schema"]!.DeepClone(),
    };

    private static JsonObject Shape(JsonObject present, JsonObject ours)
    {
        var joined = (JsonObject)present.DeepClone();
        // Of two types, the one of the stored objects counts.
        if (present["type"]?.ToString() != ours["type"]?.ToString()) return joined;
        if (present["enum"] is JsonArray values)
        {
            if (ours["enum"] is JsonArray more)
                joined["enum"] = new JsonArray([.. values.Concat(more.Where(value => values.All(known => !JsonNode.DeepEquals(known, value))))
                    .Select(value => value?.DeepClone())]);
            else joined.Remove("enum");
        }
        if (present["items"] is JsonObject item && ours["items"] is JsonObject ownItem) joined["items"] = Shape(item, ownItem);
        if (present["additionalProperties"] is JsonObject entry && ours["additionalProperties"] is JsonObject ownEntry)
            joined["additionalProperties"] = Shape(entry, ownEntry);
        if (present["properties"] is JsonObject properties && ours["properties"] is JsonObject own)
        {
            var fields = joined["properties"]!.AsObject();
            foreach (var (name, shape) in own) fields[name] = properties[name] is JsonObject known ? Shape(known, shape!.AsObject()) : shape!.DeepClone();
            // Of policies: admission has to see fields that nobody knows, to refuse them.
            if ((bool?)ours[KeepsUnknown] ?? false) joined[KeepsUnknown] = true;
        }
        return joined;
    }

    private static IReadOnlyList<JsonObject> Versions(JsonObject definition) => [.. (definition["spec"]?["versions"] as JsonArray ?? []).OfType<JsonObject>()];

    private static string Name(JsonObject version) => version["name"]?.ToString() ?? "";
}
