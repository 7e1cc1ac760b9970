using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Nodes.ServiceProxy;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

[Trait("shard", "node")]
public sealed class ServiceProxyTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_ClusterIP_spreads_over_all_endpoints_and_keeps_the_callers_address()
    {
        await using var network = TestNetwork.Create();
        var node = await network.NodeAsync(1);
        var caller = await node.PodAsync("10.244.0.9");
        await ServersAsync(node);
        await ApplyAsync(node, Port("web", "tcp", 80, cluster: "10.96.0.20", targets: ["10.244.0.10:8080", "10.244.0.11:8080"]));

        var answers = new HashSet<string>();
        for (var i = 0; i < 40; i++) answers.Add(await caller.AskAsync("10.96.0.20", 80));
        Assert.Equal(["one 10.244.0.9", "two 10.244.0.9"], answers.Order());
        Assert.StartsWith("one", await AskUntilAsync(node.Self, "10.96.0.20", 80, "one"));
        Assert.Equal("ConnectionRefused", await caller.AskAsync("10.96.0.20", 81));
    }

    [Fact]
    public async Task A_Pod_reaches_itself_through_its_Service()
    {
        await using var network = TestNetwork.Create();
        var node = await network.NodeAsync(1);
        var pod = (await node.PodAsync("10.244.0.10")).ServeTcp(8080, "self");
        await ApplyAsync(node, Port("self", "tcp", 80, cluster: "10.96.0.20", targets: ["10.244.0.10:8080"]));
        Assert.Equal("self 172.18.0.2", await pod.AskAsync("10.96.0.20", 80));
    }

    [Fact]
    public async Task NodePort_and_load_balancer_addresses_are_reached_from_another_cluster_and_from_inside()
    {
        await using var network = TestNetwork.Create();
        var one = await network.NodeAsync(1);
        var two = await network.NodeAsync(2);
        var inside = await one.PodAsync("10.244.0.9");
        var outside = await two.PodAsync("10.244.0.9");
        await ServersAsync(one);
        await ApplyAsync(one, Port("web", "tcp", 80, cluster: "10.96.0.20", outer: "172.18.201.5", nodePort: 30080, targets: ["10.244.0.10:8080"]));

        Assert.Equal("one 172.18.0.3", await outside.AskAsync("172.18.0.2", 30080));
        Assert.Equal("one 172.18.0.3", await outside.AskAsync("172.18.201.5", 80));
        Assert.Equal("one 10.244.0.9", await inside.AskAsync("172.18.0.2", 30080));
        Assert.Equal("one 10.244.0.9", await inside.AskAsync("172.18.201.5", 80));
        // The other cluster does not use this ClusterIP.
        Assert.Equal("ConnectionRefused", await outside.AskAsync("10.96.0.20", 80));
    }

    [Fact]
    public async Task A_Service_without_endpoints_refuses_at_once_everywhere()
    {
        await using var network = TestNetwork.Create();
        var one = await network.NodeAsync(1);
        var two = await network.NodeAsync(2);
        var inside = await one.PodAsync("10.244.0.9");
        await ApplyAsync(one, Port("web", "tcp", 80, cluster: "10.96.0.20", outer: "172.18.201.5", nodePort: 30080, targets: []));
        Assert.Equal("ConnectionRefused", await inside.AskAsync("10.96.0.20", 80));
        Assert.Equal("ConnectionRefused", await one.Self.AskAsync("10.96.0.20", 80));
        Assert.Equal("ConnectionRefused", await two.Self.AskAsync("172.18.201.5", 80));
        Assert.Equal("ConnectionRefused", await two.Self.AskAsync("172.18.0.2", 30080));
    }

    [Fact]
    public async Task With_local_policy_and_no_local_endpoint_only_outsiders_are_dropped()
    {
        await using var network = TestNetwork.Create();
        var one = await network.NodeAsync(1);
        var two = await network.NodeAsync(2);
        var inside = await one.PodAsync("10.244.0.9");
        await ServersAsync(one);
        var port = Port("web", "tcp", 80, cluster: "10.96.0.20", outer: "172.18.201.5", targets: ["10.244.0.10:8080"]);
        await ApplyAsync(one, port with { ExternalLocal = true, Local = [] });
        Assert.Equal("one 10.244.0.9", await inside.AskAsync("172.18.201.5", 80));
        Assert.Equal("no answer", await two.Self.AskAsync("172.18.201.5", 80, 0.5));
    }

    [Fact]
    public async Task A_client_with_affinity_stays_with_its_endpoint()
    {
        await using var network = TestNetwork.Create();
        var node = await network.NodeAsync(1);
        var caller = await node.PodAsync("10.244.0.9");
        await ServersAsync(node);
        var port = Port("web", "tcp", 80, cluster: "10.96.0.20", targets: ["10.244.0.10:8080", "10.244.0.11:8080"]);
        await ApplyAsync(node, port with { StaysWithClient = true });
        var answers = new HashSet<string>();
        for (var i = 0; i < 20; i++) answers.Add(await caller.AskAsync("10.96.0.20", 80));
        Assert.Single(answers);
    }

    [Fact]
    public async Task UDP_clients_follow_when_their_endpoint_leaves()
    {
        await using var network = TestNetwork.Create();
        var node = await network.NodeAsync(1);
        var caller = await node.PodAsync("10.244.0.9");
        (await node.PodAsync("10.244.0.10")).ServeUdp(5353, "one");
        (await node.PodAsync("10.244.0.11")).ServeUdp(5353, "two");
        var before = Port("names", "udp", 53, cluster: "10.96.0.10", targets: ["10.244.0.10:5353"]);
        var after = Port("names", "udp", 53, cluster: "10.96.0.10", targets: ["10.244.0.11:5353"]);
        await ApplyAsync(node, before);
        using var socket = caller.UdpClient();
        await socket.ConnectAsync(IPAddress.Parse("10.96.0.10"), 53, Stop);
        Assert.Equal("one", await AskUdpAsync(socket));

        await ApplyAsync(node, after);
        foreach (var flow in StaleFlows.Between([before], [after], node.Settings.Address)) await StaleFlows.ForgetAsync(flow, Stop, node.Network.Handle);
        Assert.Equal("two", await AskUdpAsync(socket));
    }

    private static async Task ServersAsync(TestNode node)
    {
        (await node.PodAsync("10.244.0.10")).ServeTcp(8080, "one");
        (await node.PodAsync("10.244.0.11")).ServeTcp(8080, "two");
    }

    private static Task ApplyAsync(TestNode node, params ServicePortRule[] ports) => NftTransaction.LoadAsync(
        node.Network.Handle, ServiceRules.Render(new(node.Settings.Address, node.Settings.PodRange, ports.ToValueList())), Stop);

    private static ServicePortRule Port(string name, string protocol, int port, string cluster, string[] targets, string? outer = null, int nodePort = 0)
    {
        var all = targets.Select(text => IPEndPoint.Parse(text)).Select(point => new ServiceTarget(point.Address, point.Port)).ToValueList();
        return new($"s.ns.{name}.{protocol}.{port}", protocol, port, [IPAddress.Parse(cluster)], outer is null ? [] : [IPAddress.Parse(outer)], nodePort, false,
            all, all, false, false);
    }

    private static async Task<string> AskUntilAsync(TestPod pod, string server, int port, string prefix)
    {
        for (var i = 0; i < 40; i++)
        {
            if (await pod.AskAsync(server, port) is var answer && answer.StartsWith(prefix, StringComparison.Ordinal)) return answer;
        }
        return "never";
    }

    private static async Task<string> AskUdpAsync(Socket socket)
    {
        var buffer = new byte[64];
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        await socket.SendAsync("?"u8.ToArray(), patience.Token);
        return Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer, patience.Token));
    }
}
