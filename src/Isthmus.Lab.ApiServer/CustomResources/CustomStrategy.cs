using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>Objects of a definition: pruned, defaulted and validated by the schema of their version.</summary>
/// <param name="replicasPath">Must hold a number; null without a scale subresource.</param>
internal sealed class CustomStrategy(StructuralSchema schema, string? replicasPath) : KindStrategy
{
    private const int MaxErrors = 100;

    public override bool HasGeneration => true;

    public override bool UnconditionalUpdate => false;

    public override void Prune(JsonObject o, List<string>? dropped) => Pruning.Prune(o, schema, dropped);

    public override void Default(JsonObject o) => Defaulting.Default(o, schema);

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var errors = SchemaValidation.Validate(o, schema);
        var wrong = errors.Count > 0;
        if (replicasPath is not null && JsonPath.Parse(replicasPath)?.Find(o).FirstOrDefault() is { } replicas && Json.Whole(replicas) is null)
            errors.Add(new("FieldValueInvalid", replicasPath,
                $"Invalid value: 0: {replicasPath} accessor error: {Json.TextOrNull(replicas) ?? replicas.ToJsonString()} is of the type "
                    + $"{(Json.TextOrNull(replicas) is null ? "float64" : "string")}, expected int64"));
        if (!wrong) errors.AddRange(SchemaValidation.ValidateLists(o, schema, ""));
        if (wrong && schema.HasRules)
            errors.Add(new("FieldValueInvalid", "<nil>",
                "Invalid value: \"null\": some validation rules were not checked because the object was invalid; correct the existing errors to complete "
                    + "validation"));
        if (errors.Count == 0) errors.AddRange(SchemaRules.Validate(o, null, schema, "").Take(MaxErrors));
        return errors;
    }

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
        if (!schema.HasRules || SchemaValidation.Validate(next, schema).Count > 0) return [];
        // Errors that do not need the old object were reported already.
        var known = SchemaRules.Validate(next, null, schema, "").ToHashSet();
        return SchemaRules.Validate(next, old, schema, "").Where(error => !known.Contains(error)).Take(MaxErrors);
    }
}
