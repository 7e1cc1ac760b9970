using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>The paths of printer columns: fields, indexes, <c>[*]</c>, and filters such as <c>[?(@.type=="Ready")]</c>.</summary>
internal sealed class JsonPath
{
    private readonly List<Step> _steps = [];

    private JsonPath()
    {
    }

    private abstract record Step;

    private sealed record Field(string Name) : Step;

    private sealed record Index(int Number) : Step;

    private sealed record All : Step;

    private sealed record Filter(JsonPath Path, string Operator, string Value, bool IsText) : Step;

    /// <summary>Null when the text is not a path that is understood here.</summary>
    public static JsonPath? Parse(string text)
    {
        var path = new JsonPath();
        var at = text.StartsWith('$') ? 1 : 0;
        while (at < text.Length)
        {
            switch (text[at])
            {
                case '.':
                    var end = ++at;
                    while (end < text.Length && text[end] is not ('.' or '[')) end += text[end] == '\\' ? 2 : 1;
                    if (end > text.Length) return null;
                    if (end > at) path._steps.Add(new Field(text[at..end].Replace("\\", "", StringComparison.Ordinal)));
                    at = end;
                    break;
                case '[':
                    var close = Close(text, at);
                    if (close < 0 || Bracket(text[(at + 1)..close]) is not { } step) return null;
                    path._steps.Add(step);
                    at = close + 1;
                    break;
                default:
                    return null;
            }
        }
        return path;
    }

    public IEnumerable<JsonNode?> Find(JsonNode? root)
    {
        IEnumerable<JsonNode?> found = [root];
        foreach (var step in _steps) found = found.SelectMany(node => Take(node, step));
        return found;
    }

    private static IEnumerable<JsonNode?> Take(JsonNode? node, Step step) => (node, step) switch
    {
        (JsonObject o, Field field) => o.TryGetPropertyValue(field.Name, out var value) ? [value] : [],
        (JsonArray list, Index index) => (index.Number < 0 ? list.Count + index.Number : index.Number) is var i && i >= 0 && i < list.Count ? [list[i]] : [],
        (JsonArray list, All) => list,
        (JsonObject o, All) => o.Select(pair => pair.Value),
        (JsonArray list, Filter filter) => list.Where(item => Matches(item, filter)),
        _ => [],
    };

    private static bool Matches(JsonNode? item, Filter filter) => filter.Path.Find(item).Any(value =>
    {
        if (filter.Operator.Length == 0) return true;
        var text = Json.TextOrNull(value);
        var order = filter.IsText || text is not null
            ? string.CompareOrdinal(text ?? value?.ToJsonString() ?? "", filter.Value)
            : (Json.Number(value) ?? double.NaN).CompareTo(double.TryParse(filter.Value, CultureInfo.InvariantCulture, out var number) ? number : double.NaN);
        return filter.Operator switch { "==" => order == 0, "!=" => order != 0, "<" => order < 0, "<=" => order <= 0, ">" => order > 0, _ => order >= 0 };
    });

    private static Step? Bracket(string inner)
    {
        inner = inner.Trim();
        if (inner == "*") return new All();
        if (int.TryParse(inner, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var index)) return new Index(index);
        if (inner.Length >= 2 && inner[0] is '\'' or '"' && inner[^1] == inner[0]) return new Field(inner[1..^1]);
        return inner.StartsWith("?(", StringComparison.Ordinal) && inner.EndsWith(')') ? Condition(inner[2..^1].Trim()) : null;
    }

    private static Filter? Condition(string text)
    {
        if (!text.StartsWith('@')) return null;
        foreach (var op in (ReadOnlySpan<string>)["==", "!=", "<=", ">=", "<", ">"])
        {
            var at = text.IndexOf(op, StringComparison.Ordinal);
            if (at < 0) continue;
            var value = text[(at + op.Length)..].Trim();
            var quoted = value.Length >= 2 && value[0] is '"' or '\'' && value[^1] == value[0];
            return Parse(text[1..at].Trim()) is { } path ? new(path, op, quoted ? value[1..^1] : value, quoted) : null;
        }
        return Parse(text[1..]) is { } exists ? new(exists, "", "", false) : null;
    }

    private static int Close(string text, int open)
    {
        var quote = '\0';
        var depth = 0;
        for (var i = open; i < text.Length; i++)
        {
            var c = text[i];
            if (quote != '\0') quote = c == quote ? '\0' : quote;
            else if (c is '"' or '\'') quote = c;
            else if (c == '[') depth++;
            else if (c == ']' && --depth == 0) return i;
        }
        return -1;
    }
}
