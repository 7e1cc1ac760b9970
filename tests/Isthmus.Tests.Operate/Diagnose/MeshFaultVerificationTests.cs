using Isthmus.Core.Collections;
using Isthmus.Operate.Diagnose;
using Xunit;
using static Isthmus.Tests.Operate.Diagnose.MeshVerificationTests;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>Faults of operators that <c>verify</c> tells from what control planes and clusters have (tests/operator-faults.tsv).</summary>
public sealed class MeshFaultVerificationTests
{
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

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
}
