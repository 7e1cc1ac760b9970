namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>The expression cannot be evaluated for this object: a missing field, a division by zero, too much work.</summary>
internal sealed class CelFailureException(string message) : Exception(message)
{
    private const string Overload = "no such overload";
    private const string Work = "the rule takes too much work";

    /// <summary>The function does not take values of these types.</summary>
    public bool IsNoOverload => Message == Overload;

    /// <summary>No other part of the expression can decide instead.</summary>
    public bool IsFinal => Message == Work;

    public static CelFailureException NoOverload() => new(Overload);

    public static CelFailureException TooMuchWork() => new(Work);
}

/// <summary>The variables of one evaluation, and how much work is left for it.</summary>
internal sealed class CelScope
{
    // A rule over the largest objects stays far below; two nested loops over thousands of items do not.
    public const int MaxSteps = 1_000_000;

    private readonly CelScope? _outer;
    private readonly Func<string, (bool Known, object? Value)> _find;
    private readonly Budget _budget;

    private CelScope(CelScope? outer, Func<string, (bool Known, object? Value)> find, Budget budget) => (_outer, _find, _budget) = (outer, find, budget);

    public sealed class Budget
    {
        public int Left { get; set; } = MaxSteps;
    }

    /// <param name="variables">The value of a variable, if there is one by that name.</param>
    public static CelScope Of(Func<string, (bool Known, object? Value)> variables) => new(null, variables, new());

    public static CelScope Of(params (string Name, object? Value)[] variables) => Of(name =>
    {
        foreach (var variable in variables)
            if (variable.Name == name) return (true, variable.Value);
        return default;
    });

    public CelScope With(string inner, object? held) => new(this, name => (name == inner, held), _budget);

    public object? Find(string wanted)
    {
        for (var scope = this; scope is not null; scope = scope._outer)
            if (scope._find(wanted) is (true, var value)) return value;
        throw new CelFailureException($"undeclared reference to '{wanted}'");
    }

    public void Spend(int steps = 1)
    {
        if ((_budget.Left -= steps) < 0) throw CelFailureException.TooMuchWork();
    }
}
