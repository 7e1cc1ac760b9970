using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Isthmus.Kubernetes.Yaml;

/// <summary>Converts YAML to and from JSON trees, by events, without reflection. Scalars follow YAML 1.1 as in Kubernetes
/// (sigs.k8s.io/yaml).</summary>
public static class YamlText
{
    private const int DeepestNesting = 100;
    private const int MostAliased = 100_000;

    /// <summary>Every document; empty documents are skipped. Malformed text is a <see cref="ProblemException"/> with line
    /// and column.</summary>
    public static IReadOnlyList<JsonNode> ParseAll(string text, string source) => [.. ParseDocuments(text, source).Select(document => document.Content)];

    /// <summary>Every document, with the line where its content begins; empty documents are skipped.</summary>
    public static IReadOnlyList<(int Line, JsonNode Content)> ParseDocuments(string text, string source)
    {
        try
        {
            var documents = new List<(int Line, JsonNode Content)>();
            var parser = new Parser(new StringReader(text));
            parser.Consume<StreamStart>();
            while (parser.Accept<DocumentStart>(out _))
            {
                parser.Consume<DocumentStart>();
                var line = (int)parser.Current!.Start.Line;
                if (new Composer(parser).Read(0) is { } document) documents.Add((line, document));
                parser.Consume<DocumentEnd>();
            }
            return documents;
        }
        catch (YamlException e)
        {
            throw new ProblemException($"{source}:{e.Start.Line}:{e.Start.Column}", $"is not valid YAML: {Reason(e)}", "fix the file and try again", e);
        }
        catch (InvalidOperationException e)
        {
            // The scanner fails in some malformed text (ScanPlainScalar) without a position.
            throw new ProblemException(source, "is not valid YAML: the parser cannot read it to the end", "fix the file and try again", e);
        }
    }

    /// <summary>The only document, or null when the text is empty.</summary>
    public static JsonNode? Parse(string text, string source)
    {
        var documents = ParseAll(text, source);
        return documents.Count <= 1
            ? documents.FirstOrDefault()
            : throw new ProblemException(source, $"contains {documents.Count} YAML documents (expected one)");
    }

    public static string Print(JsonNode? node) => YamlPrinter.Print(node);

    private static string Reason(YamlException e) => e.InnerException?.Message ?? e.Message;

    private sealed class Composer(IParser parser)
    {
        private readonly Dictionary<AnchorName, (JsonNode? Node, int Size)> _anchors = [];
        private int _nodes, _aliased;

        internal JsonNode? Read(int depth)
        {
            if (depth > DeepestNesting) throw new YamlException(parser.Current!.Start, parser.Current.End, $"nesting is deeper than {DeepestNesting}");
            var before = _nodes;
            switch (parser.Current)
            {
                case AnchorAlias alias:
                    parser.MoveNext();
                    if (!_anchors.TryGetValue(alias.Value, out var anchored))
                        throw new YamlException(alias.Start, alias.End, $"unknown alias '*{alias.Value}'");
                    // Aliases of aliases grow exponentially, so the limit counts the copied values, not the aliases.
                    if (anchored.Size > MostAliased - _aliased)
                        throw new YamlException(alias.Start, alias.End, $"aliases expand to more than {MostAliased} values");
                    _aliased += anchored.Size;
                    _nodes += anchored.Size;
                    return anchored.Node?.DeepClone();
                case Scalar scalar:
                    parser.MoveNext();
                    return Keep(scalar.Anchor, YamlScalar.Resolve(scalar), before);
                case SequenceStart sequence:
                    parser.MoveNext();
                    var list = new JsonArray();
                    while (parser.Current is not SequenceEnd) list.Add(Read(depth + 1));
                    parser.MoveNext();
                    return Keep(sequence.Anchor, list, before);
                case MappingStart mapping:
                    parser.MoveNext();
                    return Keep(mapping.Anchor, Mapping(depth), before);
                default:
                    throw new YamlException($"unexpected {parser.Current?.GetType().Name ?? "end of text"}");
            }
        }

        private JsonObject Mapping(int depth)
        {
            var map = new JsonObject();
            JsonObject? merged = null;
            while (parser.Current is not MappingEnd)
            {
                var at = parser.Current!;
                if (at is not (Scalar or AnchorAlias)) throw new YamlException(at.Start, at.End, "only a scalar can be a key");
                var merge = at is Scalar { Value: "<<", Style: ScalarStyle.Plain };
                var key = KeyText(at, depth);
                var value = Read(depth + 1);
                if (merge && value is JsonObject other) merged = other;
                else if (!map.TryAdd(key, value)) throw new YamlException(at.Start, at.End, $"duplicate key \"{key}\"");
            }
            parser.MoveNext();
            if (merged is null) return map;
            foreach (var (key, value) in merged) map.TryAdd(key, value?.DeepClone());
            return map;
        }

        private string KeyText(ParsingEvent at, int depth)
        {
            if (at is Scalar scalar)
            {
                parser.MoveNext();
                return scalar.Style == ScalarStyle.Plain && YamlScalar.Resolve(scalar) is JsonValue { } value && value.TryGetValue(out bool flag)
                    ? (flag ? "true" : "false")
                    : scalar.Value;
            }
            return Read(depth + 1)?.ToString() ?? "null";
        }

        private JsonNode? Keep(AnchorName anchor, JsonNode? node, int before)
        {
            _nodes++;
            if (!anchor.IsEmpty) _anchors[anchor] = (node, _nodes - before);
            return node;
        }
    }
}

internal static class YamlScalar
{
    internal static JsonNode? Resolve(Scalar scalar)
    {
        if (scalar.Style != ScalarStyle.Plain || scalar.Tag == "tag:yaml.org,2002:str") return JsonValue.Create(scalar.Value);
        var text = scalar.Value;
        return Kind(text) switch
        {
            ScalarKind.Null => null,
            ScalarKind.True => JsonValue.Create(true),
            ScalarKind.False => JsonValue.Create(false),
            ScalarKind.Integer => Integer(text),
            ScalarKind.Float => Float(text),
            _ => JsonValue.Create(text),
        };
    }

    internal enum ScalarKind { Text, Null, True, False, Integer, Float }

    /// <summary>The type that a plain scalar would be read as. Text that would be read as another type must be
    /// quoted.</summary>
    internal static ScalarKind Kind(string text)
    {
        switch (text)
        {
            case "" or "~" or "null" or "Null" or "NULL": return ScalarKind.Null;
            case "true" or "True" or "TRUE" or "yes" or "Yes" or "YES" or "on" or "On" or "ON" or "y" or "Y": return ScalarKind.True;
            case "false" or "False" or "FALSE" or "no" or "No" or "NO" or "off" or "Off" or "OFF" or "n" or "N": return ScalarKind.False;
        }
        if (!char.IsAsciiDigit(text[0]) && text[0] is not ('+' or '-' or '.')) return ScalarKind.Text;
        if (Integer(text) is not null) return ScalarKind.Integer;
        return Float(text) is not null ? ScalarKind.Float : ScalarKind.Text;
    }

    private static JsonValue? Integer(string text)
    {
        var sign = text[0] is '-' ? -1 : 1;
        var digits = (text[0] is '-' or '+' ? text[1..] : text).Replace("_", "", StringComparison.Ordinal);
        if (digits.Length == 0) return null;
        if (digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            return long.TryParse(digits.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var hex) ? Number(sign * hex) : null;
        if (digits.StartsWith("0o", StringComparison.OrdinalIgnoreCase) || (digits.Length > 1 && digits[0] == '0' && digits.All(char.IsAsciiDigit)))
            return Octal(digits.TrimStart('0').TrimStart('o', 'O')) is { } octal ? Number(sign * octal) : null;
        if (!digits.All(char.IsAsciiDigit)) return null;
        return long.TryParse(text.Replace("_", "", StringComparison.Ordinal), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? Number(number)
            : ulong.TryParse(digits, out var large) && sign > 0 ? JsonValue.Create(large) : null;
    }

    /// <summary>Backed by text, like a value from a JSON parser: such a value converts to int as well as to long.</summary>
    private static JsonValue Number(long number) => (JsonValue)JsonNode.Parse(number.ToString(CultureInfo.InvariantCulture))!;

    private static long? Octal(string digits)
    {
        if (digits.Length > 20) return null;
        long value = 0;
        foreach (var digit in digits)
        {
            if (digit is < '0' or > '7') return null;
            value = value * 8 + (digit - '0');
        }
        return value;
    }

    private static JsonValue? Float(string text)
    {
        if (text is "." or "-" or "+" || text.Any(c => !char.IsAsciiDigit(c) && c is not ('.' or '-' or '+' or 'e' or 'E'))) return null;
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? JsonValue.Create(number)
            : null;
    }
}
