using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.Probes;

/// <summary>Counts consecutive results of a probe until they reach a threshold.</summary>
/// <param name="Verdict">Null until a threshold has been reached for the first time.</param>
internal sealed record ProbeState(int Successes, int Failures, bool? Verdict)
{
    internal static readonly ProbeState Initial = new(0, 0, null);

    internal ProbeState Next(bool success, Probe probe)
    {
        var next = success ? new ProbeState(Successes + 1, 0, Verdict) : new ProbeState(0, Failures + 1, Verdict);
        if (next.Successes >= Math.Max(1, probe.SuccessThreshold)) return next with { Verdict = true };
        if (next.Failures >= Math.Max(1, probe.FailureThreshold)) return next with { Verdict = false };
        return next;
    }
}

/// <summary>When the next attempt is due. A container that has not succeeded yet is also probed between periods, so that it
/// becomes ready without delay.</summary>
internal static class ProbeSchedule
{
    private static readonly TimeSpan Eager = TimeSpan.FromMilliseconds(100);

    /// <summary>The pause before the n-th extra attempt (from 0) of a period; null when the period's own is sooner.</summary>
    internal static TimeSpan? BeforeExtra(int attempt, TimeSpan leftOfPeriod)
    {
        var pause = TimeSpan.FromTicks(Eager.Ticks << Math.Min(attempt, 6));
        return pause < leftOfPeriod ? pause : null;
    }
}
