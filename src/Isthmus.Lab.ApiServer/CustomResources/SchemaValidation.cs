using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>
/// Validates an object by its schema: types, limits, formats, junctors, keys of lists. Texts are those of a real API server.
/// </summary>
internal static class SchemaValidation
{
    // For an object with thousands of errors, only the first ones are reported.
    private const int MaxErrors = 100;

    public static List<FieldError> Validate(JsonObject o, StructuralSchema schema)
    {
        var errors = new List<FieldError>();
        foreach (var (key, property) in schema.Properties)
            if (key is not ("apiVersion" or "kind" or "metadata") && o.TryGetPropertyValue(key, out var value)) Any(value, property, key, errors);
        if (schema.Additional is not null || schema.Required.Count > 0 || HasJunctors(schema)) Limits(o, schema, "", errors, skipFields: true);
        return errors.Count > MaxErrors ? errors[..MaxErrors] : errors;
    }

    /// <summary>Checks that need valid types: no equal items in sets, no items with equal keys in maps.</summary>
    public static IEnumerable<FieldError> ValidateLists(JsonNode? node, StructuralSchema schema, string path)
    {
        switch (node)
        {
            case JsonObject o:
                foreach (var (key, value) in o)
                    if (schema.Of(key) is { } property)
                        foreach (var error in ValidateLists(value, property, path.Length == 0 ? key : $"{path}.{key}")) yield return error;
                break;
            case JsonArray list:
                foreach (var error in Duplicates(list, schema, path)) yield return error;
                if (schema.Items is not { } items) break;
                for (var i = 0; i < list.Count; i++)
                    foreach (var error in ValidateLists(list[i], items, $"{path}[{i}]")) yield return error;
                break;
        }
    }

    private static void Any(JsonNode? node, StructuralSchema schema, string path, List<FieldError> errors)
    {
        if (errors.Count > MaxErrors) return;
        if (node is null && schema.Nullable) return;
        if (!HasType(node, schema, path, errors)) return;
        if (schema.Enum is { } allowed && !allowed.Any(value => JsonNode.DeepEquals(value, node)))
            errors.Add(FieldError.NotSupported(path, node?.DeepClone(), allowed.Select(value => Json.TextOrNull(value) ?? value?.ToJsonString() ?? "null")));
        Limits(node, schema, path, errors, skipFields: false);
    }

    private static bool HasType(JsonNode? node, StructuralSchema schema, string path, List<FieldError> errors)
    {
        var actual = TypeOf(node);
        var (expected, fits) = schema.IsIntOrString
            ? ("integer,string", actual is "integer" or "string")
            : (schema.Type, schema.Type.Length == 0 || actual == schema.Type || (schema.Type == "number" && actual == "integer"));
        if (!fits) errors.Add(new("FieldValueTypeInvalid", path, $"Invalid value: \"{actual}\": {path} in body must be of type {expected}: \"{actual}\""));
        return fits;
    }

    private static string TypeOf(JsonNode? node) => node switch
    {
        null => "null",
        JsonObject => "object",
        JsonArray => "array",
        JsonValue value => value.GetValueKind() switch
        {
            JsonValueKind.String => "string",
            JsonValueKind.True or JsonValueKind.False => "boolean",
            _ => Json.Whole(value) is not null ? "integer" : "number",
        },
        _ => "",
    };

    private static void Limits(JsonNode? node, StructuralSchema schema, string path, List<FieldError> errors, bool skipFields)
    {
        switch (node)
        {
            case JsonObject o:
                Object(o, schema, path, errors, skipFields);
                break;
            case JsonArray list:
                List(list, schema, path, errors);
                break;
            case JsonValue value when value.TryGetValue(out string? text):
                Text(text, schema, path, errors);
                break;
            case JsonValue value when value.GetValueKind() == JsonValueKind.Number:
                Number(value, schema, path, errors);
                break;
        }
        if (HasJunctors(schema)) Junctors.Validate(node, schema, path, errors, Any);
    }

    private static bool HasJunctors(StructuralSchema schema) =>
        schema.AllOf.Count > 0 || schema.AnyOf.Count > 0 || schema.OneOf.Count > 0 || schema.Not is not null;

    private static void Object(JsonObject o, StructuralSchema schema, string path, List<FieldError> errors, bool skipFields)
    {
        foreach (var name in schema.Required)
            if (!o.ContainsKey(name)) errors.Add(FieldError.Required(Join(path, name)));
        if (schema.Whole("minProperties") is { } least && o.Count < least)
            errors.Add(FieldError.Invalid(path, o.Count, $"{path} in body should have at least {least} properties"));
        if (schema.Whole("maxProperties") is { } most && o.Count > most) errors.Add(TooMany(path, o.Count, most));
        if (schema.IsEmbedded)
            foreach (var name in (string[])["apiVersion", "kind"])
                if (Json.Text(o[name]).Length == 0) errors.Add(FieldError.Required(Join(path, name), "must not be empty"));
        if (skipFields) return;
        foreach (var (key, value) in o)
            if (schema.Of(key) is { } property && !(schema.IsEmbedded && key is "metadata" or "")) Any(value, property, Join(path, key), errors);
    }

    private static void List(JsonArray list, StructuralSchema schema, string path, List<FieldError> errors)
    {
        if (schema.Whole("minItems") is { } least && list.Count < least)
            errors.Add(FieldError.Invalid(path, list.Count, $"{path} in body should have at least {least} items"));
        if (schema.Whole("maxItems") is { } most && list.Count > most) errors.Add(TooMany(path, list.Count, most));
        if (Json.Truth(schema.Source["uniqueItems"]) == true && HasEqualItems(list))
            errors.Add(new("FieldValueDuplicate", path,
                $"Duplicate value: {list.ToJsonString(JsonText.Relaxed)}: {path} in body shouldn't contain duplicates"));
        if (schema.Items is not { } items) return;
        for (var i = 0; i < list.Count; i++) Any(list[i], items, $"{path}[{i}]", errors);
    }

    private static void Text(string text, StructuralSchema schema, string path, List<FieldError> errors)
    {
        var length = text.EnumerateRunes().Count();
        if (schema.Whole("maxLength") is { } most && length > most) errors.Add(FieldError.TooLong(path, (int)most));
        if (schema.Whole("minLength") is { } least && length < least)
            errors.Add(FieldError.Invalid(path, text, $"{path} in body should be at least {least} chars long"));
        if (schema.Pattern is { } pattern && !pattern.IsMatch(text))
            errors.Add(FieldError.Invalid(path, text, $"{path} in body should match '{Json.Text(schema.Source["pattern"])}'"));
        if (schema.Format.Length > 0 && !Formats.Fits(schema.Format, text))
            errors.Add(new("FieldValueTypeInvalid", path,
                $"Invalid value: {GoText.Quote(text)}: {path} in body must be of type {schema.Format}: {GoText.Quote(text)}"));
    }

    private static void Number(JsonValue value, StructuralSchema schema, string path, List<FieldError> errors)
    {
        if (Json.Number(value) is not { } number) return;
        var (exclusiveMax, exclusiveMin) = (Json.Truth(schema.Source["exclusiveMaximum"]) == true, Json.Truth(schema.Source["exclusiveMinimum"]) == true);
        if (schema.Number("maximum") is { } most && (number > most || (exclusiveMax && number >= most)))
            errors.Add(FieldError.Invalid(path, value.DeepClone(), $"{path} in body should be less than {(exclusiveMax ? "" : "or equal to ")}{Print(most)}"));
        if (schema.Number("minimum") is { } least && (number < least || (exclusiveMin && number <= least)))
            errors.Add(FieldError.Invalid(path, value.DeepClone(),
                $"{path} in body should be greater than {(exclusiveMin ? "" : "or equal to ")}{Print(least)}"));
        if (schema.Number("multipleOf") is { } factor and > 0 && Math.Abs(Math.IEEERemainder(number, factor)) > 1e-9)
            errors.Add(FieldError.Invalid(path, value.DeepClone(), $"{path} in body should be a multiple of {Print(factor)}"));
        var (low, high) = schema.Format switch { "int32" => (int.MinValue, int.MaxValue), _ => (double.MinValue, double.MaxValue) };
        if (number < low || number > high)
            errors.Add(FieldError.Invalid(path, value.DeepClone(), $"{path} in body must be of type {schema.Format}: {value.ToJsonString()}"));
    }

    private static string Print(double number) => number.ToString("R", CultureInfo.InvariantCulture);

    private static FieldError TooMany(string path, int count, long most) =>
        new("FieldValueTooMany", path, $"Too many: {count}: must have at most {most} items");

    private static bool HasEqualItems(JsonArray list)
    {
        for (var i = 0; i < list.Count; i++)
            for (var j = 0; j < i; j++)
                if (JsonNode.DeepEquals(list[i], list[j])) return true;
        return false;
    }

    private static IEnumerable<FieldError> Duplicates(JsonArray list, StructuralSchema schema, string path)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < list.Count; i++)
        {
            if (schema.ListType == "set" && !seen.Add(list[i]?.ToJsonString(JsonText.Relaxed) ?? "null"))
                yield return FieldError.Duplicate($"{path}[{i}]", list[i]?.DeepClone());
            if (schema.ListType != "map" || list[i] is not JsonObject item) continue;
            var key = new StringBuilder();
            foreach (var name in schema.ListKeys) key.Append(key.Length > 0 ? ", " : "").Append(GoText.Quote(name)).Append(':').Append(GoValue(item[name]));
            if (!seen.Add(key.ToString())) yield return new("FieldValueDuplicate", $"{path}[{i}]", $"Duplicate value: map[string]interface {{}}{{{key}}}");
        }
    }

    private static string GoValue(JsonNode? node) =>
        Json.TextOrNull(node) is { } text ? GoText.Quote(text) : node?.ToJsonString() ?? "interface {}(nil)";

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";
}
