namespace Isthmus.Core.Time;

/// <summary>
/// How long to wait between attempts: each failure doubles the wait up to a cap. A random part of up to one half keeps clients that failed
/// together from coming back together.
/// </summary>
public sealed class Backoff(TimeSpan first, TimeSpan longest, Random random)
{
    private TimeSpan? _next; // null: the first

    /// <summary>The wait before the next attempt: between half of the current step and all of it.</summary>
    public TimeSpan Next()
    {
        var step = _next ?? first;
        _next = TimeSpan.FromTicks(Math.Min(step.Ticks * 2, longest.Ticks));
        return step * (0.5 + random.NextDouble() / 2);
    }

    /// <summary>An attempt succeeded: the next failure waits the shortest time again.</summary>
    public void Reset() => _next = null;
}
