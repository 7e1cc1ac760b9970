using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Rigs.Mesh;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>Clusters of one mesh that disagree, and the edges of their networks.</summary>
public sealed class DiscoveryEdgesTests
{
    [Fact]
    public void A_port_that_only_another_cluster_has_is_served_there_and_told_of()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.AppOn("c2", "orders", "10.96.0.11", "grpc-admin", 9090, "10.244.0.2");
        rig.EastWest("c2", "172.18.202.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["172.18.202.1:15443=1"], Endpoints(client, OutboundName("orders", 9090)));
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(client, OutboundName("orders")));
        var problems = rig.Mesh.Disagreements.Items["orders.shop.svc.cluster.local"].Problems;
        Assert.Equal(["port 9090 of c2", "port 80 of c1"],
            problems.Select(problem => problem.Message[..problem.Message.IndexOf(" does", StringComparison.Ordinal)]));
        Assert.All(problems, problem => Assert.Equal(("IST0170", Severity.Warning), (problem.Code, problem.Severity)));
    }

    [Fact]
    public void A_port_that_speaks_something_else_in_another_cluster_is_told_of()
    {
        var rig = new MeshRig("c1", "c2");
        rig.AppOn("c1", "orders", "10.96.0.10", "http", 80, "10.244.0.1");
        rig.AppOn("c2", "orders", "10.96.0.11", "tcp", 80, "10.244.0.2");
        rig.Push();
        Assert.Contains("uses Tcp in c2 but Http in c1", Assert.Single(rig.Mesh.Disagreements.Items["orders.shop.svc.cluster.local"].Problems).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_number_over_TCP_and_UDP_is_two_ports_and_no_disagreement()
    {
        var rig = new MeshRig("c1", "c2");
        foreach (var (cluster, ip) in ((string, string)[])[("c1", "10.96.0.10"), ("c2", "10.96.0.11")])
        {
            rig.Writer.Put(cluster, new Service
            {
                Metadata = new() { Name = "names", Namespace = MeshRig.Namespace },
                Spec = new()
                {
                    ClusterIP = ip, ClusterIPs = [ip], Ports = { new() { Name = "dns-tcp", Port = 53 }, new() { Name = "dns", Port = 53, Protocol = "UDP" } }
                },
            });
        }
        rig.Push();
        Assert.Empty(rig.Mesh.Disagreements.Items);
    }

    [Fact]
    public void Hosts_that_are_each_clusters_own_need_not_agree()
    {
        var rig = new MeshRig("c1", "c2");
        rig.AppOn("c1", "orders", "10.96.0.10", "http", 80, "10.244.0.1");
        rig.AppOn("c2", "orders", "10.96.0.11", "tcp", 81, "10.244.0.2");
        rig.Writer.PutSettings("c1", YamlText.Parse("serviceSettings: [{settings: {clusterLocal: true}, hosts: [orders.shop.svc.cluster.local]}]", "mesh"),
            null);
        rig.Push();
        Assert.Empty(rig.Mesh.Disagreements.Items);
    }

    [Fact]
    public void A_cluster_local_host_is_each_clusters_own_and_unknown_where_it_is_not_defined()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.App("c2", "ledger", "10.96.0.12", "10.244.0.3");
        rig.EastWest("c1", "172.18.201.1");
        rig.EastWest("c2", "172.18.202.1");
        rig.Writer.PutSettings("c1", YamlText.Parse("serviceSettings: [{settings: {clusterLocal: true}, hosts: ['*.shop.svc.cluster.local']}]", "mesh"), null);
        var (first, second) = (rig.Sidecar("c1"), rig.Sidecar("c2"));
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(first, OutboundName("orders")));
        Assert.Equal(["10.244.0.2:8080=1"], Endpoints(second, OutboundName("orders")));
        Assert.Empty(Endpoints(first, OutboundName("ledger")));
        Assert.Equal(["10.244.0.3:8080=1"], Endpoints(second, OutboundName("ledger")));
    }

    [Theory]
    [InlineData("*", true, true)]
    [InlineData(".", true, false)]
    [InlineData("bank", false, true)]
    [InlineData("~", false, false)]
    public void An_exported_service_is_seen_where_it_is_exported_to_from_every_cluster(string exportTo, bool own, bool other)
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c2", "ledger", "10.96.0.12", "10.244.0.3");
        rig.EastWest("c2", "172.18.202.1");
        rig.Writer.Put("c2", new Service
        {
            Metadata = new() { Name = "ledger", Namespace = MeshRig.Namespace, Annotations = { ["networking.istio.io/exportTo"] = exportTo } },
            Spec = new() { ClusterIP = "10.96.0.12", ClusterIPs = ["10.96.0.12"], Ports = { new() { Name = "http", Port = 80 } } },
        });
        var (same, bank) = (rig.Sidecar("c1"), rig.Sidecar("c1", ns: "bank", ip: "10.244.0.8"));
        rig.Push();
        Assert.Equal((own, other), (Cluster(same, OutboundName("ledger")) is not null, Cluster(bank, OutboundName("ledger")) is not null));
        Assert.Equal((own, other),
            (Names(same).Table.ContainsKey("ledger.shop.svc.cluster.local"), Names(bank).Table.ContainsKey("ledger.shop.svc.cluster.local")));
    }

    [Fact]
    public void MeshNetworks_says_which_network_a_cluster_and_a_range_are_in_and_where_they_are_entered()
    {
        var rig = new MeshRig("c1", "c2", "c3");
        foreach (var cluster in (string[])["c1", "c2", "c3"]) rig.Writer.Put(cluster, new Namespace { Metadata = new() { Name = "istio-system" } });
        rig.App("c1", "orders", "10.96.0.10", "10.1.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.2.0.1");
        rig.App("c3", "orders", "10.96.0.12", "10.3.0.1");
        rig.Service("c2", "entry", "10.96.0.99", "tls", 15443, 15443, external: "172.18.202.1");
        rig.Pod("c2", "entry", "entry-0", "10.2.0.99", mtls: false);
        rig.Slice("c2", "entry", 15443, "tls", ("entry-0", "10.2.0.99"));
        rig.Writer.PutSettings("c1", null, YamlText.Parse("""
            networks:
              net-c1: {endpoints: [{fromRegistry: c1}], gateways: [{address: 172.18.201.1, port: 443}]}
              net-c2: {endpoints: [{fromRegistry: c2}], gateways: [{registryServiceName: entry.shop.svc.cluster.local, port: 15443}]}
              net-c3: {endpoints: [{fromCidr: 10.3.0.0/16}], gateways: [{address: 172.18.203.1, port: 15443}]}
            """, "meshNetworks"));
        var (first, second) = (rig.Sidecar("c1", ip: "10.1.0.7"), rig.Sidecar("c2", ip: "10.2.0.7"));
        rig.Push();
        Assert.Equal(["10.1.0.1:8080=1", "172.18.202.1:15443=1", "172.18.203.1:15443=1"], Endpoints(first, OutboundName("orders")));
        Assert.Equal(["172.18.201.1:443=1", "10.2.0.1:8080=1", "172.18.203.1:15443=1"],
            Endpoints(second, OutboundName("orders"))
                .OrderBy(text => text.StartsWith("172.18.201", StringComparison.Ordinal) ? 0 : text.StartsWith("10.", StringComparison.Ordinal) ? 1 : 2));
    }

    [Fact]
    public void The_host_name_of_a_gateway_that_meshNetworks_finds_in_a_cluster_is_resolved()
    {
        var rig = new MeshRig("c1", "c2");
        rig.Writer.Put("c1", new Namespace { Metadata = new() { Name = "istio-system" } });
        rig.App("c2", "orders", "10.96.0.11", "10.2.0.1");
        rig.Writer.Put("c2", new Service
        {
            Metadata = new() { Name = "entry", Namespace = MeshRig.Namespace },
            Spec = new() { Ports = [new() { Name = "tls", Port = 15443 }] },
            Status = new() { LoadBalancer = new() { Ingress = [new() { Hostname = "entry.elb.example" }] } },
        });
        rig.Writer.PutSettings("c1", null, YamlText.Parse("""
            networks:
              net-c2: {endpoints: [{fromRegistry: c2}], gateways: [{registryServiceName: entry.shop.svc.cluster.local, port: 15443}, {address: other.elb.example, port: 443}]}
            """, "meshNetworks"));
        rig.Push();
        Assert.Equal(["entry.elb.example of c2", "other.elb.example of "],
            rig.Mesh.GatewayHostNames.Select(name => $"{name.Host} of {string.Join(',', name.Clusters)}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Gateways_of_one_network_share_by_their_weights_and_a_weight_of_zero_takes_one_out()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.1", "10.244.0.2");
        rig.EastWest("c2", "172.18.202.1");
        Second("3");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["172.18.202.1:15443=2", "172.18.202.2:15443=6"], Endpoints(client, OutboundName("orders")));

        Second("0");
        rig.Push();
        Assert.Equal(["172.18.202.1:15443=2"], Endpoints(client, OutboundName("orders")));

        void Second(string weight)
        {
            rig.Writer.Put("c2", new Service
            {
                Metadata = new()
                {
                    Name = "eastwest-2", Namespace = MeshRig.Namespace, Labels = { ["topology.istio.io/network"] = "net-c2" },
                    Annotations = { ["networking.isthmus.internal/gateway-weight"] = weight },
                },
                Spec = new() { Type = "LoadBalancer", ClusterIP = "10.96.0.98", ClusterIPs = ["10.96.0.98"], Ports = { new() { Name = "tls", Port = 15443 } } },
                Status = new() { LoadBalancer = new() { Ingress = [new() { Ip = "172.18.202.2" }] } },
            });
            rig.Pod("c2", "eastwest-2", "eastwest-2-0", "10.244.0.98", mtls: false);
            rig.Slice("c2", "eastwest-2", 15443, "tls", ("eastwest-2-0", "10.244.0.98"));
        }
    }

    [Fact]
    public void A_gateway_on_node_ports_is_entered_by_the_nodes_it_selects_and_external_addresses_come_first()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.1");
        rig.Writer.Put("c2", new Service
        {
            Metadata = new()
            {
                Name = "eastwest", Namespace = MeshRig.Namespace,
                Labels = { ["topology.istio.io/network"] = "net-c2", ["networking.istio.io/gatewayPort"] = "16443" },
                Annotations = { ["traffic.istio.io/nodeSelector"] = """{"entry": "yes"}""" },
            },
            Spec = new()
            {
                Type = "NodePort", ClusterIP = "10.96.0.99", ClusterIPs = ["10.96.0.99"], Ports = { new() { Name = "tls", Port = 16443, NodePort = 31443 } }
            },
        });
        rig.Pod("c2", "eastwest", "eastwest-0", "10.244.0.99", mtls: false);
        rig.Slice("c2", "eastwest", 16443, "tls", ("eastwest-0", "10.244.0.99"));
        Node("inside", "yes", ("InternalIP", "172.18.0.3"));
        Node("not-selected", "no", ("InternalIP", "172.18.0.4"), ("ExternalIP", "198.51.100.4"));
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["172.18.0.3:31443=1"], Endpoints(client, OutboundName("orders")));

        Node("outside", "yes", ("InternalIP", "172.18.0.5"), ("ExternalIP", "198.51.100.5"));
        rig.Push();
        Assert.Equal(["198.51.100.5:31443=1"], Endpoints(client, OutboundName("orders")));

        void Node(string name, string entry, params (string Type, string Address)[] addresses) => rig.Writer.Put("c2", new Node
        {
            Metadata = new() { Name = name, Labels = { ["entry"] = entry } },
            Status = new() { Addresses = [.. addresses.Select(address => new NodeAddress { Type = address.Type, Address = address.Address })] },
        });
    }

    [Fact]
    public void A_gateway_Service_labelled_by_hand_is_entered_at_the_port_that_its_label_names()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.1");
        rig.Service("c2", "entry", "10.96.0.99", "tls", 16443, 15443,
            new() { ["topology.istio.io/network"] = "net-c2", ["networking.istio.io/gatewayPort"] = "16443" }, "172.18.202.9");
        rig.Pod("c2", "entry", "entry-0", "10.244.0.99", mtls: false);
        rig.Slice("c2", "entry", 15443, "tls", ("entry-0", "10.244.0.99"));
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["172.18.202.9:16443=1"], Endpoints(client, OutboundName("orders")));
    }
}
