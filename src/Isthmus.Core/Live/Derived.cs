namespace Isthmus.Core.Live;

/// <summary>Passed to a transform: the only way to read anything but its own input, so that every dependency is known.</summary>
public class Reader
{
    private readonly int _rank;
    private List<Dependency>? _dependencies;

    internal Reader(int rank) => _rank = rank;

    /// <summary>Reads what is there now: nothing runs again when it changes. May be used by any thread.</summary>
    public static Reader Now { get; } = new(int.MaxValue);

    /// <summary>Whether something runs again when what was read changes.</summary>
    internal virtual bool Follows => false;

    /// <summary>The item under <paramref name="key"/>, or default; the transform runs again when it changes.</summary>
    public T? Get<TKey, T>(Live<TKey, T> from, TKey key)
        where TKey : notnull
        where T : IEquatable<T>
    {
        if (from.Rank >= _rank) throw new InvalidOperationException("A transform may only read collections created before its own.");
        if (!Follows) return from.Items.TryGetValue(key, out var item) ? item : default;
        (_dependencies ??= new(1)).Add(new Dependency<TKey, T>(from, key));
        return from.Read(key, this);
    }

    /// <summary>Something that was read has changed.</summary>
    internal virtual void MarkDirty()
    {
    }

    internal void Dispose()
    {
        foreach (var dependency in _dependencies ?? []) dependency.Drop(this);
    }

    private abstract class Dependency
    {
        internal abstract void Drop(Reader reader);
    }

    private sealed class Dependency<TKey, T>(Live<TKey, T> from, TKey key) : Dependency
        where TKey : notnull
        where T : IEquatable<T>
    {
        internal override void Drop(Reader reader) => from.Forget(key, reader);
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
    private readonly Claims<TKey, TInKey> _claims = new();
    private HashSet<TInKey> _dirty = [];

    /// <param name="IsKept">The transform failed: the outputs are those from before.</param>
    private sealed record Made(KeyValuePair<TKey, T>[] Outputs, Reader Reads, bool IsKept)
    {
        public T Get(TKey key) => Outputs.Last(output => EqualityComparer<TKey>.Default.Equals(output.Key, key)).Value;
    }

    /// <summary>Reads for one input.</summary>
    private sealed class Following(Derived<TInKey, TIn, TKey, T> owner, TInKey key) : Reader(owner.Rank)
    {
        internal override bool Follows => true;

        internal override void MarkDirty() => owner._dirty.Add(key);
    }

    internal Derived(Live<TInKey, TIn> input, Func<Reader, TIn, IEnumerable<KeyValuePair<TKey, T>>> transform, string name)
        : base(input.Graph, name) => (_input, _transform) = (input, transform);

    internal override void Step()
    {
        _dirty.UnionWith(_input.Changed);
        if (_dirty.Count == 0) return;
        var dirty = _dirty;
        _dirty = [];
        var dropped = new List<TKey>();
        foreach (var key in dirty) Remake(key, dropped);

        var staged = new Dictionary<TKey, Option<T>>();
        foreach (var key in dirty)
        {
            if (!_made.TryGetValue(key, out var made)) continue;
            foreach (var (output, value) in made.Outputs)
            {
                if (_claims.Contested == 0 || (_claims.TryGetHolder(output, out var holder) && EqualityComparer<TInKey>.Default.Equals(holder, key)))
                    staged[output] = new(true, value);
            }
        }
        // Another input may produce what a dirty input no longer does: one that is dirty too, or one that was waiting.
        foreach (var output in dropped)
        {
            if (!_claims.TryGetHolder(output, out var holder)) staged[output] = default;
            else if (!staged.ContainsKey(output)) staged[output] = new(true, _made[holder].Get(output));
        }
        Apply(staged);
    }

    /// <summary>Runs the transform for one input again, and claims the keys that it now produces.</summary>
    /// <param name="dropped">Receives the keys that it no longer produces.</param>
    private void Remake(TInKey key, List<TKey> dropped)
    {
        _made.Remove(key, out var before);
        before?.Reads.Dispose();
        if (_input.Items.TryGetValue(key, out var input))
        {
            var reader = new Following(this, key);
            var made = Transform(reader, input, before);
            Transforms++;
            _made[key] = made;
            var outputs = made.Outputs;
            foreach (var output in outputs) _claims.Add(output.Key, key, Graph.Revision);
            if (before is null || SameKeys(before.Outputs, outputs)) return;
            foreach (var gone in before.Outputs.Select(output => output.Key).Except(outputs.Select(output => output.Key))) Drop(gone);
        }
        else if (before is not null)
        {
            foreach (var output in before.Outputs) Drop(output.Key);
        }

        void Drop(TKey gone)
        {
            _claims.Remove(gone, key);
            dropped.Add(gone);
        }
    }

    private static bool SameKeys(KeyValuePair<TKey, T>[] before, KeyValuePair<TKey, T>[] after)
    {
        if (before.Length != after.Length) return false;
        for (var i = 0; i < before.Length; i++)
        {
            if (!EqualityComparer<TKey>.Default.Equals(before[i].Key, after[i].Key)) return false;
        }
        return true;
    }

    /// <summary>A transform that throws is a bug: its key keeps the last output, and the graph goes on.</summary>
    private Made Transform(Reader reader, TIn input, Made? before)
    {
        try
        {
            return new([.. _transform(reader, input)], reader, false);
        }
        catch (Exception bug)
        {
            Fail(bug);
            return new(before?.Outputs ?? [], reader, true);
        }
    }

    public override int ConflictCount => _claims.Contested;

    public override IEnumerable<LiveConflict> Conflicts => _claims.Conflicts.Select(item => new LiveConflict(
        $"{item.Key}", $"{item.Value[0]}", [.. item.Value.Skip(1).Select(input => $"{input}")]));

    internal override IEnumerable<string> Verify()
    {
        var fresh = new Dictionary<TInKey, KeyValuePair<TKey, T>[]>();
        var failing = new HashSet<TInKey>();
        foreach (var (key, input) in _input.Items)
        {
            try
            {
                fresh[key] = [.. _transform(new Reader(Rank), input)];
            }
            catch (Exception)
            {
                failing.Add(key);
                fresh[key] = _made.TryGetValue(key, out var last) ? last.Outputs : []; // a failed transform keeps its last outputs
            }
        }
        return VerifyInputs(fresh, failing).Concat(VerifyItems(fresh));
    }

    private IEnumerable<string> VerifyInputs(Dictionary<TInKey, KeyValuePair<TKey, T>[]> fresh, HashSet<TInKey> failing)
    {
        foreach (var key in fresh.Keys)
        {
            if (!_made.TryGetValue(key, out var made)) yield return $"{Name}: input '{key}' was not transformed";
            else if (failing.Contains(key) && !made.IsKept) yield return $"{Name}: input '{key}' fails now, and what it made before is served";
        }
        foreach (var key in _made.Keys)
        {
            if (!fresh.ContainsKey(key)) yield return $"{Name}: input '{key}' is gone, but not what it made";
        }
    }

    private IEnumerable<string> VerifyItems(Dictionary<TInKey, KeyValuePair<TKey, T>[]> fresh)
    {
        var makers = new Dictionary<TKey, Dictionary<TInKey, T>>();
        foreach (var (input, outputs) in fresh)
        {
            foreach (var (key, value) in outputs) (makers.TryGetValue(key, out var known) ? known : makers[key] = [])[input] = value;
        }
        foreach (var (key, values) in makers)
        {
            if (!values.Keys.ToHashSet().SetEquals(_claims.Of(key))) yield return $"{Name}: '{key}' is claimed by the wrong inputs";
            if (!Items.TryGetValue(key, out var kept)) yield return $"{Name}: '{key}' is missing";
            else if (!_claims.TryGetHolder(key, out var holder) || !values.TryGetValue(holder, out var value) || !kept.Equals(value))
                yield return $"{Name}: '{key}' is stale";
            // What takes over when the holder goes.
            foreach (var waiting in _claims.Of(key).Skip(1))
            {
                if (values.TryGetValue(waiting, out var next) && !_made[waiting].Get(key).Equals(next))
                    yield return $"{Name}: '{key}' of the waiting '{waiting}' is stale";
            }
        }
        foreach (var key in Items.Keys.Union(_claims.Keys))
        {
            if (!makers.ContainsKey(key)) yield return $"{Name}: '{key}' should be gone";
        }
    }
}
