using System.Collections;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Isthmus.Core.Collections;

/// <summary>An immutable string-keyed map in key order that compares by content: labels, annotations, selectors.</summary>
public readonly struct ValueMap<T> : IEquatable<ValueMap<T>>, IReadOnlyDictionary<string, T>
{
    public static readonly ValueMap<T> Empty;

    private readonly ImmutableSortedDictionary<string, T>? _items;

    public ValueMap(IEnumerable<KeyValuePair<string, T>> items) =>
        _items = ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, items);

    public ImmutableSortedDictionary<string, T> Items => _items ?? ImmutableSortedDictionary<string, T>.Empty;

    public int Count => Items.Count;

    public IEnumerable<string> Keys => Items.Keys;

    public IEnumerable<T> Values => Items.Values;

    public T this[string key] => Items[key];

    public bool ContainsKey(string key) => Items.ContainsKey(key);

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out T value) => Items.TryGetValue(key, out value);

    public bool Equals(ValueMap<T> other)
    {
        var (items, others) = (Items, other.Items);
        if (ReferenceEquals(items, others)) return true;
        if (items.Count != others.Count) return false;
        // Pairs have no equality of their own, and that of all structs reads their fields by reflection.
        using var next = others.GetEnumerator();
        foreach (var (key, value) in items)
        {
            if (!next.MoveNext() || key != next.Current.Key || !EqualityComparer<T>.Default.Equals(value, next.Current.Value)) return false;
        }
        return true;
    }

    public override bool Equals(object? obj) => obj is ValueMap<T> other && Equals(other);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var (key, value) in Items)
        {
            hash.Add(key, StringComparer.Ordinal);
            hash.Add(value);
        }
        return hash.ToHashCode();
    }

    public IEnumerator<KeyValuePair<string, T>> GetEnumerator() => Items.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => Items.GetEnumerator();

    public override string ToString() => string.Join(",", Items.Select(item => $"{item.Key}={item.Value}"));

    public static bool operator ==(ValueMap<T> left, ValueMap<T> right) => left.Equals(right);

    public static bool operator !=(ValueMap<T> left, ValueMap<T> right) => !left.Equals(right);
}

public static class ValueMap
{
    public static ValueMap<T> ToValueMap<T>(this IEnumerable<KeyValuePair<string, T>> items) => new(items);
}
