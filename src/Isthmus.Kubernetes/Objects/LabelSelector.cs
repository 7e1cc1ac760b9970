using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Isthmus.Kubernetes.Objects;

/// <summary>meta/v1 LabelSelector, from an object or from the text of a query: <c>app in (a,b), version!=v1, !canary</c>.</summary>
public sealed class LabelSelector
{
    // Operators that exist only in the text form.
    private const string Greater = "gt";
    private const string Less = "lt";

    public Dictionary<string, string> MatchLabels { get; set => field = value ?? []; } = [];
    public List<LabelSelectorRequirement> MatchExpressions { get; set => field = value ?? []; } = [];

    /// <summary>No term: the selector matches everything.</summary>
    [JsonIgnore]
    public bool IsEmpty => MatchLabels.Count == 0 && MatchExpressions.Count == 0;

    /// <summary>Reads a selector from an object's field, and ignores values of the wrong type. Returns null if there is
    /// none: only its owner knows whether that means everything or nothing.</summary>
    public static LabelSelector? Read(JsonNode? node) => node is not JsonObject selector ? null : new()
    {
        MatchLabels = ReadMap(selector["matchLabels"] as JsonObject),
        MatchExpressions =
        [
            .. (selector["matchExpressions"] as JsonArray ?? []).OfType<JsonObject>().Select(term => new LabelSelectorRequirement
            {
                Key = Text(term["key"]) ?? "", Operator = Text(term["operator"]) ?? "",
                Values = [.. (term["values"] as JsonArray ?? []).Select(Text).OfType<string>()],
            }),
        ],
    };

    /// <summary>A selector without expressions, such as a Service has: every pair of the map must be among the labels.</summary>
    public static LabelSelector OfLabels(JsonObject? labels) => new() { MatchLabels = ReadMap(labels) };

    /// <summary>Parses the text of a query parameter. Empty text matches everything.</summary>
    /// <exception cref="FormatException">The text is not a selector.</exception>
    public static LabelSelector Parse(string? text) => string.IsNullOrWhiteSpace(text) ? new() : new() { MatchExpressions = new Parser(text).Read() };

    /// <summary>Whether the labels satisfy every term; an empty selector matches everything.</summary>
    public bool Matches(IReadOnlyDictionary<string, string> labels)
    {
        if (!Selects(MatchLabels, labels)) return false;
        foreach (var term in MatchExpressions)
        {
            var has = labels.TryGetValue(term.Key, out var actual);
            var holds = term.Operator switch
            {
                "In" => has && term.Values.Contains(actual!),
                "NotIn" => !has || !term.Values.Contains(actual!),
                "Exists" => has,
                "DoesNotExist" => !has,
                Greater => has && term.Values is [var bound] && Number(actual) > Number(bound),
                Less => has && term.Values is [var bound] && Number(actual) < Number(bound),
                _ => false,
            };
            if (!holds) return false;
        }
        return true;
    }

    /// <summary>Whether every pair of a plain map is among the labels.</summary>
    public static bool Selects(IReadOnlyDictionary<string, string> selector, IReadOnlyDictionary<string, string> labels)
    {
        foreach (var (key, value) in selector)
        {
            if (!labels.TryGetValue(key, out var actual) || actual != value) return false;
        }
        return true;
    }

    /// <summary>The selector as text, sorted by key: the form of query parameters, Scale and kubectl's tables.</summary>
    public override string ToString() => string.Join(",", MatchLabels.Select(pair => (pair.Key, Text: $"{pair.Key}={pair.Value}"))
        .Concat(MatchExpressions.Select(term => (term.Key, Text: term.ToString())))
        .OrderBy(term => term.Key, StringComparer.Ordinal).Select(term => term.Text));

    private static Dictionary<string, string> ReadMap(JsonObject? map) =>
        (map ?? []).ToDictionary(pair => pair.Key, pair => Text(pair.Value) ?? "", StringComparer.Ordinal);

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    /// <summary>Null compares false with any number.</summary>
    private static long? Number(string? text) => long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) ? number : null;

    private sealed class Parser(string text)
    {
        private int _at;

        internal List<LabelSelectorRequirement> Read()
        {
            var requirements = new List<LabelSelectorRequirement>();
            while (true)
            {
                requirements.Add(Next());
                var token = Token();
                if (token.Length == 0) return requirements;
                if (token != ",") throw Bad($"found '{token}', expected: ',' or 'end of string'");
            }
        }

        private LabelSelectorRequirement Next()
        {
            var token = Token();
            if (token == "!") return new() { Key = Identifier(Token()), Operator = "DoesNotExist" };
            var key = Identifier(token);
            var before = _at;
            var op = Token();
            switch (op)
            {
                case "" or ",":
                    _at = before;
                    return new() { Key = key, Operator = "Exists" };
                case "in":
                    return new() { Key = key, Operator = "In", Values = Values() };
                case "notin":
                    return new() { Key = key, Operator = "NotIn", Values = Values() };
                case "=" or "==":
                    return new() { Key = key, Operator = "In", Values = [Value()] };
                case "!=":
                    return new() { Key = key, Operator = "NotIn", Values = [Value()] };
                case ">" or "<":
                    return new() { Key = key, Operator = op == ">" ? Greater : Less, Values = [Bound(Value())] };
                default:
                    throw Bad($"found '{op}', expected: in, notin, =, ==, !=, gt, lt");
            }
        }

        private static string Bound(string text) => Number(text) is not null ? text : throw Bad("for 'Gt', 'Lt' operators, the value must be an integer");

        private string Value()
        {
            var before = _at;
            var token = Token();
            if (token is "," or "")
            {
                _at = before;
                return "";
            }
            return Identifier(token);
        }

        private List<string> Values()
        {
            if (Token() != "(") throw Bad("found '', expected: '('");
            var values = new List<string>();
            while (true)
            {
                var token = Token();
                if (token == ")" && values.Count == 0)
                {
                    values.Add("");
                    return values;
                }
                if (token == ",")
                {
                    values.Add("");
                    continue;
                }
                values.Add(Identifier(token));
                token = Token();
                if (token == ")") return values;
                if (token != ",") throw Bad($"found '{token}', expected: ',' or ')'");
            }
        }

        private static string Identifier(string token) =>
            token.Length > 0 && !IsSpecial(token[0]) ? token : throw Bad($"found '{token}', expected: identifier");

        private string Token()
        {
            while (_at < text.Length && char.IsWhiteSpace(text[_at])) _at++;
            if (_at == text.Length) return "";
            if (!IsSpecial(text[_at]))
            {
                var start = _at;
                while (_at < text.Length && !IsSpecial(text[_at]) && !char.IsWhiteSpace(text[_at])) _at++;
                return text[start.._at];
            }
            var c = text[_at++];
            if (c is '=' or '!' && _at < text.Length && text[_at] == '=')
            {
                _at++;
                return c == '=' ? "==" : "!=";
            }
            return c.ToString();
        }

        private static bool IsSpecial(char c) => c is '=' or '!' or '(' or ')' or ',' or '<' or '>';

        private static FormatException Bad(string why) => new($"unable to parse requirement: {why}");
    }
}

public sealed class LabelSelectorRequirement
{
    public string Key { get; set; } = "";
    public string Operator { get; set; } = "";
    public List<string> Values { get; set => field = value ?? []; } = [];

    public override string ToString() => Operator switch
    {
        "In" => $"{Key} in ({string.Join(",", Values.Order(StringComparer.Ordinal))})",
        "NotIn" => $"{Key} notin ({string.Join(",", Values.Order(StringComparer.Ordinal))})",
        "Exists" => Key,
        "gt" => $"{Key}>{Values.FirstOrDefault()}",
        "lt" => $"{Key}<{Values.FirstOrDefault()}",
        _ => $"!{Key}",
    };
}
