using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>
/// A set of fields of one object, as a tree. Keys are those of FieldsV1: `f:name` of a field, `k:{…}` of an item of a keyed list, `v:…` of
/// an item of a set.
/// </summary>
internal sealed class FieldSet
{
    private const int MaxDepth = 64;

    /// <summary>The field itself belongs to the set, not only fields inside it.</summary>
    internal bool Member { get; set; }

    internal SortedDictionary<string, FieldSet> Children { get; } = new(StringComparer.Ordinal);

    internal bool IsEmpty => !Member && Children.Values.All(child => child.IsEmpty);

    internal FieldSet Child(string key)
    {
        if (!Children.TryGetValue(key, out var child)) Children[key] = child = new();
        return child;
    }

    internal static FieldSet Read(JsonNode? fieldsV1) => Read(fieldsV1 as JsonObject ?? [], 0);

    private static FieldSet Read(JsonObject node, int depth)
    {
        var set = new FieldSet();
        if (depth > MaxDepth) return set;
        foreach (var (key, value) in node)
        {
            if (key == ".")
            {
                set.Member = true;
                continue;
            }
            var child = Read(value as JsonObject ?? [], depth + 1);
            if (child.Children.Count == 0) child.Member = true;
            set.Children[key] = child;
        }
        return set;
    }

    internal JsonObject ToJson()
    {
        var json = new JsonObject();
        foreach (var (key, child) in Children)
        {
            if (child.IsEmpty) continue;
            var inner = child.ToJson();
            if (child.Member && inner.Count > 0) inner.Insert(0, ".", new JsonObject());
            json[key] = inner;
        }
        return json;
    }

    internal FieldSet Union(FieldSet other)
    {
        var result = new FieldSet { Member = Member || other.Member };
        foreach (var key in Children.Keys.Union(other.Children.Keys))
            result.Children[key] = (Children.GetValueOrDefault(key) ?? new()).Union(other.Children.GetValueOrDefault(key) ?? new());
        return result;
    }

    internal FieldSet Intersection(FieldSet other)
    {
        var result = new FieldSet { Member = Member && other.Member };
        foreach (var (key, child) in Children)
            if (other.Children.TryGetValue(key, out var match) && child.Intersection(match) is { IsEmpty: false } both) result.Children[key] = both;
        return result;
    }

    internal FieldSet Difference(FieldSet other)
    {
        var result = new FieldSet { Member = Member && !other.Member };
        foreach (var (key, child) in Children)
        {
            var left = other.Children.TryGetValue(key, out var match) ? child.Difference(match) : child;
            if (!left.IsEmpty) result.Children[key] = left;
        }
        return result;
    }

    /// <summary>Paths as conflicts name them: `.spec.ports[port=80,protocol="TCP"].name`.</summary>
    internal IEnumerable<string> Paths(string prefix = "")
    {
        if (Member) yield return prefix;
        foreach (var (key, child) in Children)
            foreach (var path in child.Paths(prefix + Name(key))) yield return path;
    }

    private static string Name(string key)
    {
        var rest = key[2..];
        if (key[0] == 'f') return "." + rest;
        if (key[0] == 'v') return $"[={rest}]";
        var parts = (JsonNode.Parse(rest) as JsonObject ?? []).Select(pair => $"{pair.Key}={pair.Value?.ToJsonString(JsonText.Relaxed)}");
        return $"[{string.Join(",", parts)}]";
    }
}
