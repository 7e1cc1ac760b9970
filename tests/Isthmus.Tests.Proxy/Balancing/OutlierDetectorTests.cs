using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Balancing;

public sealed class OutlierDetectorTests
{
    private static readonly OutlierSettings Settings = new(3, 0, 0, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(25), 100, false);

    private readonly ManualClock _clock = new();

    [Fact]
    public void Failures_in_a_row_eject_and_a_success_between_them_does_not()
    {
        var (detector, hosts) = Detector(Settings, 2);
        Report(detector, hosts, AttemptResult.ServerError, AttemptResult.ServerError, AttemptResult.Success, AttemptResult.ServerError,
            AttemptResult.ServerError);
        Assert.False(hosts[0].IsEjected(_clock.GetTimestamp()));
        Report(detector, hosts, AttemptResult.ServerError);
        Assert.True(hosts[0].IsEjected(_clock.GetTimestamp()));
        Assert.Equal(1, detector.Ejections);
        Assert.False(hosts[1].IsEjected(_clock.GetTimestamp()));
    }

    [Theory]
    // Consecutive 5xx, gateway errors, local failures, whether they are split; attempts (s: success, 5: server, g: gateway,
    // c: connect).
    [InlineData(3, 0, 0, false, "55g", true)] // 502, 503 and 504 are 5xx too
    [InlineData(0, 2, 0, false, "5g5g", false)] // but other 5xx break a row of gateway errors
    [InlineData(0, 2, 0, false, "gg", true)]
    [InlineData(0, 2, 0, false, "cg", true)] // a host that cannot be reached counts as a gateway error
    [InlineData(3, 0, 0, false, "c5c", true)]
    [InlineData(3, 2, 0, true, "ccc", false)] // unless such failures are counted apart
    [InlineData(0, 0, 2, true, "cc", true)]
    [InlineData(0, 0, 2, true, "c5c", false)] // an answer, whatever it says, was reached
    [InlineData(0, 0, 2, true, "cgc", false)]
    [InlineData(0, 0, 0, false, "555gggccc", false)] // zero switches a rule off
    public void Each_rule_counts_what_Envoy_counts(int all, int gateway, int local, bool apart, string attempts, bool ejects)
    {
        var (detector, hosts) = Detector(Settings with { Consecutive5xx = all, ConsecutiveGateway = gateway, ConsecutiveLocal = local, SplitLocal = apart }, 2);
        Report(detector, hosts, [.. attempts.Select(c => c switch
        {
            's' => AttemptResult.Success, '5' => AttemptResult.ServerError, 'g' => AttemptResult.GatewayError, _ => AttemptResult.ConnectFailed,
        })]);
        Assert.Equal(ejects, hosts[0].IsEjected(_clock.GetTimestamp()));
    }

    [Fact]
    public void Answers_through_a_gateway_say_nothing_about_the_gateway_but_connections_to_it_do()
    {
        var (detector, hosts) = Detector(Settings, 2, isGateway: true);
        Report(detector, hosts, AttemptResult.ServerError, AttemptResult.GatewayError, AttemptResult.ServerError, AttemptResult.GatewayError);
        Assert.False(hosts[0].IsEjected(_clock.GetTimestamp()));
        Report(detector, hosts, AttemptResult.ConnectFailed, AttemptResult.ConnectFailed, AttemptResult.ConnectFailed);
        Assert.True(hosts[0].IsEjected(_clock.GetTimestamp()));
    }

    [Fact]
    public void Each_ejection_is_longer_up_to_the_limit_and_quiet_time_makes_them_shorter_again()
    {
        var (detector, hosts) = Detector(Settings with { Consecutive5xx = 1 }, 1);
        foreach (var seconds in new[] { 10, 20, 25, 25 })
        {
            Assert.Equal(_clock.GetTimestamp() + TimeSpan.FromSeconds(seconds).Ticks, detector.Report(hosts[0], AttemptResult.ServerError, hosts));
            Assert.Equal(0, detector.Report(hosts[0], AttemptResult.ServerError, hosts)); // It is already ejected.
            _clock.Advance(TimeSpan.FromSeconds(seconds));
        }
        // Four ejections, then three quiet intervals: the next ejection counts as the second.
        _clock.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(_clock.GetTimestamp() + TimeSpan.FromSeconds(20).Ticks, detector.Report(hosts[0], AttemptResult.ServerError, hosts));
    }

    /// <summary>Oracle: the number of ejected hosts after each ejection, from the rule itself.</summary>
    [Fact]
    public void Never_more_than_the_share_of_a_cluster_is_out_but_for_one_where_one_always_may() =>
        Prop.ForAll(Gen.Choose(0, 100).Zip(Gen.Choose(1, 12)).Zip(Gen.Elements(true, false)).ToArbitrary(), given =>
        {
            var ((percent, count), alwaysOne) = given;
            var (detector, hosts) = Detector(Settings with { Consecutive5xx = 1, MaxPercent = percent, AlwaysOne = alwaysOne }, count);
            var expected = 0;
            foreach (var host in hosts)
            {
                if ((expected == 0 && alwaysOne) || (expected + 1) * 100 <= percent * count) expected++;
                detector.Report(host, AttemptResult.ServerError, hosts);
            }
            return hosts.Count(host => host.IsEjected(_clock.GetTimestamp())) == expected && detector.Ejections == expected;
        }).MustHold(300);

    private (OutlierDetector Detector, List<Host> Hosts) Detector(OutlierSettings settings, int count, bool isGateway = false) => (new(settings, _clock),
        [.. Enumerable.Range(1, count)
            .Select(i => new Host(new(new IPEndPoint(IPAddress.Loopback, i), 1, EndpointHealth.Healthy, ValueMap<string>.Empty, Workload.Unknown,
                isGateway)))]);

    private static void Report(OutlierDetector detector, List<Host> hosts, params AttemptResult[] results)
    {
        foreach (var result in results) detector.Report(hosts[0], result, hosts);
    }
}
