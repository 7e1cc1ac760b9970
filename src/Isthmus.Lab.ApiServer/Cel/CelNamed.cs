namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>Expressions by name. Each is evaluated when its name is first used, and once.</summary>
/// <param name="evaluate">Evaluates the expression with that name.</param>
internal sealed class CelNamed(Func<string, object?> evaluate)
{
    private readonly Dictionary<string, object?> _known = new(StringComparer.Ordinal);
    private readonly HashSet<string> _asked = new(StringComparer.Ordinal);

    /// <exception cref="CelFailureException">There is none, it fails, or it refers to itself.</exception>
    public object? Find(string name)
    {
        if (_known.TryGetValue(name, out var value)) return value;
        if (!_asked.Add(name)) throw new CelFailureException($"the variable '{name}' refers to itself or has failed");
        return _known[name] = evaluate(name);
    }
}
