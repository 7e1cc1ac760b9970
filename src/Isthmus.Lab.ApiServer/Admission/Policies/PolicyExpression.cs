using Isthmus.Lab.ApiServer.Cel;
using Isthmus.Wire.Cel;

namespace Isthmus.Lab.ApiServer.Admission.Policies;

/// <summary>An expression of a policy.</summary>
/// <param name="Node">Null if it cannot be evaluated here.</param>
/// <param name="Obstacle">Why it cannot be.</param>
internal sealed record PolicyExpression(string Text, CelNode? Node, string Obstacle)
{
    public static PolicyExpression Read(string text)
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
