namespace Isthmus.Core.Live;

/// <summary>
/// Tracks which input produces each key of a derived collection. If several inputs produce one key, the oldest holds it;
/// when that one stops, the next oldest takes over. Inputs of the same commit are ordered by their keys, if keys have an
/// order.
/// </summary>
internal sealed class Claims<TKey, TInput>
    where TKey : notnull
    where TInput : notnull
{
    private static readonly IComparer<TInput>? Order = typeof(IComparable<TInput>).IsAssignableFrom(typeof(TInput)) ? Comparer<TInput>.Default : null;

    private readonly Dictionary<TKey, Claim> _holders = [];

    /// <summary>Only for keys that several inputs produce: the waiting inputs, the next one first.</summary>
    private readonly Dictionary<TKey, List<Claim>> _waiting = [];

    private readonly record struct Claim(TInput Input, long Since);

    /// <summary>Keys that several inputs produce.</summary>
    public int Contested => _waiting.Count;

    public IEnumerable<TKey> Keys => _holders.Keys;

    public bool TryGetHolder(TKey key, out TInput holder)
    {
        var found = _holders.TryGetValue(key, out var claim);
        holder = claim.Input;
        return found;
    }

    /// <summary>Every input that produces the key, the holder first.</summary>
    public IEnumerable<TInput> Of(TKey key) => !_holders.TryGetValue(key, out var holder) ? []
        : _waiting.TryGetValue(key, out var waiting) ? waiting.Select(claim => claim.Input).Prepend(holder.Input) : [holder.Input];

    public IEnumerable<KeyValuePair<TKey, IReadOnlyList<TInput>>> Conflicts =>
        _waiting.Keys.Select(key => KeyValuePair.Create(key, (IReadOnlyList<TInput>)[.. Of(key)]));

    /// <summary>Records that an input produces the key since a commit; an input that already produced it keeps its place.</summary>
    public void Add(TKey key, TInput input, long since)
    {
        if (_holders.TryAdd(key, new(input, since))) return;
        var holder = _holders[key];
        if (Same(holder, input)) return;
        var claim = new Claim(input, since);
        if (!_waiting.TryGetValue(key, out var waiting)) _waiting[key] = waiting = [];
        else if (waiting.Any(other => Same(other, input))) return;
        if (IsOlder(claim, holder)) (_holders[key], claim) = (claim, holder);
        var place = waiting.FindIndex(other => IsOlder(claim, other));
        waiting.Insert(place < 0 ? waiting.Count : place, claim);
    }

    public void Remove(TKey key, TInput input)
    {
        if (!_holders.TryGetValue(key, out var holder)) return;
        var waiting = _waiting.GetValueOrDefault(key);
        if (!Same(holder, input)) waiting?.RemoveAll(claim => Same(claim, input));
        else if (waiting is null) _holders.Remove(key);
        else
        {
            _holders[key] = waiting[0];
            waiting.RemoveAt(0);
        }
        if (waiting?.Count == 0) _waiting.Remove(key);
    }

    private static bool Same(Claim claim, TInput input) => EqualityComparer<TInput>.Default.Equals(claim.Input, input);

    private static bool IsOlder(Claim claim, Claim other) =>
        claim.Since != other.Since ? claim.Since < other.Since : Order is not null && Order.Compare(claim.Input, other.Input) < 0;
}
