using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>Reads label selectors out of untyped objects.</summary>
internal static class Selectors
{
    internal static LabelSelector Read(JsonNode? selector) => new()
    {
        MatchLabels = (selector?["matchLabels"] as JsonObject ?? []).ToDictionary(pair => pair.Key, pair => (string?)pair.Value ?? "", StringComparer.Ordinal),
        MatchExpressions =
        [
            .. (selector?["matchExpressions"] as JsonArray ?? []).OfType<JsonObject>().Select(term => new LabelSelectorRequirement
            {
                Key = (string?)term["key"] ?? "", Operator = (string?)term["operator"] ?? "",
                Values = [.. (term["values"] as JsonArray ?? []).Select(value => (string?)value ?? "")],
            }),
        ],
    };
}
