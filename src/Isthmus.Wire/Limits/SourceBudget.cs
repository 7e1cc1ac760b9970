namespace Isthmus.Wire.Limits;

/// <summary>Something that uses up a budget.</summary>
/// <param name="Name">What it is, for people: <c>address 10.0.0.1</c>.</param>
/// <param name="Most">How much it may hold.</param>
public readonly record struct BudgetSource(string Name, long Most);

/// <summary>Counts what sources hold of something, each for itself and all together. From any thread.</summary>
/// <param name="most">How much all of them may hold.</param>
public sealed class SourceBudget(long most, TimeProvider time)
{
    private readonly Lock _guard = new(); // Guards the fields below.
    private readonly Dictionary<string, long> _held = new(StringComparer.Ordinal);
    private readonly LinkedList<Waiting> _waiting = [];
    private long _sum;

    private sealed record Waiting(IReadOnlyList<BudgetSource> Sources, long Amount, TaskCompletionSource Granted);

    /// <summary>How much all sources hold.</summary>
    public long Held
    {
        get { lock (_guard) return _sum; }
    }

    /// <summary>Takes it for each of the sources, or for none.</summary>
    /// <returns>Whose share is full; null if it is taken.</returns>
    public string? TryTake(IReadOnlyList<BudgetSource> sources, long amount)
    {
        lock (_guard)
        {
            var full = FullFor(sources, amount);
            if (full is null) Add(sources, amount);
            return full;
        }
    }

    /// <summary>As <see cref="TryTake"/>, but waits until others have given back enough.</summary>
    /// <param name="patience">How long to wait.</param>
    public async ValueTask<string?> TakeAsync(IReadOnlyList<BudgetSource> sources, long amount, TimeSpan patience, CancellationToken stop)
    {
        LinkedListNode<Waiting> place;
        lock (_guard)
        {
            if (FullFor(sources, amount) is not { } full)
            {
                Add(sources, amount);
                return null;
            }
            // It would never fit.
            if (amount > most || sources.Any(source => amount > source.Most)) return full;
            place = _waiting.AddLast(new Waiting(sources, amount, new(TaskCreationOptions.RunContinuationsAsynchronously)));
        }
        try
        {
            await place.Value.Granted.Task.WaitAsync(patience, time, stop).ConfigureAwait(false);
            return null;
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            lock (_guard)
            {
                if (place.Value.Granted.Task.IsCompleted)
                {
                    if (e is TimeoutException) return null;
                    Remove(sources, amount);
                }
                else _waiting.Remove(place);
                if (e is TimeoutException) return FullFor(sources, amount) ?? Everybody;
            }
            throw;
        }
    }

    /// <summary>Gives back what was taken.</summary>
    public void Give(IReadOnlyList<BudgetSource> sources, long amount)
    {
        lock (_guard) Remove(sources, amount);
    }

    private const string Everybody = "all sources together";

    private string? FullFor(IReadOnlyList<BudgetSource> sources, long amount)
    {
        if (amount <= 0) return null;
        foreach (var source in sources)
            if (_held.GetValueOrDefault(source.Name) + amount > source.Most) return source.Name;
        return _sum + amount > most ? Everybody : null;
    }

    private void Add(IReadOnlyList<BudgetSource> sources, long amount)
    {
        _sum += amount;
        foreach (var source in sources) _held[source.Name] = _held.GetValueOrDefault(source.Name) + amount;
    }

    private void Remove(IReadOnlyList<BudgetSource> sources, long amount)
    {
        _sum -= amount;
        foreach (var source in sources)
        {
            if (_held.GetValueOrDefault(source.Name) - amount is var left and > 0) _held[source.Name] = left;
            else _held.Remove(source.Name);
        }
        for (var next = _waiting.First; next is { } place; )
        {
            next = place.Next;
            if (FullFor(place.Value.Sources, place.Value.Amount) is not null) continue;
            _waiting.Remove(place);
            Add(place.Value.Sources, place.Value.Amount);
            place.Value.Granted.SetResult();
        }
    }
}
