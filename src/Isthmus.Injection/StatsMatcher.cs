using System.Text.Json.Nodes;
using Isthmus.Core.Names;

namespace Isthmus.Injection;

/// <summary>Which statistics a proxy shows in addition (ProxyConfig's <c>proxyStatsMatcher</c>). Annotations of the Pod replace its lists.</summary>
internal static class StatsMatcher
{
    private const string Field = "proxyStatsMatcher", Annotation = "sidecar.istio.io/statsInclusion";

    private static readonly string[] Lists = ["Prefixes", "Suffixes", "Regexps"];

    /// <summary>Puts the lists of annotations into the proxy's configuration, and leaves out expressions that no proxy could use.</summary>
    internal static void Apply(InjectionInputs inputs)
    {
        foreach (var list in Lists)
        {
            if (inputs.Annotation(Annotation + list) is not { } text) continue;
            if (inputs.ProxyConfig[Field] is not JsonObject matcher) inputs.ProxyConfig[Field] = matcher = [];
            matcher[$"inclusion{list}"] = new JsonArray([.. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Select(item => (JsonNode)item)]);
        }
        if (inputs.ProxyConfig[Field]?["inclusionRegexps"] is not JsonArray patterns) return;
        foreach (var pattern in patterns.ToArray())
        {
            if (LinearRegex.Fault(pattern!.ToString()) is not { } fault) continue;
            patterns.Remove(pattern);
            inputs.Warnings.Add($"{Field}.inclusionRegexps: {fault}; it selects no statistics");
        }
    }
}
