using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Endpoints;
using Xunit;

namespace Isthmus.Tests.Libraries.Discovery;

public sealed class SplitHorizonTests
{
    private static readonly Vantage Client = new(ProxyKind.Sidecar, "c1", "n1", default, Locality.Unknown, default, "", null);

    private static readonly MeshService Orders = new(
        "orders.shop.svc.cluster.local", "orders", "shop", [new("http", 80, Protocol.Http)], Resolution.Endpoints,
        default, default, default, default, ["c1"], default, default, false, false, false, default);

    [Fact]
    public void Weights_are_scaled_so_that_every_gateway_gets_a_whole_share()
    {
        // Istio's worked example: 3 Pods behind one gateway, 4 Pods behind two.
        var endpoints = Pods("c1", "n1", "10.0.0.1", "10.0.0.2")
            .Concat(Pods("c2", "n2", "10.0.0.1", "10.0.0.2", "10.0.0.3"))
            .Concat(Pods("c3", "n3", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"));
        var table = GatewayTable.Of([Gateway("n2", "c2", "192.0.2.2"), Gateway("n3", "c3", "192.0.2.31"), Gateway("n3", "c3", "192.0.2.32")]);

        Assert.Equal(2u, table.Scale);
        Assert.Equal(["10.0.0.1:8080=2", "10.0.0.2:8080=2", "192.0.2.2:15443=6", "192.0.2.31:15443=4", "192.0.2.32:15443=4"], Reach(Client, endpoints, table));
    }

    [Fact]
    public void Without_any_gateway_every_endpoint_is_dialled_directly() =>
        Assert.Equal(["10.0.0.1:8080=1", "10.0.0.2:8080=1"],
            Reach(Client, [.. Pods("c1", "n1", "10.0.0.1"), .. Pods("c2", "n2", "10.0.0.2")], GatewayTable.Empty));

    [Fact]
    public void A_network_that_nobody_names_an_entry_for_is_dialled_directly() =>
        Assert.Equal(["10.0.0.2:8080=1"], Reach(Client, Pods("c2", "n2", "10.0.0.2"), GatewayTable.Of([Gateway("n3", "c3", "192.0.2.3")])));

    [Fact]
    public void When_the_last_gateway_of_a_network_is_not_ready_its_endpoints_go_away_instead_of_leaking() =>
        Assert.Equal(["10.0.0.1:8080=1"],
            Reach(Client, [.. Pods("c1", "n1", "10.0.0.1"), .. Pods("c2", "n2", "10.0.0.2")],
                GatewayTable.Of([Gateway("n2", "c2", "192.0.2.2", ready: false)])));

    [Fact]
    public void A_remote_endpoint_without_mesh_TLS_cannot_be_reached_by_SNI_and_is_dropped() =>
        Assert.Equal(["10.0.0.1:8080=1"],
            Reach(Client, [.. Pods("c1", "n1", "10.0.0.1"), .. Pods("c2", "n2", "10.0.0.2", mtls: false)],
                GatewayTable.Of([Gateway("n2", "c2", "192.0.2.2")])));

    [Fact]
    public void A_client_without_a_network_reaches_those_of_a_network_through_its_gateways() =>
        Assert.Equal(
            ["192.0.2.2:15443=1", "192.0.2.3:15443=1"],
            Reach(Client with { Network = "" }, Pods("c2", "n2", "10.0.0.2"),
                GatewayTable.Of([Gateway("n2", "c2", "192.0.2.2"), Gateway("n2", "c2", "192.0.2.3")])));

    [Fact]
    public void A_network_view_hides_the_endpoints_of_other_networks() =>
        Assert.Equal(
            ["10.0.0.1:8080=1"],
            Reach(Client with { NetworkView = ["n1"] }, [.. Pods("c1", "n1", "10.0.0.1"), .. Pods("c2", "n2", "10.0.0.2")],
                GatewayTable.Of([Gateway("n2", "c2", "192.0.2.2")])));

    [Fact]
    public void The_gateways_of_an_endpoints_own_cluster_are_preferred()
    {
        var table = GatewayTable.Of([Gateway("n2", "c2", "192.0.2.2"), Gateway("n2", "c3", "192.0.2.3")]);
        Assert.Equal(["192.0.2.2:15443=4", "192.0.2.3:15443=2"],
            Reach(Client, [.. Pods("c2", "n2", "10.0.0.1", "10.0.0.2"), .. Pods("c3", "n2", "10.0.0.3")], table));
    }

    [Fact]
    public void Gateways_stand_in_the_locality_of_the_endpoints_behind_them()
    {
        var far = Pods("c2", "n2", "10.0.0.2").Select(pod => pod with { Locality = new("region2", "zone3", "") });
        var assignment = EndpointGenerator.One(Inputs(Client, [.. Pods("c1", "n1", "10.0.0.1"), .. far], GatewayTable.Of([Gateway("n2", "c2", "192.0.2.2")])),
            80, null, false);
        Assert.Equal(["", "region2"], assignment.Endpoints.Select(group => group.Locality.Region));
    }

    [Fact]
    public void The_gateway_itself_sees_mesh_TLS_endpoints_only()
    {
        var inputs = Inputs(Client with { Kind = ProxyKind.Router, NetworkView = ["n1"] },
            [.. Pods("c1", "n1", "10.0.0.1"), .. Pods("c1", "n1", "10.0.0.2", mtls: false)], GatewayTable.Empty);
        Assert.Equal(["10.0.0.1:8080=1"], Read(EndpointGenerator.One(inputs, 80, null, true)));
        Assert.Equal(["10.0.0.1:8080=1", "10.0.0.2:8080=1"], Read(EndpointGenerator.One(inputs, 80, null, false)));
    }

    [Fact]
    public void Of_a_cluster_local_host_each_cluster_sees_its_own_endpoints()
    {
        var inputs = Inputs(Client, [.. Pods("c1", "n1", "10.0.0.1"), .. Pods("c2", "n1", "10.0.0.2")],
            GatewayTable.Empty) with { Service = Orders with { ClusterLocal = true } };
        Assert.Equal(["10.0.0.1:8080=1"], Read(EndpointGenerator.One(inputs, 80, null, false)));
    }

    [Fact]
    public void Scaling_saturates_instead_of_overflowing()
    {
        var gateways = new[] { 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31 }
            .SelectMany(count => Enumerable.Range(1, count).Select(i => Gateway($"n-{count}", "c", $"192.0.{count}.{i}")));
        Assert.Equal(uint.MaxValue, GatewayTable.Of(gateways).Scale);
    }

    private static IReadOnlyList<string> Reach(Vantage from, IEnumerable<MeshEndpoint> endpoints, GatewayTable table) =>
        Read(EndpointGenerator.One(Inputs(from, endpoints, table), 80, null, false));

    private static EndpointInputs Inputs(Vantage from, IEnumerable<MeshEndpoint> endpoints, GatewayTable table) =>
        new(from, MeshConfig.Default, Orders, null, endpoints.ToValueList(), table);

    private static IReadOnlyList<string> Read(ClusterLoadAssignment assignment)
    {
        foreach (var group in assignment.Endpoints)
            Assert.Equal(group.LbEndpoints.Sum(endpoint => (long)endpoint.LoadBalancingWeight!.Value), (long)group.LoadBalancingWeight!.Value);
        return [.. assignment.Endpoints.SelectMany(group => group.LbEndpoints)
            .Select(
                endpoint =>
                    $"{endpoint.Endpoint.Address.SocketAddress.Address}:{endpoint.Endpoint.Address.SocketAddress.PortValue}={endpoint.LoadBalancingWeight}")];
    }

    private static NetworkGateway Gateway(string network, string cluster, string address, bool ready = true) =>
        new(network, cluster, EndpointAddress.Parse(address), Ports.EastWest, ready, default);

    private static IEnumerable<MeshEndpoint> Pods(string cluster, string network, params string[] addresses) => Make(cluster, network, true, addresses);

    private static IEnumerable<MeshEndpoint> Pods(string cluster, string network, string address, bool mtls) => Make(cluster, network, mtls, address);

    private static IEnumerable<MeshEndpoint> Make(string cluster, string network, bool mtls, params string[] addresses) =>
        addresses.Select(address => new MeshEndpoint(
        Orders.Hostname, cluster, EndpointAddress.Parse(address), [new(80, 8080, mtls)], network, Locality.Unknown, default,
        new("orders", "shop", "orders", "v1"), "orders", 1, EndpointHealth.Ready, "", default));
}
