using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Xunit;

namespace Isthmus.Tests.Libraries.Traffic;

/// <summary>Endpoints by locality: "region/zone priority weight" of every group that is sent.</summary>
public sealed class LocalityFailoverTests
{
    private const string Outlier = "outlierDetection: {consecutive5xxErrors: 3}, ";

    private static readonly Vantage Client = new(ProxyKind.Sidecar, "c1", "n1", default, new("r1", "z1", ""), default, "", null);

    private static readonly MeshService Orders = new(
        "orders.shop.svc.cluster.local", "orders", "shop", [new("http", 80, Protocol.Http)], Resolution.Endpoints,
        default, default, default, default, ["c1"], default, default, false, false, false, default);

    [Fact]
    public void Without_outlier_detection_near_and_far_share_evenly() =>
        Assert.Equal(["r1/z1 0 1", "r1/z2 0 1", "r2/z3 0 1", "r3/z4 0 1"], Send("loadBalancer: {localityLbSetting: {enabled: true}}"));

    [Fact]
    public void With_it_the_same_zone_comes_first_then_the_region_then_the_others() =>
        Assert.Equal(["r1/z1 0 1", "r1/z2 1 1", "r2/z3 2 1", "r3/z4 2 1"], Send(Outlier));

    [Fact]
    public void Failover_names_the_region_that_comes_before_the_others() =>
        Assert.Equal(["r1/z1 0 1", "r1/z2 1 1", "r2/z3 3 1", "r3/z4 2 1"],
            Send(Outlier + "loadBalancer: {localityLbSetting: {failover: [{from: r1, to: r3}]}}"));

    [Fact]
    public void Distribute_alone_means_the_named_localities_and_no_other() =>
        Assert.Equal(["r1/z1 0 80", "r2/z3 0 20"],
            Send(Outlier + "loadBalancer: {localityLbSetting: {distribute: [{from: r1/*, to: {r1/z1/*: 80, 'r2/*': 20}}]}}"));

    [Fact]
    public void Both_at_once_divide_by_shares_and_overflow_in_the_order_of_failover() =>
        Assert.Equal(
            ["r1/z1 0 80", "r2/z3 0 20", "r1/z2 1 1", "r3/z4 2 1"],
            Send(Outlier + "loadBalancer: {localityLbSetting: {distribute: [{from: r1/*, to: {r1/z1/*: 80, 'r2/*': 20}}], failover: [{from: r1, to: r3}]}}"));

    [Fact]
    public void Both_without_outlier_detection_are_shares_alone() =>
        Assert.Equal(
            ["r1/z1 0 80", "r2/z3 0 20"],
            Send("loadBalancer: {localityLbSetting: {distribute: [{from: r1/*, to: {r1/z1/*: 80, 'r2/*': 20}}], failover: [{from: r1, to: r3}]}}"));

    [Fact]
    public void Shares_for_another_place_leave_the_order_of_failover_alone() =>
        Assert.Equal(
            ["r1/z1 0 1", "r1/z2 1 1", "r2/z3 3 1", "r3/z4 2 1"],
            Send(Outlier + "loadBalancer: {localityLbSetting: {distribute: [{from: r9/*, to: {r9/*: 100}}], failover: [{from: r1, to: r3}]}}"));

    [Fact]
    public void A_share_of_zero_is_no_share() =>
        Assert.Equal(
            ["r1/z1 0 100", "r1/z2 1 1", "r2/z3 2 1", "r3/z4 2 1"],
            Send(Outlier
                + "loadBalancer: {localityLbSetting: {distribute: [{from: r1/*, to: {r1/z1/*: 100, 'r2/*': 0}}], failoverPriority: "
                + "[topology.kubernetes.io/region]}}"));

    [Fact]
    public void A_gateway_is_matched_by_its_network_and_place_and_never_by_a_pod_that_has_its_neighbours_address()
    {
        // The remote Pod's address is also the address of a local Pod: the ranges overlap.
        ValueList<MeshEndpoint> endpoints = [At("r1", "z1", "10.0.0.1", "n1"), At("r1", "z1", "10.0.0.1", "n2")];
        var gateways = GatewayTable.Of([new("n2", "c2", EndpointAddress.Parse("192.0.2.2"), Ports.EastWest, true, default)]);
        Assert.Equal(
            ["r1/z1 0 1", "r1/z1 1 1"],
            Send(Outlier + "loadBalancer: {localityLbSetting: {failoverPriority: [topology.istio.io/network]}}", endpoints, gateways));
    }

    private static IReadOnlyList<string> Send(string policy, ValueList<MeshEndpoint>? endpoints = null, GatewayTable? gateways = null)
    {
        var read = IstioConfig.Read(YamlText.Parse($$"""
            {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: r, namespace: shop},
              spec: {host: orders, trafficPolicy: { {{policy}} } } }
            """, "rule")!.AsObject(), "c1");
        Assert.Empty(read.Problems);
        var inputs = new EndpointInputs(
            Client, MeshConfig.Default, Orders, Assert.IsType<DestinationRule>(read.Value),
            endpoints ?? [At("r1", "z1", "10.0.0.1"), At("r1", "z2", "10.0.0.2"), At("r2", "z3", "10.0.0.3"), At("r3", "z4", "10.0.0.4")],
            gateways ?? GatewayTable.Empty);
        return [.. EndpointGenerator.One(inputs, 80, null,
            false).Endpoints.Select(group => $"{group.Locality.Region}/{group.Locality.Zone} {group.Priority} {group.LoadBalancingWeight}")];
    }

    private static MeshEndpoint At(string region, string zone, string address, string network = "n1") => new(
        Orders.Hostname, "c1", EndpointAddress.Parse(address), [new(80, 8080, true)], network, new(region, zone, ""),
        new Dictionary<string, string> { [Labels.Region] = region, [Labels.Zone] = zone, [Labels.Network] = network }.ToValueMap(),
        new("orders", "shop", "orders", "v1"), "orders", 1, EndpointHealth.Ready, "", default);
}
