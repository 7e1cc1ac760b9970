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

    private sealed class Held : INameResolver
    {
        internal TaskCompletionSource<IReadOnlyList<IPAddress>> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan TimeToLive)> ResolveAsync(string name, CancellationToken stop) => (await Answer.Task, TimeSpan.Zero);
    }
}
