namespace Isthmus.Lab.Nodes.Pods;

/// <summary>How long a container that keeps ending must wait: not at all after the first end, then 10 s, doubling to 5
/// minutes, forgotten after 10 good minutes.</summary>
internal static class CrashBackOff
{
    internal static readonly TimeSpan First = TimeSpan.FromSeconds(10);
    internal static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);
    internal static readonly TimeSpan Forgiven = TimeSpan.FromMinutes(10);

    /// <param name="current">The delay that applies after this run.</param>
    /// <param name="ranFor">How long the run lasted.</param>
    /// <returns>The delay before the next run, and the one that will apply after it.</returns>
    internal static (TimeSpan Delay, TimeSpan Next) After(TimeSpan current, TimeSpan ranFor)
    {
        if (ranFor >= Forgiven) current = TimeSpan.Zero;
        return (current, Grow(current));
    }

    /// <summary>The delay that applied when <paramref name="next"/> became the one that follows.</summary>
    internal static TimeSpan Before(TimeSpan next) => next <= First ? TimeSpan.Zero : next == Longest ? Longest : next / 2;

    internal static TimeSpan Grow(TimeSpan current) =>
        current == TimeSpan.Zero ? First : current * 2 > Longest ? Longest : current * 2;
}
