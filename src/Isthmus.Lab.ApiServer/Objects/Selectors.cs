using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;
using ObjectSelector = Isthmus.Kubernetes.Objects.LabelSelector;
using ObjectSelectorTerm = Isthmus.Kubernetes.Objects.LabelSelectorRequirement;

namespace Isthmus.Lab.ApiServer.Objects;

/// <summary>Reads label selectors as objects hold them.</summary>
internal static class Selectors
{
    /// <summary>Null for a missing selector, whose meaning (everything or nothing) its owner knows.</summary>
    public static ObjectSelector? Read(JsonNode? node) => node is not JsonObject selector ? null : new()
    {
        MatchLabels = Json.Map(selector["matchLabels"]).ToDictionary(),
        MatchExpressions =
        [
            .. Json.Objects(selector["matchExpressions"]).Select(term => new ObjectSelectorTerm
            {
                Key = Json.Text(term["key"]),
                Operator = Json.Text(term["operator"]),
                Values = [.. Json.Texts(term["values"])],
            }),
        ],
    };

    public static bool IsEmpty(ObjectSelector selector) => selector.MatchLabels.Count == 0 && selector.MatchExpressions.Count == 0;
}
