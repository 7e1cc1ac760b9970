namespace Isthmus.Core.Live;

/// <summary>Handed to a transform: the only way to look at anything but its own input, so no dependency can go undeclared.</summary>
public sealed class Reader
{
    private readonly List<Action> _forget = [];
    private readonly Action? _markDirty;
    private readonly int _rank;

    internal Reader(int rank, Action? markDirty) => (_rank, _markDirty) = (rank, markDirty);

    /// <summary>The item under <paramref name="key"/>, or default; the transform runs again when it changes.</summary>
    public T? Get<TKey, T>(Live<TKey, T> from, TKey key)
        where TKey : notnull
        where T : IEquatable<T>
    {
        if (from.Rank >= _rank) throw new InvalidOperationException("A transform may only read collections created before its own.");
        if (_markDirty is not { } markDirty) return from.Items.TryGetValue(key, out var item) ? item : default;
        _forget.Add(() => from.Forget(key, markDirty));
        return from.Read(key, markDirty);
    }

    internal void Dispose()
    {
        foreach (var forget in _forget) forget();
    }
}

internal sealed class Derived<TInKey, TIn, TKey, T> : Live<TKey, T>
    where TInKey : notnull
    where TIn : IEquatable<TIn>
    where TKey : notnull
    where T : IEquatable<T>
{
    private readonly Live<TInKey, TIn> _input;
    private readonly Func<Reader, TIn, IEnumerable<KeyValuePair<TKey, T>>> _transform;
    private readonly Dictionary<TInKey, Made> _made = [];
    private HashSet<TInKey> _dirty = [];

    private sealed record Made(KeyValuePair<TKey, T>[] Outputs, Reader Reads);

    internal Derived(Live<TInKey, TIn> input, Func<Reader, TIn, IEnumerable<KeyValuePair<TKey, T>>> transform, string name)
        : base(input.Graph, name) => (_input, _transform) = (input, transform);

    internal override void Step()
    {
        _dirty.UnionWith(_input.Changed);
        if (_dirty.Count == 0) return;
        var (dirty, before) = (_dirty, new Dictionary<TInKey, Made>());
        _dirty = [];
        var staged = new Dictionary<TKey, Option<T>>();
        foreach (var key in dirty) // first take back everything the dirty inputs made...
        {
            if (!_made.Remove(key, out var old)) continue;
            before[key] = old;
            old.Reads.Dispose();
            foreach (var output in old.Outputs) staged[output.Key] = default;
        }
        foreach (var key in dirty) // ...then make it again, so that a key may move between inputs
        {
            if (!_input.Items.TryGetValue(key, out var input)) continue;
            var reader = new Reader(Rank, () => _dirty.Add(key));
            var outputs = Transform(reader, input, before.GetValueOrDefault(key));
            foreach (var (outputKey, value) in outputs)
            {
                if (!staged.TryAdd(outputKey, new(true, value))) staged[outputKey] = new(true, value);
            }
            _made[key] = new(outputs, reader);
        }
        Apply(staged);
    }

    /// <summary>A transform that throws is a bug: its key keeps the last output, and the graph goes on.</summary>
    private KeyValuePair<TKey, T>[] Transform(Reader reader, TIn input, Made? before)
    {
        try
        {
            return [.. _transform(reader, input)];
        }
        catch (Exception bug)
        {
            Failures++;
            LastFailure = bug;
            return before?.Outputs ?? [];
        }
    }

    internal override IEnumerable<string> Verify()
    {
        var fresh = new Dictionary<TKey, T>();
        foreach (var input in _input.Items.Values)
        {
            KeyValuePair<TKey, T>[] outputs;
            try { outputs = [.. _transform(new Reader(Rank, null), input)]; }
            catch (Exception bug) { outputs = []; LastFailure = bug; }
            foreach (var (key, value) in outputs) fresh[key] = value;
        }
        foreach (var (key, value) in fresh)
        {
            if (!Items.TryGetValue(key, out var kept)) yield return $"{Name}: '{key}' is missing";
            else if (!kept.Equals(value)) yield return $"{Name}: '{key}' is stale";
        }
        foreach (var key in Items.Keys)
        {
            if (!fresh.ContainsKey(key)) yield return $"{Name}: '{key}' should be gone";
        }
    }
}
