using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Traffic;

/// <summary>trafficDistribution of Services: callers prefer endpoints of their own zone.</summary>
public sealed class TrafficDistributionTests
{
    [Theory]
    [InlineData("", "", false)]
    [InlineData("PreferClose", "", true)]
    [InlineData("PreferSameZone", "", true)]
    [InlineData("PreferSameNode", "", true)]
    [InlineData("", "PreferClose", true)]
    [InlineData("", "preferclose", true)]
    [InlineData("", "Any", false)]
    public void Endpoints_of_the_own_zone_come_first(string field, string annotation, bool prefers)
    {
        var (rig, feed) = Zones();
        Web(rig, field, annotation);
        Assert.Equal(prefers ? "10.244.0.1 0, 10.244.0.2 1, 10.244.0.3 2" : "10.244.0.1 0, 10.244.0.2 0, 10.244.0.3 0", Priorities(rig, feed));
    }

    [Theory]
    [InlineData("PreferClose", "", "", true)]
    [InlineData("prefersamezone", "", "", true)]
    [InlineData("PreferSameNode", "", "", true)]
    [InlineData("Any", "", "", false)]
    [InlineData("PreferClose", "", "Any", false)]
    [InlineData("PreferClose", "", "nonsense", false)]
    [InlineData("Any", "PreferSameZone", "", true)]
    public void The_namespace_says_it_for_those_that_do_not(string ns, string field, string annotation, bool prefers)
    {
        var (rig, feed) = Zones();
        Web(rig, field, annotation);
        Namespace(rig, ns);
        const string level = "10.244.0.1 0, 10.244.0.2 0, 10.244.0.3 0", close = "10.244.0.1 0, 10.244.0.2 1, 10.244.0.3 2";
        Assert.Equal(prefers ? close : level, Priorities(rig, feed));
        Namespace(rig, "");
        Assert.Equal(field.Length > 0 ? close : level, Priorities(rig, feed));
    }

    [Theory]
    [InlineData("PreferClose", "", true)]
    [InlineData("", "PreferClose", true)]
    [InlineData("Any", "PreferClose", false)]
    [InlineData("", "", false)]
    public void Hosts_of_ServiceEntries_have_it_from_an_annotation(string own, string ns, bool prefers)
    {
        var (rig, feed) = Zones();
        Namespace(rig, ns);
        rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: far, namespace: shop, annotations: {networking.istio.io/traffic-distribution: "{{own}}"} }
            spec: {hosts: [far.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC,
              endpoints: [{address: 192.0.2.1, locality: r1/z1}, {address: 192.0.2.2, locality: r2/z1}]}
            """);
        Assert.Equal(prefers ? "192.0.2.1 0, 192.0.2.2 1" : "192.0.2.1 0, 192.0.2.2 0", Priorities(rig, feed, "outbound|80||far.example"));
    }

    [Fact]
    public void It_is_live_and_a_rule_wins()
    {
        var (rig, feed) = Zones();
        Web(rig, "", "");
        const string level = "10.244.0.1 0, 10.244.0.2 0, 10.244.0.3 0", close = "10.244.0.1 0, 10.244.0.2 1, 10.244.0.3 2";
        Assert.Equal(level, Priorities(rig, feed));
        Web(rig, "PreferClose", "");
        Assert.Equal(close, Priorities(rig, feed));
        Assert.NotNull(MeshRig.Cluster(feed, MeshRig.OutboundName("web"))!.CommonLbConfig.LocalityWeightedLbConfig);
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec: {host: web, trafficPolicy: {loadBalancer: {localityLbSetting: {enabled: false}}}}
            """);
        Assert.Equal(level, Priorities(rig, feed));
        rig.Writer.RemoveConfig("c1", "DestinationRule", MeshRig.Namespace, "web");
        Assert.Equal(close, Priorities(rig, feed));
        Web(rig, "", "");
        Assert.Equal(level, Priorities(rig, feed));
    }

    private static (MeshRig, ProxyFeed) Zones()
    {
        var rig = new MeshRig("c1");
        foreach (var (name, region, zone) in (ReadOnlySpan<(string, string, string)>)[("near", "r1", "z1"), ("next", "r1", "z2"), ("far", "r2", "z1")])
            rig.Writer.Put("c1",
                new Node { Metadata = new() { Name = name, Labels = { ["topology.kubernetes.io/region"] = region, ["topology.kubernetes.io/zone"] = zone } } });
        foreach (var (node, number) in (ReadOnlySpan<(string, int)>)[("near", 1), ("next", 2), ("far", 3), ("near", 7)])
        {
            var name = number == 7 ? "client" : $"web-{number}";
            rig.Writer.Put("c1", new MeshPod
            {
                Metadata = new()
                {
                    Name = name, Namespace = MeshRig.Namespace, Labels = { ["app"] = number == 7 ? "client" : "web", ["security.istio.io/tlsMode"] = "istio" }
                },
                Spec = new() { NodeName = node, ServiceAccountName = "web" },
                Status = new() { PodIP = $"10.244.0.{number}", PodIPs = { new() { Ip = $"10.244.0.{number}" } } },
            });
        }
        rig.Slice("c1", "web", 8080, "http", ("web-1", "10.244.0.1"), ("web-2", "10.244.0.2"), ("web-3", "10.244.0.3"));
        return (rig, rig.Sidecar("c1"));
    }

    private static void Web(MeshRig rig, string field, string annotation) => rig.Writer.Put("c1", new Service
    {
        Metadata = new()
        {
            Name = "web", Namespace = MeshRig.Namespace,
            Annotations = annotation.Length > 0 ? new() { ["networking.istio.io/traffic-distribution"] = annotation } : []
        },
        Spec = new()
        {
            ClusterIP = "10.96.0.10", ClusterIPs = ["10.96.0.10"], Selector = { ["app"] = "web" }, TrafficDistribution = field,
            Ports = { new() { Name = "http", Port = 80, TargetPort = JsonValue.Create(8080) } }
        },
    });

    private static void Namespace(MeshRig rig, string annotation) => rig.Writer.Put("c1", new Namespace
    {
        Metadata = new()
        {
            Name = MeshRig.Namespace, Annotations = annotation.Length > 0 ? new() { ["networking.istio.io/traffic-distribution"] = annotation } : []
        },
    });

    private static string Priorities(MeshRig rig, ProxyFeed feed, string? cluster = null)
    {
        rig.Push();
        Assert.Empty(rig.Mesh.Graph.Verify());
        Assert.True(feed.Snapshot!.Types[TypeUrls.Endpoints].TryGet(cluster ?? MeshRig.OutboundName("web"), out var resource));
        return string.Join(", ", ClusterLoadAssignment.Parser.ParseFrom(resource.Body.Value).Endpoints
            .SelectMany(group => group.LbEndpoints.Select(endpoint => $"{endpoint.Endpoint.Address.SocketAddress.Address} {group.Priority}"))
            .Order(StringComparer.Ordinal));
    }
}
