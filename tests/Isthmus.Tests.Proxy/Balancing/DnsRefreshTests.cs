using System.Net;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Xunit;

namespace Isthmus.Tests.Proxy.Balancing;

public sealed class DnsRefreshTests
{
    private const string Names = """
        {"name": "d", "type": "STRICT_DNS", "dns_refresh_rate": "60s", "load_assignment": {"endpoints": [{"lb_endpoints": [
          {"endpoint": {"address": {"socket_address": {"address": "shop.example", "port_value": 80}}}}]}]}}
        """;

    [Fact]
    public async Task An_answer_that_was_under_way_gives_no_hosts_to_a_cluster_that_is_gone()
    {
        using var stop = new CancellationTokenSource();
        var cluster = new ClusterState(ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>(Names)), TimeProvider.System, new Random(1));
        var resolver = new Held();
        var warmed = false;
        var running = new DnsRefresh(cluster, resolver, new ManualClock()).RunAsync(() => warmed = true, stop.Token);
        await stop.CancelAsync();
        resolver.Answer.SetResult([IPAddress.Parse("10.1.1.1")]);
        await running;
        Assert.Empty(cluster.Hosts.All);
        Assert.False(warmed);
    }

    [Fact]
    public async Task A_name_that_the_resolver_refuses_has_no_addresses_and_the_cluster_is_still_warmed()
    {
        using var stop = new CancellationTokenSource();
        var cluster = new ClusterState(ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>(Names)), TimeProvider.System, new Random(1));
        var resolver = new Held();
        resolver.Answer.SetException(new ArgumentOutOfRangeException("name"));
        var warmed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = new DnsRefresh(cluster, resolver, new ManualClock()).RunAsync(warmed.SetResult, stop.Token);
        await warmed.Task;
        Assert.Empty(cluster.Hosts.All);
        await stop.CancelAsync();
        await running;
    }

    /// <summary>Both forms in which a control plane says it.</summary>
    [Theory]
    [InlineData(""" "type": "LOGICAL_DNS", "dns_lookup_family": "ALL" """)]
    [InlineData(
        """
        "cluster_type": {"name": "envoy.cluster.dns",
         "typed_config": {"@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster", "dns_lookup_family": "ALL",
          "all_addresses_in_single_endpoint": true} }
        """)]
    public async Task All_addresses_of_a_name_are_those_of_one_host_the_families_by_turns(string type)
    {
        using var stop = new CancellationTokenSource();
        var text = Names.Replace(""" "type": "STRICT_DNS" """.Trim(), type, StringComparison.Ordinal);
        var cluster = new ClusterState(ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>(text)), TimeProvider.System, new Random(1));
        var resolver = new Held();
        resolver.Answer.SetResult([IPAddress.Parse("10.1.1.1"), IPAddress.Parse("10.1.1.2"), IPAddress.Parse("10.1.1.3"), IPAddress.Parse("2001:db8::1")]);
        var warmed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = new DnsRefresh(cluster, resolver, new ManualClock()).RunAsync(warmed.SetResult, stop.Token);
        await warmed.Task;
        var host = Assert.Single(cluster.Hosts.All);
        Assert.Equal(["10.1.1.1:80", "[2001:db8::1]:80", "10.1.1.2:80", "10.1.1.3:80"],
            host.Endpoint.MoreAddresses.Prepend(host.Address).Select(Endpoint.Text));
        await stop.CancelAsync();
        await running;
    }

    private sealed class Held : INameResolver
    {
        internal TaskCompletionSource<IReadOnlyList<IPAddress>> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan TimeToLive)> ResolveAsync(string name,
            CancellationToken stop) => (await Answer.Task, TimeSpan.Zero);
    }
}
