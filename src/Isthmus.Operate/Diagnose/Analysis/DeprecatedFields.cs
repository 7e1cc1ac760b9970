using System.Text.Json.Nodes;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Fields and providers that Istio has replaced by others, or given up. Pure.</summary>
public static class DeprecatedFields
{
    private static readonly (string Kind, string[] Path, string Instead)[] Fields =
    [
        ("VirtualService", ["spec", "http", "[]", "fault", "delay", "percent"], "percentage"),
        ("VirtualService", ["spec", "http", "[]", "mirrorPercent"], "mirrorPercentage"),
        ("VirtualService", ["spec", "http", "[]", "mirror_percent"], "mirrorPercentage"),
        ("VirtualService", ["spec", "http", "[]", "corsPolicy", "allowOrigin"], "allowOrigins"),
        ("Sidecar", ["spec", "outboundTrafficPolicy", "egressProxy"], ""),
        ("DestinationRule", ["spec", "trafficPolicy", "outlierDetection", "consecutiveErrors"], "consecutive5xxErrors"),
        ("DestinationRule", ["spec", "trafficPolicy", "portLevelSettings", "[]", "outlierDetection", "consecutiveErrors"], "consecutive5xxErrors"),
        ("DestinationRule", ["spec", "subsets", "[]", "trafficPolicy", "outlierDetection", "consecutiveErrors"], "consecutive5xxErrors"),
    ];

    public static Analyzer Analyzer
    {
        get;
    } = new("deprecation.FieldAnalyzer", "Checks for fields that Istio has replaced", [IstioCodes.Deprecated], [], mesh =>
    [
        ..
        from cluster in mesh.Readable
        from field in Fields
        from value in cluster.Objects(field.Kind)
        from path in Paths(value, field.Path, "")
        select IstioCodes.Deprecated.At(cluster, ClusterInventory.NameOf(value), path, "is deprecated",
            field.Instead.Length > 0 ? $"use {field.Instead}" : "remove it"),
        ..
        from cluster in mesh.Readable
        from telemetry in cluster.Istio<Telemetry>()
        from rule in telemetry.Tracing.Items.Index()
        from provider in rule.Item.Providers.Items.Index()
        where cluster.Lightsteps.Contains(provider.Item)
        select IstioCodes.Deprecated.At(cluster, $"Telemetry {telemetry.Namespace}/{telemetry.Name}",
            $"spec.tracing[{rule.Index}].providers[{provider.Index}].name", $"the provider \"{provider.Item}\" is of Lightstep, which is deprecated",
            "use a provider of opentelemetry"),
    ]);

    private static IEnumerable<string> Paths(JsonNode? node, ReadOnlyMemory<string> rest, string path)
    {
        if (node is null) return [];
        if (rest.IsEmpty) return [path];
        var step = rest.Span[0];
        if (step == "[]") return (node as JsonArray ?? []).Index().SelectMany(item => Paths(item.Item, rest[1..], $"{path}[{item.Index}]"));
        return node is JsonObject map ? Paths(map[step], rest[1..], path.Length == 0 ? step : $"{path}.{step}") : [];
    }
}
