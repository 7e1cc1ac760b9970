namespace Isthmus.Testing;

/// <summary>Gives what is tested more time than it would take for too long: a busy machine needs it.</summary>
public class PatientTime : TimeProvider
{
    /// <summary>By how much timers take longer.</summary>
    public int Factor { get; set; } = 30;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        System.CreateTimer(callback, state, dueTime > TimeSpan.Zero ? dueTime * Factor : dueTime, period);
}
