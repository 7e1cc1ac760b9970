using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;

namespace Isthmus.Mesh.Config;

/// <summary>
/// Refuses control characters in names, hosts, prefixes and values: whoever prints or logs one would write to the terminal, or a second line.
/// Tabs are allowed, which fields of HTTP may have, and texts of several lines where these make sense. A stored object with such characters
/// still applies: all that prints them writes them out.
/// </summary>
internal static class ControlCharacters
{
    private static readonly SearchValues<char> Refused = SearchValues.Create([.. Enumerable.Range(0, 0xa0).Select(c => (char)c)
        .Where(c => char.IsControl(c) && c != '\t'),
        '\u2028', '\u2029']);

    /// <summary>Fields that hold whole texts: bodies, key sets, certificates, formats of logs, expressions, scripts, and what goes to an application.</summary>
    private static readonly HashSet<string> Texts = new(StringComparer.Ordinal)
    {
        "string", "bytes", "jwks", "text", "expression", "command", "environmentVariables", "literal", "pluginConfig", "accessLogFormat", "pem",
        "proxyMetadata", "runtimeValues"
    };

    internal static void Check(Field spec)
    {
        if (spec.Node is { } node) Check(node, spec.Path, spec.Findings);
    }

    private static void Check(JsonNode node, string path, Findings findings)
    {
        switch (node)
        {
            case JsonObject map:
                foreach (var (name, value) in map)
                {
                    // The value of a patch is what Envoy gets, which may be a program.
                    if (Texts.Contains(name) || (name == "value" && path.EndsWith(".patch", StringComparison.Ordinal))) continue;
                    var place = ObjectSchema.Join(path, name);
                    // Readers name a member of a map in brackets.
                    if (findings.HasErrorsAt($"{path}[{name}]")) continue;
                    if (name.AsSpan().ContainsAny(Refused)) Refuse(name, place, findings);
                    if (value is not null) Check(value, place, findings);
                }
                break;
            case JsonArray list:
                foreach (var (index, item) in list.Index())
                    if (item is not null) Check(item, $"{path}[{index}]", findings);
                break;
            case JsonValue value when value.GetValueKind() == JsonValueKind.String && value.GetValue<string>() is var text
                && text.AsSpan().ContainsAny(Refused):
                Refuse(text, path, findings);
                break;
        }
    }

    private static void Refuse(string text, string path, Findings findings)
    {
        // What the reader of the field says about it is more to the point.
        if (findings.HasErrorsAt(path)) return;
        findings.Error(path, $"\"{Visible.Text(text)}\" contains a control character", "remove it");
        findings.Close(path);
    }
}
