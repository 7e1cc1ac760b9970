using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Traffic;

/// <summary>zoneAwareLbSetting: proxies get the hosts of their region, and know where their own workload is.</summary>
public sealed class ZoneAwareTests
{
    private const string Own = "local_cluster";

    [Theory]
    [InlineData("{}", "10.244.0.1 0, 10.244.0.2 0, 10.244.0.3 1, 10.244.0.4 1")]
    [InlineData("{failover: [{from: r1, to: r3}]}", "10.244.0.1 0, 10.244.0.2 0, 10.244.0.3 2, 10.244.0.4 1")]
    [InlineData("{failoverPriority: ['version=v2']}", "10.244.0.1 2, 10.244.0.2 0, 10.244.0.3 3, 10.244.0.4 1")]
    [InlineData("{enabled: false}", "10.244.0.1 0, 10.244.0.2 0, 10.244.0.3 0, 10.244.0.4 0")]
    public void Hosts_of_the_own_region_come_first_whatever_their_zone(string setting, string priorities)
    {
        foreach (var ofMesh in (bool[])[false, true])
        {
            var (rig, feed) = Zones();
            if (ofMesh) rig.Settings($"zoneAwareLbSetting: {setting}");
            else rig.Config(Rule($"zoneAwareLbSetting: {setting}"));
            Assert.Equal(priorities, Priorities(rig, feed, MeshRig.OutboundName("web")));
            var zones = MeshRig.Cluster(feed, MeshRig.OutboundName("web"))!.CommonLbConfig.ZoneAwareLbConfig;
            Assert.Equal(setting.Contains("false", StringComparison.Ordinal) ? 0 : null, zones.RoutingEnabled?.Value);
        }
    }

    [Fact]
    public void A_rule_wins_over_the_mesh_and_says_how_many_hosts_are_enough()
    {
        var (rig, feed) = Zones();
        rig.Settings("{zoneAwareLbSetting: {minClusterSize: 3}, localityLbSetting: {failoverPriority: ['version=v2']}}");
        rig.Push();
        Assert.Equal(3ul, MeshRig.Cluster(feed, MeshRig.OutboundName("web"))!.CommonLbConfig.ZoneAwareLbConfig.MinClusterSize);
        rig.Config(Rule("zoneAwareLbSetting: {minClusterSize: 2}"));
        rig.Push();
        Assert.Equal(2ul, MeshRig.Cluster(feed, MeshRig.OutboundName("web"))!.CommonLbConfig.ZoneAwareLbConfig.MinClusterSize);
        rig.Config(Rule("localityLbSetting: {enabled: true}"));
        rig.Push();
        Assert.NotNull(MeshRig.Cluster(feed, MeshRig.OutboundName("web"))!.CommonLbConfig.LocalityWeightedLbConfig);
    }

    [Fact]
    public void A_proxy_knows_the_endpoints_of_its_own_host_in_its_region()
    {
        var (rig, feed) = Zones();
        rig.Push();
        Assert.False(feed.Snapshot!.Types[TypeUrls.Endpoints].TryGet(Own, out _));
        rig.Config(Rule("zoneAwareLbSetting: {}"));
        Assert.Equal("10.244.0.7 0, 10.244.0.8 0", Priorities(rig, feed, Own));
        // It is live: by an endpoint, and by what proxies of no Service have.
        rig.Slice("c1", "client", 8080, "http", ("client", "10.244.0.7"));
        Assert.Equal("10.244.0.7 0", Priorities(rig, feed, Own));
        rig.Slice("c1", "client", 8080, "http", ("client", "10.244.0.7"), ("client-8", "10.244.0.8"));
        rig.Writer.Commit();
        rig.Publisher.PublishEndpoints(rig.Mesh.View(), ["client.shop.svc.cluster.local"]);
        Assert.Equal("10.244.0.7 0, 10.244.0.8 0", Priorities(feed, Own));
        rig.Writer.RemoveConfig("c1", "DestinationRule", MeshRig.Namespace, "web");
        rig.Push();
        Assert.False(feed.Snapshot!.Types[TypeUrls.Endpoints].TryGet(Own, out _));
        rig.Config(Rule("zoneAwareLbSetting: {enabled: false}"));
        rig.Push();
        Assert.False(feed.Snapshot!.Types[TypeUrls.Endpoints].TryGet(Own, out _));
        Assert.Empty(rig.Mesh.Graph.Verify());
    }

    private static (MeshRig, ProxyFeed) Zones()
    {
        var rig = new MeshRig("c1");
        foreach (var (name, region, zone) in (ReadOnlySpan<(string, string, string)>)[("near", "r1", "z1"), ("next", "r1", "z2"), ("far", "r2", "z1"),
            ("other", "r3", "z1")])
            rig.Writer.Put("c1",
                new Node { Metadata = new() { Name = name, Labels = { ["topology.kubernetes.io/region"] = region, ["topology.kubernetes.io/zone"] = zone } } });
        foreach (var (node, number, app) in (ReadOnlySpan<(string, int, string)>)[("near", 1, "web"), ("next", 2, "web"), ("far", 3, "web"),
            ("other", 4, "web"), ("near", 7, "client"), ("next", 8, "client"), ("far", 9, "client")])
        {
            rig.Writer.Put("c1", new MeshPod
            {
                Metadata = new()
                {
                    Name = number == 7 ? "client" : $"{app}-{number}", Namespace = MeshRig.Namespace,
                    Labels = { ["app"] = app, ["version"] = number % 2 == 0 ? "v2" : "v1", ["security.istio.io/tlsMode"] = "istio" }
                },
                Spec = new() { NodeName = node, ServiceAccountName = app },
                Status = new() { PodIP = $"10.244.0.{number}", PodIPs = { new() { Ip = $"10.244.0.{number}" } } },
            });
        }
        rig.Service("c1", "web", "10.96.0.10");
        rig.Service("c1", "client", "10.96.0.11");
        rig.Slice("c1", "web", 8080, "http", ("web-1", "10.244.0.1"), ("web-2", "10.244.0.2"), ("web-3", "10.244.0.3"), ("web-4", "10.244.0.4"));
        rig.Slice("c1", "client", 8080, "http", ("client", "10.244.0.7"), ("client-8", "10.244.0.8"), ("client-9", "10.244.0.9"));
        return (rig, rig.Sidecar("c1"));
    }

    private static string Rule(string balancing) => $$"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec: {host: web, trafficPolicy: {loadBalancer: { {{balancing}} } } }
        """;

    private static string Priorities(MeshRig rig, ProxyFeed feed, string cluster)
    {
        rig.Push();
        Assert.Empty(rig.Mesh.Graph.Verify());
        return Priorities(feed, cluster);
    }

    private static string Priorities(ProxyFeed feed, string cluster)
    {
        Assert.True(feed.Snapshot!.Types[TypeUrls.Endpoints].TryGet(cluster, out var resource));
        return string.Join(", ", ClusterLoadAssignment.Parser.ParseFrom(resource.Body.Value).Endpoints
            .SelectMany(group => group.LbEndpoints.Select(endpoint => $"{endpoint.Endpoint.Address.SocketAddress.Address} {group.Priority}"))
            .Order(StringComparer.Ordinal));
    }
}
