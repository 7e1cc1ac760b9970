using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose;
using Xunit;
using static Isthmus.Tests.Operate.Diagnose.MeshVerificationTests;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>Faults of operators that <c>verify</c> tells from what control planes and clusters have (tests/operator-faults.tsv).</summary>
public sealed class MeshFaultVerificationTests
{
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>The one before it serves, with rights that it no longer has at its next start.</summary>
    [Fact]
    public void A_control_plane_that_does_not_become_ready_is_warned_of_with_the_reason()
    {
        var stuck = new UnreadyControlPlane("istio-system", "istiod-b", Now.AddMinutes(-9), "containers with unready status: [discovery]", "istiod");
        var two = Healthy(2, "n2") with { ControlPlanes = new([new("istiod-2", true), new("istiod-b", false)]), Unready = [stuck] };
        var check = MeshVerification.Run([Healthy(1, "n1"), two], Now).Single(check => check.Problem is not null);
        Assert.Equal(("1 of 2 ready", "ISM1045", Severity.Warning), (check.Found, check.Problem!.Code, check.Problem.Severity));
        Assert.Contains("has not been ready for 9 min: containers with unready status: [discovery]", check.Problem.Message, StringComparison.Ordinal);
        var barred = MeshVerification.Run([Healthy(1, "n1"), two with { Unready = [stuck with { LacksRights = true }] }], Now)
            .Single(one => one.Problem is not null).Problem!;
        Assert.Contains("its ServiceAccount istio-system/istiod may not list Services", barred.Message, StringComparison.Ordinal);
        Assert.Contains("isthmus install -y --context=c2 -f FILE", barred.Remedy, StringComparison.Ordinal);
        Assert.DoesNotContain(MeshVerification.Run([Healthy(1, "n1"), two with { Unready = [stuck with { Since = Now.AddSeconds(-20) }] }], Now),
            one => one.Problem is not null);
    }

    /// <summary>As before labels: the control planes of callers know the addresses.</summary>
    [Fact]
    public void A_gateway_that_meshNetworks_name_needs_no_label()
    {
        var (one, two) = (Healthy(1, "n1"), Healthy(2, "n2") with { Gateways = [] });
        var three = Healthy(3, "n3") with { Watched = [], TellsWatched = false };
        var given = new ValueMap<string>([new("n2", "172.18.202.1")]);
        var named = MeshVerification.Run([one with { GivenGateways = given }, two], Now);
        Assert.Equal("of n2 at 172.18.202.1, by meshNetworks of c1", named.Single(check => check is { Cluster: "c2", What: "gateway" }).Found);
        Assert.DoesNotContain(named, check => check.Problem?.Code == "ISM1014");
        var half = MeshVerification.Run([one with { GivenGateways = given }, two, three], Now).Single(check => check.Problem?.Code == "ISM1014");
        Assert.Contains("meshNetworks of c1 names one, and of c3 none", half.Problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>A primary whose control plane an installation removed is not a remote cluster whose way to a control plane is wrong.</summary>
    [Fact]
    public void A_control_plane_that_is_gone_is_not_taken_for_one_elsewhere()
    {
        var (one, two) = (Healthy(1, "n1"), Healthy(2, "n2"));
        var gone = two with { ControlPlanes = default, ControlPlaneAt = [], ControlPlaneClusters = [], Watched = [], Uninjected = ["shop"] };
        var problems = MeshVerification.Run([one, gone], Now).Where(check => check.Cluster == "c2").Select(check => check.Problem).OfType<Problem>().ToList();
        Assert.Equal(["ISM1044", "ISM1003"], problems.Take(2).Select(problem => problem.Code));
        Assert.All(problems.Take(2), problem => Assert.Contains("isthmus install -y --context=c2 -f FILE", problem.Remedy, StringComparison.Ordinal));
        Assert.DoesNotContain(problems, problem => problem.Code is "ISM1018" or "ISM1009");
        // A remote cluster says that it is one. Its webhook comes first, too.
        problems = [.. MeshVerification.Run([one, gone with { ControlPlaneClusters = [one.Name] }], Now).Where(check => check.Cluster == "c2")
            .Select(check => check.Problem).OfType<Problem>()];
        Assert.Equal(["ISM1044", "ISM1018"], problems.Take(2).Select(problem => problem.Code));
    }
}
