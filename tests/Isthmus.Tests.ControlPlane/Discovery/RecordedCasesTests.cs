using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>Differences from a real istiod that bench/compare-xds once found, each as the smallest case.</summary>
public sealed class RecordedCasesTests
{
    [Fact]
    public void A_NodePort_gateway_is_entered_by_the_nodes_of_the_region_that_it_names()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.EastWest("c2", "172.18.202.1");
        rig.Writer.Put("c2", new Service
        {
            Metadata = new()
            {
                Name = "eastwest", Namespace = MeshRig.Namespace, Labels = { ["topology.istio.io/network"] = "net-c2" },
                Annotations = { ["traffic.istio.io/nodeSelector"] = """{"topology.kubernetes.io/region":"c2"}""" },
            },
            Spec = new()
            {
                Type = "NodePort", ClusterIP = "10.96.0.99", Selector = { ["app"] = "eastwest" },
                Ports = { new() { Name = "tls", Port = 15443, NodePort = 31443 } }
            },
        });
        rig.Writer.Put("c2", new Node
        {
            Metadata = new() { Name = "edge", Labels = { ["topology.kubernetes.io/region"] = "c2" } },
            Status = new() { Addresses = { new() { Type = "ExternalIP", Address = "203.0.113.7" } } },
        });
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "203.0.113.7:31443=1"], MeshRig.Endpoints(client, OutboundName("orders")));
    }

    [Fact]
    public void A_ServiceEntry_selects_ready_Pods_of_its_namespace_in_every_cluster()
    {
        var rig = new MeshRig("c1", "c2");
        rig.EastWest("c2", "172.18.202.1");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: stock, namespace: shop}
            spec: {hosts: [stock.example], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8081}], workloadSelector: {labels: {app: stock}}}
            """);
        var client = rig.Sidecar("c1");
        Put(rig, "c1", "stock-1", "10.244.0.1", ready: true);
        Put(rig, "c1", "stock-2", "10.244.0.2", ready: false);
        Put(rig, "c2", "stock-3", "10.244.0.3", ready: true);
        rig.Push();
        Assert.Equal(["10.244.0.1:8081=1", "172.18.202.1:15443=1"], MeshRig.Endpoints(client, "outbound|80||stock.example"));
        Put(rig, "c1", "stock-2", "10.244.0.2", ready: true);
        rig.Writer.Remove("c2", Kinds.Pod, MeshRig.Namespace, "stock-3");
        rig.Push();
        Assert.Equal(["10.244.0.1:8081=1", "10.244.0.2:8081=1"], MeshRig.Endpoints(client, "outbound|80||stock.example"));
    }

    [Fact]
    public void A_TCP_port_stays_beside_a_UDP_port_of_the_same_number()
    {
        var rig = new MeshRig("c1");
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "names", Namespace = MeshRig.Namespace },
            Spec = new()
            {
                ClusterIP = "10.96.0.53", Selector = { ["app"] = "names" },
                Ports = { new() { Name = "dns", Port = 53, Protocol = "UDP" }, new() { Name = "dns-tcp", Port = 53 } }
            },
        });
        rig.Pod("c1", "names", "names-1", "10.244.0.1");
        rig.Slice("c1", "names", 5353, "dns-tcp", ("names-1", "10.244.0.1"));
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["10.244.0.1:5353=1"], MeshRig.Endpoints(client, OutboundName("names", 53)));
        Assert.NotNull(Listener(client, "10.96.0.53_53"));
    }

    [Fact]
    public void Pods_of_a_headless_service_are_called_by_names_below_it()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "stock", "None", "10.244.0.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        var domains = Route(client, "80")!.VirtualHosts.First(host => host.Name.StartsWith("stock.", StringComparison.Ordinal)).Domains;
        Assert.Contains("*.stock.shop.svc.cluster.local", domains);
        Assert.Contains("*.stock:80", domains);
    }

    [Fact]
    public void A_name_with_a_dot_at_its_end_is_that_of_the_host()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "stock", "10.96.0.9", "10.244.0.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        var domains = Route(client, "80")!.VirtualHosts.First(host => host.Name.StartsWith("stock.", StringComparison.Ordinal)).Domains;
        Assert.Contains("stock.shop.svc.cluster.local.", domains);
        Assert.Contains("stock.shop.svc.cluster.local.:80", domains);
        // Resolvers do not complete such a name.
        Assert.DoesNotContain("stock.", domains);
        Assert.DoesNotContain(domains, domain => domain.StartsWith("10.96.0.9.", StringComparison.Ordinal));
    }

    [Fact]
    public void A_rule_limits_connections_at_the_callee_too()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Config(
            Rule(
                "{connectionPool: {tcp: {maxConnections: 7, connectTimeout: 2s}, http: {h2UpgradePolicy: UPGRADE, http2MaxRequests: 9}}, outlierDetection: "
                    + "{consecutive5xxErrors: 1}}"));
        var orders = rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1");
        rig.Push();
        var inbound = MeshRig.Cluster(orders, "inbound|8080||")!;
        Assert.Equal((7u, 9u), (inbound.CircuitBreakers.Thresholds[0].MaxConnections, inbound.CircuitBreakers.Thresholds[0].MaxRequests));
        Assert.Equal(2, inbound.ConnectTimeout.Seconds);
        Assert.Null(inbound.OutlierDetection);
        Assert.Empty(inbound.TypedExtensionProtocolOptions); // HTTP/2 is only between proxies.
    }

    [Fact]
    public void A_subset_that_follows_the_dialled_address_has_no_endpoints_of_its_own()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Config(Rule("{}")
            .Replace("spec: {", "spec: {subsets: [{name: direct, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}], ", StringComparison.Ordinal));
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(Isthmus.Wire.Envoy.Clusters.Cluster.Types.DiscoveryType.OriginalDst, MeshRig.Cluster(client, OutboundName("orders", 80, "direct"))!.Type);
        Assert.DoesNotContain(Versions(client).Keys,
            key => key.EndsWith("|direct|orders.shop.svc.cluster.local", StringComparison.Ordinal) && key.Contains("LoadAssignment", StringComparison.Ordinal));
    }

    [Fact]
    public void Where_localities_do_not_count_nothing_is_said_of_weights_or_panic()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "stock", "None", "10.244.0.1");
        rig.Writer.PutSettings("c1", Kubernetes.Yaml.YamlText.Parse("{localityLbSetting: {enabled: false}}", "mesh"), null);
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Null(MeshRig.Cluster(client, OutboundName("stock"))!.CommonLbConfig);
    }

    [Fact]
    public void A_cluster_local_host_never_goes_by_the_address_of_another_cluster()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Writer.PutSettings("c1",
            Kubernetes.Yaml.YamlText.Parse("{serviceSettings: [{settings: {clusterLocal: true}, hosts: [orders.shop.svc.cluster.local]}]}", "mesh"), null);
        var client = rig.Sidecar("c2");
        rig.Push();
        Assert.DoesNotContain("orders.shop.svc.cluster.local", Names(client).Table.Keys);
    }

    private static void Put(MeshRig rig, string cluster, string name, string ip, bool ready) => rig.Writer.Put(cluster, new MeshPod
    {
        Metadata = new() { Name = name, Namespace = MeshRig.Namespace, Labels = { ["app"] = "stock", ["security.istio.io/tlsMode"] = "istio" } },
        Spec = new() { NodeName = "node", ServiceAccountName = "stock" },
        Status = new() { PodIP = ip, PodIPs = { new() { Ip = ip } }, Conditions = { new() { Type = "Ready", Status = ready ? "True" : "False" } } },
    });

    private static string Rule(string policy) => $$"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: orders, namespace: shop}
        spec: {host: orders, trafficPolicy: {{policy}}}
        """;
}
