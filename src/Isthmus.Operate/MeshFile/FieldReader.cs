using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.MeshFile;

/// <summary>Reads one mapping of a file. It collects problems while it continues to read, so that all of them are reported
/// at once.</summary>
internal sealed class FieldReader(JsonObject fields, string path, string source, List<Problem> problems)
{
    internal string At(string field) => path.Length == 0 ? field : $"{path}.{field}";

    internal bool Has(string field) => fields[field] is not null;

    /// <summary>Rejects unknown fields.</summary>
    internal FieldReader Only(params ReadOnlySpan<string> known)
    {
        var names = known.ToArray();
        foreach (var (field, _) in fields)
        {
            if (names.Contains(field)) continue;
            var near = names.FirstOrDefault(name => string.Equals(name, field, StringComparison.OrdinalIgnoreCase)
                || name.StartsWith(field, StringComparison.OrdinalIgnoreCase) || field.StartsWith(name, StringComparison.OrdinalIgnoreCase));
            Wrong("ISM0301", At(field), "is not a field of a mesh file",
                near is null ? $"valid fields: {string.Join(", ", names)}" : $"did you mean '{near}'?");
        }
        return this;
    }

    internal string Text(string field, string fallback = "") => fields[field] switch
    {
        null => fallback,
        JsonValue value => Text(value, At(field)),
        var other => Unfit(field, other, "text", fallback),
    };

    internal string Required(string field, string remedy)
    {
        var text = Text(field);
        if (text.Length == 0 && fields[field] is null or JsonValue) Wrong("ISM0302", At(field), "is required", remedy);
        return text;
    }

    internal int Number(string field, int least, int most, int fallback)
    {
        if (fields[field] is not { } node) return fallback;
        if (node is JsonValue value && value.TryGetValue(out int number) && number >= least && number <= most) return number;
        Wrong("ISM0303", At(field), $"'{node}' is not a whole number between {least} and {most}", "use a number without quotes");
        return fallback;
    }

    /// <summary>False if the field is absent.</summary>
    internal bool Flag(string field)
    {
        if (fields[field] is not { } node) return false;
        if (node is JsonValue value && value.TryGetValue(out bool flag)) return flag;
        Wrong("ISM0303", At(field), $"'{node}' is not true or false", "write true or false, without quotes");
        return false;
    }

    internal JsonObject Free(string field) => fields[field] switch
    {
        null => [],
        JsonObject mapping => (JsonObject)mapping.DeepClone(),
        var other => Unfit<JsonObject>(field, other, "a mapping", []),
    };

    internal FieldReader Mapping(string field) => new(fields[field] switch
    {
        null => [],
        JsonObject mapping => mapping,
        var other => Unfit<JsonObject>(field, other, "a mapping", []),
    }, At(field), source, problems);

    /// <summary>The items of a list that are mappings. Other items are problems.</summary>
    internal IEnumerable<FieldReader> Mappings(string field)
    {
        var index = 0;
        foreach (var item in List(field))
        {
            var at = $"{At(field)}[{index++}]";
            if (item is JsonObject mapping) yield return new(mapping, at, source, problems);
            else Wrong("ISM0303", at, $"'{item}' is not a mapping", "start it with '- ' and indent its fields");
        }
    }

    internal ValueList<string> Texts(string field)
    {
        // A single name instead of a list of one is unambiguous.
        if (fields[field] is JsonValue one) return [Text(one, At(field))];
        var texts = new List<string>();
        foreach (var (item, index) in List(field).Select((item, index) => (item, index)))
        {
            if (item is JsonValue value) texts.Add(Text(value, $"{At(field)}[{index}]"));
            else Wrong("ISM0303", $"{At(field)}[{index}]", $"'{item}' is not text", "write one name after each '- '");
        }
        return texts.ToValueList();
    }

    internal void Wrong(string code, string at, string message, string remedy) => problems.Add(new(code, source, at, message, remedy));

    /// <summary>Requires quotes: YAML reads n as false and 010 as 8, and the original text is lost.</summary>
    private string Text(JsonValue value, string at)
    {
        if (value.GetValueKind() != JsonValueKind.String)
            Wrong("ISM0303", at, $"'{value}' should be text, but YAML reads it as {Name(value)}", "quote the value");
        return value.ToString();
    }

    private JsonArray List(string field) => fields[field] switch
    {
        null => [],
        JsonArray list => list,
        var other => Unfit<JsonArray>(field, other, "a list", []),
    };

    private T Unfit<T>(string field, JsonNode node, string wanted, T fallback)
    {
        var shown = node.ToJsonString();
        Wrong("ISM0303", At(field), $"{(shown.Length > 60 ? shown[..60] + "…" : shown)} should be {wanted}, not {Name(node)}", $"use {wanted}");
        return fallback;
    }

    private static string Name(JsonNode node) => node.GetValueKind() switch
    {
        JsonValueKind.Object => "a mapping",
        JsonValueKind.Array => "a list",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        JsonValueKind.Number => "a number",
        _ => "text",
    };
}
