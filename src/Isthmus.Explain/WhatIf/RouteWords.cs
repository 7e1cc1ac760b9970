using System.Text.Json.Nodes;
using static Isthmus.Operate.Diagnose.ConfigDump;

namespace Isthmus.Explain.WhatIf;

/// <summary>Says what routes do with calls.</summary>
internal static class RouteWords
{
    internal static IEnumerable<ConfigChange> Of(ChangedResource resource)
    {
        var (before, after) = (Hosts(resource.Before), Hosts(resource.After));
        foreach (var host in before.Keys.Union(after.Keys).Order(StringComparer.Ordinal))
        {
            var name = $"calls to {ResourceWords.Short(host)}";
            var (old, now) = (before.GetValueOrDefault(host), after.GetValueOrDefault(host));
            if (JsonNode.DeepEquals(old, now)) continue;
            var label = $"route {resource.Name}";
            if (old is null) yield return new('+', label, $"{name}: {All(now!, host)}");
            else if (now is null) yield return new('-', label, $"{name}: {All(old, host)}");
            else foreach (var change in Between(old, now, host)) yield return new('~', label, $"{name}{change}");
        }
    }

    private static Dictionary<string, JsonObject> Hosts(JsonObject? routes) =>
        (At(routes, "virtual_hosts") as JsonArray ?? []).OfType<JsonObject>().DistinctBy(host => Text(host["name"]))
            .ToDictionary(host => Text(host["name"]), StringComparer.Ordinal);

    private static IEnumerable<string> Between(JsonObject before, JsonObject after, string host)
    {
        var (old, now) = (Routes(before, host), Routes(after, host));
        var found = false;
        // Where order alone differs, all routes are shown: the first that matches decides.
        if (!old.Select(route => route.Match).Order(StringComparer.Ordinal).SequenceEqual(now.Select(route => route.Match).Order(StringComparer.Ordinal))
            || old.Select(route => route.Match).Distinct().Count() < old.Count)
        {
            if (All(before, host) is var was && All(after, host) is var becomes && was != becomes)
            {
                found = true;
                yield return $": {becomes} instead of {was}";
            }
        }
        else
        {
            if (!old.Select(route => route.Match).SequenceEqual(now.Select(route => route.Match)))
            {
                found = true;
                yield return $", another order of routes: {All(after, host)}";
            }
            foreach (var (match, action) in now)
            {
                var was = old.First(route => route.Match == match).Action;
                if (was == action) continue;
                found = true;
                yield return $"{(match.Length == 0 ? "" : $", {match}")}: {action} instead of {was}";
            }
        }
        if (found) yield break;
        foreach (var field in FieldChanges.Between(before, after)) yield return $": {field}";
    }

    private static string All(JsonObject host, string name) =>
        string.Join("; ", Routes(host, name).Select(route => route.Match.Length == 0 ? route.Action : $"{route.Match}: {route.Action}")) is { Length: > 0 } text
            ? text
            : "no route";

    private static List<(string Match, string Action)> Routes(JsonObject host, string name) =>
        [.. (At(host, "routes") as JsonArray ?? []).OfType<JsonObject>().Select(route => (Match(At(route, "match")), Action(route, name)))];

    private static string Match(JsonNode? match)
    {
        var parts = new List<string>();
        if (At(match, "prefix") is { } prefix && Text(prefix) != "/") parts.Add($"path {prefix}*");
        if (At(match, "path_separated_prefix") is { } separated) parts.Add($"path {separated}/*");
        if (At(match, "path") is { } path) parts.Add($"path {path}");
        if (At(match, "safe_regex", "regex") is { } regex) parts.Add($"path ~ {regex}");
        foreach (var header in (At(match, "headers") as JsonArray ?? []).OfType<JsonObject>()) parts.Add($"header {header["name"]} {Leaf(header)}".TrimEnd());
        foreach (var parameter in (At(match, "query_parameters") as JsonArray ?? []).OfType<JsonObject>())
            parts.Add($"parameter {parameter["name"]} {Leaf(parameter)}".TrimEnd());
        return string.Join(", ", parts);
    }

    /// <summary>What a matcher compares with.</summary>
    private static string Leaf(JsonNode? node) => node switch
    {
        JsonObject tree => string.Join(' ', tree.Where(field => field.Key != "name").Select(field => Leaf(field.Value)).Where(text => text.Length > 0)),
        JsonArray list => string.Join(' ', list.Select(Leaf)),
        _ => Text(node),
    };

    private static string Action(JsonObject route, string host)
    {
        var parts = new List<string>();
        if (At(route, "route") is { } to)
        {
            parts.Add(At(to, "weighted_clusters", "clusters") is JsonArray weighted
                ? string.Join(", ", weighted.Select(one => $"{Percent(one, weighted)} {Destination(Text(one?["name"]), host)}"))
                : $"all to {Destination(Text(At(to, "cluster")), host)}");
            if (At(to, "timeout") is { } timeout && Text(timeout) is not ("0s" or "0")) parts.Add($"timeout {timeout}");
            if (At(to, "retry_policy") is { } retry && !IsDefault(retry))
                parts.Add($"{Text(At(retry, "num_retries")) switch { "" or "1" => "1 retry", var count => $"{count} retries" }} on {At(retry, "retry_on")}");
            foreach (var (field, word) in ((string, string)[])[("prefix_rewrite", "path rewritten to"), ("host_rewrite_literal", "host rewritten to")])
                if (Text(At(to, field)) is { Length: > 0 } text) parts.Add($"{word} {text}");
            foreach (var mirror in At(to, "request_mirror_policies") as JsonArray ?? [])
                parts.Add($"mirrored to {Destination(Text(At(mirror, "cluster")), host)}");
        }
        if (At(route, "redirect") is { } redirect) parts.Add($"redirect {Leaf(redirect)}");
        if (At(route, "direct_response") is { } direct) parts.Add($"answered with {Text(At(direct, "status"))} by the proxy");
        if (At(route, "typed_per_filter_config") is JsonObject filters
            && filters.FirstOrDefault(filter => filter.Key.EndsWith(".fault", StringComparison.Ordinal)).Value is JsonObject fault)
        {
            if (At(fault, "abort") is JsonObject abort)
                parts.Add($"{Share(abort)} aborted with {Text(At(abort, "http_status")) switch
                {
                    "" => Text(At(abort, "grpc_status")),
                    var status => status
                }}");
            if (At(fault, "delay") is JsonObject delay) parts.Add($"{Share(delay)} delayed by {Text(At(delay, "fixed_delay"))}");
        }
        return string.Join(", ", parts);
    }

    /// <summary>What a route has that says nothing about retries.</summary>
    private static bool IsDefault(JsonNode retry) =>
        Text(At(retry, "num_retries")) == "2" && Text(At(retry, "retry_on")) == "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";

    private static string Share(JsonObject fault) =>
        $"{Text(At(fault, "percentage", "numerator")) switch { "" => "0", var numerator => numerator }}{Text(At(fault, "percentage", "denominator")) switch
        {
            "MILLION" => " of a million",
            "TEN_THOUSAND" => " of ten thousand",
            _ => " %"
        }}";

    private static string Percent(JsonNode? one, JsonArray all)
    {
        var total = all.Sum(item => Number(At(item, "weight")));
        return total == 0 ? "0 %" : $"{Number(At(one, "weight")) * 100 / total} %";
    }

    /// <summary>The subset alone where the host is the one that is called.</summary>
    private static string Destination(string cluster, string host)
    {
        if (cluster.Split('|') is not [_, var port, var subset, var name]) return cluster;
        var (isOwn, part) = (host == $"{name}:{port}" || host == name, ResourceWords.Part(subset));
        return isOwn && part.Length > 0 ? subset : $"{ResourceWords.Short(isOwn ? name : $"{name}:{port}")}{part}";
    }

    private static int Number(JsonNode? node) => int.TryParse(Text(node), out var number) ? number : 0;

    private static string Text(JsonNode? node) => node?.ToString() ?? "";
}
