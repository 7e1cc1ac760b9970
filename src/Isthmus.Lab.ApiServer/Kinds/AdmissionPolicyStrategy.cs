using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Wire.Cel;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>ValidatingAdmissionPolicies. They are stored and their expressions parsed, but they are not enforced.</summary>
internal sealed class AdmissionPolicyStrategy : KindStrategy
{
    private static readonly (string List, string Field)[] Expressions =
        [("variables", "expression"), ("matchConditions", "expression"), ("validations", "expression"), ("validations", "messageExpression"), ("auditAnnotations", "valueExpression")];

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
            }
        }
    }
}
