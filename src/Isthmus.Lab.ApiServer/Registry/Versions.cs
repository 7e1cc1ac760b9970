using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Registry;

/// <summary>The same object in another version of its resource.</summary>
public static class Versions
{
    /// <summary>A fresh tree of the stored object in the version of <paramref name="kind"/>.</summary>
    public static JsonObject ToRequested(KindDescriptor kind, StoredObject stored)
    {
        var tree = stored.Parse();
        if (!IsAsStored(kind, stored)) Convert(kind.ApiVersion, tree);
        if (kind.IsCustom) kind.Strategy.Default(tree);
        return tree;
    }

    /// <summary>The bytes can be sent as they are.</summary>
    public static bool IsAsStored(KindDescriptor kind, StoredObject stored)
    {
        // The bytes begin {"kind":"K","apiVersion":"V", and the body after that comma.
        Span<byte> version = stackalloc byte[kind.ApiVersion.Length + 2];
        version[0] = (byte)'"';
        version[^1] = (byte)'"';
        System.Text.Encoding.ASCII.GetBytes(kind.ApiVersion, version[1..]);
        return stored.Json.Span[..(stored.BodyStart - 1)].EndsWith(version);
    }

    /// <summary>Changes the tree to the version in which objects are stored.</summary>
    public static JsonObject ToStorage(KindDescriptor kind, JsonObject o)
    {
        if (kind.StorageApiVersion.Length > 0 && (string?)o["apiVersion"] != kind.StorageApiVersion) Convert(kind.StorageApiVersion, o);
        return o;
    }

    private static void Convert(string to, JsonObject o)
    {
        var from = (string?)o["apiVersion"] ?? "";
        switch ((from, to))
        {
            case ("v1", "events.k8s.io/v1"):
                EventVersions.ToEvents(o);
                break;
            case ("events.k8s.io/v1", "v1"):
                EventVersions.ToCore(o);
                break;
            case ("autoscaling/v2", "autoscaling/v1"):
                AutoscalerVersions.ToV1(o);
                break;
            case ("autoscaling/v1", "autoscaling/v2"):
                AutoscalerVersions.ToV2(o);
                break;
        }
        o["apiVersion"] = to;
    }
}

/// <summary>Events have different names for the same fields in their two groups.</summary>
internal static class EventVersions
{
    private static readonly (string Core, string Events)[] Names =
    [
        ("involvedObject", "regarding"), ("message", "note"), ("source", "deprecatedSource"), ("firstTimestamp", "deprecatedFirstTimestamp"),
        ("lastTimestamp", "deprecatedLastTimestamp"), ("count", "deprecatedCount"), ("reportingComponent", "reportingController"),
    ];

    internal static void ToEvents(JsonObject o) => Rename(o, Names.Select(name => (name.Core, name.Events)));

    internal static void ToCore(JsonObject o) => Rename(o, Names.Select(name => (name.Events, name.Core)));

    private static void Rename(JsonObject o, IEnumerable<(string From, string To)> names)
    {
        foreach (var (from, to) in names)
            if (o.Remove(from, out var value)) o[to] = value;
    }
}

/// <summary>autoscaling/v1 knows the CPU only; the rest is not shown in it.</summary>
internal static class AutoscalerVersions
{
    internal static void ToV1(JsonObject o)
    {
        if (o["spec"] is JsonObject spec)
        {
            var cpu = (spec["metrics"] as JsonArray)?.FirstOrDefault(IsCpu);
            if (cpu?["resource"]?["target"]?["averageUtilization"] is { } target) spec["targetCPUUtilizationPercentage"] = target.DeepClone();
            spec.Remove("metrics");
            spec.Remove("behavior");
        }
        if (o["status"] is not JsonObject status) return;
        var current = (status["currentMetrics"] as JsonArray)?.FirstOrDefault(IsCpu);
        if (current?["resource"]?["current"]?["averageUtilization"] is { } used) status["currentCPUUtilizationPercentage"] = used.DeepClone();
        status.Remove("currentMetrics");
        status.Remove("conditions");
        status["currentReplicas"] ??= 0;
        status["desiredReplicas"] ??= 0;
    }

    internal static void ToV2(JsonObject o)
    {
        if (o["spec"] is JsonObject spec && spec.Remove("targetCPUUtilizationPercentage", out var target) && target is not null)
            spec["metrics"] = new JsonArray(Metric("target", target, "type"));
        if (o["status"] is JsonObject status && status.Remove("currentCPUUtilizationPercentage", out var used) && used is not null)
            status["currentMetrics"] = new JsonArray(Metric("current", used, null));
    }

    private static bool IsCpu(JsonNode? metric) => (string?)metric?["type"] == "Resource" && (string?)metric["resource"]?["name"] == "cpu";

    private static JsonObject Metric(string side, JsonNode utilization, string? typeField)
    {
        var amount = new JsonObject();
        if (typeField is not null) amount[typeField] = "Utilization";
        amount["averageUtilization"] = utilization.DeepClone();
        return new() { ["type"] = "Resource", ["resource"] = new JsonObject { ["name"] = "cpu", [side] = amount } };
    }
}
