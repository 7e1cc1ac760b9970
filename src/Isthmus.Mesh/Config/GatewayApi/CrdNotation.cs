using System.Globalization;
using System.Text.Json.Nodes;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>A line of the notation in <c>gateway-api.txt</c>, with the lines below it that are indented further.</summary>
internal sealed record CrdLine(string Text, List<CrdLine> Below)
{
    /// <summary>The word before the first blank, without a colon.</summary>
    internal string Word => Text.Split(' ', 2)[0].TrimEnd(':');

    /// <summary>What comes after the first blank.</summary>
    internal string Rest => Text.Split(' ', 2) is [_, var rest] ? rest : "";
}

/// <summary>Reads the notation of <c>gateway-api.txt</c>, in which a type is written once, and makes schemas of it.</summary>
internal sealed class CrdNotation
{
    private const int Continued = 6;

    private readonly Dictionary<string, CrdLine> _types = new(StringComparer.Ordinal);

    internal CrdNotation(TextReader text)
    {
        foreach (var block in Blocks(text))
        {
            if (block.Word == "kind") Kinds.Add(block);
            else _types.Add(block.Rest.Split(' ')[0].TrimEnd(':'), block);
        }
    }

    internal List<CrdLine> Kinds { get; } = [];

    /// <summary>The shape of a field: its line says type and facets, the lines below it are its rules.</summary>
    internal JsonObject Field(CrdLine field)
    {
        var shape = Typed(field.Rest);
        Restrict(shape, field.Below);
        return shape;
    }

    /// <summary>Adds fields to an object; those with a <c>!</c> are required.</summary>
    internal void AddFields(JsonObject shape, IEnumerable<CrdLine> fields)
    {
        var (properties, required) = (shape["properties"] as JsonObject ?? [], new JsonArray());
        foreach (var field in fields)
        {
            var name = field.Word.TrimEnd('!');
            properties[name] = Field(field);
            if (field.Word.EndsWith('!')) required.Add((JsonNode)name);
        }
        if (properties.Parent is null) shape["properties"] = properties;
        if (required.Count > 0) shape["required"] = required;
    }

    private static List<CrdLine> Blocks(TextReader text)
    {
        var (blocks, open) = (new List<CrdLine>(), new List<CrdLine>());
        while (text.ReadLine() is { } line)
        {
            if (line.Length == 0 || line[0] == '#') continue;
            var (said, indent) = (line.Trim(), line.Length - line.TrimStart().Length);
            if (indent >= Continued)
            {
                open[^1] = Replaced(open, blocks, $"{open[^1].Text} {said}");
                continue;
            }
            open.RemoveRange(indent / 2, open.Count - (indent / 2));
            var next = new CrdLine(said, []);
            (open.Count == 0 ? blocks : open[^1].Below).Add(next);
            open.Add(next);
        }
        return blocks;
    }

    private static CrdLine Replaced(List<CrdLine> open, List<CrdLine> blocks, string text)
    {
        var siblings = open.Count == 1 ? blocks : open[^2].Below;
        return siblings[^1] = siblings[^1] with { Text = text };
    }

    private JsonObject Typed(string text)
    {
        var parts = text.Split(' ', 2);
        var shape = Shape(parts[0]);
        if (parts.Length > 1) Facets(shape, parts[1]);
        return shape;
    }

    private JsonObject Shape(string type)
    {
        if (type.StartsWith("[]", StringComparison.Ordinal)) return new() { ["type"] = "array", ["items"] = Shape(type[2..]) };
        if (type.StartsWith("{}", StringComparison.Ordinal)) return new() { ["type"] = "object", ["additionalProperties"] = Shape(type[2..]) };
        return type switch
        {
            "string" or "boolean" or "integer" or "object" => new() { ["type"] = type },
            "int32" or "int64" => new() { ["type"] = "integer", ["format"] = type },
            "time" => new() { ["type"] = "string", ["format"] = "date-time" },
            _ => Named(_types[type]),
        };
    }

    private JsonObject Named(CrdLine type)
    {
        var of = type.Rest.Split(' ', 2);
        var shape = of.Length == 1 ? new JsonObject { ["type"] = "object" } : Typed(of[1]);
        var fields = type.Below.Where(line => !IsRule(line)).ToList();
        if (fields.Count > 0) AddFields(shape, fields);
        Restrict(shape, type.Below.Where(IsRule));
        return shape;
    }

    private static bool IsRule(CrdLine line) => line.Word is "must" or "says" or "one-of" && !line.Text.StartsWith($"{line.Word}:", StringComparison.Ordinal);

    private static void Restrict(JsonObject shape, IEnumerable<CrdLine> lines)
    {
        var rules = new JsonArray();
        foreach (var line in lines)
        {
            if (line.Word == "one-of") shape["oneOf"] = JsonNode.Parse(line.Rest);
            else if (line.Word == "must") rules.Add((JsonNode)new JsonObject { ["rule"] = line.Rest });
            else rules[^1]!["message"] = line.Rest;
        }
        if (rules.Count > 0) shape["x-kubernetes-validations"] = rules;
    }

    private static void Facets(JsonObject shape, string text)
    {
        while (text.Length > 0)
        {
            // A default may have blanks.
            var word = text.StartsWith("default=", StringComparison.Ordinal) ? text : text.Split(' ', 2)[0];
            text = text[word.Length..].TrimStart();
            Facet(shape, word);
        }
    }

    private static void Facet(JsonObject shape, string word)
    {
        var (name, value) = word.Split('=', 2) is [var before, var after] ? (before, after) : (word, "");
        var isList = shape["type"]!.ToString() == "array";
        switch (name)
        {
            case "atomic" or "set":
                shape[isList ? "x-kubernetes-list-type" : "x-kubernetes-map-type"] = name;
                break;
            case "by":
                shape["x-kubernetes-list-type"] = "map";
                shape["x-kubernetes-list-map-keys"] = Texts(value.Split(','));
                break;
            case "in":
                var values = value.Split('|');
                shape["enum"] = shape["type"]!.ToString() == "integer" ? new JsonArray([.. values.Select(one => (JsonNode)Number(one))]) : Texts(values);
                break;
            case "pattern":
                shape["pattern"] = value;
                break;
            case "pending":
                shape["default"] = isList ? Pending(value) : new JsonObject { ["conditions"] = Pending(value) };
                break;
            case "default":
                shape["default"] = value.Length > 0 && (value[0] is '{' or '[' or '"' || char.IsAsciiDigit(value[0])) ? JsonNode.Parse(value) : value;
                break;
            default:
                Bounds(shape, word.Split(".."));
                break;
        }
    }

    private static void Bounds(JsonObject shape, string[] ends)
    {
        var (least, most) = shape["type"]!.ToString() switch
        {
            "string" => ("minLength", "maxLength"),
            "array" => ("minItems", "maxItems"),
            "object" => ("minProperties", "maxProperties"),
            _ => ("minimum", "maximum"),
        };
        if (ends[0].Length > 0) shape[least] = Number(ends[0]);
        if (ends[1].Length > 0) shape[most] = Number(ends[1]);
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static JsonArray Texts(string[] values) => new([.. values.Select(value => (JsonNode)value)]);

    private static JsonArray Pending(string types) => new([.. types.Split(',').Select(type => (JsonNode)new JsonObject
    {
        ["lastTransitionTime"] = "1970-01-01T00:00:00Z",
        ["message"] = "Waiting for controller",
        ["reason"] = "Pending",
        ["status"] = "Unknown",
        ["type"] = type,
    })]);
}
