using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Problems;

namespace Isthmus.Mesh.Config;

/// <summary>The shape of a value, described once: the OpenAPI of a CRD and the structural check both come from it.</summary>
internal abstract record Schema
{
    public SchemaRule[] Rules { get; init; } = [];

    /// <summary>API servers take null for an absent value.</summary>
    public bool IsNullable { get; init; }

    public JsonObject ToOpenApi()
    {
        var shape = Describe();
        if (IsNullable) shape["nullable"] = true;
        if (Rules.Length > 0)
            shape["x-kubernetes-validations"] = new JsonArray([.. Rules.Select(rule => new JsonObject { ["rule"] = rule.Cel, ["message"] = rule.Message })]);
        return shape;
    }

    /// <summary>Reports where <paramref name="value"/> does not match the shape; null counts as absent. What breaks a limit or a rule of a value
    /// with the right shape is reported as a <see cref="Findings.Limit"/>.</summary>
    public void Check(JsonNode value, string path, Findings findings)
    {
        CheckShape(value, path, findings);
        foreach (var rule in Rules)
            if (!rule.Holds(value)) findings.Limit(path, rule.Message);
    }

    private protected abstract JsonObject Describe();

    private protected abstract void CheckShape(JsonNode value, string path, Findings findings);

    public static TextSchema Text => new([]);
    public static FlagSchema Flag => new();
    public static NumberSchema Integer => new(true, int.MinValue, int.MaxValue) { Format = "int32" };
    public static NumberSchema Unsigned => new(true, 0, uint.MaxValue);
    /// <summary>A whole number that is not negative, and may be large.</summary>
    public static NumberSchema Count => new(true, 0, null);
    public static NumberSchema Number => new(false, null, null) { Format = "double" };
    public static Schema PortNumber => Unsigned.With(SchemaRule.Port);
    /// <summary>A duration: <c>1h</c>, <c>1m</c>, <c>1s</c>, <c>1ms</c> and sums of them.</summary>
    public static Schema Duration => Text.With(SchemaRule.LongEnough);
    /// <summary>A duration that may also be <c>0s</c>.</summary>
    public static Schema DurationOrZero => Text;
    public static AnySchema Anything => new();
    public static ListSchema Texts => new(Text);
    public static MapSchema TextMap => new(Text);

    public static TextSchema OneOf(params string[] values) => new(values);

    /// <summary>As <see cref="OneOf"/>, with more values of Istio's that API servers store and that are refused here.</summary>
    public static TextSchema OneOf(string[] values, params string[] refused) => new(values) { Others = refused };

    /// <summary>A field of Istio's that has no effect here: API servers keep it, because a control plane of Istio may read the same object.</summary>
    public static Schema Idle(Schema schema) => new IdleSchema(schema);

    /// <summary>A field of Istio's that is refused here, because to ignore it would change who may call, where a call goes or its answer.</summary>
    public static Schema Refused(Schema schema, string message, string remedy) => new RefusedSchema(schema, message, remedy);

    public static ListSchema List(Schema item) => new(item);

    public static MapSchema Map(Schema value) => new(value);

    /// <summary>Labels that select workloads.</summary>
    public static MapSchema SelectorLabels => Map(Text.AtMost(63).With(SchemaRule.NoWildcard));

    /// <summary>The same shape with rules.</summary>
    public Schema With(params SchemaRule[] rules) => this with { Rules = [.. Rules, .. rules] };

    /// <summary>The same shape, where null is not an error.</summary>
    public Schema OrNull() => this with { IsNullable = true };

    public static ObjectSchema Object(params (string Name, Schema Schema)[] fields) =>
        new(fields.ToDictionary(field => field.Name, field => field.Schema, StringComparer.Ordinal));

    /// <summary>An object of a policy, where a field that is dropped changes which calls are allowed: the API server keeps unknown fields, so
    /// that admission sees and refuses them.</summary>
    public static ObjectSchema Strict(params (string Name, Schema Schema)[] fields) => Object(fields) with { IsStrict = true };

    private protected static string Kind(JsonNode value) => value.GetValueKind() switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "null",
    };
}

internal sealed record ObjectSchema(Dictionary<string, Schema> Fields) : Schema
{
    public bool IsStrict { get; init; }

    /// <summary>The fields that API servers demand, as Istio's definitions do. What else must be there, readers say.</summary>
    public string[] Required { get; init; } = [];

    /// <summary>Groups of fields, of which at most one each may be set.</summary>
    public string[][] Alternatives { get; init; } = [];

    /// <summary>The same shape with fields that must be there.</summary>
    public ObjectSchema Requiring(params string[] names) => this with { Required = names };

    /// <summary>The same shape with fields of which at most one may be set.</summary>
    public ObjectSchema Choosing(params string[] names) => this with { Alternatives = [.. Alternatives, names] };

    /// <summary>The same shape with rules.</summary>
    public new ObjectSchema With(params SchemaRule[] rules) => (ObjectSchema)base.With(rules);

    private protected override JsonObject Describe()
    {
        var properties = new JsonObject();
        foreach (var (name, schema) in Fields.OrderBy(field => field.Key, StringComparer.Ordinal)) properties[name] = schema.ToOpenApi();
        var shape = new JsonObject { ["type"] = "object", ["properties"] = properties };
        if (Required.Length > 0) shape["required"] = new JsonArray([.. Required.Select(name => JsonValue.Create(name))]);
        if (Alternatives.Length == 1) shape["oneOf"] = OneAtMost(Alternatives[0]);
        else if (Alternatives.Length > 1) shape["allOf"] = new JsonArray([.. Alternatives.Select(names => new JsonObject { ["oneOf"] = OneAtMost(names) })]);
        // API servers prune before admission. The flag holds for this level only.
        if (IsStrict) shape["x-kubernetes-preserve-unknown-fields"] = true;
        return shape;
    }

    /// <summary>None of the fields, or exactly one: no rule by an expression, since those cost too much in lists without a limit.</summary>
    private static JsonArray OneAtMost(string[] names)
    {
        JsonNode none = new JsonObject { ["not"] = new JsonObject { ["anyOf"] = new JsonArray([.. names.Select(Has)]) } };
        return new JsonArray([none, .. names.Select(Has)]);

        // A node: lists of objects need code that native programs cannot make.
        static JsonNode Has(string name) => new JsonObject { ["required"] = new JsonArray(name) };
    }

    private protected override void CheckShape(JsonNode value, string path, Findings findings)
    {
        if (value is not JsonObject fields)
        {
            findings.Error(path, $"must be an object, not {Kind(value)}");
            return;
        }
        foreach (var (name, item) in fields)
        {
            if (item is null) continue;
            if (Fields.TryGetValue(name, out var schema)) schema.Check(item, Join(path, name), findings);
            else if (IsStrict)
                findings.Error(Join(path, name), $"unknown field \"{name}\"",
                    Meant(name) ?? "remove it or correct its spelling; without it, the object would not mean what it says");
            else
            {
                findings.Warn(Join(path, name), $"unknown field \"{name}\"", Meant(name) ?? "remove it or correct its spelling; it has no effect",
                    WarningKind.UnknownField);
            }
        }
        foreach (var name in Required)
            if (fields[name] is null) findings.Limit(path, $"{name} must be set");
        foreach (var names in Alternatives)
            if (names.Count(name => fields[name] is not null) > 1) findings.Limit(path, $"only one of {string.Join(", ", names)} may be set");
    }

    private string? Meant(string name) => Spelling.Nearest(name, Fields.Keys) is { } near ? $"did you mean \"{near}\"?" : null;

    public static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";
}

internal sealed record MapSchema(Schema Value) : Schema
{
    public int? Fewest { get; init; }

    public int? Most { get; init; }

    public MapSchema AtMost(int count) => this with { Most = count };

    private protected override JsonObject Describe()
    {
        var shape = new JsonObject { ["type"] = "object", ["additionalProperties"] = Value.ToOpenApi() };
        if (Fewest is { } fewest) shape["minProperties"] = fewest;
        if (Most is { } most) shape["maxProperties"] = most;
        return shape;
    }

    private protected override void CheckShape(JsonNode value, string path, Findings findings)
    {
        if (value is not JsonObject fields)
        {
            findings.Error(path, $"must be an object, not {Kind(value)}");
            return;
        }
        foreach (var (name, item) in fields)
        {
            if (item is not null) Value.Check(item, $"{path}[{name}]", findings);
        }
        if (fields.Count < Fewest || fields.Count > Most) findings.Limit(path, Bounds.Text(fields.Count, "entries", Fewest, Most));
    }
}

internal sealed record ListSchema(Schema Item) : Schema
{
    public int? Fewest { get; init; }

    public int? Most { get; init; }

    /// <summary>The field of items that no two items share; empty if there is none.</summary>
    public string Key { get; init; } = "";

    public ListSchema AtMost(int count) => this with { Most = count };

    public ListSchema Between(int fewest, int most) => this with { Fewest = fewest, Most = most };

    private protected override JsonObject Describe()
    {
        var shape = new JsonObject { ["type"] = "array", ["items"] = Item.ToOpenApi() };
        if (Fewest is { } fewest) shape["minItems"] = fewest;
        if (Most is { } most) shape["maxItems"] = most;
        if (Key.Length > 0) (shape["x-kubernetes-list-type"], shape["x-kubernetes-list-map-keys"]) = ("map", new JsonArray(Key));
        return shape;
    }

    private protected override void CheckShape(JsonNode value, string path, Findings findings)
    {
        if (value is not JsonArray items)
        {
            findings.Error(path, $"must be a list, not {Kind(value)}");
            return;
        }
        for (var i = 0; i < items.Count; i++)
        {
            if (items[i] is { } item) Item.Check(item, $"{path}[{i}]", findings);
            else findings.Error($"{path}[{i}]", "must not be null");
        }
        if (items.Count < Fewest || items.Count > Most) findings.Limit(path, Bounds.Text(items.Count, "items", Fewest, Most));
        if (Key.Length > 0 && items.Select(item => (item as JsonObject)?[Key]?.ToJsonString()).Distinct(StringComparer.Ordinal).Count() < items.Count)
            findings.Limit(path, $"each item must have another {Key}");
    }
}

internal sealed record TextSchema(string[] Values) : Schema
{
    /// <summary>Values that API servers store, and that are refused here.</summary>
    public string[] Others { get; init; } = [];

    /// <summary>The number of characters.</summary>
    public int? Fewest { get; init; }

    public int? Most { get; init; }

    /// <summary>What the whole text matches, as a regular expression without anchors.</summary>
    public string Pattern { get; init; } = "";

    /// <summary>OpenAPI's name of a format.</summary>
    public string Format { get; init; } = "";

    public TextSchema AtLeast(int length) => this with { Fewest = length };

    public TextSchema AtMost(int length) => this with { Most = length };

    public TextSchema Between(int fewest, int most) => this with { Fewest = fewest, Most = most };

    public TextSchema Matching(string pattern) => this with { Pattern = pattern };

    private protected override JsonObject Describe()
    {
        var schema = new JsonObject { ["type"] = "string" };
        if (Fewest is { } fewest) schema["minLength"] = fewest;
        if (Most is { } most) schema["maxLength"] = most;
        if (Pattern.Length > 0) schema["pattern"] = $"^{Pattern}$";
        if (Format.Length > 0) schema["format"] = Format;
        if (Values.Length > 0) schema["enum"] = new JsonArray([.. Values.Concat(Others).Select(value => JsonValue.Create(value))]);
        return schema;
    }

    private protected override void CheckShape(JsonNode value, string path, Findings findings)
    {
        if (value.GetValueKind() is JsonValueKind.True or JsonValueKind.False)
            findings.Error(path, $"must be a string, not {Kind(value)}", "put it in quotes: without them, OFF, ON, NO and YES are booleans in YAML");
        else if (value.GetValueKind() != JsonValueKind.String) findings.Error(path, $"must be a string, not {Kind(value)}");
        else if (Values.Length > 0 && !Values.Contains(value.GetValue<string>()))
        {
            findings.Error(path, $"unsupported value \"{value.GetValue<string>()}\"", $"use one of {string.Join(", ", Values)}");
        }
        else CheckText(value.GetValue<string>(), path, findings);
    }

    private void CheckText(string text, string path, Findings findings)
    {
        if (Fewest is not null || Most is not null)
        {
            var length = text.EnumerateRunes().Count();
            if (length < Fewest || length > Most) findings.Limit(path, Bounds.Text(length, "characters", Fewest, Most));
        }
        if (Pattern.Length > 0 && !Regex.IsMatch(text, $@"\A{Pattern}\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant))
            findings.Limit(path, $"\"{text}\" does not match {Pattern}");
        if (Format == "byte" && !Convert.TryFromBase64String(text, new byte[text.Length], out _)) findings.Limit(path, "must be in base64");
    }
}

internal sealed record FlagSchema : Schema
{
    private protected override JsonObject Describe() => new() { ["type"] = "boolean" };

    private protected override void CheckShape(JsonNode value, string path, Findings findings)
    {
        if (value.GetValueKind() is not (JsonValueKind.True or JsonValueKind.False)) findings.Error(path, $"must be a boolean, not {Kind(value)}");
    }
}

/// <param name="Minimum">The smallest number of the type.</param>
/// <param name="Maximum">The largest number of the type.</param>
internal sealed record NumberSchema(bool Whole, long? Minimum, long? Maximum) : Schema
{
    /// <summary>OpenAPI's name of a type, which implies its smallest and largest numbers.</summary>
    public string Format { get; init; } = "";

    /// <summary>The smallest number that makes sense.</summary>
    public long? Low { get; init; }

    public long? High { get; init; }

    public NumberSchema AtLeast(long low) => this with { Low = low };

    public NumberSchema Between(long low, long high) => this with { Low = low, High = high };

    private protected override JsonObject Describe()
    {
        var schema = new JsonObject { ["type"] = Whole ? "integer" : "number" };
        if (Format.Length > 0) schema["format"] = Format;
        if ((Low ?? (Format.Length > 0 ? null : Minimum)) is { } minimum) schema["minimum"] = minimum;
        if ((High ?? (Format.Length > 0 ? null : Maximum)) is { } maximum) schema["maximum"] = maximum;
        return schema;
    }

    private protected override void CheckShape(JsonNode value, string path, Findings findings)
    {
        if (value.GetValueKind() != JsonValueKind.Number || !double.TryParse(value.ToJsonString(), out var number))
        {
            findings.Error(path, $"must be {(Whole ? "an integer" : "a number")}, not {Kind(value)}");
        }
        else if (Whole && (number != Math.Floor(number) || Math.Abs(number) > 9e15)) findings.Error(path, $"must be an integer, not {value.ToJsonString()}");
        else if (number < Minimum) findings.Error(path, $"{value.ToJsonString()} is less than {Minimum}");
        else if (number > Maximum) findings.Error(path, $"{value.ToJsonString()} is greater than {Maximum}");
        else if (number < Low) findings.Limit(path, $"{value.ToJsonString()} is less than {Low}");
        else if (number > High) findings.Limit(path, $"{value.ToJsonString()} is greater than {High}");
    }
}

internal sealed record AnySchema : Schema
{
    private protected override JsonObject Describe() => new() { ["type"] = "object", ["x-kubernetes-preserve-unknown-fields"] = true };

    private protected override void CheckShape(JsonNode value, string path, Findings findings)
    {
    }
}

internal sealed record IdleSchema(Schema Shape) : Schema
{
    private protected override JsonObject Describe() => Shape.ToOpenApi();

    private protected override void CheckShape(JsonNode value, string path, Findings findings)
    {
        Shape.Check(value, path, findings);
        if (!findings.HasErrorsAt(path)) new Field(value, path, findings).NoEffect();
    }
}

internal sealed record RefusedSchema(Schema Shape, string Message, string Remedy) : Schema
{
    private protected override JsonObject Describe() => Shape.ToOpenApi();

    private protected override void CheckShape(JsonNode value, string path, Findings findings)
    {
        // A switch that is off asks for nothing.
        if (Shape is not FlagSchema || value.GetValueKind() != JsonValueKind.False) findings.Error(path, Message, Remedy);
    }
}

internal static class Bounds
{
    public static string Text(int count, string of, int? fewest, int? most) =>
        $"has {count} {of}; {(fewest is null ? $"at most {most}" : most is null ? $"at least {fewest}" : $"{fewest} to {most}")} are allowed";
}
