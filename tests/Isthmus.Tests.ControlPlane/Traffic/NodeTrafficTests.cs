using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Traffic;

/// <summary>internalTrafficPolicy: Local and trafficDistribution: PreferSameNode of Services, which depend on the caller's Node.</summary>
public sealed class NodeTrafficTests
{
    [Fact]
    public void Callers_of_a_local_Service_get_the_endpoints_of_their_own_Node()
    {
        var rig = Mesh();
        var (one, two, other) = (rig.Sidecar("c1", "client-a"), rig.Sidecar("c1", "client-b"), rig.Sidecar("c2", "client-c"));
        Web(rig, local: true);
        Assert.Equal(("10.244.0.1", "10.244.0.2", "10.245.0.1"), (Addresses(rig, one), Addresses(rig, two), Addresses(rig, other)));
        Web(rig, local: false);
        Assert.Equal("10.244.0.1, 10.244.0.2, 10.245.0.1", Addresses(rig, one));
        Assert.Equal("10.244.0.1, 10.244.0.2, 10.245.0.1", Addresses(rig, other));
    }

    [Fact]
    public void A_Node_without_endpoints_has_none_to_fall_back_to()
    {
        var rig = Mesh();
        var client = rig.Sidecar("c1", "client-d");
        Web(rig, local: true);
        Assert.Equal("", Addresses(rig, client));
    }

    /// <summary>Also in a cluster whose Nodes have no zones.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_own_Node_comes_first_then_the_zone(bool zones)
    {
        var rig = Mesh(zones);
        var client = rig.Sidecar("c1", "client-b");
        Web(rig, local: false, distribution: "PreferSameNode");
        Assert.Equal("10.244.0.1 1, 10.244.0.2 0, 10.245.0.1 2", Priorities(rig, client));
        Web(rig, local: false, distribution: "PreferSameZone");
        Assert.Equal("10.244.0.1 0, 10.244.0.2 0, 10.245.0.1 1", Priorities(rig, client));
    }

    /// <summary>Two clusters, whose Nodes have the same names.</summary>
    private static MeshRig Mesh(bool zones = true)
    {
        var rig = new MeshRig("c1", "c2");
        foreach (var cluster in (string[])["c1", "c2"])
        {
            foreach (var node in (string[])["a", "b", "c", "d"])
            {
                rig.Writer.Put(cluster,
                    new Node
                    {
                        Metadata = new()
                        {
                            Name = node, Labels = zones ? new() { ["topology.kubernetes.io/region"] = "r", ["topology.kubernetes.io/zone"] = cluster } : []
                        }
                    });
                Pod(rig, cluster, $"client-{node}", node, "10.244.9.9");
            }
            Pod(rig, cluster, "web-1", cluster == "c1" ? "a" : "c", Address(cluster, 1));
        }
        Pod(rig, "c1", "web-2", "b", Address("c1", 2));
        rig.Slice("c1", "web", 8080, "http", ("web-1", Address("c1", 1)), ("web-2", Address("c1", 2)));
        rig.Slice("c2", "web", 8080, "http", ("web-1", Address("c2", 1)));
        return rig;
    }

    private static string Address(string cluster, int number) => $"10.24{(cluster == "c1" ? 4 : 5)}.0.{number}";

    private static void Pod(MeshRig rig, string cluster, string name, string node, string ip) => rig.Writer.Put(cluster, new MeshPod
    {
        Metadata = new() { Name = name, Namespace = MeshRig.Namespace },
        Spec = new() { NodeName = node, ServiceAccountName = "web" },
        Status = new() { PodIP = ip, PodIPs = { new() { Ip = ip } } },
    });

    private static void Web(MeshRig rig, bool local, string distribution = "")
    {
        foreach (var (cluster, ip) in (ReadOnlySpan<(string, string)>)[("c1", "10.96.0.10"), ("c2", "10.97.0.10")])
        {
            rig.Writer.Put(cluster, new Service
            {
                Metadata = new() { Name = "web", Namespace = MeshRig.Namespace },
                Spec = new()
                {
                    ClusterIP = ip, ClusterIPs = [ip], Selector = { ["app"] = "web" }, TrafficDistribution = distribution,
                    InternalTrafficPolicy = local ? "Local" : "Cluster",
                    Ports = { new() { Name = "http", Port = 80, TargetPort = JsonValue.Create(8080) } },
                },
            });
        }
    }

    private static string Addresses(MeshRig rig, ProxyFeed feed) => Print(rig, feed, (address, _) => address);

    private static string Priorities(MeshRig rig, ProxyFeed feed) => Print(rig, feed, (address, priority) => $"{address} {priority}");

    private static string Print(MeshRig rig, ProxyFeed feed, Func<string, uint, string> print)
    {
        rig.Push();
        Assert.Empty(rig.Mesh.Graph.Verify());
        Assert.True(feed.Snapshot!.Types[TypeUrls.Endpoints].TryGet(MeshRig.OutboundName("web"), out var resource));
        return string.Join(", ", ClusterLoadAssignment.Parser.ParseFrom(resource.Body.Value).Endpoints
            .SelectMany(group => group.LbEndpoints.Select(endpoint => print(endpoint.Endpoint.Address.SocketAddress.Address, group.Priority)))
            .Order(StringComparer.Ordinal));
    }
}
