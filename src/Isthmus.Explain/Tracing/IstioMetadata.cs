using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;

namespace Isthmus.Explain.Tracing;

/// <summary>Finds the Istio object that a resource was made from.</summary>
internal static class IstioMetadata
{
    /// <summary>The object as <c>namespace/name</c>; empty when the resource does not name one.</summary>
    public static string ConfigOf(MapField<string, Struct>? metadata)
    {
        if (metadata is null || !metadata.TryGetValue("istio", out var istio) || !istio.Fields.TryGetValue("config", out var config)) return "";
        var parts = config.StringValue.Split('/');
        var at = Array.IndexOf(parts, "namespaces");
        return at >= 0 && at + 3 < parts.Length ? $"{parts[at + 1]}/{parts[at + 3]}" : "";
    }
}
