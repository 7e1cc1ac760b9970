using System.Text.Json;
using System.Text.Json.Nodes;

namespace Isthmus.CompareXds;

/// <summary>A place where a generated resource differs from the recorded one.</summary>
/// <param name="Path">The field in the resource, with list items by name. <c>(missing)</c>: only the recording has it.
/// <c>(extra)</c>: only the generated resource has it.</param>
internal sealed record Difference(string Type, string Resource, string Path, string Recorded, string Ours);

internal sealed record TypeResult(string Type, int Same, IReadOnlyList<Difference> Differences);

/// <summary>Compares by meaning: list items are matched by identity, and order counts only where a proxy depends on
/// it.</summary>
internal static class Comparison
{
    /// <summary>Lists whose order has no meaning.</summary>
    private static readonly HashSet<string> Sets = new(StringComparer.Ordinal)
    {
        "domains", "server_names", "application_protocols", "match_subject_alt_names", "ips"
    };

    /// <summary>Resources of objects that every cluster has besides the inputs, and resources that truncated recordings
    /// omit.</summary>
    private static readonly string[] LeftOut = ["istiod.istio-system", "kubernetes.default", "gateway.istio-system", "virtualOutbound", "virtualInbound"];

    public static IReadOnlyList<TypeResult> Of(RecordedCase recorded, IReadOnlyDictionary<string, SortedDictionary<string, JsonNode>> ours)
    {
        var results = new List<TypeResult>();
        foreach (var type in RecordedCase.Types)
        {
            if (recorded.Resources(type) is { } theirs) results.Add(Compare(type, theirs, ours[type], recorded.IsPartial(type)));
        }
        return results;
    }

    private static TypeResult Compare(string type, SortedDictionary<string, JsonNode> theirs, SortedDictionary<string, JsonNode> ours, bool partial)
    {
        var (same, differences) = (0, new List<Difference>());
        foreach (var resource in theirs.Values.Concat(ours.Values)) DropEmptyLocalities(resource);
        foreach (var name in theirs.Keys.Union(ours.Keys).Order(StringComparer.Ordinal))
        {
            var found = new List<Difference>();
            if (!ours.TryGetValue(name, out var mine)) found.Add(new(type, name, "(missing)", "", ""));
            else if (theirs.TryGetValue(name, out var other)) Walk(other, mine, "", (path, a, b) => found.Add(new(type, name, path, a, b)));
            else if (!partial || !LeavesOut(name, ours[name])) found.Add(new(type, name, "(extra)", "", ""));
            else continue;
            if (found.Count == 0) same++;
            differences.AddRange(found);
        }
        return new(type, same, differences);
    }

    /// <summary>Listeners and routes are omitted by their destination, because their names do not show it.</summary>
    private static bool LeavesOut(string name, JsonNode resource) =>
        LeftOut.Any(part => name.Contains(part, StringComparison.Ordinal))
            || LeftOut.Any(part => resource.ToJsonString().Contains(part, StringComparison.Ordinal))
        || resource["filter_chains"] is JsonArray && resource.ToJsonString().Contains("\"route_config_name\":\"150", StringComparison.Ordinal);

    /// <summary>A locality without endpoints has no meaning.</summary>
    private static void DropEmptyLocalities(JsonNode resource)
    {
        if ((resource["load_assignment"] ?? resource)["endpoints"] is not JsonArray groups) return;
        foreach (var empty in groups.Where(group => group?["lb_endpoints"] is not JsonArray { Count: > 0 }).ToList()) groups.Remove(empty);
        if (groups.Count == 0) groups.Parent!.AsObject().Remove("endpoints");
    }

    private static void Walk(JsonNode? theirs, JsonNode? ours, string path, Action<string, string, string> differs)
    {
        switch (theirs, ours)
        {
            case (null, null):
                return;
            case (null, _):
                differs(path + " (extra)", "", Text(ours));
                return;
            case (_, null):
                differs(path + " (missing)", Text(theirs), "");
                return;
            case (JsonObject a, JsonObject b):
                foreach (var name in a.Select(field => field.Key).Union(b.Select(field => field.Key)).ToList())
                    Walk(a[name], b[name], path.Length == 0 ? name : $"{path}.{name}", differs);
                return;
            case (JsonArray a, JsonArray b):
                WalkLists(a, b, path, differs);
                return;
            default:
                if (Text(theirs) != Text(ours)) differs(path, Text(theirs), Text(ours));
                return;
        }
    }

    private static void WalkLists(JsonArray theirs, JsonArray ours, string path, Action<string, string, string> differs)
    {
        var field = path[(path.LastIndexOf('.') + 1)..];
        if (Sets.Contains(field))
        {
            // An item that is there twice counts twice.
            var (a, b) = (theirs.CountBy(Text).ToDictionary(), ours.CountBy(Text).ToDictionary());
            foreach (var (item, count) in a) if (count > b.GetValueOrDefault(item)) differs($"{path}[{item}] (missing)", item, "");
            foreach (var (item, count) in b) if (count > a.GetValueOrDefault(item)) differs($"{path}[{item}] (extra)", "", item);
            return;
        }
        if (theirs.All(IsScalar) && ours.All(IsScalar))
        {
            var (left, right) = (string.Join(", ", theirs.Select(Text)), string.Join(", ", ours.Select(Text)));
            if (left != right) differs(path, left, right);
            return;
        }
        var (known, mine) = (Keyed(theirs, field), Keyed(ours, field));
        foreach (var key in known.Keys.Union(mine.Keys)) Walk(known.GetValueOrDefault(key), mine.GetValueOrDefault(key), $"{path}[{key}]", differs);
        if (field is not ("http_filters" or "filters" or "transport_socket_matches")) return;
        var (shared, order) = (known.Keys.Where(mine.ContainsKey), mine.Keys.Where(known.ContainsKey));
        if (!shared.SequenceEqual(order)) differs(path + " (order)", string.Join(", ", shared), string.Join(", ", order));
    }

    private static bool IsScalar(JsonNode? node) => node is not (JsonObject or JsonArray);

    private static Dictionary<string, JsonNode> Keyed(JsonArray items, string field)
    {
        var keyed = new Dictionary<string, JsonNode>(StringComparer.Ordinal);
        for (var i = 0; i < items.Count; i++)
        {
            var key = KeyOf(items[i]!, field, i);
            var unique = key;
            for (var n = 2; !keyed.TryAdd(unique, items[i]!); n++) unique = $"{key}#{n}";
        }
        return keyed;
    }

    private static string KeyOf(JsonNode item, string field, int index) => field switch
    {
        "filter_chains" => item["filter_chain_match"] is { } match ? Match(match) : "any",
        "endpoints" => $"{Text(item["locality"])}",
        "lb_endpoints" => item["endpoint"]?["address"]?["socket_address"] is { } address
            ? $"{address["address"]}:{address["port_value"]}"
            : Text(item["endpoint"]?["address"]),
        "rules" => Text(item),
        "routes" or "thresholds" => index.ToString(System.Globalization.CultureInfo.InvariantCulture),
        _ => item is JsonObject && item["name"] is JsonValue name ? name.ToString() : index.ToString(System.Globalization.CultureInfo.InvariantCulture),
    };

    /// <summary>A filter chain is identified by its match.</summary>
    private static string Match(JsonNode match)
    {
        var parts = new List<string>();
        foreach (var (name, value) in match.AsObject().OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            parts.Add($"{name}={(value is JsonArray items ? string.Join('+', items.Select(Text).Order(StringComparer.Ordinal)) : Text(value))}");
        }
        return string.Join(' ', parts);
    }

    private static string Text(JsonNode? node) => node switch
    {
        null => "",
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        _ => node.ToJsonString(),
    };
}
