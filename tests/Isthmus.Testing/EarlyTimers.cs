namespace Isthmus.Testing;

/// <summary>The system's clock with timers that fire when half of their time has passed: the worst case of what a clock of Linux does to .NET's
/// timers, which may fire a jiffy early.</summary>
public sealed class EarlyTimers : TimeProvider
{
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        System.CreateTimer(callback, state, dueTime > TimeSpan.Zero ? dueTime / 2 : dueTime, period);
}
