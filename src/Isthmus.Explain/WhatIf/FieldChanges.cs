using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Explain.WhatIf;

/// <summary>The fields in which two trees differ.</summary>
internal static class FieldChanges
{
    private const int Most = 8;
    private const int Longest = 100;

    /// <summary>Where proxies keep the names of the objects behind a resource: these change nothing for calls.</summary>
    private const string Bookkeeping = "filter_metadata.istio";

    /// <summary>Each as <c>path: before → after</c>; the first few, and how many there are more.</summary>
    internal static IEnumerable<string> Between(JsonNode? before, JsonNode? after)
    {
        var all = Walk("", before, after).Where(field => !field.Path.Contains(Bookkeeping, StringComparison.Ordinal)).ToList();
        foreach (var (path, old, now) in all.Take(Most)) yield return $"{path}: {Shown(old)} → {Shown(now)}";
        if (all.Count > Most) yield return $"and {Counted.Of(all.Count - Most, "more field")}";
    }

    private static IEnumerable<(string Path, JsonNode? Before, JsonNode? After)> Walk(string path, JsonNode? before, JsonNode? after)
    {
        if (JsonNode.DeepEquals(before, after)) return [];
        return (before, after) switch
        {
            (JsonObject old, JsonObject now) => old.Select(field => field.Key).Union(now.Select(field => field.Key))
                .SelectMany(name => Walk(Join(path, name), old[name], now[name])),
            (JsonArray old, JsonArray now) => Items(old, now).SelectMany(pair => Walk($"{path}[{pair.Key}]", pair.Before, pair.After)),
            _ => [(path.Length == 0 ? "." : path, before, after)],
        };
    }

    private static string Join(string path, string name) =>
        path.Length == 0 ? name : name.Contains('.', StringComparison.Ordinal) ? $"{path}[{name}]" : $"{path}.{name}";

    /// <summary>Items with a name are the same item wherever they are in the list.</summary>
    private static IEnumerable<(string Key, JsonNode? Before, JsonNode? After)> Items(JsonArray before, JsonArray after)
    {
        if (NamesOf(before) is { } old && NamesOf(after) is { } now)
            return old.Keys.Union(now.Keys).Select(name => (name, old.GetValueOrDefault(name), now.GetValueOrDefault(name)));
        return Enumerable.Range(0, Math.Max(before.Count, after.Count))
            .Select(index => ($"{index}", before.ElementAtOrDefault(index), after.ElementAtOrDefault(index)));
    }

    private static Dictionary<string, JsonNode?>? NamesOf(JsonArray items)
    {
        var named = new Dictionary<string, JsonNode?>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            if ((item as JsonObject)?["name"]?.ToString() is not { Length: > 0 } name || !named.TryAdd(name, item)) return null;
        }
        return named;
    }

    private static string Shown(JsonNode? value)
    {
        var text = value is null ? "none" : value is JsonValue ? value.ToString() : value.ToJsonString();
        return text.Length <= Longest ? text : text[..Longest] + "…";
    }
}
