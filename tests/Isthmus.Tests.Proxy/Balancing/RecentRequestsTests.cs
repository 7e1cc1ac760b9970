using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Xunit;

namespace Isthmus.Tests.Proxy.Balancing;

/// <summary>The interval of a retry budget: requests count for it after they have ended.</summary>
public sealed class RecentRequestsTests
{
    [Fact]
    public void Requests_are_forgotten_when_the_interval_is_over()
    {
        var clock = new ManualClock();
        var recent = new RecentRequests(TimeSpan.FromSeconds(10), clock);
        Assert.Equal(0, recent.Count);
        for (var second = 0; second < 10; second++)
        {
            for (var i = 0; i <= second; i++) recent.Add();
            clock.Advance(TimeSpan.FromSeconds(1));
        }
        Assert.Equal(55, recent.Count);
        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.InRange(recent.Count, 6 + 7 + 8 + 9 + 10, 5 + 6 + 7 + 8 + 9 + 10);
        clock.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(0, recent.Count);
        recent.Add();
        clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal(0, recent.Count);
        recent.Add();
        Assert.Equal(1, recent.Count);
    }

    [Theory]
    [InlineData("", 1)]
    [InlineData(""", "budget_interval": "0s" """, 1)]
    [InlineData(""", "budget_interval": "10s" """, 5)]
    public void A_budget_is_a_part_of_the_requests_in_progress_and_of_recent_ones(string interval, int most)
    {
        var clock = new ManualClock();
        var cluster = new ClusterState(ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>($$"""
            {"name": "up", "circuit_breakers": {"thresholds": [{"retry_budget": {"budget_percent": {"value": 50},
              "min_retry_concurrency": 1 {{interval}} } }] } }
            """)), clock, new Random(1));
        for (var i = 0; i < 8; i++)
        {
            Assert.True(cluster.TryBeginRequest(canQueue: false));
            cluster.EndRequest();
        }
        for (var i = 0; i < 2; i++) Assert.True(cluster.TryBeginRequest(canQueue: false));
        Assert.Equal(most, Enumerable.Range(0, 20).Count(_ => cluster.TryBeginRetry()));
        for (var i = 0; i < most; i++) cluster.EndRetry();
        clock.Advance(TimeSpan.FromSeconds(12));
        Assert.Equal(1, Enumerable.Range(0, 20).Count(_ => cluster.TryBeginRetry()));
    }
}
