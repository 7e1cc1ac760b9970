using System.Text.Json.Nodes;
using Isthmus.Wire.Cel;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>The rule cannot be evaluated for this object: a missing field, a division by zero, too much work.</summary>
internal sealed class CelFailureException(string message) : Exception(message);

/// <summary>The variables of one evaluation, and how much work is left for it.</summary>
internal sealed class CelScope(CelScope? outer, string name, object? value, CelScope.Budget budget)
{
    // A rule over the largest objects stays far below; two nested loops over thousands of items do not.
    public const int MaxSteps = 1_000_000;

    public sealed class Budget
    {
        public int Left { get; set; } = MaxSteps;
    }

    public CelScope With(string inner, object? held) => new(this, inner, held, budget);

    public object? Find(string wanted)
    {
        for (var scope = this; scope is not null; scope = scope.Outer)
            if (scope.Name == wanted) return scope.Value;
        throw new CelFailureException($"undeclared reference to '{wanted}'");
    }

    public void Spend()
    {
        if (--budget.Left < 0) throw new CelFailureException("the rule takes too much work");
    }

    private CelScope? Outer => outer;

    private string Name => name;

    private object? Value => value;
}

/// <summary>Evaluates the part of CEL that rules of definitions mostly use: fields, indexes, operators, <c>has</c>, <c>size</c>, the functions of texts, and loops.
/// Values are null, bool, long, double, text, a list of values, or a JSON object.</summary>
internal static class CelEvaluation
{
    public static bool Truth(this CelNode node, CelScope scope) => node.Evaluate(scope) is bool truth ? truth : throw NoOverload();

    public static object? Evaluate(this CelNode node, CelScope scope)
    {
        scope.Spend();
        return node switch
        {
            CelLiteral literal => literal.Value,
            CelVariable variable => scope.Find(variable.Name),
            CelList list => list.Items.Select(item => item.Evaluate(scope)).ToList(),
            CelField field => Field(field, scope),
            CelHas has => has.Field.On.Evaluate(scope) is JsonObject o && o.ContainsKey(has.Field.Name),
            CelIndex index => Index(index.On.Evaluate(scope), index.Key.Evaluate(scope)),
            CelNot not => !not.Of.Truth(scope),
            CelMinus minus => Minus(minus.Of.Evaluate(scope)),
            CelChoice choice => (choice.Test.Truth(scope) ? choice.Then : choice.Else).Evaluate(scope),
            CelBinary { Operator: "&&" or "||" } junction => Junction(junction, scope),
            CelBinary binary => CelValues.Apply(binary.Operator, binary.Left.Evaluate(scope), binary.Right.Evaluate(scope)),
            CelLoop loop => Loop(loop, scope),
            CelCall call => CelValues.Function(call.Name, call.Arguments.Count)!([.. call.Arguments.Select(argument => argument.Evaluate(scope))]),
            _ => throw NoOverload(),
        };
    }

    private static object? Field(CelField field, CelScope scope) => field.On.Evaluate(scope) is JsonObject o && o.TryGetPropertyValue(field.Name, out var value)
        ? CelValues.Of(value)
        : throw new CelFailureException($"no such key: {field.Name}");

    private static object? Index(object? on, object? key) => (on, key) switch
    {
        (JsonObject o, string name) => o.TryGetPropertyValue(name, out var value) ? CelValues.Of(value) : throw new CelFailureException($"no such key: {name}"),
        (List<object?> list, long at) => at >= 0 && at < list.Count ? list[(int)at] : throw new CelFailureException($"index out of bounds: {at}"),
        _ => throw NoOverload(),
    };

    private static object Minus(object? value) => value switch
    {
        long whole => -whole,
        double number => -number,
        _ => throw NoOverload(),
    };

    // A side that fails does not matter when the other one decides.
    private static bool Junction(CelBinary junction, CelScope scope)
    {
        var decisive = junction.Operator == "||";
        CelFailureException? failure = null;
        try
        {
            if (junction.Left.Truth(scope) == decisive) return decisive;
        }
        catch (CelFailureException e)
        {
            failure = e;
        }
        if (junction.Right.Truth(scope) == decisive) return decisive;
        return failure is null ? !decisive : throw failure;
    }

    private static object Loop(CelLoop loop, CelScope scope)
    {
        var items = loop.Over.Evaluate(scope) switch
        {
            List<object?> list => list,
            JsonObject o => [.. o.Select(pair => (object?)pair.Key)],
            _ => throw NoOverload(),
        };
        return loop.Kind switch
        {
            "all" => items.All(Holds),
            "exists" => items.Any(Holds),
            "exists_one" => items.Count(Holds) == 1,
            "filter" => items.Where(Holds).ToList(),
            _ => items.Select(item => loop.Body.Evaluate(scope.With(loop.Variable, item))).ToList(),
        };

        bool Holds(object? item) => loop.Body.Truth(scope.With(loop.Variable, item));
    }

    private static CelFailureException NoOverload() => new("no such overload");
}
