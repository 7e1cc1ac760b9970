using FsCheck;
using FsCheck.Fluent;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Probes;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class ProbeStateTests
{
    private static readonly Probe Probe = new() { SuccessThreshold = 2, FailureThreshold = 3 };

    [Fact]
    public void A_verdict_needs_as_many_results_in_a_row_as_its_threshold()
    {
        Assert.Null(After(true).Verdict);
        Assert.True(After(true, true).Verdict);
        Assert.Null(After(true, false, true).Verdict);
        Assert.True(After(true, true, false, false).Verdict);
        Assert.False(After(true, true, false, false, false).Verdict);
    }

    [Fact]
    public void The_verdict_is_that_of_the_last_run_that_was_long_enough() =>
        Prop.ForAll<bool[]>(results => After(results).Verdict == Expected(results)).MustHold();

    private static ProbeState After(params bool[] results) => results.Aggregate(ProbeState.Initial, (state, result) => state.Next(result, Probe));

    private static bool? Expected(bool[] results)
    {
        for (var end = results.Length; end > 0; end--)
        {
            var last = results[end - 1];
            var run = results.Take(end).Reverse().TakeWhile(one => one == last).Count();
            if (run >= (last ? Probe.SuccessThreshold : Probe.FailureThreshold)) return last;
        }
        return null;
    }
}
