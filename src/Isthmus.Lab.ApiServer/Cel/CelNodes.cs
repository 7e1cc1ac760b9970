using System.Text.Json.Nodes;

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

/// <summary>A part of an expression. Values are null, bool, long, double, text, a list of values, or a JSON object.</summary>
internal abstract record CelNode
{
    public object? Evaluate(CelScope scope)
    {
        scope.Spend();
        return Value(scope);
    }

    public bool Truth(CelScope scope) => Evaluate(scope) is bool truth ? truth : throw new CelFailureException("no such overload");

    protected abstract object? Value(CelScope scope);
}

internal sealed record CelLiteral(object? Held) : CelNode
{
    protected override object? Value(CelScope scope) => Held;
}

internal sealed record CelVariable(string Name) : CelNode
{
    protected override object? Value(CelScope scope) => scope.Find(Name);
}

internal sealed record CelList(IReadOnlyList<CelNode> Items) : CelNode
{
    protected override object? Value(CelScope scope) => Items.Select(item => item.Evaluate(scope)).ToList();
}

internal sealed record CelField(CelNode On, string Name) : CelNode
{
    private static readonly string[] Keywords =
    [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
        "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
    ];

    /// <summary>Field names that are not identifiers of CEL are written with these escapes.</summary>
    public static string Unescape(string name) =>
        name.StartsWith("__", StringComparison.Ordinal) && name.EndsWith("__", StringComparison.Ordinal) && name.Length > 4 && Keywords.Contains(name[2..^2]) ? name[2..^2]
        : name
            .Replace("__underscores__", "__", StringComparison.Ordinal).Replace("__dot__", ".", StringComparison.Ordinal)
            .Replace("__dash__", "-", StringComparison.Ordinal).Replace("__slash__", "/", StringComparison.Ordinal);

    public bool Exists(CelScope scope) => On.Evaluate(scope) is JsonObject o && o.ContainsKey(Name);

    protected override object? Value(CelScope scope) => On.Evaluate(scope) is JsonObject o && o.TryGetPropertyValue(Name, out var value)
        ? CelValues.Of(value)
        : throw new CelFailureException($"no such key: {Name}");
}

internal sealed record CelHas(CelField Field) : CelNode
{
    protected override object? Value(CelScope scope) => Field.Exists(scope);
}

internal sealed record CelIndex(CelNode On, CelNode Key) : CelNode
{
    protected override object? Value(CelScope scope) => (On.Evaluate(scope), Key.Evaluate(scope)) switch
    {
        (JsonObject o, string key) => o.TryGetPropertyValue(key, out var value) ? CelValues.Of(value) : throw new CelFailureException($"no such key: {key}"),
        (List<object?> list, long index) => index >= 0 && index < list.Count ? list[(int)index] : throw new CelFailureException($"index out of bounds: {index}"),
        _ => throw new CelFailureException("no such overload"),
    };
}

internal sealed record CelNot(CelNode Of) : CelNode
{
    protected override object? Value(CelScope scope) => !Of.Truth(scope);
}

internal sealed record CelMinus(CelNode Of) : CelNode
{
    protected override object? Value(CelScope scope) => Of.Evaluate(scope) switch
    {
        long whole => -whole,
        double number => -number,
        _ => throw new CelFailureException("no such overload"),
    };
}

internal sealed record CelChoice(CelNode Test, CelNode Then, CelNode Else) : CelNode
{
    protected override object? Value(CelScope scope) => (Test.Truth(scope) ? Then : Else).Evaluate(scope);
}

internal sealed record CelBinary(string Operator, CelNode Left, CelNode Right) : CelNode
{
    protected override object? Value(CelScope scope) => Operator switch
    {
        "&&" => Junction(scope, decisive: false),
        "||" => Junction(scope, decisive: true),
        _ => CelValues.Apply(Operator, Left.Evaluate(scope), Right.Evaluate(scope)),
    };

    // A side that fails does not matter when the other one decides.
    private bool Junction(CelScope scope, bool decisive)
    {
        CelFailureException? failure = null;
        try
        {
            if (Left.Truth(scope) == decisive) return decisive;
        }
        catch (CelFailureException e)
        {
            failure = e;
        }
        if (Right.Truth(scope) == decisive) return decisive;
        return failure is null ? !decisive : throw failure;
    }
}

internal sealed record CelLoop(string Kind, CelNode Over, string Variable, CelNode Body) : CelNode
{
    protected override object? Value(CelScope scope)
    {
        var items = Over.Evaluate(scope) switch
        {
            List<object?> list => list,
            JsonObject o => [.. o.Select(pair => (object?)pair.Key)],
            _ => throw new CelFailureException("no such overload"),
        };
        return Kind switch
        {
            "all" => items.All(Holds),
            "exists" => items.Any(Holds),
            "exists_one" => items.Count(Holds) == 1,
            "filter" => items.Where(Holds).ToList(),
            _ => items.Select(item => Body.Evaluate(scope.With(Variable, item))).ToList(),
        };

        bool Holds(object? item) => Body.Truth(scope.With(Variable, item));
    }
}

internal sealed record CelCall(Func<object?[], object?> Function, IReadOnlyList<CelNode> Arguments) : CelNode
{
    protected override object? Value(CelScope scope) => Function([.. Arguments.Select(argument => argument.Evaluate(scope))]);
}
