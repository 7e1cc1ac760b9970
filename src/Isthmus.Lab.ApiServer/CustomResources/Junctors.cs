using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Validation;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>allOf, anyOf, oneOf and not.</summary>
internal static class Junctors
{
    /// <param name="check">Validates a node by a schema.</param>
    public static void Validate(
        JsonNode? node, StructuralSchema schema, string path, List<FieldError> errors, Action<JsonNode?, StructuralSchema, string, List<FieldError>> check)
    {
        foreach (var part in schema.AllOf)
        {
            var failures = Try(part);
            if (failures.Count == 0) continue;
            errors.AddRange(failures);
            errors.Add(Failed($"\"{path}\" must validate all the schemas (allOf)"));
        }
        if (schema.AnyOf.Count > 0)
        {
            var failures = schema.AnyOf.Select(Try).ToList();
            if (failures.All(list => list.Count > 0))
            {
                errors.Add(Failed($"\"{path}\" must validate at least one schema (anyOf)"));
                errors.AddRange(failures.MinBy(list => list.Count)!);
            }
        }
        if (schema.OneOf.Count > 0)
        {
            var failures = schema.OneOf.Select(Try).ToList();
            var valid = failures.Count(list => list.Count == 0);
            if (valid != 1)
                errors.Add(
                    Failed(
                        $"\"{path}\" must validate one and only one schema (oneOf). "
                            + $"{(valid == 0 ? "Found none valid" : $"Found {valid} valid alternatives")}"));
            if (valid == 0) errors.AddRange(failures.MinBy(list => list.Count)!);
        }
        if (schema.Not is { } not && Try(not).Count == 0) errors.Add(Failed($"\"{path}\" must not validate the schema (not)"));

        List<FieldError> Try(StructuralSchema part)
        {
            var failures = new List<FieldError>();
            check(node, part, path, failures);
            return failures;
        }
    }

    private static FieldError Failed(string text) => new("FieldValueInvalid", "<nil>", $"Invalid value: \"\": {text}");
}
