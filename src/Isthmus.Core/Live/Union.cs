using System.Runtime.CompilerServices;

namespace Isthmus.Core.Live;

internal sealed class Union<TKey, T> : Live<TKey, T>
    where TKey : notnull
    where T : IEquatable<T>
{
    private readonly Live<TKey, T> _first;
    private readonly Live<TKey, T> _second;

    internal Union(Live<TKey, T> first, Live<TKey, T> second, string name) : base(first.Graph, name) => (_first, _second) = (first, second);

    internal override void Step()
    {
        if (_first.Changed.Count == 0 && _second.Changed.Count == 0) return;
        var staged = new Dictionary<TKey, Option<T>>();
        foreach (var key in _first.Changed) staged[key] = Of(key);
        foreach (var key in _second.Changed) staged[key] = Of(key);
        Apply(staged);
    }

    private Option<T> Of(TKey key) =>
        _first.Items.TryGetValue(key, out var first) ? new(true, first) : _second.Items.TryGetValue(key, out var second) ? new(true, second) : default;

    internal override IEnumerable<string> Verify()
    {
        foreach (var key in _first.Items.Keys.Union(_second.Items.Keys))
        {
            if (!Items.TryGetValue(key, out var kept) || !kept.Equals(Of(key).Value)) yield return $"{Name}: '{key}' is stale";
        }
        foreach (var key in Items.Keys)
        {
            if (!Of(key).HasValue) yield return $"{Name}: '{key}' should be gone";
        }
    }
}

public static class UnionExtensions
{
    /// <summary>The items of both; for a key in both, the item of <paramref name="first"/>.</summary>
    public static Live<TKey, T> UnionWith<TKey, T>(this Live<TKey, T> first, Live<TKey, T> second, [CallerArgumentExpression(nameof(second))] string name = "")
        where TKey : notnull
        where T : IEquatable<T>
        => new Union<TKey, T>(first, second, name);
}
