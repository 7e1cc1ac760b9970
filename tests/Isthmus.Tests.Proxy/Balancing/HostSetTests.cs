using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Xunit;

namespace Isthmus.Tests.Proxy.Balancing;

public sealed class HostSetTests
{
    [Theory]
    [InlineData(BalancingPolicy.RoundRobin)]
    [InlineData(BalancingPolicy.Random)]
    [InlineData(BalancingPolicy.LeastRequest)]
    public void Hosts_get_their_share_by_weight(BalancingPolicy policy)
    {
        var (set, hosts) = Set((0, [(1, false), (3, false)]));
        var counts = Count(set, policy, 8000);
        Assert.InRange(counts[hosts[0]], 1700, 2300);
    }

    [Fact]
    public void Equal_hosts_take_strict_turns()
    {
        var (set, hosts) = Set((0, [(1, false), (1, false), (1, false)]));
        Assert.All(Count(set, BalancingPolicy.RoundRobin, 300).Values, n => Assert.Equal(100, n));
        Assert.Equal(3, hosts.Count);
    }

    [Fact]
    public void Turns_go_on_among_the_hosts_that_are_left()
    {
        var (set, hosts) = Set((0, [(1, false), (1, false), (1, false), (2, false)]));
        hosts[0].Eject(100);
        var counts = Enumerable.Range(0, 400).Select(_ => set.Pick(new(50, null, null), BalancingPolicy.RoundRobin, new Random(1), 100, null)!)
            .CountBy(host => host).ToDictionary();
        Assert.Equal([hosts[1], hosts[2], hosts[3]], counts.Keys.OrderBy(host => ((IPEndPoint)host.Address).Port));
        Assert.InRange(counts[hosts[1]], 95, 105);
        Assert.InRange(counts[hosts[3]], 195, 205);
        hosts[3].Eject(100);
        Assert.Equal(2,
            Enumerable.Range(0, 2).Select(_ => set.Pick(new(50, null, null), BalancingPolicy.RoundRobin, new Random(1), 100, null)).Distinct().Count());
    }

    /// <summary>Envoy's panic threshold, in percent.</summary>
    [Theory]
    [InlineData(3, null, false, 3)]
    [InlineData(3, 25.0, false, 3)]
    [InlineData(3, 26.0, false, 0, 1, 2, 3)]
    [InlineData(1, 80.0, false, 1, 2, 3)]
    [InlineData(3, 99.0, true, 3, 4)]
    public void Where_too_few_hosts_are_healthy_to_take_the_requests_all_get_some(int ejected, double? threshold, bool hasOther, params int[] chosen)
    {
        foreach (var policy in (BalancingPolicy[])[BalancingPolicy.Random, BalancingPolicy.Hash, BalancingPolicy.LeastRequest])
        {
            var four = (0, ((int, bool)[])[(1, false), (1, false), (1, false), (1, false)]);
            var (set, hosts) = hasOther ? Set(four, (1, [(1, false)])) : Set(four);
            for (var i = 0; i < ejected; i++) hosts[i].Eject(100);
            var random = new Random(5);
            var seen = Enumerable.Range(0, 2000).Select(_ => set.Pick(new(1, null, null), policy, random, 100, threshold)).Distinct()
                .Select(host => hosts.ToList().IndexOf(host!)).Order();
            Assert.Equal(chosen, seen);
        }
    }

    [Fact]
    public void If_each_priority_has_too_few_healthy_hosts_all_hosts_are_alike()
    {
        var (set, hosts) = Set((0, [(1, false), (1, false), (1, false)]), (1, [(1, false)]));
        foreach (var host in hosts) host.Eject(100);
        var random = new Random(5);
        var counts = Enumerable.Range(0, 4000).Select(_ => set.Pick(new(1, null, null), BalancingPolicy.Random, random, 100, 1)!).CountBy(host => host)
            .ToDictionary();
        Assert.All(hosts, host => Assert.InRange(counts[host], 900, 1100));
    }

    [Fact]
    public void The_less_busy_of_two_equals_is_taken()
    {
        var (set, hosts) = Set((0, [(1, false), (1, false)]));
        for (var i = 0; i < 10; i++) hosts[0].Begin();
        Assert.Equal(1000, Count(set, BalancingPolicy.LeastRequest, 1000)[hosts[1]]);
    }

    [Fact]
    public void A_host_that_was_tried_comes_last_and_a_lower_priority_before_it()
    {
        var (set, hosts) = Set((0, [(1, false)]), (1, [(1, false)]));
        Assert.Same(hosts[0], set.Pick(new(0, null, null), BalancingPolicy.Random, new Random(1), 0, null));
        Assert.Same(hosts[1], set.Pick(new(0, [hosts[0]], null), BalancingPolicy.Random, new Random(1), 0, null));
        Assert.NotNull(set.Pick(new(0, hosts, null), BalancingPolicy.Random, new Random(1), 0, null));
    }

    [Fact]
    public void After_enough_tried_hosts_those_of_other_localities_come_first()
    {
        var (set, hosts) = Set((0, [(1, false), (1, false), (1, false)]), (1, [(1, false)]));
        var random = new Random(1);
        Host? Pick(int tried, int leaveAfter) =>
            set.Pick(new(0, [.. hosts.Take(tried)], null) { LeaveAfter = leaveAfter }, BalancingPolicy.Random, random, 0, null);
        Assert.All(Enumerable.Range(0, 20), _ => Assert.NotSame(hosts[3], Pick(1, 2)));
        Assert.All(Enumerable.Range(0, 20), _ => Assert.Same(hosts[3], Pick(2, 2)));
        Assert.All(Enumerable.Range(0, 20), _ => Assert.Same(hosts[2], Pick(2, 0)));
    }

    [Fact]
    public void Ejected_hosts_are_left_out_until_nobody_else_is_there()
    {
        var (set, hosts) = Set((0, [(1, false), (1, false)]));
        hosts[0].Eject(100);
        Assert.All(Enumerable.Range(0, 50), _ => Assert.Same(hosts[1], set.Pick(new(50, null, null), BalancingPolicy.Random, new Random(), 100, null)));
        hosts[1].Eject(100);
        Assert.NotNull(set.Pick(new(50, null, null), BalancingPolicy.Random, new Random(1), 100, null));
        Assert.Null(set.Pick(new(50, null, null), BalancingPolicy.Random, new Random(1), 100, 0));
        Assert.Contains(hosts[0], Enumerable.Range(0, 50).Select(_ => set.Pick(new(101, null, null), BalancingPolicy.Random, new Random(), 100, null)));
    }

    [Fact]
    public void Traffic_spills_over_when_less_than_five_sevenths_are_healthy()
    {
        var (set, hosts) = Set((0, [(1, false), (1, false), (1, false), (1, false)]), (1, [(1, false)]));
        hosts[0].Eject(100);
        hosts[1].Eject(100);
        var random = new Random(3);
        var spilled = Enumerable.Range(0, 4000).Count(_ => set.Pick(new(1, null, null), BalancingPolicy.Random, random, 100, null) == hosts[4]);
        Assert.InRange(spilled, 1080, 1320);   // 1 - 1.4 * 2/4 = 30 %
    }

    [Fact]
    public void A_key_keeps_its_host_when_another_leaves()
    {
        var (all, hosts) = Set((0, [(1, false), (1, false), (1, false)]));
        var before = Enumerable.Range(0, 300).Select(k => all.Pick(new(0, null, XxHash64.Of($"{k}")), BalancingPolicy.Hash, new Random(1), 0, null)).ToArray();
        hosts[2].Eject(100);
        var after = Enumerable.Range(0, 300).Select(k => all.Pick(new(0, null, XxHash64.Of($"{k}")), BalancingPolicy.Hash, new Random(1), 100, null)).ToArray();
        // As in Envoy, the hosts that stay share the points of the ring, so that some of their keys move between them.
        Assert.DoesNotContain(hosts[2], after);
        var others = Enumerable.Range(0, 300).Where(k => before[k] != hosts[2]).ToList();
        Assert.InRange(others.Count(k => before[k] == after[k]), others.Count * 7 / 10, others.Count);
        hosts[2].Eject(0);
        Assert.Equal(before, Enumerable.Range(0, 300).Select(k => all.Pick(new(0, null, XxHash64.Of($"{k}")), BalancingPolicy.Hash, new Random(1), 100, null)));
        Assert.Equal(3, before.Distinct().Count());
    }

    [Fact]
    public void A_gateway_is_never_ejected_for_the_answers_of_services_behind_it()
    {
        var (set, hosts) = Set((0, [(1, true), (1, false)]));
        var settings = new OutlierSettings(3, 0, 0, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(300), 100, false);
        var detector = new OutlierDetector(settings, TimeProvider.System);
        for (var i = 0; i < 10; i++)
            foreach (var host in hosts) detector.Report(host, AttemptResult.ServerError, set.All);
        var now = TimeProvider.System.GetTimestamp();
        Assert.Equal((false, true), (hosts[0].IsEjected(now), hosts[1].IsEjected(now)));
        for (var i = 0; i < 3; i++) detector.Report(hosts[0], AttemptResult.ConnectFailed, set.All);
        Assert.True(hosts[0].IsEjected(TimeProvider.System.GetTimestamp()));
    }

    /// <summary>Hosts that are not ready (u), that are ejected (e), and that are healthy (h), by priority.</summary>
    [Theory]
    [InlineData("uuu", 1.0, "")]
    [InlineData("uuu", 0.0, "")]
    [InlineData("uue", 1.0, "2")]
    [InlineData("uue", 0.0, "")]
    [InlineData("uuh", 1.0, "2")]
    [InlineData("uuh", null, "2")]
    [InlineData("uuu", 50.0, "0 1 2")] // as in Envoy
    [InlineData("uuh", 50.0, "0 1 2")]
    [InlineData("uu h", 0.0, "2")]
    [InlineData("uu e", 1.0, "2")]
    [InlineData("uh hh", 1.0, "1 2 3")]
    public void Hosts_that_are_not_ready_get_nothing_unless_a_threshold_says_so(string shape, double? threshold, string chosen)
    {
        foreach (var policy in (BalancingPolicy[])[BalancingPolicy.Random, BalancingPolicy.RoundRobin, BalancingPolicy.LeastRequest, BalancingPolicy.Hash])
        {
            var (set, hosts) = Shaped(shape);
            var random = new Random(5);
            var seen = Enumerable.Range(0, 2000)
                .Select(_ => set.Pick(new(1, null, null), policy, random, shape.Contains('e', StringComparison.Ordinal) ? 100 : 0, threshold)).Distinct()
                .Where(host => host is not null).Select(host => hosts.IndexOf(host!)).Order();
            Assert.Equal(chosen, string.Join(' ', seen));
        }
    }

    /// <summary>The quick choice, and the one that looks at each host.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    public void A_priority_keeps_its_requests_until_too_few_of_its_hosts_are_ready(long impairedUntil)
    {
        foreach (var (shape, least, most) in (ReadOnlySpan<(string, int, int)>)[("uhhh h", 4000, 4000), ("uuhh h", 2670, 2930), ("uuuh h", 1280, 1520),
            ("uuuu h", 0, 0)])
        {
            var (set, hosts) = Shaped(shape);
            var random = new Random(3);
            Assert.InRange(Enumerable.Range(0, 4000)
                .Count(_ => hosts.IndexOf(set.Pick(new(1, null, null), BalancingPolicy.Random, random, impairedUntil, 0)!) < 4),
                least, most);
        }
    }

    private static (HostSet Set, List<Host> Hosts) Shaped(string shape)
    {
        var all = new List<Host>();
        var groups = new List<(LocalityEndpoints, IReadOnlyList<Host>)>();
        foreach (var (priority, letters) in shape.Split(' ').Index())
        {
            var made = letters.Select((letter, i) => new Host(new Endpoint(new IPEndPoint(IPAddress.Loopback, 1000 + all.Count + i), 1,
                letter == 'u' ? EndpointHealth.Unhealthy : EndpointHealth.Healthy, ValueMap<string>.Empty, Workload.Unknown, false)))
                .ToArray();
            foreach (var (host, letter) in made.Zip(letters)) if (letter == 'e') host.Eject(100);
            groups.Add((new LocalityEndpoints("", "", "", priority, 0, []), made));
            all.AddRange(made);
        }
        return (new HostSet(groups, false), all);
    }

    private static Dictionary<Host, int> Count(HostSet set, BalancingPolicy policy, int times)
    {
        var random = new Random(11);
        return Enumerable.Range(0, times).Select(_ => set.Pick(new(0, null, null), policy, random, 0, null)!).CountBy(h => h).ToDictionary();
    }

    private static (HostSet Set, IReadOnlyList<Host> Hosts) Set(params (int Priority, (int Weight, bool IsGateway)[] Hosts)[] localities)
    {
        var all = new List<Host>();
        var groups = new List<(LocalityEndpoints, IReadOnlyList<Host>)>();
        foreach (var (priority, hosts) in localities)
        {
            var made = hosts.Select((h, i) => new Host(new Endpoint(new IPEndPoint(IPAddress.Loopback, 1000 + all.Count + i), h.Weight, EndpointHealth.Healthy,
                ValueMap<string>.Empty, Workload.Unknown, h.IsGateway))).ToArray();
            groups.Add((new LocalityEndpoints("", "", "", priority, 0, []), made));
            all.AddRange(made);
        }
        return (new HostSet(groups, false), all);
    }
}
