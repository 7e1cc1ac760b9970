using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Wire.Cel;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>ValidatingAdmissionPolicies. Their expressions are parsed, but their types are not checked. What this server cannot evaluate is warned
/// of.</summary>
internal sealed class AdmissionPolicyStrategy : KindStrategy
{
    private static readonly (string List, string Field)[] Expressions =
        [("variables", "expression"), ("matchConditions", "expression"), ("validations", "expression"), ("validations", "messageExpression"),
            ("auditAnnotations", "valueExpression")];

    public override bool HasGeneration => true;

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        foreach (var (list, field) in Expressions)
        {
            var i = 0;
            foreach (var item in Json.Objects(o.At("spec", list)))
            {
                var at = $"spec.{list}[{i++}].{field}";
                var text = Json.Text(item[field]);
                if (text.Trim().Length == 0)
                {
                    if (field != "messageExpression") yield return FieldError.Required(at);
                }
                else if (CelParser.Problem(text) is { } problem)
                {
                    yield return FieldError.Invalid(at, text, $"compilation failed: {problem}");
                }
                else if (list == "auditAnnotations")
                {
                    context.Warnings.Add($"{at}: has no effect, because this server has no audit log");
                }
                else if (AdmissionExpression.Read(text) is { Node: null } expression)
                {
                    context.Warnings.Add($"{at}: {expression.Obstacle}, so that it counts as failed for every request (failurePolicy)");
                }
            }
        }
    }
}
