using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Xunit;

namespace Isthmus.Tests.Proxy.Balancing;

public sealed class ActiveHealthTests
{
    private const string Checked =
        """ "health_checks": [{"timeout": "1s", "interval": "1s", "unhealthy_threshold": 3, "healthy_threshold": 2, "tcp_health_check": {} }] """;

    private static readonly CheckResult Wrong = new(CheckOutcome.Refused, ""), Maybe = new(CheckOutcome.Retriable, ""),
        Away = new(CheckOutcome.NetworkFailure, ""), Late = new(CheckOutcome.TimedOut, "");

    [Fact]
    public void A_host_is_unhealthy_until_its_first_check_which_decides_alone()
    {
        var (cluster, hosts) = Cluster(2);
        Assert.Equal(0, cluster.HealthyHosts);
        Assert.Equal(HealthTransition.Changed, cluster.Health!.Record(hosts[0], CheckResult.Passed));
        Assert.Equal(HealthTransition.None, cluster.Health.Record(hosts[1], Away));
        Assert.Equal((1, 1), (cluster.HealthyHosts, cluster.Health.Passing));
        Assert.All(Enumerable.Range(0, 20), _ => Assert.Same(hosts[0], cluster.Pick(null, null, null)));
    }

    [Fact]
    public void Hosts_that_do_not_answer_fail_at_the_threshold_and_return_at_the_other()
    {
        var (cluster, hosts) = Cluster(1);
        var health = cluster.Health!;
        health.Record(hosts[0], CheckResult.Passed);
        Assert.Equal([HealthTransition.Pending, HealthTransition.Pending, HealthTransition.Changed, HealthTransition.None], Results(Away, Late, Maybe, Late));
        Assert.True(hosts[0].Check!.IsTimedOut);
        Assert.Equal([HealthTransition.Pending, HealthTransition.None, HealthTransition.Pending, HealthTransition.Changed, HealthTransition.None],
            Results(CheckResult.Passed, Away, CheckResult.Passed, CheckResult.Passed, CheckResult.Passed));
        // A success begins the count again.
        Assert.Equal([HealthTransition.Pending, HealthTransition.Pending, HealthTransition.None, HealthTransition.Pending, HealthTransition.Pending],
            Results(Away, Away, CheckResult.Passed, Away, Away));
        Assert.Equal((1, 1), (cluster.HealthyHosts, health.Passing));

        HealthTransition[] Results(params CheckResult[] results) => [.. results.Select(result => health.Record(hosts[0], result))];
    }

    [Fact]
    public void A_wrong_answer_counts_at_once()
    {
        var (cluster, hosts) = Cluster(1);
        cluster.Health!.Record(hosts[0], CheckResult.Passed);
        Assert.Equal(HealthTransition.Changed, cluster.Health.Record(hosts[0], Wrong));
        cluster.Health.Record(hosts[0], CheckResult.Passed);
        cluster.Health.Record(hosts[0], CheckResult.Passed);
        var response = new ResponseHead { Status = 200 };
        response.Headers.Add("x-envoy-immediate-health-check-fail"u8, "true");
        cluster.Answered(hosts[0], response);
        Assert.True(hosts[0].Check!.IsFailed);
        Assert.Equal((2, 1, 0), (cluster.Counters.Checks.Failures, cluster.Counters.Checks.PassiveFailures, cluster.Counters.Checks.NetworkFailures));
    }

    /// <summary>Envoy's table of what active checks and the control plane say.</summary>
    [Theory]
    [InlineData(true, "", true)]
    [InlineData(false, "", false)]
    [InlineData(true, """, "ignore_health_on_host_removal": true""", false)]
    public void A_host_that_the_control_plane_takes_away_stays_while_it_passes_its_checks(bool passes, string field, bool stays)
    {
        var (cluster, hosts) = Cluster(2, Checked + field);
        cluster.Health!.Record(hosts[0], CheckResult.Passed);
        cluster.Health.Record(hosts[1], passes ? CheckResult.Passed : Away);
        cluster.Update(Assignment(1));
        Assert.Equal((stays, !stays, stays), (cluster.Hosts.All.Contains(hosts[1]), hosts[1].IsRemoved, hosts[1].IsLeaving));
        Assert.Equal(stays ? 2 : 1, cluster.Assignment.Localities.Sum(locality => locality.Endpoints.Count));
        if (!stays) return;
        cluster.Update(Assignment(2));
        Assert.False(hosts[1].IsLeaving);
        cluster.Update(Assignment(1));
        cluster.Health.Record(hosts[1], Away);
        Assert.Contains(hosts[1], cluster.Hosts.All);
        cluster.Health.Record(hosts[1], Wrong);
        Assert.Equal([hosts[0]], cluster.Hosts.All);
        Assert.True(hosts[1].IsRemoved);
    }

    [Fact]
    public void A_check_that_succeeds_ends_an_ejection_unless_the_rule_says_otherwise()
    {
        foreach (var (rule, returns) in ((string, bool)[])[("", true), (""", "successful_active_health_check_uneject_host": false""", false)])
        {
            var (cluster, hosts) = Cluster(2, $$"""{{Checked}}, "outlier_detection": {"consecutive_5xx": 1, "max_ejection_percent": 100 {{rule}} }""");
            foreach (var host in hosts) cluster.Health!.Record(host, CheckResult.Passed);
            cluster.Answered(hosts[0], 500);
            Assert.Equal(1, cluster.EjectedHosts);
            cluster.Health!.Record(hosts[0], CheckResult.Passed);
            Assert.Equal(returns ? 0 : 1, cluster.EjectedHosts);
        }
    }

    [Fact]
    public void The_one_host_of_a_logical_name_stays_what_it_was_when_its_address_changes()
    {
        var cluster = State($$"""
            {"name": "a", "type": "LOGICAL_DNS",
             "load_assignment": {"endpoints": [{"lb_endpoints": [
               {"endpoint": {"address": {"socket_address": {"address": "shop.example", "port_value": 80} } } }]}]},
             {{Checked}} }
            """);
        cluster.Update(Assignment(1));
        cluster.Health!.Record(cluster.Hosts.All[0], CheckResult.Passed);
        cluster.Update(new("a", [new LocalityEndpoints("", "", "", 0, 0, [Endpoint(9)])]));
        Assert.Equal((9, 1), (((IPEndPoint)Assert.Single(cluster.Hosts.All).Address).Port, cluster.HealthyHosts));
    }

    [Fact]
    public void Endpoints_that_are_not_checked_are_healthy()
    {
        var cluster = Cluster(1).Cluster;
        LoadAssignment With(bool disabled) => new("a", [new LocalityEndpoints("", "", "", 0, 0, [Endpoint(1) with { Check = new(null, 0, "", disabled) }])]);
        cluster.Update(With(true));
        Assert.Equal((1, 1), (cluster.HealthyHosts, cluster.Hosts.All.Count));
        cluster.Update(With(false));
        Assert.Equal((0, 1), (cluster.HealthyHosts, cluster.Hosts.All.Count));
    }

    [Theory]
    [InlineData(true, "None", true, 1)]
    [InlineData(true, "Changed", true, 1)]
    [InlineData(true, "Pending", true, 4)]
    [InlineData(false, "None", true, 2)]
    [InlineData(false, "Pending", true, 3)]
    [InlineData(true, "None", false, 6)]
    [InlineData(true, "Pending", false, 5)]
    [InlineData(false, "None", false, 5)]
    public void The_time_until_the_next_check_depends_on_what_the_last_one_said(bool passed, string transition, bool hasTraffic, int seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), Intervals.After(passed, Enum.Parse<HealthTransition>(transition), hasTraffic, new Random(1)));

    [Fact]
    public void Jitter_only_adds_and_no_more_than_it_says() => Prop.ForAll(
        (from ms in Gen.Choose(0, 5000) from percent in Gen.Choose(0, 100) from seed in Gen.Choose(0, 1000) select (ms, percent, seed)).ToArbitrary(), input =>
        {
            var intervals = Intervals with
            {
                Jitter = TimeSpan.FromMilliseconds(input.ms), JitterPercent = input.percent, InitialJitter = TimeSpan.FromMilliseconds(input.ms)
            };
            var random = new Random(input.seed);
            var wait = intervals.After(true, HealthTransition.None, true, random);
            Assert.InRange(wait, intervals.Usual, (intervals.Usual * (1 + (input.percent / 100.0))) + intervals.Jitter);
            Assert.InRange(intervals.BeforeFirst(random), TimeSpan.Zero, intervals.InitialJitter);
        }).MustHold();

    private static HealthIntervals Intervals =>
        new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(4), TimeSpan.FromSeconds(5),
            TimeSpan.FromSeconds(6));

    private static (ClusterState Cluster, IReadOnlyList<Host> Hosts) Cluster(int hosts, string fields = Checked)
    {
        var cluster = State($$"""{"name": "a", "type": "EDS", "eds_cluster_config": {}, {{fields}} }""");
        cluster.Update(Assignment(hosts));
        return (cluster, cluster.Hosts.All);
    }

    private static ClusterState State(string json) => new(ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>(json)), new ManualClock(), new Random(1));

    private static LoadAssignment Assignment(int hosts) =>
        new("a", [new LocalityEndpoints("", "", "", 0, 0, Enumerable.Range(1, hosts).Select(Endpoint).ToValueList())]);

    private static Endpoint Endpoint(int port) =>
        new(new IPEndPoint(IPAddress.Loopback, port), 1, EndpointHealth.Healthy, ValueMap<string>.Empty, Workload.Unknown, false);
}
