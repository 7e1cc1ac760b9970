using Isthmus.Core.Time;

namespace Isthmus.Kubernetes.Watch;

/// <summary>
/// Delivers changes to a consumer. If the consumer fails on a change, the change is kept and delivered again, alone, so
/// that one bad object does not hold up the others. A newer change of the same object replaces it.
/// </summary>
internal sealed class Delivery<T>(Func<IReadOnlyList<Change<T>>, ValueTask> consumer, Backoff backoff, Action<Exception?> outcome) where T : class
{
    private readonly Dictionary<string, Change<T>> _failed = new(StringComparer.Ordinal);

    /// <summary>Whether the consumer has not accepted some change yet.</summary>
    internal bool IsBehind => _failed.Count > 0;

    /// <summary>How long to wait before <see cref="RetryAsync"/>.</summary>
    internal TimeSpan Wait() => backoff.Next();

    /// <summary>Delivers the changes as one batch. False when the consumer failed; then the changes are kept.</summary>
    internal async ValueTask<bool> TryAsync(IReadOnlyList<Change<T>> changes, CancellationToken stop)
    {
        var batch = IsBehind ? Since(changes) : changes;
        try
        {
            await consumer(batch);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception e)
        {
            foreach (var change in batch) _failed[change.Key] = change;
            outcome(e);
            return false;
        }
        if (!IsBehind) return true;
        foreach (var change in batch) _failed.Remove(change.Key);
        if (IsBehind) return true;
        backoff.Reset();
        outcome(null);
        return true;
    }

    /// <summary>Delivers changes that failed before, together with newer changes, as one batch.</summary>
    internal ValueTask<bool> TryAllAsync(IReadOnlyList<Change<T>> changes, CancellationToken stop)
    {
        var newer = changes.Select(change => change.Key).ToHashSet(StringComparer.Ordinal);
        return TryAsync([.. _failed.Values.Where(change => !newer.Contains(change.Key)), .. changes], stop);
    }

    /// <summary>Delivers each failed change once more.</summary>
    internal async ValueTask RetryAsync(CancellationToken stop)
    {
        foreach (var change in _failed.Values.ToList()) await TryAsync([change], stop);
    }

    /// <summary>The consumer never accepted the change that it failed on, so the new change starts from the state before
    /// it.</summary>
    private List<Change<T>> Since(IReadOnlyList<Change<T>> changes) =>
        [.. changes.Select(change => _failed.TryGetValue(change.Key, out var failed) ? change with { Before = failed.Before } : change)];
}
