using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Wire.Cel;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>Validates CustomResourceDefinitions: names, versions, and that schemas are structural.</summary>
internal static class DefinitionValidation
{
    public static IEnumerable<FieldError> Validate(JsonObject o)
    {
        var spec = o["spec"];
        var (plural, group) = (spec.TextAt("names", "plural"), spec.TextAt("group"));
        var name = o.TextAt("metadata", "name");
        if (name != $"{plural}.{group}") yield return FieldError.Invalid("metadata.name", name, "must be spec.names.plural+\".\"+spec.group");
        if (group.Length == 0) yield return FieldError.Required("spec.group");
        else if (ObjectNames.SubdomainProblem(group) is { } problem) yield return FieldError.Invalid("spec.group", group, problem);
        else if (!group.Contains('.', StringComparison.Ordinal))
            yield return FieldError.Invalid("spec.group", group, "should be a domain with at least one dot");
        foreach (var error in Check.OneOf("spec.scope", spec.At("scope"), "Cluster", "Namespaced")) yield return error;
        foreach (var error in Names(spec.At("names"))) yield return error;
        foreach (var error in Versions(spec.At("versions"))) yield return error;
        foreach (var error in Conversion(spec.At("conversion"))) yield return error;
        foreach (var error in Stored(o)) yield return error;
    }

    private static IEnumerable<FieldError> Names(JsonNode? names)
    {
        foreach (var field in (string[])["plural", "singular"])
            foreach (var error in Check.Name($"spec.names.{field}", names.At(field), ObjectNames.Label1035Problem)) yield return error;
        foreach (var field in (string[])["kind", "listKind"])
            foreach (var error in Check.Name($"spec.names.{field}", names.At(field), value => ObjectNames.Label1035Problem(value.ToLowerInvariant())))
                yield return error;
        if (names.TextAt("kind") is { Length: > 0 } kind && kind == names.TextAt("listKind"))
            yield return FieldError.Invalid("spec.names.listKind", kind, "kind and listKind may not be the same");
        var i = 0;
        foreach (var shortName in Json.Texts(names.At("shortNames")))
            foreach (var error in Check.Name($"spec.names.shortNames[{i++}]", shortName, ObjectNames.Label1035Problem)) yield return error;
    }

    private static IEnumerable<FieldError> Versions(JsonNode? versions)
    {
        var list = Json.Objects(versions).ToList();
        if (list.Count == 0) yield return FieldError.Required("spec.versions");
        var names = new HashSet<string>(StringComparer.Ordinal);
        // API servers keep a schema that all versions share in one place, and name that place.
        var isShared = list.Skip(1).All(version => JsonNode.DeepEquals(version["schema"], list[0]["schema"]));
        for (var i = 0; i < list.Count; i++)
        {
            var at = $"spec.versions[{i}]";
            foreach (var error in Check.Name($"{at}.name", list[i]["name"], ObjectNames.Label1035Problem)) yield return error;
            if (!names.Add(Json.Text(list[i]["name"])))
                yield return FieldError.Invalid("spec.versions", Json.Array(list.Select(v => Json.Text(v["name"]))), "must contain unique version names");
            if (list[i].At("schema", "openAPIV3Schema") is JsonObject schema)
            {
                if (isShared && i > 0) continue;
                foreach (var error in Structural(schema, isShared ? "spec.validation.openAPIV3Schema" : $"{at}.schema.openAPIV3Schema", isRoot: true))
                    yield return error;
            }
            else
            {
                yield return FieldError.Required($"{at}.schema.openAPIV3Schema", "schemas are required");
            }
        }
        if (list.Count(version => Json.Truth(version["storage"]) == true) != 1)
            yield return FieldError.Invalid("spec.versions", Json.Array(list.Select(v => Json.Text(v["name"]))),
                "must have exactly one version marked as storage version");
    }

    private static IEnumerable<FieldError> Conversion(JsonNode? conversion)
    {
        foreach (var error in Check.OneOf("spec.conversion.strategy", conversion.At("strategy"), "None", "Webhook")) yield return error;
        // Accepting it would leave objects of other versions unconverted.
        if (conversion.TextAt("strategy") == "Webhook")
            yield return FieldError.Forbidden("spec.conversion.strategy", "this server converts by strategy None only");
    }

    private static IEnumerable<FieldError> Stored(JsonObject o)
    {
        var stored = Json.Texts(o.At("status", "storedVersions"));
        if (stored.IsEmpty)
            yield return new("FieldValueInvalid", "status.storedVersions", "Invalid value: []string(nil): must have at least one stored version");
        var versions = Json.Objects(o.At("spec", "versions")).Select(version => Json.Text(version["name"])).ToHashSet(StringComparer.Ordinal);
        for (var i = 0; i < stored.Count; i++)
            if (!versions.Contains(stored[i])) yield return FieldError.Invalid($"status.storedVersions[{i}]", stored[i], "must appear in spec.versions");
    }

    private static IEnumerable<FieldError> Structural(JsonObject schema, string path, bool isRoot = false)
    {
        var type = Json.Text(schema["type"]);
        var free = Json.Truth(schema["x-kubernetes-preserve-unknown-fields"]) == true || Json.Truth(schema["x-kubernetes-int-or-string"]) == true;
        if (type.Length == 0 && !(free && !isRoot))
            yield return FieldError.Required($"{path}.type", isRoot ? "must not be empty at the root" : "must not be empty for specified object fields");
        if (isRoot && type is not ("" or "object")) yield return FieldError.Invalid($"{path}.type", type, "must be object at the root");
        if (type == "array" && schema["items"] is not JsonObject) yield return FieldError.Required($"{path}.items", "must be specified");
        if (Json.Text(schema["pattern"]) is { Length: > 0 } pattern && GoPattern.Compile(pattern) is null)
            yield return FieldError.Invalid($"{path}.pattern", pattern, "must be a valid regular expression without backtracking");
        if (schema["properties"] is JsonObject { Count: > 0 } && schema["additionalProperties"] is JsonObject)
            yield return FieldError.Forbidden($"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive");
        if (Json.Text(schema["x-kubernetes-list-type"]) == "map" && Json.Texts(schema["x-kubernetes-list-map-keys"]).IsEmpty)
            yield return FieldError.Required($"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map");
        foreach (var error in Rules(schema, $"{path}.x-kubernetes-validations")) yield return error;
        foreach (var (key, property) in schema["properties"] as JsonObject ?? [])
            if (property is JsonObject child)
                foreach (var error in Structural(child, $"{path}.properties[{key}]")) yield return error;
        foreach (var part in (string[])["items", "additionalProperties"])
            if (schema[part] is JsonObject child)
                foreach (var error in Structural(child, $"{path}.{part}")) yield return error;
    }

    private static IEnumerable<FieldError> Rules(JsonObject schema, string path)
    {
        var i = 0;
        foreach (var rule in Json.Objects(schema["x-kubernetes-validations"]))
        {
            var at = $"{path}[{i++}]";
            var (text, message, messageExpression) = (Json.Text(rule["rule"]), Json.Text(rule["message"]).Trim(), Json.Text(rule["messageExpression"]));
            if (string.IsNullOrWhiteSpace(text)) yield return FieldError.Required($"{at}.rule", "rule is not specified");
            else if (message.AsSpan().ContainsAny('\n', '\r'))
                yield return FieldError.Invalid($"{at}.message", message, "message must not contain line breaks");
            else if (message.Length == 0 && text.Trim().AsSpan().ContainsAny('\n', '\r'))
                yield return FieldError.Required($"{at}.message", "message must be specified if rule contains line breaks");
            if (!string.IsNullOrWhiteSpace(text) && CelParser.Problem(text) is { } problem)
                yield return new("FieldValueInvalid", $"{at}.rule", $"Invalid value: {Print(rule)}: compilation failed: {problem}");
            else if (messageExpression.Length > 0 && CelParser.Problem(messageExpression) is { } other)
                yield return new("FieldValueInvalid", $"{at}.messageExpression",
                    $"Invalid value: {Print(rule)}: messageExpression compilation failed: {other}");
        }
    }

    /// <summary>The rule as Go prints its type. Pointers are addresses there; any will do.</summary>
    private static string Print(JsonObject rule)
    {
        var text = string.Join(", ",
            ((string[])["rule", "message", "messageExpression"])
                .Select(field => $"{char.ToUpperInvariant(field[0])}{field[1..]}:{GoText.Quote(Json.Text(rule[field]))}"));
        return $"apiextensions.ValidationRule{{{text}, Reason:(*apiextensions.FieldValueErrorReason)({Pointer("reason")}), "
            + $"FieldPath:{GoText.Quote(Json.Text(rule["fieldPath"]))}, OptionalOldSelf:(*bool)({Pointer("optionalOldSelf")})}}";

        string Pointer(string field) => rule[field] is null ? "nil" : "0xc000000000";
    }
}
