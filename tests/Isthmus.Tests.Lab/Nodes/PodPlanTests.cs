using Isthmus.Lab.Nodes.Pods;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class PodPlanTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddDays(1);

    [Fact]
    public void Init_containers_run_one_after_the_other_before_the_others()
    {
        Assert.Equal(["a"], Decide("Always", Never("a", ContainerRole.Init), Never("b", ContainerRole.Init), Never("m")).Start);
        Assert.Empty(Decide("Always", Running("a", ContainerRole.Init), Never("b", ContainerRole.Init), Never("m")).Start);
        Assert.Equal(["b"], Decide("Always", Ended("a", 0, ContainerRole.Init), Never("b", ContainerRole.Init), Never("m")).Start);
        var done = Decide("Always", Ended("a", 0, ContainerRole.Init), Ended("b", 0, ContainerRole.Init), Never("m"), Never("n"));
        Assert.Equal(["m", "n"], done.Start);
        Assert.True(done.Initialized);
    }

    [Fact]
    public void A_sidecar_holds_up_what_follows_until_it_has_started()
    {
        var sidecar = Running("s", ContainerRole.Sidecar);
        Assert.Empty(Decide("Always", sidecar with { Started = false }, Never("m")).Start);
        Assert.Equal(["m"], Decide("Always", sidecar, Never("m")).Start);
    }

    [Fact]
    public void An_ephemeral_container_runs_once_and_decides_nothing()
    {
        Assert.Equal(["d"], Decide("Always", Running("m"), Never("d", ContainerRole.Ephemeral)).Start);
        Assert.Empty(Decide("Always", Running("m"), Ended("d", 1, ContainerRole.Ephemeral)).Start);
        Assert.Equal("Succeeded", Decide("Never", Ended("m", 0), Ended("d", 1, ContainerRole.Ephemeral)).Outcome);
        var last = Decide("Never", Ended("m", 0), Running("d", ContainerRole.Ephemeral));
        Assert.Equal(["d"], last.Stop);
        Assert.Equal("", last.Outcome);
        Assert.Empty(Decide("Never", Ended("m", 0), Never("d", ContainerRole.Ephemeral)).Start);
    }

    [Fact]
    public void A_failed_init_container_is_repeated_unless_the_Pod_never_restarts()
    {
        Assert.Equal(["a"], Decide("OnFailure", Ended("a", 1, ContainerRole.Init), Never("m")).Start);
        Assert.Equal("Failed", Decide("Never", Ended("a", 1, ContainerRole.Init), Never("m")).Outcome);
    }

    [Theory]
    [InlineData("Always", 0, true, "")]
    [InlineData("Always", 1, true, "")]
    [InlineData("OnFailure", 0, false, "Succeeded")]
    [InlineData("OnFailure", 1, true, "")]
    [InlineData("Never", 0, false, "Succeeded")]
    [InlineData("Never", 1, false, "Failed")]
    public void The_restart_policy_decides_what_follows_an_end(string policy, int code, bool restarts, string outcome)
    {
        var decision = Decide(policy, Ended("m", code));
        Assert.Equal(restarts ? ["m"] : [], decision.Start);
        Assert.Equal(outcome, decision.Outcome);
    }

    [Fact]
    public void Back_off_delays_a_start_and_says_until_when()
    {
        var later = Now.AddSeconds(10);
        var decision = Decide("Always", Ended("m", 1) with { NotBefore = later }, Running("n"));
        Assert.Empty(decision.Start);
        Assert.Equal(later, decision.Wake);
    }

    [Fact]
    public void Sidecars_are_restarted_while_work_is_left_and_stopped_when_it_is_done()
    {
        var work = PodPlan.Decide("Never", true, [Ended("s", 1, ContainerRole.Sidecar), Running("m")], Now);
        Assert.Equal(["s"], work.Start);
        var done = PodPlan.Decide("Never", true, [Running("s", ContainerRole.Sidecar), Ended("m", 0)], Now);
        Assert.Empty(work.Stop);
        Assert.Equal(["s"], done.Stop);
        Assert.Equal("", done.Outcome);
        Assert.Equal("Succeeded", PodPlan.Decide("Never", true, [Ended("s", 137, ContainerRole.Sidecar), Ended("m", 0)], Now).Outcome);
    }

    [Fact]
    public void An_ending_Pod_stops_its_sidecars_last_and_in_reverse_order()
    {
        ContainerFacts[] all = [Running("s", ContainerRole.Sidecar), Running("t", ContainerRole.Sidecar), Running("m"), Running("d", ContainerRole.Ephemeral),
            Ended("n", 0)];
        Assert.Equal(["m", "d"], PodPlan.StopNext(all));
        Assert.Equal(["d"], PodPlan.StopNext([all[0], all[1], Ended("m", 0), all[3]]));
        Assert.Equal(["t"], PodPlan.StopNext([all[0], all[1], Ended("m", 0)]));
        Assert.Equal(["s"], PodPlan.StopNext([all[0], Ended("t", 0, ContainerRole.Sidecar)]));
        Assert.Empty(PodPlan.StopNext([Ended("m", 0)]));
    }

    [Fact]
    public void Back_off_doubles_to_five_minutes_and_is_forgotten_after_ten_good_ones()
    {
        var delays = new List<double>();
        var current = TimeSpan.Zero;
        for (var i = 0; i < 8; i++)
        {
            (var delay, current) = CrashBackOff.After(current, TimeSpan.FromSeconds(1));
            delays.Add(delay.TotalSeconds);
        }
        Assert.Equal([0, 10, 20, 40, 80, 160, 300, 300], delays);
        Assert.Equal(TimeSpan.Zero, CrashBackOff.After(current, TimeSpan.FromMinutes(10)).Delay);
    }

    private static PodDecision Decide(string policy, params ContainerFacts[] containers) => PodPlan.Decide(policy, false, containers, Now);

    private static ContainerFacts Never(string name, ContainerRole role = ContainerRole.Main) => new(name, role, RunState.NeverRan, false, 0, default);

    private static ContainerFacts Running(string name, ContainerRole role = ContainerRole.Main) => new(name, role, RunState.Running, true, 0, default);

    private static ContainerFacts Ended(string name, int code,
        ContainerRole role = ContainerRole.Main) => new(name, role, RunState.Ended, false, code, default);
}
