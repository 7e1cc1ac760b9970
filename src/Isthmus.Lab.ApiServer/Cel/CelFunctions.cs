namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>The functions of CEL: those of the language, and the libraries of Kubernetes. A receiver is the first argument.</summary>
internal static class CelFunctions
{
    /// <summary>A function of any number of arguments.</summary>
    private const int Any = -1;

    private static readonly Dictionary<(string Name, int Count), CelFunction> Table = new CelFunctionSet()
        .Add(CelConversions.All).Add(CelTexts.All).Add(CelLists.All).Add(CelTimes.All).Add(CelAddresses.All).Add(CelUrls.All).Add(CelQuantities.All)
        .Add(CelFormats.All)
        .Functions;

    public static IReadOnlyCollection<(string Name, int Count)> All => Table.Keys;

    public static bool Knows(string name, int count) => Find(name, count) is not null;

    /// <summary>Null if the function does not exist for this number of arguments.</summary>
    public static CelFunction? Find(string name, int count) =>
        Table.TryGetValue((name, count), out var function) || (count > 0 && Table.TryGetValue((name, Any), out function)) ? function : null;
}

/// <summary>Its arguments are never fewer or more than its name stands for.</summary>
/// <exception cref="CelFailureException">An argument has another type, or a value without a meaning.</exception>
internal delegate object? CelFunction(object?[] arguments);

/// <summary>Collects functions, each by its name and its number of arguments.</summary>
internal sealed class CelFunctionSet
{
    private const int Any = -1;

    public Dictionary<(string Name, int Count), CelFunction> Functions { get; } = [];

    public CelFunctionSet Add(CelFunctionSet others)
    {
        foreach (var (key, function) in others.Functions)
        {
            // One name means different things for values of different types.
            Functions[key] = Functions.TryGetValue(key, out var first) ? arguments => Either(first, function, arguments) : function;
        }
        return this;
    }

    public CelFunctionSet Add(string name, int count, CelFunction function)
    {
        Functions.Add((name, count), function);
        return this;
    }

    public CelFunctionSet AddForAny(string name, CelFunction function) => Add(name, Any, function);

    public CelFunctionSet Add<T>(string name, Func<T, object?> function) =>
        Add(name, 1, arguments => arguments[0] is T value ? function(value) : throw CelFailureException.NoOverload());

    public CelFunctionSet Add<T, TOther>(string name, Func<T, TOther, object?> function) =>
        Add(name, 2, arguments => arguments is [T value, TOther other] ? function(value, other) : throw CelFailureException.NoOverload());

    public CelFunctionSet Add<T, TSecond, TThird>(string name, Func<T, TSecond, TThird, object?> function) =>
        Add(name, 3,
            arguments => arguments is [T value, TSecond second, TThird third] ? function(value, second, third) : throw CelFailureException.NoOverload());

    private static object? Either(CelFunction first, CelFunction second, object?[] arguments)
    {
        try
        {
            return first(arguments);
        }
        catch (CelFailureException e) when (e.IsNoOverload)
        {
            return second(arguments);
        }
    }
}
