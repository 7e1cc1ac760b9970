using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Cel;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Wire.Cel;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>An expression of a policy or webhook.</summary>
/// <param name="Node">Null if it cannot be evaluated here.</param>
/// <param name="Obstacle">Why it cannot be.</param>
internal sealed record AdmissionExpression(string Text, CelNode? Node, string Obstacle)
{
    public static AdmissionExpression Read(string text)
    {
        try
        {
            return new(text.Trim(), CelParser.Parse(text, CelFunctions.Knows), "");
        }
        catch (CelSyntaxException e)
        {
            return new(text.Trim(), null, e.Summary);
        }
        catch (CelUnsupportedException e)
        {
            return new(text.Trim(), null, $"{e.Message} is not supported by this server");
        }
    }

    /// <exception cref="CelFailureException">It has no value.</exception>
    public object? Evaluate(CelScope scope) => (Node ?? throw new CelFailureException(Obstacle)).Evaluate(scope);

    /// <exception cref="CelFailureException">It is neither true nor false.</exception>
    public bool Truth(CelScope scope) => (Node ?? throw new CelFailureException(Obstacle)).Truth(scope);
}

/// <summary>A condition, or a variable, by its name.</summary>
internal sealed record NamedExpression(string Name, AdmissionExpression Expression)
{
    public static ValueList<NamedExpression> Read(JsonNode? list) =>
        Json.Objects(list).Select(item => new NamedExpression(Json.Text(item["name"]), AdmissionExpression.Read(Json.Text(item["expression"])))).ToValueList();

    /// <summary>Whether all conditions hold. As in Kubernetes, one that does not hold decides before one that fails.</summary>
    /// <param name="scope">Makes one for each expression.</param>
    /// <param name="failure">Why that cannot be said; null if it can.</param>
    public static bool AllHold(ValueList<NamedExpression> conditions, Func<CelScope> scope, out string? failure)
    {
        failure = null;
        foreach (var condition in conditions)
        {
            try
            {
                if (condition.Expression.Truth(scope())) continue;
                failure = null;
                return false;
            }
            catch (CelFailureException e)
            {
                failure ??= $"matchCondition '{condition.Name}' resulted in error: {e.Message}";
            }
        }
        return failure is null;
    }
}
