namespace Isthmus.Proxy.Snapshot;

/// <summary>Which resources need others, by the name of what they need. Most are needed by one resource, so arrays are enough.</summary>
internal sealed class NeedIndex
{
    private readonly Dictionary<string, string[]> _dependents = new(StringComparer.Ordinal);
    private IReadOnlyList<string>? _names = [];

    /// <summary>The names of everything that is needed, in order. The same list, as long as they stay the same.</summary>
    public IReadOnlyList<string> Names => _names ??= [.. _dependents.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The resources that need the one of that name.</summary>
    public IReadOnlyList<string> Of(string name) => _dependents.GetValueOrDefault(name, []);

    /// <summary>A resource needs others than before.</summary>
    public void Move(string dependent, IReadOnlySet<string> before, IReadOnlySet<string> after)
    {
        foreach (var name in after)
            if (!before.Contains(name)) Add(name, dependent);
        foreach (var name in before)
            if (!after.Contains(name)) Remove(name, dependent);
    }

    private void Add(string name, string dependent)
    {
        if (_dependents.TryGetValue(name, out var others))
        {
            _dependents[name] = [.. others, dependent];
            return;
        }
        _dependents[name] = [dependent];
        _names = null;
    }

    private void Remove(string name, string dependent)
    {
        string[] others = [.. _dependents[name].Where(other => other != dependent)];
        if (others.Length > 0)
        {
            _dependents[name] = others;
            return;
        }
        _dependents.Remove(name);
        _names = null;
    }
}
