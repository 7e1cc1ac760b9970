using System.Net;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

[Trait("shard", "node")]
public sealed class NodeNetworkTests
{
    [Fact]
    public async Task Pods_of_one_node_reach_each_other_and_see_each_others_address()
    {
        await using var network = TestNetwork.Create();
        var node = await network.NodeAsync(1);
        var a = await node.PodAsync("10.244.0.10");
        var b = await node.PodAsync("10.244.0.11");
        b.ServeTcp(8080, "b");
        Assert.Equal("b 10.244.0.10", await a.AskAsync("10.244.0.11", 8080));
        Assert.Equal("b 172.18.0.2", await node.Self.AskAsync("10.244.0.11", 8080));
        Assert.Equal(["10.244.0.10", "10.244.0.11"], (await node.AttachedAsync()).Select(x => x.ToString()).Order());
    }

    [Fact]
    public async Task Isolated_clusters_with_equal_ranges_coexist_and_never_reach_each_others_Pods()
    {
        await using var network = TestNetwork.Create();
        var one = await network.NodeAsync(1);
        var two = await network.NodeAsync(2);
        var here = await one.PodAsync("10.244.0.10");
        (await one.PodAsync("10.244.0.11")).ServeTcp(8080, "one");
        (await two.PodAsync("10.244.0.11")).ServeTcp(8080, "pod-of-two");
        (await two.PodAsync("10.244.0.12")).ServeTcp(8080, "pod-of-two");
        two.Self.ServeTcp(9000, "node two");

        Assert.Equal("one 10.244.0.10", await here.AskAsync("10.244.0.11", 8080));
        // No Pod has 10.244.0.12 here, and the one of the other cluster must not answer instead.
        Assert.DoesNotContain("pod-of-two", await here.AskAsync("10.244.0.12", 8080, 0.5));
        Assert.Equal("node two 172.18.0.2", await here.AskAsync("172.18.0.3", 9000));
    }

    [Fact]
    public async Task Even_with_a_route_to_it_an_isolated_Pod_range_stays_closed()
    {
        await using var network = TestNetwork.Create();
        var one = await network.NodeAsync(1);
        var two = await network.NodeAsync(2, "10.245.0.0/16");
        var here = await one.PodAsync("10.244.0.10");
        (await two.PodAsync("10.245.0.10")).ServeTcp(8080, "pod-of-two");
        // Only one side is configured for a common network: the other must reject the traffic.
        await one.Network.SetPeersAsync([new(two.Settings.Address, two.Settings.PodRange)], TestContext.Current.CancellationToken);
        Assert.DoesNotContain("pod-of-two", await here.AskAsync("10.245.0.10", 8080, 0.5));
        Assert.DoesNotContain("pod-of-two", await one.Self.AskAsync("10.245.0.10", 8080, 0.5));
    }

    [Fact]
    public async Task Clusters_of_one_network_route_to_each_others_Pods_without_address_translation()
    {
        await using var network = TestNetwork.Create();
        var one = await network.NodeAsync(1);
        var two = await network.NodeAsync(2, "10.245.0.0/16");
        await TestNetwork.JoinAsync(one, two);
        var a = await one.PodAsync("10.244.0.10");
        var b = await two.PodAsync("10.245.0.10");
        a.ServeTcp(8080, "a");
        b.ServeTcp(8080, "b");
        Assert.Equal("b 10.244.0.10", await a.AskAsync("10.245.0.10", 8080));
        Assert.Equal("a 10.245.0.10", await b.AskAsync("10.244.0.10", 8080));

        await one.Network.SetPeersAsync([], TestContext.Current.CancellationToken);
        Assert.DoesNotContain("b ", await a.AskAsync("10.245.0.10", 8080, 0.5));
    }

    [Fact]
    public async Task Service_addresses_that_no_Service_has_are_refused_at_once_and_foreign_ones_unreachable()
    {
        await using var network = TestNetwork.Create();
        var one = await network.NodeAsync(1);
        var two = await network.NodeAsync(2);
        var a = await one.PodAsync("10.244.0.10");
        Assert.Equal("ConnectionRefused", await a.AskAsync("10.96.7.7", 80));
        Assert.Equal("ConnectionRefused", await one.Self.AskAsync("10.96.7.7", 80));
        Assert.Equal("ConnectionRefused", await two.Self.AskAsync("172.18.201.9", 80));
    }

    [Fact]
    public async Task A_Pods_address_can_be_used_again_at_once()
    {
        await using var network = TestNetwork.Create();
        var node = await network.NodeAsync(1);
        var asking = await node.PodAsync("10.244.0.9");
        var first = await node.PodAsync("10.244.0.10");
        first.ServeTcp(8080, "first");
        Assert.Equal("first 10.244.0.9", await asking.AskAsync("10.244.0.10", 8080));
        await node.DetachAsync(first);
        Assert.Equal([IPAddress.Parse("10.244.0.9")], await node.AttachedAsync());
        (await node.PodAsync("10.244.0.10")).ServeTcp(8080, "second");
        Assert.Equal("second 10.244.0.9", await asking.AskAsync("10.244.0.10", 8080));
    }
}
