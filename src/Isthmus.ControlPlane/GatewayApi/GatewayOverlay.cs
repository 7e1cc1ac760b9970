using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Injection;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>Merges what ConfigMaps ask for over the objects of a Gateway (strategic merge). Pure.</summary>
internal static class GatewayOverlay
{
    /// <summary>The keys of such a ConfigMap, each with the kind of object that it is for.</summary>
    internal static readonly IReadOnlyDictionary<string, string> Kinds = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["deployment"] = "Deployment", ["service"] = "Service", ["serviceAccount"] = "ServiceAccount",
        ["horizontalPodAutoscaler"] = "HorizontalPodAutoscaler", ["podDisruptionBudget"] = "PodDisruptionBudget",
    };

    /// <summary>What decides whose object it is.</summary>
    private static readonly string[] Identity = ["name", "namespace", "generateName", "uid", "resourceVersion", "ownerReferences", "finalizers",
        "managedFields"];

    /// <summary>What decides whether and how a Pod is injected. The Pods of a Gateway are always injected as gateways.</summary>
    private static readonly (string Part, string Name)[] Injected =
        [("annotations", Annotations.InjectTemplates), ("annotations", Labels.Inject), ("labels", Labels.Inject)];

    /// <summary>Whether a ConfigMap asks for the object at all: some exist only then.</summary>
    internal static bool Asks(IEnumerable<GatewayParameters> parameters, string kind) =>
        parameters.Any(map => map.Parts.Any(part => Kinds.GetValueOrDefault(part.Key) == kind));

    /// <exception cref="ProblemException">A part cannot be merged.</exception>
    internal static JsonObject Over(JsonObject @object, IEnumerable<GatewayParameters> parameters)
    {
        var kind = @object["kind"]!.ToString();
        var merged = (JsonObject)@object.DeepClone();
        foreach (var map in parameters)
        {
            if (map.Parts.Keys.FirstOrDefault(key => !Kinds.ContainsKey(key)) is { } unknown)
                throw Fault(map, unknown, "is no part of a gateway", $"use the keys {string.Join(", ", Kinds.Keys.Order(StringComparer.Ordinal))}");
            foreach (var (key, text) in map.Parts.Where(part => Kinds[part.Key] == kind))
            {
                var overlay = Read(map, key, text);
                foreach (var (part, name) in Injected)
                    if (kind == "Deployment" && (overlay["spec"]?["template"]?["metadata"]?[part] as JsonObject)?.ContainsKey(name) == true)
                        throw Fault(map, key, $"sets {name} in spec.template.metadata.{part}, which has no effect: the Pods of a Gateway are always "
                            + "injected as gateways", "remove it");
                PodMerge.Over(merged, overlay, kind == "Service" ? "port" : "containerPort");
            }
            // Labels by which the objects of a Gateway are found, and who owns them, are not the map's to change.
            foreach (var field in Identity)
                if (!JsonNode.DeepEquals(merged["metadata"]?[field], @object["metadata"]![field]))
                    throw Fault(map, key: KeyOf(kind), $"changes metadata.{field}", "remove the field");
        }
        if (merged["metadata"]?["labels"] is not JsonObject labels) merged["metadata"]!["labels"] = labels = [];
        foreach (var (name, value) in (JsonObject)@object["metadata"]!["labels"]!)
            if (name is GatewayNaming.GatewayLabel or GatewayNaming.ClassLabel or GatewayObjects.Managed) labels[name] = value!.DeepClone();
        return merged;
    }

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

    private static string KeyOf(string kind) => Kinds.First(item => item.Value == kind).Key;

    private static ProblemException Fault(GatewayParameters map, string key, string message, string remedy) =>
        new(new Problem("", $"ConfigMap {map.Source}", $"data[{key}]", message, remedy));
}
