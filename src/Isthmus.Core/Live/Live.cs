using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Isthmus.Core.Live;

internal readonly record struct Option<T>(bool HasValue, T Value);

/// <summary>A keyed collection of a <see cref="LiveGraph"/>. Readers take <see cref="Items"/>, an immutable snapshot, from
/// any thread.</summary>
public abstract class Live<TKey, T> : LiveNode
    where TKey : notnull
    where T : IEquatable<T>
{
    private static readonly HashSet<TKey> None = [];

    /// <summary>A <see cref="Reader"/>, as of most keys, or a set of them.</summary>
    private readonly Dictionary<TKey, object> _readers = [];
    private volatile ImmutableDictionary<TKey, T> _items = ImmutableDictionary<TKey, T>.Empty;
    private HashSet<TKey> _changed = None;

    private protected Live(LiveGraph graph, string name) : base(graph, name) => Rank = graph.Add(this);

    internal int Rank { get; }

    public ImmutableDictionary<TKey, T> Items => _items;

    public override int Count => _items.Count;

    /// <summary>Keys whose value changed in the current commit; empty outside <see cref="LiveGraph.Committed"/>.</summary>
    public IReadOnlySet<TKey> Changed => _changed;

    private protected void Apply(Dictionary<TKey, Option<T>> staged)
    {
        if (staged.Count == 0) return;
        var items = _items.ToBuilder();
        foreach (var (key, next) in staged)
        {
            var had = items.TryGetValue(key, out var old);
            if (had == next.HasValue && (!had || old!.Equals(next.Value))) continue; // equal value: the change does not propagate
            if (next.HasValue) items[key] = next.Value;
            else items.Remove(key);
            // A fresh set for each commit: HashSet.Clear costs the capacity, not the count.
            if (ReferenceEquals(_changed, None)) _changed = [];
            _changed.Add(key);
            if (!_readers.TryGetValue(key, out var readers)) continue;
            if (readers is Reader one) one.MarkDirty();
            else foreach (var reader in (HashSet<Reader>)readers) reader.MarkDirty();
        }
        _items = items.ToImmutable();
    }

    internal T? Read(TKey key, Reader reader)
    {
        ref var readers = ref CollectionsMarshal.GetValueRefOrAddDefault(_readers, key, out _);
        if (readers is HashSet<Reader> set) set.Add(reader);
        else readers = readers is null || readers == reader ? reader : new HashSet<Reader> { (Reader)readers, reader };
        return _items.GetValueOrDefault(key);
    }

    internal void Forget(TKey key, Reader reader)
    {
        if (!_readers.TryGetValue(key, out var readers)) return;
        if (readers == reader || (readers is HashSet<Reader> set && set.Remove(reader) && set.Count == 0)) _readers.Remove(key);
    }

    internal override void Settle() => _changed = None;
}

/// <summary>A collection that the outside world writes: staged by <see cref="Put"/> and <see cref="Remove"/>, visible after
/// the next commit.</summary>
public sealed class Source<TKey, T>(LiveGraph graph, string name) : Live<TKey, T>(graph, name)
    where TKey : notnull
    where T : IEquatable<T>
{
    private Dictionary<TKey, Option<T>> _staged = [];

    public void Put(TKey key, T value) => _staged[key] = new(true, value);

    public void Remove(TKey key) => _staged[key] = default;

    /// <summary>Removes every key that matches, including those that are staged but not yet committed.</summary>
    public void RemoveWhere(Func<TKey, bool> matches)
    {
        foreach (var key in Items.Keys.Concat(_staged.Keys).Where(matches).ToList()) Remove(key);
    }

    internal override void CopyInputTo(LiveNode other)
    {
        foreach (var (key, value) in Items) ((Source<TKey, T>)other).Put(key, value);
    }

    internal override void Step()
    {
        if (_staged.Count == 0) return;
        Apply(_staged);
        _staged = [];
    }

    /// <summary>It is computed from nothing.</summary>
    internal override IEnumerable<string> Verify() => [];
}
