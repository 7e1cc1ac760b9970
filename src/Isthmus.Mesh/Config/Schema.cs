using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;

namespace Isthmus.Mesh.Config;

/// <summary>The shape of a value, described once: the OpenAPI of a CRD and the structural check both come from it.</summary>
internal abstract record Schema
{
    public abstract JsonObject ToOpenApi();

    /// <summary>Reports where <paramref name="value"/> does not match the shape; null counts as absent.</summary>
    public abstract void Check(JsonNode value, string path, Findings findings);

    public static Schema Text => new TextSchema([]);
    public static Schema Flag => new FlagSchema();
    public static Schema Integer => new NumberSchema(true, null, null);
    public static Schema Unsigned => new NumberSchema(true, 0, uint.MaxValue);
    public static Schema Number => new NumberSchema(false, null, null);
    /// <summary>A duration: <c>1h</c>, <c>1m</c>, <c>1s</c>, <c>1ms</c> and sums of them.</summary>
    public static Schema Duration => new TextSchema([]);
    public static Schema Anything => new AnySchema();
    public static Schema Texts => new ListSchema(Text);
    public static Schema TextMap => new MapSchema(Text);

    public static Schema OneOf(params string[] values) => new TextSchema(values);

    /// <summary>As <see cref="OneOf"/>, with more values of Istio's that API servers store and that are refused here.</summary>
    public static Schema OneOf(string[] values, params string[] refused) => new TextSchema(values) { Others = refused };

    /// <summary>A field of Istio's that has no effect here: API servers keep it, because a control plane of Istio may read the same object.</summary>
    public static Schema Idle(Schema schema) => new IdleSchema(schema);

    /// <summary>A field of Istio's that is refused here, because to ignore it would change who may call, where a call goes or its answer.</summary>
    public static Schema Refused(Schema schema, string message, string remedy) => new RefusedSchema(schema, message, remedy);

    public static Schema List(Schema item) => new ListSchema(item);

    public static Schema Map(Schema value) => new MapSchema(value);

    public static ObjectSchema Object(params (string Name, Schema Schema)[] fields) =>
        new(fields.ToDictionary(field => field.Name, field => field.Schema, StringComparer.Ordinal));

    /// <summary>An object of a policy, where a field that is dropped changes who may call whom: the API server keeps unknown fields, so
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

    /// <summary>The same shape with fields that must be there.</summary>
    public ObjectSchema Requiring(params string[] names) => this with { Required = names };

    public override JsonObject ToOpenApi()
    {
        var properties = new JsonObject();
        foreach (var (name, schema) in Fields.OrderBy(field => field.Key, StringComparer.Ordinal)) properties[name] = schema.ToOpenApi();
        var shape = new JsonObject { ["type"] = "object", ["properties"] = properties };
        if (Required.Length > 0) shape["required"] = new JsonArray([.. Required.Select(name => JsonValue.Create(name))]);
        // API servers prune before admission. The flag holds for this level only.
        if (IsStrict) shape["x-kubernetes-preserve-unknown-fields"] = true;
        return shape;
    }

    public override void Check(JsonNode value, string path, Findings findings)
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
            else if (IsStrict) findings.Error(Join(path, name), $"unknown field \"{name}\"", Meant(name) ?? "remove it or correct its spelling; without it, the object would not mean what it says");
            else findings.Warn(Join(path, name), $"unknown field \"{name}\"", Meant(name) ?? "remove it or correct its spelling; it has no effect");
        }
    }

    private string? Meant(string name) => Spelling.Nearest(name, Fields.Keys) is { } near ? $"did you mean \"{near}\"?" : null;

    public static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";
}

internal sealed record MapSchema(Schema Value) : Schema
{
    public override JsonObject ToOpenApi() => new() { ["type"] = "object", ["additionalProperties"] = Value.ToOpenApi() };

    public override void Check(JsonNode value, string path, Findings findings)
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
    }
}

internal sealed record ListSchema(Schema Item) : Schema
{
    public override JsonObject ToOpenApi() => new() { ["type"] = "array", ["items"] = Item.ToOpenApi() };

    public override void Check(JsonNode value, string path, Findings findings)
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
    }
}

internal sealed record TextSchema(string[] Values) : Schema
{
    /// <summary>Values that API servers store, and that are refused here.</summary>
    public string[] Others { get; init; } = [];

    public override JsonObject ToOpenApi()
    {
        var schema = new JsonObject { ["type"] = "string" };
        if (Values.Length > 0) schema["enum"] = new JsonArray([.. Values.Concat(Others).Select(value => JsonValue.Create(value))]);
        return schema;
    }

    public override void Check(JsonNode value, string path, Findings findings)
    {
        if (value.GetValueKind() is JsonValueKind.True or JsonValueKind.False) findings.Error(path, $"must be a string, not {Kind(value)}", "put it in quotes: without them, OFF, ON, NO and YES are booleans in YAML");
        else if (value.GetValueKind() != JsonValueKind.String) findings.Error(path, $"must be a string, not {Kind(value)}");
        else if (Values.Length > 0 && !Values.Contains(value.GetValue<string>()))
        {
            findings.Error(path, $"unsupported value \"{value.GetValue<string>()}\"", $"use one of {string.Join(", ", Values)}");
        }
    }
}

internal sealed record FlagSchema : Schema
{
    public override JsonObject ToOpenApi() => new() { ["type"] = "boolean" };

    public override void Check(JsonNode value, string path, Findings findings)
    {
        if (value.GetValueKind() is not (JsonValueKind.True or JsonValueKind.False)) findings.Error(path, $"must be a boolean, not {Kind(value)}");
    }
}

internal sealed record NumberSchema(bool Whole, long? Minimum, long? Maximum) : Schema
{
    public override JsonObject ToOpenApi()
    {
        var schema = new JsonObject { ["type"] = Whole ? "integer" : "number" };
        if (Minimum is { } minimum) schema["minimum"] = minimum;
        if (Maximum is { } maximum) schema["maximum"] = maximum;
        return schema;
    }

    public override void Check(JsonNode value, string path, Findings findings)
    {
        if (value.GetValueKind() != JsonValueKind.Number || !double.TryParse(value.ToJsonString(), out var number))
        {
            findings.Error(path, $"must be {(Whole ? "an integer" : "a number")}, not {Kind(value)}");
        }
        else if (Whole && (number != Math.Floor(number) || Math.Abs(number) > 9e15)) findings.Error(path, $"must be an integer, not {value.ToJsonString()}");
        else if (number < Minimum) findings.Error(path, $"{value.ToJsonString()} is less than {Minimum}");
        else if (number > Maximum) findings.Error(path, $"{value.ToJsonString()} is greater than {Maximum}");
    }
}

internal sealed record AnySchema : Schema
{
    public override JsonObject ToOpenApi() => new() { ["type"] = "object", ["x-kubernetes-preserve-unknown-fields"] = true };

    public override void Check(JsonNode value, string path, Findings findings)
    {
    }
}

internal sealed record IdleSchema(Schema Shape) : Schema
{
    public override JsonObject ToOpenApi() => Shape.ToOpenApi();

    public override void Check(JsonNode value, string path, Findings findings)
    {
        Shape.Check(value, path, findings);
        if (!findings.HasErrorsAt(path)) findings.Warn(path, "has no effect in Isthmus", "remove it, unless a control plane of Istio reads the object, too");
    }
}

internal sealed record RefusedSchema(Schema Shape, string Message, string Remedy) : Schema
{
    public override JsonObject ToOpenApi() => Shape.ToOpenApi();

    public override void Check(JsonNode value, string path, Findings findings)
    {
        // A switch that is off asks for nothing.
        if (Shape is not FlagSchema || value.GetValueKind() != JsonValueKind.False) findings.Error(path, Message, Remedy);
    }
}
