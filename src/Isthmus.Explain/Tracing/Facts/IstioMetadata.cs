using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>Finds the Istio object that a resource was made from.</summary>
internal static class IstioMetadata
{
    /// <summary>The object as <c>namespace/name</c>; empty when the resource does not name one.</summary>
    public static string ConfigOf(MapField<string, Struct>? metadata) => ObjectOf(metadata).Name;

    /// <summary>The object that routes, as <c>namespace/name</c> for a VirtualService, and <c>KIND namespace/name</c> for a route of the Gateway API; empty
    /// when the resource does not name one.</summary>
    public static string RuleOf(MapField<string, Struct>? metadata) =>
        ObjectOf(metadata) is var (kind, name) && kind.EndsWith("Route", StringComparison.Ordinal) ? $"{kind} {name}" : name;

    /// <summary>Whether a route of the Gateway API routes.</summary>
    /// <param name="rule">As <see cref="RuleOf"/> names it.</param>
    public static bool IsOfGatewayApi(string rule) => rule.IndexOf(' ', StringComparison.Ordinal) is > 0 and var end
        && rule[..end].EndsWith("Route", StringComparison.Ordinal);

    /// <summary>Whether an Ingress routes.</summary>
    public static bool IsOfIngress(string rule) => rule.StartsWith("Ingress ", StringComparison.Ordinal);

    private static (string Kind, string Name) ObjectOf(MapField<string, Struct>? metadata)
    {
        if (metadata is null || !metadata.TryGetValue("istio", out var istio) || !istio.Fields.TryGetValue("config", out var config)) return ("", "");
        var parts = config.StringValue.Split('/');
        var at = Array.IndexOf(parts, "namespaces");
        return at >= 0 && at + 3 < parts.Length ? (parts[at + 2], $"{parts[at + 1]}/{parts[at + 3]}") : ("", "");
    }
}
