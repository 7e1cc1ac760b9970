using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using static Isthmus.Kubernetes.Yaml.YamlScalar;

namespace Isthmus.Kubernetes.Yaml;

/// <summary>Prints JSON trees as block-style YAML that <see cref="YamlText"/> and other parsers read back
/// unchanged.</summary>
internal static class YamlPrinter
{
    internal static string Print(JsonNode? node)
    {
        var text = new StringBuilder();
        Write(text, node, 0, inline: false);
        if (text.Length == 0 || text[^1] != '\n') text.Append('\n');
        return text.ToString();
    }

    private static void Write(StringBuilder text, JsonNode? node, int indent, bool inline)
    {
        switch (node)
        {
            case JsonObject { Count: 0 }:
                text.Append("{}\n");
                break;
            case JsonArray { Count: 0 }:
                text.Append("[]\n");
                break;
            case JsonObject map:
                foreach (var (key, value) in map)
                {
                    if (!inline) text.Append(' ', indent);
                    inline = false;
                    text.Append(Scalar(key)).Append(':');
                    Value(text, value, indent, listIndent: indent);
                }
                break;
            case JsonArray list:
                foreach (var item in list)
                {
                    if (!inline) text.Append(' ', indent);
                    inline = false;
                    text.Append('-');
                    if (item is JsonObject { Count: > 0 } or JsonArray { Count: > 0 })
                    {
                        text.Append(' ');
                        Write(text, item, indent + 2, inline: true);
                    }
                    else
                    {
                        Value(text, item, indent, listIndent: indent + 2);
                    }
                }
                break;
            default:
                text.Append(Leaf(node)).Append('\n');
                break;
        }
    }

    private static void Value(StringBuilder text, JsonNode? value, int indent, int listIndent)
    {
        switch (value)
        {
            case JsonObject { Count: > 0 }:
                text.Append('\n');
                Write(text, value, indent + 2, inline: false);
                break;
            case JsonArray { Count: > 0 }:
                text.Append('\n');
                Write(text, value, listIndent, inline: false);
                break;
            case JsonValue leaf when leaf.GetValueKind() == JsonValueKind.String && IsBlock(leaf.GetValue<string>()):
                Block(text, leaf.GetValue<string>(), indent + 2);
                break;
            default:
                text.Append(' ');
                Write(text, value, indent, inline: true);
                break;
        }
    }

    /// <summary>A literal block keeps certificates and scripts readable. It is used only for text that it can represent
    /// exactly.</summary>
    private static bool IsBlock(string text) =>
        text.Contains('\n', StringComparison.Ordinal) && text[0] is not (' ' or '\n') && Visible.IsWhole(text.Replace("\n", "", StringComparison.Ordinal))
        && !text.Contains(" \n", StringComparison.Ordinal);

    private static void Block(StringBuilder text, string value, int indent)
    {
        var body = value.TrimEnd('\n');
        var trailing = value.Length - body.Length;
        text.Append(trailing switch { 0 => " |-\n", 1 => " |\n", _ => " |+\n" });
        foreach (var line in body.Split('\n'))
        {
            if (line.Length > 0) text.Append(' ', indent).Append(line);
            text.Append('\n');
        }
        for (var i = 1; i < trailing; i++) text.Append('\n');
    }

    private static string Leaf(JsonNode? node) => node?.GetValueKind() switch
    {
        null or JsonValueKind.Null => "null",
        JsonValueKind.String => Scalar(node.GetValue<string>()),
        _ => node.ToJsonString(),
    };

    /// <summary>YAML 1.1 has dates and times, which some parsers make of such text (2024-05-01, 2024-05-01T10:00:00Z).</summary>
    private static bool IsDate(string text) =>
        text.Length >= 8 && text[4] == '-' && text.AsSpan(0, 4).IndexOfAnyExceptInRange('0', '9') < 0 && char.IsAsciiDigit(text[5]);

    private static string Scalar(string text)
    {
        if (text.Length == 0) return "\"\"";
        var plain = Kind(text) == ScalarKind.Text && !IsDate(text)
            && text[0] is not ('-' or '?' or ':' or ',' or '[' or ']' or '{' or '}' or '#' or '&' or '*' or '!' or '|' or '>' or '\'' or '"' or '%' or '@'
                or '`' or ' ' or '=' or '<')
            && text[^1] is not (' ' or ':')
            && !text.Contains(": ", StringComparison.Ordinal) && !text.Contains(" #", StringComparison.Ordinal)
            && Visible.IsWhole(text);
        if (plain) return text;
        return !Visible.IsWhole(text)
            ? Visible.Json($"\"{JsonEncodedText.Encode(text, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"")
            : $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";
    }
}
