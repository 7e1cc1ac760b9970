using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>Conditions in the status of an object of which some types are ours: other controllers write others.</summary>
/// <param name="types">Those that are ours.</param>
internal sealed class OwnConditions(params string[] types)
{
    public static readonly OwnConditions OfExports = new("Valid", "Ready", "Conflict"), OfImports = new("Ready");

    /// <summary>Whether conditions differ in ours.</summary>
    public bool Differ(ValueList<ExportCondition> one, ValueList<ExportCondition> other) => Own(one) != Own(other);

    /// <returns>All conditions of an object, those of others as they are; null: ours are up to date.</returns>
    public JsonArray? Changed(JsonObject found, ValueList<ExportCondition> wanted, string now)
    {
        var known = (found["status"]?["conditions"] as JsonArray ?? []).OfType<JsonObject>().ToList();
        var facts = known.Select(MultiClusterFacts.ConditionOf).ToList();
        if (!Differ(facts.ToValueList(), wanted)) return null;
        return new([
            .. known.Where((_, at) => !types.Contains(facts[at].Type)).Select(other => other.DeepClone()),
            .. wanted.Select(condition => (JsonNode)new JsonObject
            {
                ["type"] = condition.Type,
                ["status"] = condition.Status ? "True" : "False",
                ["reason"] = condition.Reason,
                ["message"] = condition.Message,
                ["lastTransitionTime"] = facts.FindIndex(fact => (fact.Type, fact.Status) == (condition.Type, condition.Status)) is >= 0 and var at
                    && known[at]["lastTransitionTime"]?.ToString() is { Length: > 0 } since ? since : now,
            }),
        ]);
    }

    private ValueList<ExportCondition> Own(ValueList<ExportCondition> all) =>
        all.Where(condition => types.Contains(condition.Type)).OrderBy(condition => condition.Type, StringComparer.Ordinal).ToValueList();
}
