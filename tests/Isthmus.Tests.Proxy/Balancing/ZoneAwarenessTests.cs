using System.Net;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Proxy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Xunit;

namespace Isthmus.Tests.Proxy.Balancing;

/// <summary><c>zone_aware_lb_config</c>: requests of a proxy in z1 that knows where the others of its workload are.</summary>
public sealed class ZoneAwarenessTests : IDisposable
{
    private const int Requests = 20_000;

    private readonly SnapshotState _state = new(new ProxyPorts(TimeProvider.System, new Random(7), new ProcessSockets(), new SystemResolver()), new NoSecrets(),
        (_, _, _) => Task.CompletedTask, new((_, _) => { }), "10.0.1.1");

    public void Dispose() => _state.Dispose();

    /// <param name="callers">The workload's endpoints by zone; the proxy is the first of z1.</param>
    /// <param name="hosts">The hosts by zone.</param>
    /// <param name="shares">The share of each zone in percent.</param>
    [Theory]
    // Each zone has hosts for its callers.
    [InlineData("5 5", "5 5", "", "100 0")]
    [InlineData("4 4 4", "6 3 3", "", "100 0 0")]
    // z1 has half of the callers and a fifth of the hosts; the rest goes where hosts are to spare.
    [InlineData("5 5", "2 8", "", "40 60")]
    [InlineData("4 4 4", "2 4 6", "", "50 0 50")]
    [InlineData("6 2 2", "4 5 11", "", "33.3 6.7 60")]
    [InlineData("10 0", "4 4", "", "50 50")]
    // Too few hosts, none in z1, or all in it.
    [InlineData("5 5", "1 3", "", "25 75")]
    [InlineData("5 5", "1 3", "\"min_cluster_size\": 4", "50 50")]
    [InlineData("5 5", "0 8", "", "0 100")]
    [InlineData("5 5", "8 0", "", "100 0")]
    [InlineData("5 5", "5 5", "\"min_cluster_size\": 11", "50 50")]
    // Off, or for a part of the requests.
    [InlineData("5 5", "5 5", "\"routing_enabled\": {\"value\": 0}", "50 50")]
    [InlineData("5 5", "5 5", "\"routing_enabled\": {\"value\": 50}", "75 25")]
    public void Zones_get_what_their_hosts_and_callers_make(string callers, string hosts, string config, string shares)
    {
        Apply(TypeUrls.Endpoints, Assignment(OwnZones.Assignment, callers));
        Apply(TypeUrls.Cluster, Cluster(config));
        Apply(TypeUrls.Endpoints, Assignment("up", hosts));
        AssertShares(shares);
    }

    [Fact]
    public void Hosts_that_fail_do_not_count()
    {
        Apply(TypeUrls.Cluster, Cluster(""));
        Apply(TypeUrls.Endpoints, Assignment(OwnZones.Assignment, "5 5"));
        Apply(TypeUrls.Endpoints, Assignment("up", "5 5", unhealthy: 2));
        // 3 of 8 hosts for half of the callers.
        AssertShares("75 25");
    }

    [Fact]
    public void What_is_known_of_the_own_workload_is_live()
    {
        Apply(TypeUrls.Cluster, Cluster(""));
        Apply(TypeUrls.Endpoints, Assignment("up", "2 8"));
        Assert.Equal([OwnZones.Assignment, "up"], _state.WantedEndpoints);
        AssertShares("20 80");
        Apply(TypeUrls.Endpoints, Assignment(OwnZones.Assignment, "5 5"));
        AssertShares("40 60");
        Apply(TypeUrls.Endpoints, Assignment(OwnZones.Assignment, "2 8"));
        AssertShares("100 0");
        // The proxy is not among them.
        Apply(TypeUrls.Endpoints, Assignment(OwnZones.Assignment, "0 8"));
        AssertShares("20 80");
        Apply(TypeUrls.Endpoints, Assignment(OwnZones.Assignment, "5 5"));
        Assert.Empty(_state.Apply(new(TypeUrls.Endpoints, [], [OwnZones.Assignment], "2")));
        AssertShares("20 80");
        Apply(TypeUrls.Cluster, Cluster("\"routing_enabled\": {\"value\": 0}"));
        Assert.Equal(["up"], _state.WantedEndpoints);
    }

    [Fact]
    public void Other_priorities_have_no_zones()
    {
        Apply(TypeUrls.Cluster, Cluster(""));
        Apply(TypeUrls.Endpoints, Assignment(OwnZones.Assignment, "5 5"));
        var assignment = Assignment("up", "4 4", unhealthy: 8);
        assignment.Endpoints.Add(Assignment("up", "4 4", network: 9).Endpoints.Select(group => new LocalityLbEndpoints(group) { Priority = 1 }));
        Apply(TypeUrls.Endpoints, assignment);
        AssertShares("50 50");
    }

    private void AssertShares(string shares)
    {
        var cluster = _state.Current.Clusters["up"];
        foreach (var turn in (int[])[0, 1])
        {
            // Also a retry, which looks at each host.
            var tried = turn == 0
                ? null
                : (IReadOnlyList<Host>)[new Host(new(new IPEndPoint(IPAddress.Loopback, 1), 1, EndpointHealth.Healthy, default, Workload.Unknown, false))];
            var counts = new int[4];
            for (var i = 0; i < Requests; i++) counts[((IPEndPoint)cluster.Pick(tried, null, null)!.Address).Address.GetAddressBytes()[2]]++;
            // Six times the standard deviation.
            foreach (var (share, zone) in shares.Split(' ')
                .Select((share, at) => (double.Parse(share, System.Globalization.CultureInfo.InvariantCulture) / 100, at + 1)))
                Assert.InRange(counts[zone] / (double)Requests, share - 0.025, share + 0.025);
        }
    }

    private static ClusterLoadAssignment Assignment(string name, string counts, int unhealthy = 0, int network = 0)
    {
        var assignment = new ClusterLoadAssignment { ClusterName = name };
        foreach (var (count, zone) in counts.Split(' ')
            .Select((count, at) => (int.Parse(count, System.Globalization.CultureInfo.InvariantCulture), at + 1)))
        {
            var group = new LocalityLbEndpoints { Locality = new() { Region = "r1", Zone = $"z{zone}" } };
            for (var i = 1; i <= count; i++)
            {
                group.LbEndpoints.Add(new LbEndpoint
                {
                    Endpoint = new() { Address = new() { SocketAddress = new() { Address = $"10.{network}.{zone}.{i}", PortValue = 80 } } },
                    HealthStatus = unhealthy-- > 0 ? Wire.Envoy.HealthStatus.Unhealthy : Wire.Envoy.HealthStatus.Healthy,
                });
            }
            assignment.Endpoints.Add(group);
        }
        return assignment;
    }

    private static Cluster Cluster(string config) => WireTypes.Strict.Parse<Cluster>($$"""
        {"name": "up", "type": "EDS", "lb_policy": "RANDOM", "eds_cluster_config": {"eds_config": {"ads": {} } }, "common_lb_config": {"zone_aware_lb_config": { {{config}} } } }
        """);

    private void Apply(string typeUrl, IMessage message) =>
        Assert.Empty(_state.Apply(new(typeUrl,
            [new(message is Cluster cluster ? cluster.Name : ((ClusterLoadAssignment)message).ClusterName, "1",
                new Any { TypeUrl = typeUrl, Value = message.ToByteString() })],
            [], "1")));
}
