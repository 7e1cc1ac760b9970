using System.Globalization;
using System.Text.Json.Nodes;
using static Isthmus.Operate.Diagnose.ConfigDump;

namespace Isthmus.Operate.Diagnose;

/// <summary>The AuthorizationPolicies in force at a proxy, from the filters of its listeners: what the proxy applies, not what objects say.</summary>
public static class PolicyTable
{
    /// <summary>What Istio calls the policy that an ALLOW without matching rules is.</summary>
    private const string Anonymous = "_anonymous_match_nothing_";

    /// <summary>What the names of rules begin with that an external authorizer decides about.</summary>
    private const string Custom = "istio-ext-authz-";

    /// <summary>The action of such rules where the proxy knows no way to the authorizer.</summary>
    private const string Unasked = "CUSTOM (denies: no authorizer can be asked)";

    /// <param name="listeners">The listeners of the proxy.</param>
    /// <returns>Columns of <c>istioctl x authz check</c>; a policy that is only tried out has <c>(dry run)</c> after its action, and one that leaves the
    /// decision to an external authorizer the host and port of that.</returns>
    public static (string[] Header, IReadOnlyList<string[]> Rows) Of(IEnumerable<JsonObject> listeners)
    {
        // A listener has the same rules in many of its chains, and in filters for HTTP and TCP.
        var rules = new HashSet<(string Action, string Policy, string Rule)>();
        var all = listeners.ToList();
        var authorizers = Authorizers(all);
        foreach (var filter in all.SelectMany(listener => Filters(listener, ".rbac.v3.RBAC")))
        {
            Add(At(filter, "rules"), "", Unasked);
            var prefix = At(filter, "shadow_rules_stat_prefix")?.ToString() ?? "";
            Add(At(filter, "shadow_rules"), " (dry run)", authorizers.GetValueOrDefault(prefix) is { } asked ? $"CUSTOM ({asked})" : "CUSTOM");
        }
        // Authorizers that speak HTTP decide about requests only: what the same policy does to bare connections gets no row.
        var decided = rules.Where(rule => rule.Action != Unasked && rule.Rule.StartsWith(Custom, StringComparison.Ordinal)).Select(rule => rule.Policy)
            .ToHashSet(StringComparer.Ordinal);
        rules.RemoveWhere(rule => rule.Action == Unasked && decided.Contains(rule.Policy));
        var rows = rules.GroupBy(rule => (rule.Action, rule.Policy)).OrderBy(group => group.Key.Action, StringComparer.Ordinal)
            .ThenBy(group => group.Key.Policy, StringComparer.Ordinal)
            .Select(group => (string[])[group.Key.Action, group.Key.Policy, group.Count().ToString(CultureInfo.InvariantCulture)]);
        return (["ACTION", "AuthorizationPolicy", "RULES"], [.. rows]);

        void Add(JsonNode? given, string suffix, string custom)
        {
            if (given is null) return;
            var policies = At(given, "policies") as JsonObject ?? [];
            var action = (At(given, "action")?.ToString() ?? "ALLOW") + suffix;
            if (policies.Count == 0 && action.StartsWith("ALLOW", StringComparison.Ordinal)) rules.Add((action, Anonymous, ""));
            foreach (var (name, _) in policies) rules.Add((name.StartsWith(Custom, StringComparison.Ordinal) ? custom : action, NameOf(name), name));
        }
    }

    /// <summary>The host and port of each external authorizer, by the prefix of what the rules before it find out.</summary>
    private static Dictionary<string, string> Authorizers(List<JsonObject> listeners)
    {
        const string Found = "shadow_effective_policy_id";
        var authorizers = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var filter in listeners.SelectMany(listener => Filters(listener, ".ext_authz.v3.ExtAuthz")))
        {
            var key = (At(filter, "filter_enabled_metadata", "path") as JsonArray)?.Select(part => At(part, "key")?.ToString() ?? "").FirstOrDefault() ?? "";
            var cluster = (At(filter, "http_service", "server_uri", "cluster") ?? At(filter, "grpc_service", "envoy_grpc", "cluster_name"))?.ToString() ?? "";
            if (key.EndsWith(Found, StringComparison.Ordinal) && cluster.Length > 0)
                authorizers[key[..^Found.Length]] = cluster.Split('|') is [_, var port, _, var host] ? $"{host}:{port}" : cluster;
        }
        return authorizers;
    }

    /// <summary><c>ns[shop]-policy[web]-rule[0]</c> → <c>web.shop</c>.</summary>
    private static string NameOf(string rule) =>
        rule.Split('[', ']') is [_, var ns, "-policy", var policy, "-rule", _, _]
            ? $"{policy}.{ns}"
            : rule.StartsWith(Custom, StringComparison.Ordinal)
            ? NameOf(rule[Custom.Length..])
            : rule;

    private static IEnumerable<JsonNode> Filters(JsonNode? node, string kind) => node switch
    {
        JsonObject map when map["@type"]?.ToString() is { } type && type.EndsWith(kind, StringComparison.Ordinal) => [map],
        JsonObject map => map.SelectMany(field => Filters(field.Value, kind)),
        JsonArray list => list.SelectMany(item => Filters(item, kind)),
        _ => [],
    };
}
