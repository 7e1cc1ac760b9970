using System.Text.Json.Nodes;

namespace Isthmus.Lab.ApiServer.CustomResources;

/// <summary>Objects of a definition: pruned, defaulted and validated by the schema of their version.</summary>
/// <param name="hasScale">The path of the replicas must hold a number.</param>
internal sealed class CustomStrategy(StructuralSchema schema, string? replicasPath) : KindStrategy
{
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
                $"Invalid value: 0: {replicasPath} accessor error: {Json.TextOrNull(replicas) ?? replicas.ToJsonString()} is of the type {(Json.TextOrNull(replicas) is null ? "float64" : "string")}, expected int64"));
        if (!wrong) errors.AddRange(SchemaValidation.ValidateLists(o, schema, ""));
        if (wrong && schema.HasRules)
            errors.Add(new("FieldValueInvalid", "<nil>",
                "Invalid value: \"null\": some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"));
        return errors;
    }
}
