namespace Isthmus.Core.Time;

/// <summary>Waits that others count on: never shorter than promised, and as long as you like.</summary>
public static class FullDelays
{
    // One timer runs at most 49 days.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(20);

    /// <summary>
    /// Completes when the whole delay has passed, as <see cref="TimeProvider.GetTimestamp"/> counts it; at once when it is not positive.
    /// <see cref="Task.Delay(TimeSpan, TimeProvider, CancellationToken)"/> may complete some milliseconds early: .NET's timers read a clock
    /// of Linux that advances once a jiffy.
    /// </summary>
    /// <exception cref="OperationCanceledException">The token was canceled before.</exception>
    public static async Task DelayInFullAsync(this TimeProvider time, TimeSpan delay, CancellationToken stop = default)
    {
        var begun = time.GetTimestamp();
        for (var left = delay; left > TimeSpan.Zero; left = delay - time.GetElapsedTime(begun))
            await Task.Delay(left < Longest ? WholeMilliseconds(left) : Longest, time, stop).ConfigureAwait(false);
    }

    // Timers count milliseconds and drop what is less.
    private static TimeSpan WholeMilliseconds(TimeSpan wait) => TimeSpan.FromMilliseconds(Math.Ceiling(wait.TotalMilliseconds));
}
