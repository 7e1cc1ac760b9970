namespace Isthmus.ControlPlane.Statuses;

/// <summary>What an API server refused to take. Rights may come later, and nobody tells: it is tried again some minutes later. Not thread-safe.</summary>
/// <typeparam name="T">What was to be written of which object.</typeparam>
internal sealed class Refusals<T>(TimeProvider time) where T : notnull
{
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(5);

    private readonly Dictionary<T, (DateTimeOffset Until, string Why)> _refused = [];

    /// <summary>Why the first of them was refused that has a reason; empty: none has.</summary>
    public string Why => _refused.Values.Select(refusal => refusal.Why).FirstOrDefault(why => why.Length > 0) ?? "";

    /// <summary>When the first of them is to be tried again.</summary>
    public NextRound Next => _refused.Count == 0 ? NextRound.AtChange
        : NextRound.At(_refused.Values.Min(refusal => refusal.Until), time.GetUtcNow());

    /// <param name="item">What was refused.</param>
    /// <param name="why">Empty where the log says so already.</param>
    public void Add(T item, string why = "") => _refused[item] = (time.GetUtcNow() + Life, why);

    /// <summary>Whether it was refused, and is not to be tried again yet.</summary>
    public bool Has(T item) => _refused.ContainsKey(item);

    /// <summary>Forgets what nobody wants any more, and what is to be tried again.</summary>
    public void Keep(Predicate<T> isWanted)
    {
        var now = time.GetUtcNow();
        foreach (var (item, (until, _)) in _refused.ToList())
            if (until <= now || !isWanted(item)) _refused.Remove(item);
    }
}
