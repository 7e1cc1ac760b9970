using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Traffic;

/// <summary>Where endpoints and their callers are, by labels; and which gateways a proxy may dial.</summary>
public sealed class LocalityLabelTests
{
    [Theory]
    [InlineData("topology.istio.io/locality: eu.a.1", "eu/a/1")]
    [InlineData("istio-locality: eu.b", "eu/b")]
    [InlineData("topology.istio.io/locality: eu.a.1, istio-locality: us.b", "eu/a/1")]
    public void Pods_and_WorkloadEntries_have_the_locality_of_their_labels(string labels, string expected)
    {
        var rig = new MeshRig("c1");
        var pairs = labels.Split(", ").Select(pair => pair.Split(": ")).ToDictionary(pair => pair[0], pair => pair[1]);
        rig.Service("c1", "web", "10.96.0.10");
        rig.Pod("c1", "web", "web-0", "10.244.0.1", labels: pairs);
        rig.Slice("c1", "web", 8080, "http", ("web-0", "10.244.0.1"));
        rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: WorkloadEntry
            metadata: {name: machine, namespace: shop}
            spec: {address: 192.0.2.1, labels: {app: web, {{labels}} } }
            ---
            apiVersion: networking.istio.io/v1
            kind: WorkloadEntry
            metadata: {name: placed, namespace: shop}
            spec: {address: 192.0.2.2, locality: own/z, labels: {app: web, {{labels}} } }
            """);
        rig.Push();
        Assert.Equal($"10.244.0.1 {expected}, 192.0.2.1 {expected}, 192.0.2.2 own/z",
            string.Join(", ",
                rig.Mesh.Endpoints.Items["web.shop.svc.cluster.local"].Endpoints.OrderBy(endpoint => endpoint.Address)
                    .Select(endpoint => $"{endpoint.Address} {endpoint.Locality}")));
    }

    /// <summary>Of two endpoints, that of the caller's own zone comes first.</summary>
    [Theory]
    [InlineData("topology.istio.io/locality", true)]
    [InlineData("istio-locality", true)]
    [InlineData("topology.istio.io/locality", false)]
    public void A_caller_has_the_locality_of_its_label(string label, bool isPod)
    {
        var rig = new MeshRig("c1");
        Failover(rig);
        if (isPod) rig.Pod("c1", "client", "client", "10.244.0.7", labels: new() { [label] = "eu.b" });
        var client = rig.Connect(Identity(isPod ? default : new Dictionary<string, string> { [label] = "eu.b" }.ToValueMap()));
        rig.Push();
        Assert.Equal(["10.244.0.2:8080=1", "10.244.0.1:8080=1"], Endpoints(client, OutboundName("web")));
    }

    [Fact]
    public void Addresses_of_DNS_hosts_fail_over_by_priority_too()
    {
        var rig = new MeshRig("c1");
        var client = rig.Connect(Identity(new Dictionary<string, string> { ["topology.istio.io/locality"] = "eu.b", ["tier"] = "gold" }.ToValueMap()));
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: api, namespace: shop}
            spec: {hosts: [api.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS, endpoints: [
              {address: us.example.com, locality: us/a, labels: {tier: iron} }, {address: b.example.com, locality: eu/b, labels: {tier: iron} },
              {address: gold.example.com, locality: us/c, labels: {tier: gold} }]}
            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: api, namespace: shop}
            spec: {host: api.example.com, trafficPolicy: {outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [tier, topology.kubernetes.io/region]} } } }
            """);
        rig.Push();
        Assert.Equal(["gold.example.com 0", "b.example.com 1", "us.example.com 1"], Cluster(client, "outbound|80||api.example.com")!.LoadAssignment.Endpoints
            .SelectMany(group => group.LbEndpoints.Select(endpoint => $"{endpoint.Endpoint.Address.SocketAddress.Address} {group.Priority}"))
            .OrderBy(text => text[^1]).ThenBy(text => text, StringComparer.Ordinal));
    }

    /// <summary>As in Istio 1.30: not to know the own network is no reason to dial addresses of another.</summary>
    [Fact]
    public void A_proxy_without_a_network_uses_the_gateways_of_networks_that_have_some()
    {
        var rig = Networks("172.18.202.1");
        var client = rig.Connect(Identity(default) with { Network = "" });
        rig.Push();
        Assert.Equal(["172.18.202.1:15443=1"], Endpoints(client, OutboundName("web")));
    }

    [Theory]
    [InlineData("10.244.0.7", "172.18.202.1:15443=1")]
    [InlineData("fd00::7", "fd00:18::1:15443=1")]
    [InlineData("10.244.0.7 fd00::7", "172.18.202.1:15443=1, fd00:18::1:15443=1")]
    public void A_proxy_dials_gateways_of_its_own_IP_family(string addresses, string expected)
    {
        var rig = Networks("172.18.202.1", "fd00:18::1");
        var client = rig.Connect(Identity(default) with { Addresses = addresses.Split(' ').Select(address => Address.Parse(address)).ToValueList() });
        rig.Push();
        Assert.Equal(expected,
            string.Join(", ",
                Endpoints(client, OutboundName("web"))
                    .Select(text => text.Contains(',', StringComparison.Ordinal) ? text : text[..text.IndexOf('=', StringComparison.Ordinal)] + "=1")));
    }

    [Fact]
    public void A_network_whose_gateways_have_other_families_only_is_out_of_reach()
    {
        var rig = Networks("fd00:18::1");
        var client = rig.Connect(Identity(default));
        rig.Push();
        Assert.Empty(Endpoints(client, OutboundName("web")));
    }

    private static MeshRig Networks(params string[] gateways)
    {
        var rig = new MeshRig("c1", "c2");
        rig.EastWest("c2", gateways[0]);
        rig.App("c2", "web", "10.96.0.10", "10.244.0.1");
        if (gateways.Length > 1) rig.Settings("");
        foreach (var (index, address) in gateways.Skip(1).Index())
        {
            rig.Writer.Put("c2", new Kubernetes.Objects.Service
            {
                Metadata = new() { Name = $"eastwest-{index}", Namespace = Namespace, Labels = { ["topology.istio.io/network"] = "net-c2" } },
                Spec = new()
                {
                    Type = "LoadBalancer", ClusterIP = "10.96.0.98", ClusterIPs = ["10.96.0.98"], Selector = { ["app"] = "eastwest" },
                    Ports = { new() { Name = "tls", Port = 15443 } }
                },
                Status = new() { LoadBalancer = new() { Ingress = [new() { Ip = address }] } },
            });
            rig.Slice("c2", $"eastwest-{index}", 15443, "tls", ("eastwest-0", "10.244.0.99"));
        }
        return rig;
    }

    private static void Failover(MeshRig rig)
    {
        rig.Service("c1", "web", "10.96.0.10");
        rig.Pod("c1", "web", "web-1", "10.244.0.1", labels: new() { ["topology.istio.io/locality"] = "eu.a" });
        rig.Pod("c1", "web", "web-2", "10.244.0.2", labels: new() { ["topology.istio.io/locality"] = "eu.b" });
        rig.Slice("c1", "web", 8080, "http", ("web-1", "10.244.0.1"), ("web-2", "10.244.0.2"));
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec: {host: web, trafficPolicy: {outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [topology.kubernetes.io/zone]} } } }
            """);
    }

    private static ProxyIdentity Identity(ValueMap<string> labels) => new(
        ProxyKind.Sidecar, "client", Namespace, "shop.svc.cluster.local", "c1", "net-c1", default, [Address.Parse("10.244.0.7")], labels, "default",
        "client", "", "REDIRECT", true, false, "", "", Isthmus.Mesh.Model.Locality.Unknown);
}
