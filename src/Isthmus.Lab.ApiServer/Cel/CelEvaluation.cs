using System.Text.Json.Nodes;
using Isthmus.Wire.Cel;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>Evaluates CEL with the libraries of Kubernetes. Values are null, bool, long, double, text, a list of values, a JSON object, or of the types that
/// the libraries have.</summary>
internal static class CelEvaluation
{
    public static bool Truth(this CelNode node, CelScope scope) => node.Evaluate(scope) is bool truth ? truth : throw CelFailureException.NoOverload();

    public static object? Evaluate(this CelNode node, CelScope scope)
    {
        scope.Spend();
        return node switch
        {
            CelLiteral literal => literal.Value,
            CelVariable variable => scope.Find(variable.Name),
            CelList list => list.Items.Select(item => item.Evaluate(scope)).ToList(),
            CelMap map => Map(map, scope),
            CelField field => Field(field.On.Evaluate(scope), field.Name),
            CelHas has => has.Field.On.Evaluate(scope) switch
            {
                JsonObject o => o.ContainsKey(has.Field.Name),
                CelOptionalValue optional => optional.Value is JsonObject o && o.ContainsKey(has.Field.Name),
                _ => false,
            },
            CelIndex index => Index(index.On.Evaluate(scope), index.Key.Evaluate(scope)),
            CelOptional optional => Optional(optional.On.Evaluate(scope), optional.Key.Evaluate(scope)),
            CelNot not => !not.Of.Truth(scope),
            CelMinus minus => Minus(minus.Of.Evaluate(scope)),
            CelChoice choice => (choice.Test.Truth(scope) ? choice.Then : choice.Else).Evaluate(scope),
            CelBinary { Operator: "&&" or "||" } junction => Junction(junction, scope),
            CelBinary binary => Paid(CelValues.Apply(binary.Operator, binary.Left.Evaluate(scope), binary.Right.Evaluate(scope)), scope),
            CelLoop loop => Loop(loop, scope),
            CelPairLoop loop => CelPairs.Loop(loop, loop.Over.Evaluate(scope), scope),
            CelCall call => Paid(CelFunctions.Find(call.Name, call.Arguments.Count)!([.. call.Arguments.Select(argument => argument.Evaluate(scope))]), scope),
            _ => throw CelFailureException.NoOverload(),
        };
    }

    /// <summary>Values that an expression makes cost as much as their size, so that none can double again and again.</summary>
    private static object? Paid(object? value, CelScope scope)
    {
        if (value is string text) scope.Spend(text.Length / 10);
        else if (value is List<object?> list) scope.Spend(list.Count);
        return value;
    }

    private static JsonObject Map(CelMap map, CelScope scope)
    {
        var made = new JsonObject();
        foreach (var (key, value) in map.Entries)
        {
            if (key.Evaluate(scope) is not string name) throw CelFailureException.NoOverload();
            if (!made.TryAdd(name, CelValues.ToJson(value.Evaluate(scope)))) throw new CelFailureException($"Failed with repeated key: {name}");
        }
        return made;
    }

    private static object? Field(object? on, string name) => on switch
    {
        JsonObject o => o.TryGetPropertyValue(name, out var value) ? CelValues.Of(value) : throw new CelFailureException($"no such key: {name}"),
        CelOptionalValue optional => Optional(optional, name),
        CelNamed named => named.Find(name),
        _ => throw new CelFailureException($"no such key: {name}"),
    };

    private static object? Index(object? on, object? key) => (on, key) switch
    {
        (JsonObject o, string name) => o.TryGetPropertyValue(name, out var value) ? CelValues.Of(value) : throw new CelFailureException($"no such key: {name}"),
        (List<object?> list, long at) => at >= 0 && at < list.Count ? list[(int)at] : throw new CelFailureException($"index out of bounds: {at}"),
        (CelOptionalValue, _) => Optional(on, key),
        _ => throw CelFailureException.NoOverload(),
    };

    private static CelOptionalValue Optional(object? on, object? key) => (on, key) switch
    {
        (CelOptionalValue { Has: false }, _) => CelOptionalValue.None,
        (CelOptionalValue optional, _) => Optional(optional.Value, key),
        (JsonObject o, string name) => o.TryGetPropertyValue(name, out var value) ? CelOptionalValue.Of(CelValues.Of(value)) : CelOptionalValue.None,
        (List<object?> list, long at) => at >= 0 && at < list.Count ? CelOptionalValue.Of(list[(int)at]) : CelOptionalValue.None,
        _ => throw CelFailureException.NoOverload(),
    };

    private static object Minus(object? value) => value switch
    {
        long whole => -whole,
        double number => -number,
        _ => throw CelFailureException.NoOverload(),
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
        catch (CelFailureException e) when (!e.IsFinal)
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
            _ => throw CelFailureException.NoOverload(),
        };
        return loop.Kind switch
        {
            "all" => CelPairs.All(items, Holds),
            "exists" => CelPairs.Exists(items, Holds),
            "exists_one" => items.Count(Holds) == 1,
            "filter" => items.Where(Holds).ToList(),
            _ => items.Select(item => loop.Body.Evaluate(scope.With(loop.Variable, item))).ToList(),
        };

        bool Holds(object? item) => loop.Body.Truth(scope.With(loop.Variable, item));
    }
}
