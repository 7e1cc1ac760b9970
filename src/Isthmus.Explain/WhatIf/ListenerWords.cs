using System.Text.Json.Nodes;
using static Isthmus.Operate.Diagnose.ConfigDump;

namespace Isthmus.Explain.WhatIf;

/// <summary>Says how listeners change: who may call, and whether plain text is accepted.</summary>
internal static class ListenerWords
{
    /// <summary>How <see cref="Values"/> shows a negated <c>any</c>.</summary>
    private const string Nobody = "not ()";

    internal static IEnumerable<ConfigChange> Of(ChangedResource resource)
    {
        var label = $"listener {resource.Name}";
        if (resource.Before is null) return [new('+', label, $"listens on {Address(resource.After)}")];
        if (resource.After is null) return [new('-', label, $"no longer listens on {Address(resource.Before)}")];
        var found = Policies(resource, label).Concat(PlainText(resource, label)).Concat(ServerNames(resource, label)).ToList();
        return found.Count > 0 ? found : FieldChanges.Between(resource.Before, resource.After).Select(field => new ConfigChange('~', label, field));
    }

    private static string Address(JsonNode? listener) =>
        At(listener, "address", "socket_address") is { } socket ? $"{At(socket, "address")}:{At(socket, "port_value")}"
            : At(listener, "internal_listener") is not null ? "calls within the proxy" : "its address";

    private static IEnumerable<ConfigChange> Policies(ChangedResource resource, string label)
    {
        var (before, after) = (Rules(resource.Before!), Rules(resource.After!));
        var (allowedBefore, allowedAfter) = (before.Where(rule => rule.Action == "ALLOW").ToList(), after.Where(rule => rule.Action == "ALLOW").ToList());
        if (allowedBefore.Count == 0 && allowedAfter.Count > 0)
        {
            var policies = allowedAfter.SelectMany(rule => rule.Policies).ToList();
            var exceptions = Names(policies.Where(policy => !IsForNobody(policy.Value)));
            yield return new('~', label,
                exceptions.Length == 0
                    ? $"requests are now denied: {Owners(policies)} allows nobody"
                    : $"requests are now denied, except those that {exceptions} allows");
        }
        else if (allowedBefore.Count > 0 && allowedAfter.Count == 0) yield return new('~', label, "requests no longer need a policy that allows them");
        foreach (var action in before.Concat(after).Select(rule => rule.Action).Distinct().Order(StringComparer.Ordinal).ToList())
        {
            var (old, now) = (Of(before, action), Of(after, action));
            foreach (var name in old.Keys.Union(now.Keys).Order(StringComparer.Ordinal))
            {
                var (was, becomes) = (old.GetValueOrDefault(name), now.GetValueOrDefault(name));
                if (JsonNode.DeepEquals(was, becomes)) continue;
                var verb = Verb(action);
                if (was is null) yield return new('+', label, $"{Name(name)} {verb} requests{Meaning(becomes!)}");
                else if (becomes is null) yield return new('-', label, $"{Name(name)} no longer {verb} requests{Meaning(was)}");
                else yield return new('~', label, $"{Name(name)} {verb} requests{Meaning(becomes)} instead of requests{Meaning(was)}");
            }
        }
    }

    private static string Verb(string action) => action switch { "ALLOW" => "allows", "DENY" => "denies", _ => "logs" };

    private static string Names(IEnumerable<KeyValuePair<string, JsonNode?>> policies) =>
        string.Join(" or ", policies.Select(policy => Name(policy.Key)).Distinct().Order(StringComparer.Ordinal));

    private static Dictionary<string, JsonNode?> Of(List<Rule> rules, string action)
    {
        var found = new Dictionary<string, JsonNode?>(StringComparer.Ordinal);
        foreach (var (name, policy) in rules.Where(rule => rule.Action == action).SelectMany(rule => rule.Policies).Where(policy => !IsForNobody(policy.Value)))
            found.TryAdd(name, policy);
        return found;
    }

    /// <summary><c>ns[default]-policy[deny-all]-rule[0]</c>, as Istio names rules, in the words of a user.</summary>
    private static string Name(string rule)
    {
        var parts = rule.Split('[', ']');
        return parts is ["ns", var ns, "-policy", var policy, "-rule", var index, ..] ? $"AuthorizationPolicy {ns}/{policy} (rule {index})" : $"policy {rule}";
    }

    /// <summary>The policies of rules.</summary>
    private static string Owners(IEnumerable<KeyValuePair<string, JsonNode?>> policies) =>
        string.Join(" or ", policies.Select(policy => Name(policy.Key).Split(" (rule")[0]).Distinct().Order(StringComparer.Ordinal));

    /// <summary>A policy without rules has one that matches no caller.</summary>
    private static bool IsForNobody(JsonNode? policy) => Values(At(policy, "principals")) == Nobody;

    /// <summary>Which callers may do what, as far as names and values tell.</summary>
    private static string Meaning(JsonNode? policy)
    {
        var (from, to) = (Values(At(policy, "principals")), Values(At(policy, "permissions")));
        return $"{(from.Length > 0 ? $" from {from}" : "")}{(to.Length > 0 ? $" to {to}" : "")}";
    }

    private static string Values(JsonNode? node) => string.Join(", ", Leaves(node).Where(text => text is not ("true" or "True")).Distinct().Take(6));

    private static IEnumerable<string> Leaves(JsonNode? node) => node switch
    {
        JsonObject tree when tree["not_rule"] is { } not => [$"not ({Values(not)})"],
        JsonObject tree when tree["not_id"] is { } not => [$"not ({Values(not)})"],
        JsonObject tree when tree["prefix"] is JsonValue prefix => [$"{prefix}*"],
        JsonObject tree when tree["suffix"] is JsonValue suffix => [$"*{suffix}"],
        JsonObject tree when tree["address_prefix"] is JsonValue address => [$"{address}/{tree["prefix_len"]}"],
        JsonObject tree when tree["google_re2"] is not null || tree["regex"] is not null => [$"~ {tree["regex"]}"],
        JsonObject tree => tree.Where(field => field.Key is not ("name" or "@type" or "filter" or "key")).SelectMany(field => Leaves(field.Value)),
        JsonArray list => list.SelectMany(Leaves),
        null => [],
        _ => [node.ToString()],
    };

    private static IEnumerable<ConfigChange> PlainText(ChangedResource resource, string label)
    {
        var (before, after) = (TakesPlainText(resource.Before!), TakesPlainText(resource.After!));
        if (before is null || after is null) yield break;
        foreach (var port in after.Keys.Intersect(before.Keys).Where(port => before[port] != after[port]).Order())
        {
            var where = port == 0 ? "on all other ports" : $"on port {port}";
            yield return new('~', label,
                after[port] ? $"plain text is now accepted {where}" : $"plain text is no longer accepted {where}: callers need mutual TLS");
        }
    }

    /// <summary>By port of the inbound listener, whether a chain takes connections without TLS; null: another listener.</summary>
    private static Dictionary<int, bool>? TakesPlainText(JsonObject listener)
    {
        if (At(listener, "name")?.ToString() != "virtualInbound") return null;
        return (At(listener, "filter_chains") as JsonArray ?? []).OfType<JsonObject>()
            .GroupBy(chain => int.TryParse(At(chain, "filter_chain_match", "destination_port")?.ToString(), out var port) ? port : 0)
            .ToDictionary(chains => chains.Key,
                chains => chains.Any(chain => At(chain, "filter_chain_match", "transport_protocol")?.ToString() != "tls" && chain["transport_socket"] is null));
    }

    /// <summary>The names by which clients ask for a chain with TLS, as gateways have one for each host.</summary>
    private static IEnumerable<ConfigChange> ServerNames(ChangedResource resource, string label)
    {
        var (before, after) = (NamesOf(resource.Before!), NamesOf(resource.After!));
        foreach (var name in after.Except(before)) yield return new('+', label, $"accepts TLS for {ResourceWords.Short(name)}");
        foreach (var name in before.Except(after)) yield return new('-', label, $"no longer accepts TLS for {ResourceWords.Short(name)}");
    }

    private static List<string> NamesOf(JsonObject listener) =>
        [.. (At(listener, "filter_chains") as JsonArray ?? []).SelectMany(chain => At(chain, "filter_chain_match", "server_names") as JsonArray ?? [])
            .Select(name => name!.ToString()).Distinct()];

    private sealed record Rule(string Action, IReadOnlyList<KeyValuePair<string, JsonNode?>> Policies);

    /// <summary>The rules of all filters that enforce policies. Those of all chains are the same.</summary>
    private static List<Rule> Rules(JsonNode? node) => node switch
    {
        JsonObject tree when tree["@type"]?.ToString().EndsWith(".rbac.v3.RBAC", StringComparison.Ordinal) == true => At(tree, "rules") is { } rules
            ? [new(At(rules, "action")?.ToString() ?? "ALLOW", [.. At(rules, "policies") as JsonObject ?? []])] : [],
        JsonObject tree => [.. tree.SelectMany(field => Rules(field.Value))],
        JsonArray list => [.. list.SelectMany(Rules)],
        _ => [],
    };
}
