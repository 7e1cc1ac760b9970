using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>Merges what ConfigMaps ask for over the objects of a Gateway (strategic merge). Pure.</summary>
internal static class GatewayOverlay
{
    /// <summary>What decides whose object it is.</summary>
    private static readonly string[] Identity = ["name", "namespace", "generateName", "uid", "resourceVersion", "ownerReferences", "finalizers",
        "managedFields"];

    private static readonly string[] PodMetadata = ["spec", "template", "metadata"];

    /// <summary>What has to stay a map, where it is one.</summary>
    private static readonly string[][] Maps =
    [
        ["metadata"], ["metadata", "labels"], ["metadata", "annotations"], ["spec"], ["spec", "template"], PodMetadata, [.. PodMetadata, "labels"],
        [.. PodMetadata, "annotations"],
    ];

    /// <summary>What decides whether and how a Pod is injected. The Pods of a Gateway are always injected as gateways.</summary>
    private static readonly (string Part, string Name)[] Injected =
        [("annotations", Annotations.InjectTemplates), ("annotations", Labels.Inject), ("labels", Labels.Inject)];

    /// <summary>Whether a ConfigMap asks for the object at all: some exist only then.</summary>
    internal static bool Asks(IEnumerable<GatewayParameters> parameters, string kind) =>
        parameters.Any(map => map.Parts.Any(part => ParameterRules.Parts.GetValueOrDefault(part.Key) == kind));

    /// <exception cref="ProblemException">A part cannot be merged.</exception>
    internal static JsonObject Over(JsonObject @object, IEnumerable<GatewayParameters> parameters)
    {
        var kind = @object["kind"]!.ToString();
        var merged = (JsonObject)@object.DeepClone();
        foreach (var map in parameters)
        {
            if (map.Parts.Keys.FirstOrDefault(key => !ParameterRules.Parts.ContainsKey(key)) is { } unknown)
                throw Fault(map, unknown, "is no part of a gateway",
                    $"use the keys {string.Join(", ", ParameterRules.Parts.Keys.Order(StringComparer.Ordinal))}");
            foreach (var (key, text) in map.Parts.Where(part => ParameterRules.Parts[part.Key] == kind))
            {
                var overlay = Read(map, key, text);
                foreach (var (part, name) in Injected)
                    if (kind == "Deployment" && MapAt(overlay, [.. PodMetadata, part])?.ContainsKey(name) == true)
                        throw Fault(map, key, $"sets {name} in {string.Join('.', PodMetadata)}.{part}, which has no effect: the Pods of a Gateway are always "
                            + "injected as gateways", "remove it");
                PodMerge.Over(merged, overlay, kind == "Service" ? "port" : "containerPort");
                if (Maps.FirstOrDefault(path => At(merged, path) is not JsonObject && (At(merged, path) is not null || IsNeeded(path))) is { } lost)
                    throw Fault(map, key, $"leaves no map at {string.Join('.', lost)}", "write a map there, with the fields to change");
            }
            // Labels by which the objects of a Gateway are found, and who owns them, are not the map's to change.
            foreach (var field in Identity)
                if (!JsonNode.DeepEquals(merged["metadata"]?[field], @object["metadata"]![field]))
                    throw Fault(map, key: KeyOf(kind), $"changes metadata.{field}", "remove the field");
        }
        foreach (var name in (string[])[GatewayNaming.GatewayLabel, GatewayNaming.ClassLabel, GatewayObjects.Managed])
        {
            Keep(["metadata"], "labels", name);
            Keep(PodMetadata, "labels", name);
        }
        // Whoever may write ConfigMaps, and may remove what these stand in, decides nothing about injection.
        if (kind == "Deployment") foreach (var (part, name) in Injected) Keep(PodMetadata, part, name);
        return merged;

        bool IsNeeded(string[] path) => path[^1] is not ("labels" or "annotations") && MapAt(@object, path) is not null;

        void Keep(string[] metadata, string part, string name)
        {
            if (MapAt(merged, metadata) is not { } target) return;
            if (target[part] is not JsonObject entries) target[part] = entries = [];
            if (MapAt(@object, [.. metadata, part])?[name] is { } value) entries[name] = value.DeepClone();
            else entries.Remove(name);
        }
    }

    private static JsonNode? At(JsonObject root, string[] path) => path.Aggregate((JsonNode?)root, (at, name) => (at as JsonObject)?[name]);

    private static JsonObject? MapAt(JsonObject root, string[] path) => At(root, path) as JsonObject;

    private static JsonObject Read(GatewayParameters map, string key, string text)
    {
        JsonNode? part;
        try { part = YamlText.Parse(text, key); }
        catch (ProblemException e) { throw Fault(map, key, e.Problem.Message, "correct the YAML"); }
        if (part is not JsonObject overlay) throw Fault(map, key, "is not a map", "write it as a part of the object, such as spec: {replicas: 2}");
        if (Directive(overlay) is { } directive)
            throw Fault(map, key, $"has the directive '{directive}'", "of the directives, only $patch: delete and $patch: replace are known");
        return overlay;
    }

    private static string? Directive(JsonNode? node) => node switch
    {
        JsonObject map => map.Select(field => field.Key.StartsWith('$') && !(field.Key == "$patch" && field.Value?.ToString() is "delete" or "replace")
            ? field.Key
            : Directive(field.Value))
            .FirstOrDefault(found => found is not null),
        JsonArray list => list.Select(Directive).FirstOrDefault(found => found is not null),
        _ => null,
    };

    private static string KeyOf(string kind) => ParameterRules.Parts.First(item => item.Value == kind).Key;

    private static ProblemException Fault(GatewayParameters map, string key, string message, string remedy) =>
        new(new Problem("", $"ConfigMap {map.Source}", $"data[{key}]", message, remedy));
}
