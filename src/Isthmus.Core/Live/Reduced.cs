using System.Runtime.CompilerServices;

namespace Isthmus.Core.Live;

/// <summary>The items of another collection under the same keys, each without what does not matter to those who read it here: when only that
/// changes, nothing that has read the item runs again.</summary>
internal sealed class Reduced<TKey, T> : Live<TKey, T>
    where TKey : notnull
    where T : IEquatable<T>
{
    private readonly Live<TKey, T> _input;
    private readonly Func<T, T> _reduce;

    internal Reduced(Live<TKey, T> input, Func<T, T> reduce, string name) : base(input.Graph, name) => (_input, _reduce) = (input, reduce);

    internal override void Step()
    {
        if (_input.Changed.Count == 0) return;
        var staged = new Dictionary<TKey, Option<T>>(_input.Changed.Count);
        foreach (var key in _input.Changed)
        {
            try
            {
                staged[key] = Of(key);
            }
            catch (Exception bug)
            {
                Fail(bug); // The key keeps its last item.
            }
        }
        Apply(staged);
    }

    private Option<T> Of(TKey key) => _input.Items.TryGetValue(key, out var item) ? new(true, _reduce(item)) : default;

    internal override IEnumerable<string> Verify()
    {
        foreach (var key in _input.Items.Keys)
        {
            Option<T> fresh;
            try { fresh = Of(key); }
            catch (Exception) { continue; }
            if (!Items.TryGetValue(key, out var kept) || !kept.Equals(fresh.Value)) yield return $"{Name}: '{key}' is stale";
        }
        foreach (var key in Items.Keys)
        {
            if (!_input.Items.ContainsKey(key)) yield return $"{Name}: '{key}' should be gone";
        }
    }
}

public static class ReducedExtensions
{
    /// <summary>The items, each as <paramref name="reduce"/> makes it: the same object, if there is nothing to leave out.</summary>
    public static Live<TKey, T> Reduce<TKey, T>(this Live<TKey, T> input, Func<T, T> reduce, [CallerArgumentExpression(nameof(reduce))] string name = "")
        where TKey : notnull
        where T : IEquatable<T>
        => new Reduced<TKey, T>(input, reduce, name);
}
