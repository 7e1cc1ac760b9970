using System.Globalization;
using System.Text.Json.Nodes;
using static Isthmus.Operate.Diagnose.ConfigDump;

namespace Isthmus.Operate.Diagnose;

/// <summary>The AuthorizationPolicies in force at a proxy, from the filters of its listeners: what the proxy applies, not what objects say.</summary>
public static class PolicyTable
{
    /// <summary>What Istio calls the policy that an ALLOW without matching rules is.</summary>
    private const string Anonymous = "_anonymous_match_nothing_";

    /// <param name="listeners">The listeners of the proxy.</param>
    /// <returns>Columns of <c>istioctl x authz check</c>; a policy that is only tried out has <c>(dry run)</c> after its action.</returns>
    public static (string[] Header, IReadOnlyList<string[]> Rows) Of(IEnumerable<JsonObject> listeners)
    {
        // A listener has the same rules in many of its chains, and in filters for HTTP and TCP.
        var rules = new HashSet<(string Action, string Policy, string Rule)>();
        foreach (var filter in listeners.SelectMany(Filters))
        {
            Add(At(filter, "rules"), "");
            Add(At(filter, "shadow_rules"), " (dry run)");
        }
        var rows = rules.GroupBy(rule => (rule.Action, rule.Policy)).OrderBy(group => group.Key.Action, StringComparer.Ordinal)
            .ThenBy(group => group.Key.Policy, StringComparer.Ordinal)
            .Select(group => (string[])[group.Key.Action, group.Key.Policy, group.Count().ToString(CultureInfo.InvariantCulture)]);
        return (["ACTION", "AuthorizationPolicy", "RULES"], [.. rows]);

        void Add(JsonNode? given, string suffix)
        {
            if (given is null) return;
            var policies = At(given, "policies") as JsonObject ?? [];
            var action = (At(given, "action")?.ToString() ?? "ALLOW") + suffix;
            if (policies.Count == 0 && action.StartsWith("ALLOW", StringComparison.Ordinal)) rules.Add((action, Anonymous, ""));
            foreach (var (name, _) in policies) rules.Add((action, NameOf(name), name));
        }
    }

    /// <summary><c>ns[shop]-policy[web]-rule[0]</c> → <c>web.shop</c>.</summary>
    private static string NameOf(string rule) =>
        rule.Split('[', ']') is [_, var ns, "-policy", var policy, "-rule", _, _]
            ? $"{policy}.{ns}"
            : rule.StartsWith("istio-ext-authz-", StringComparison.Ordinal)
            ? NameOf(rule["istio-ext-authz-".Length..])
            : rule;

    private static IEnumerable<JsonNode> Filters(JsonNode? node) => node switch
    {
        JsonObject map when map["@type"]?.ToString() is { } type && type.EndsWith(".rbac.v3.RBAC", StringComparison.Ordinal) => [map],
        JsonObject map => map.SelectMany(field => Filters(field.Value)),
        JsonArray list => list.SelectMany(Filters),
        _ => [],
    };
}
