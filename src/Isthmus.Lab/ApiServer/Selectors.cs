using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.ApiServer;

/// <summary>Reads label selectors as objects hold them.</summary>
internal static class Selectors
{
    /// <summary>Null for a missing selector, whose meaning (everything or nothing) its owner knows.</summary>
    public static LabelSelector? Read(JsonNode? node) => node is not JsonObject selector ? null : new()
    {
        MatchLabels = Json.Map(selector["matchLabels"]).ToDictionary(),
        MatchExpressions =
        [
            .. Json.Objects(selector["matchExpressions"]).Select(term => new LabelSelectorRequirement
            {
                Key = Json.Text(term["key"]),
                Operator = Json.Text(term["operator"]),
                Values = [.. Json.Texts(term["values"])],
            }),
        ],
    };

    public static bool IsEmpty(LabelSelector selector) => selector.MatchLabels.Count == 0 && selector.MatchExpressions.Count == 0;
}
