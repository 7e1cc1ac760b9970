using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Cel;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Wire.Cel;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>
/// One of <c>x-kubernetes-validations</c>. A rule that uses more of CEL than is evaluated here is stored, but has no effect:
/// this server may accept an object that another one rejects, never the reverse.
/// </summary>
internal sealed record SchemaRule(CelNode Rule, string Text, string Message, string Reason, string FieldPath, bool NeedsOld)
{
    /// <summary>Takes the place of the message where it has a value of one line; null for none, or for one that is not evaluated here.</summary>
    public CelNode? MessageExpression { get; private init; }

    public static ValueList<SchemaRule> Read(JsonNode? list) => Json.Objects(list).Select(One).OfType<SchemaRule>().ToValueList();

    private static SchemaRule? One(JsonObject rule)
    {
        var text = Json.Text(rule["rule"]).Trim();
        if (Parse(text) is not { } parsed) return null;
        var needsOld = CelTokens.Read(text).Any(token => token is { Kind: CelTokenKind.Name, Text: "oldSelf" });
        // The old value comes as an optional there, which has functions of its own.
        if (needsOld && Json.Truth(rule["optionalOldSelf"]) == true) return null;
        return new(parsed, text, Json.Text(rule["message"]), Json.Text(rule["reason"]), Json.Text(rule["fieldPath"]), needsOld)
        {
            MessageExpression = Json.Text(rule["messageExpression"]) is { Length: > 0 } expression ? Parse(expression) : null,
        };
    }

    private static CelNode? Parse(string text)
    {
        try
        {
            return CelParser.Parse(text, CelFunctions.Knows);
        }
        catch (Exception e) when (e is CelUnsupportedException or CelSyntaxException)
        {
            return null;
        }
    }

    public FieldError? Check(JsonNode? self, JsonNode? old, string path, string type)
    {
        if (NeedsOld && old is null) return null;
        var scope = CelScope.Of(("self", CelValues.Of(self)), ("oldSelf", CelValues.Of(old)));
        var field = FieldPath.Length == 0 ? path : path.Length == 0 ? FieldPath.TrimStart('.') : path + FieldPath;
        try
        {
            if (Rule.Truth(scope)) return null;
        }
        catch (CelFailureException e)
        {
            return new("FieldValueInvalid", path, $"Invalid value: \"{type}\": {e.Message} evaluating rule: {(Message.Length > 0 ? Message : Text)}");
        }
        var message = Said(scope) ?? (Message.Length > 0 ? Message : $"failed rule: {Text}");
        return Reason switch
        {
            "FieldValueForbidden" => FieldError.Forbidden(field, message),
            "FieldValueRequired" => FieldError.Required(field, message),
            "FieldValueDuplicate" => new(Reason, field, $"Duplicate value: \"{type}\""),
            _ => new("FieldValueInvalid", field, $"Invalid value: \"{type}\": {message}"),
        };
    }

    private string? Said(CelScope scope)
    {
        try
        {
            return MessageExpression?.Evaluate(scope) is string said && said.Trim().Length > 0 && !said.Contains('\n', StringComparison.Ordinal) ? said : null;
        }
        catch (CelFailureException)
        {
            return null;
        }
    }
}

/// <summary>Evaluates the rules of a schema over an object, on an update together with the object before.</summary>
internal static class SchemaRules
{
    public static IEnumerable<FieldError> Validate(JsonNode? self, JsonNode? old, StructuralSchema schema, string path)
    {
        if (!schema.HasRules || self is null) yield break;
        foreach (var rule in schema.Rules)
            if (rule.Check(self, old, path, schema.Type.Length > 0 ? schema.Type : "object") is { } error) yield return error;
        switch (self)
        {
            case JsonObject o:
                foreach (var (key, value) in o)
                    if (schema.Of(key) is { HasRules: true } property)
                        foreach (var error in Validate(value, old.At(key), property, path.Length == 0 ? key : $"{path}.{key}")) yield return error;
                break;
            case JsonArray list when schema.Items is { HasRules: true } items:
                for (var i = 0; i < list.Count; i++)
                    foreach (var error in Validate(list[i], Before(list[i], old as JsonArray, schema), items, $"{path}[{i}]")) yield return error;
                break;
        }
    }

    /// <summary>Which old item an item was: only lists with keys can say.</summary>
    private static JsonObject? Before(JsonNode? item, JsonArray? old, StructuralSchema schema) =>
        old is null || schema.ListType != "map" ? null
        : Json.Objects(old).FirstOrDefault(held => schema.ListKeys.All(key => JsonNode.DeepEquals(held[key], item.At(key))));
}
