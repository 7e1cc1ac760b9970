using System.Text.Json.Nodes;

namespace Isthmus.Injection;

/// <summary>
/// What the spans of a Pod's proxy say of its workload by the conventions of OpenTelemetry, if a provider of MeshConfig asks for them
/// (<c>serviceAttributeEnrichment</c>): https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/.
/// </summary>
internal static class SpanResources
{
    internal const string Variable = "OTEL_RESOURCE_ATTRIBUTES";

    private const string Own = "resource.opentelemetry.io/", Name = Own + "service.name", Namespace = Own + "service.namespace",
        Release = Own + "service.version", Instance = Own + "service.instance.id";

    /// <summary>What a Pod says itself.</summary>
    internal static readonly string[] Annotations = [Name, Namespace, Release, Instance];

    /// <summary>The value of the variable; null if the mesh does not ask for it, or the Pod's configuration sets it.</summary>
    internal static string? Of(InjectionInputs inputs)
    {
        if (inputs.ProxyMetadata.Any(variable => variable.Key == Variable) || !IsWanted(inputs.Values.Mesh)) return null;
        var containers = (inputs.Pod["spec"]?["containers"] as JsonArray ?? []).OfType<JsonObject>()
            .Where(container => container["name"]?.ToString() != ProxyContainer.Name).ToList();
        var instance = containers.Count > 0 ? $"{Escape(inputs.Namespace)}.$(POD_NAME).{Escape(containers[0]["name"]?.ToString() ?? "")}" : null;
        (string Name, string? Value)[] attributes =
        [
            ("service.name", Text(inputs, Name, inputs.Label("app.kubernetes.io/instance") ?? inputs.Label("app.kubernetes.io/name") ?? inputs.Workload.Name)),
            ("service.namespace", Text(inputs, Namespace, inputs.Namespace)),
            ("service.version",
                Text(inputs, Release,
                    inputs.Label("app.kubernetes.io/version") ?? (containers.Count == 1 ? Version(containers[0]["image"]?.ToString() ?? "") : null))),
            // The name of the Pod is not known yet.
            ("service.instance.id", inputs.Annotation(Instance) is { Length: > 0 } own ? Escape(own) : instance),
        ];
        return string.Join(',', attributes.Where(attribute => attribute.Value is { Length: > 0 }).Select(attribute => $"{attribute.Name}={attribute.Value}"));
    }

    private static bool IsWanted(JsonObject mesh) => (mesh["extensionProviders"] as JsonArray ?? []).OfType<JsonObject>()
        .Any(provider => (provider["opentelemetry"] as JsonObject)?["serviceAttributeEnrichment"]?.ToString() == "OTEL_SEMANTIC_CONVENTIONS");

    private static string? Text(InjectionInputs inputs, string annotation, string? otherwise) =>
        (inputs.Annotation(annotation) is { Length: > 0 } own ? own : otherwise) is { Length: > 0 } text ? Escape(text) : null;

    /// <summary>The tag of an image, and its digest: <c>1.2</c>, <c>sha256:…</c> or <c>1.2@sha256:…</c>; empty: neither.</summary>
    private static string Version(string image)
    {
        var (name, digest) = image.Split('@', 2) is [var before, var after] ? (before, after) : (image, "");
        var tag = name.LastIndexOf(':') is var colon && colon > name.LastIndexOf('/') ? name[(colon + 1)..] : "";
        return tag.Length > 0 && digest.Length > 0 ? $"{tag}@{digest}" : tag + digest;
    }

    /// <summary>Separators of the variable, and the beginning of a reference to another one.</summary>
    private static string Escape(string text) => Uri.EscapeDataString(text);
}
