using Isthmus.Graph.Intake;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Resolve;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Discovery;

public sealed class MultiClusterTests
{
    [Fact]
    public void One_name_in_two_clusters_is_one_host_reached_directly_here_and_by_the_gateway_there()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.1", "10.244.0.2");
        rig.EastWest("c2", "172.18.202.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=2"], Endpoints(client, OutboundName("orders")));
        Assert.Equal(["10.96.0.10"], Names(client).Table["orders.shop.svc.cluster.local"].Ips);
    }

    [Fact]
    public void A_service_of_another_cluster_gets_an_address_here_that_clashes_with_nobody()
    {
        // Both clusters have the same ranges: the foreign address belongs to another Pod here.
        var rig = new MeshRig("c1", "c2");
        rig.AppOn("c1", "a", "10.96.0.10", "tcp", 9000, "10.244.0.1");
        rig.AppOn("c2", "b", "10.96.0.10", "tcp", 9000, "10.244.0.1");
        rig.EastWest("c2", "172.18.202.1");
        var client = rig.Sidecar("c1");
        rig.Push();

        var address = Assert.Single(Names(client).Table["b.shop.svc.cluster.local"].Ips);
        Assert.StartsWith("240.240.", address, StringComparison.Ordinal);
        Assert.Equal(["10.96.0.10"], Names(client).Table["a.shop.svc.cluster.local"].Ips);
        Assert.Equal(OutboundName("a", 9000), TcpTarget(client, "10.96.0.10_9000"));
        Assert.Equal(OutboundName("b", 9000), TcpTarget(client, $"{address}_9000"));
        Assert.Equal(["172.18.202.1:15443=1"], Endpoints(client, OutboundName("b", 9000)));
    }

    [Fact]
    public void No_address_is_given_while_an_earlier_table_may_still_come()
    {
        var rig = new MeshRig("c1", "c2");
        rig.Writer.HoldAllocation();
        rig.App("c2", "b", "10.96.0.10", "10.244.0.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Empty(rig.Writer.Allocator.Export());
        rig.Writer.Allocator.Import(new Dictionary<string, string> { ["b.shop.svc.cluster.local"] = "240.240.7.7" });
        rig.Writer.StartAllocating();
        rig.Push();
        Assert.Equal(["240.240.7.7"], Names(client).Table["b.shop.svc.cluster.local"].Ips);
    }

    [Fact]
    public void A_proxy_without_DNS_capture_gets_the_foreign_address_but_never_in_place_of_a_local_one()
    {
        var rig = new MeshRig("c1", "c2");
        rig.AppOn("c1", "z", "10.96.0.10", "tcp", 9000, "10.244.0.1");
        rig.AppOn("c2", "b", "10.96.0.10", "tcp", 9000, "10.244.0.1");
        rig.AppOn("c2", "d", "10.96.0.20", "tcp", 9000, "10.244.0.2");
        var client = rig.Sidecar("c1", dnsCapture: false);
        rig.Push();
        Assert.Equal(OutboundName("z", 9000), TcpTarget(client, "10.96.0.10_9000"));
        Assert.Equal(OutboundName("d", 9000), TcpTarget(client, "10.96.0.20_9000"));
    }

    [Fact]
    public void Two_hosts_never_share_a_domain_of_a_route_table()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "a", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "b", "10.96.0.10", "10.244.0.1");
        var client = rig.Sidecar("c1", dnsCapture: false);
        rig.Push();
        var domains = Route(client, "80")!.VirtualHosts.SelectMany(host => host.Domains.Select(domain => (domain, host.Name))).ToList();
        Assert.Equal(domains.Count, domains.Select(item => item.domain).Distinct().Count());
        Assert.Equal("a.shop.svc.cluster.local:80", domains.Single(item => item.domain == "10.96.0.10").Name);
    }

    [Fact]
    public void Endpoints_are_joined_by_port_number_when_the_names_differ_and_the_difference_is_told()
    {
        var rig = new MeshRig("c1", "c2");
        rig.AppOn("c1", "orders", "10.96.0.10", "http", 80, "10.244.0.1");
        rig.AppOn("c2", "orders", "10.96.0.11", "http-web", 80, "10.244.0.2");
        rig.EastWest("c2", "172.18.202.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=1"], Endpoints(client, OutboundName("orders")));
        var problem = Assert.Single(rig.Mesh.Disagreements.Items["orders.shop.svc.cluster.local"].Problems);
        Assert.Equal(("IST0170", "spec.ports"), (problem.Code, problem.Path));
    }

    [Fact]
    public void A_gateway_counts_only_while_its_service_has_a_ready_endpoint()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.App("c1", "local", "10.96.0.12", "10.244.0.3");
        rig.EastWest("c2", "172.18.202.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Contains("172.18.202.1:15443=1", Endpoints(client, OutboundName("orders")));

        rig.EastWest("c2", "172.18.202.1", ready: false);
        var changes = rig.Push();
        Assert.True(changes.Networks);
        Assert.DoesNotContain("local.shop.svc.cluster.local", changes.Endpoints); // It has no endpoints there.
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(client, OutboundName("orders")));

        rig.EastWest("c2", "172.18.202.1");
        rig.Push();
        Assert.Contains("172.18.202.1:15443=1", Endpoints(client, OutboundName("orders")));
    }

    [Fact]
    public void A_gateway_without_an_address_yet_makes_its_network_known_so_that_nobody_dials_into_it()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.EastWest("c2", "");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Empty(Endpoints(client, OutboundName("orders")));
    }

    [Fact]
    public void A_cluster_has_the_network_of_its_system_namespace_whatever_the_root_namespace_is()
    {
        var rig = new MeshRig("c1", "c2");
        rig.Settings("rootNamespace: policies");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.1");
        rig.EastWest("c2", "172.18.202.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "172.18.202.1:15443=1"], Endpoints(client, OutboundName("orders")));
        Assert.Equal("net-c2", rig.Mesh.NetworkOf("c2"));
    }

    [Fact]
    public void The_system_namespace_is_that_of_the_settings()
    {
        var map = new ConfigMap { Metadata = new() { Name = "istio", Namespace = "mesh-system" }, Data = { ["mesh"] = "rootNamespace: policies" } };
        var mesh = SettingsKind.StateOf("c1", map).Settings.Mesh;
        Assert.Equal(("mesh-system", "policies"), (mesh.SystemNamespace, mesh.RootNamespace));
        Assert.True(ServiceAgreement.IsClusterLocal("istiod.mesh-system.svc.cluster.local", mesh));
        Assert.False(ServiceAgreement.IsClusterLocal("istiod.policies.svc.cluster.local", mesh));
        map.Data["mesh"] = "{";
        Assert.Equal("mesh-system", SettingsKind.StateOf("c1", map).Settings.Mesh.SystemNamespace);
    }

    [Fact]
    public void A_pods_network_label_wins_over_its_clusters()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.Pod("c2", "orders", "orders-10.244.0.2", "10.244.0.2", labels: new() { ["topology.istio.io/network"] = "net-c1" });
        rig.EastWest("c2", "172.18.202.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["10.244.0.2:8080=1"], Endpoints(client, OutboundName("orders")));
    }

    [Fact]
    public void Removing_a_cluster_takes_away_all_that_it_told_and_nothing_else()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.App("c2", "only-there", "10.96.0.12", "10.244.0.3");
        rig.EastWest("c2", "172.18.202.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        rig.Writer.RemoveCluster("c2");
        rig.Push();
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(client, OutboundName("orders")));
        Assert.Null(Cluster(client, OutboundName("only-there")));
        Assert.DoesNotContain(rig.Mesh.Sources.Workloads.Items.Keys, key => key.Cluster == "c2");
        Assert.Empty(rig.Mesh.Gateways);
    }

    [Fact]
    public void Losing_contact_with_a_cluster_changes_no_endpoint()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.EastWest("c2", "172.18.202.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        var before = Versions(client);
        rig.Writer.PutContact(new("c2", false, false, true, 1));
        Assert.True(rig.Push().IsEmpty);
        Assert.Equal(before, Versions(client));
        Assert.False(rig.Mesh.Sources.Clusters.Items["c2"].Connected);
    }

    [Fact]
    public void A_new_service_account_behind_a_host_is_accepted_by_its_clients()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        rig.Pod("c1", "orders", "orders-b", "10.244.0.2");
        rig.Writer.Put("c1", new Kubernetes.Objects.MeshPod
        {
            Metadata = new() { Name = "orders-b", Namespace = MeshRig.Namespace, Labels = { ["app"] = "orders", ["security.istio.io/tlsMode"] = "istio" } },
            Spec = new() { ServiceAccountName = "other", NodeName = "node" },
            Status = new() { PodIP = "10.244.0.2" },
        });
        rig.Slice("c1", "orders", 8080, "http", ("orders-10.244.0.1", "10.244.0.1"), ("orders-b", "10.244.0.2"));
        var changes = rig.Writer.Commit();
        rig.Publisher.PublishEndpoints(rig.Mesh.View(), changes.Endpoints);
        var tls = Cluster(client,
            OutboundName("orders"))!.TransportSocketMatches[0].TransportSocket.TypedConfig.Unpack<Isthmus.Wire.Envoy.UpstreamTlsContext>();
        Assert.Equal(
            ["spiffe://cluster.local/ns/shop/sa/orders", "spiffe://cluster.local/ns/shop/sa/other"],
            tls.CommonTlsContext.CombinedValidationContext.DefaultValidationContext.MatchTypedSubjectAltNames.Select(name => name.Matcher.Exact));
    }

    [Fact]
    public void The_gateway_tells_services_apart_by_SNI_and_has_local_endpoints_only()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.EastWest("c1", "172.18.201.1");
        rig.EastWest("c2", "172.18.202.1");
        rig.Config("""
            apiVersion: networking.istio.io/v1beta1
            kind: Gateway
            metadata: {name: cross, namespace: shop}
            spec:
              selector: {app: eastwest}
              servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]
            """);
        var gateway = rig.Router("c1", "eastwest");
        rig.Push();
        var listener = Listener(gateway, "0.0.0.0_15443")!;
        var chain = Assert.Single(listener.FilterChains, chain => chain.FilterChainMatch.ServerNames.Contains("outbound_.80_._.orders.shop.svc.cluster.local"));
        Assert.Null(chain.TransportSocket);
        Assert.Equal("outbound_.80_._.orders.shop.svc.cluster.local", chain.Filters[0].TypedConfig.Unpack<TcpProxy>().Cluster);
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(gateway, "outbound_.80_._.orders.shop.svc.cluster.local"));
        Assert.Empty(Cluster(gateway, "outbound_.80_._.orders.shop.svc.cluster.local")!.TransportSocketMatches);
    }

    [Fact]
    public void An_object_that_turns_invalid_keeps_its_last_good_self_and_is_told_of()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        const string good =
            "{apiVersion: networking.istio.io/v1beta1, kind: DestinationRule, metadata: {name: r, namespace: shop}, spec: {host: orders, subsets: [{name: v1, "
                + "labels: {version: v1}}]}}";
        rig.Config(good);
        var client = rig.Sidecar("c1");
        rig.Push();
        rig.Config(good.Replace("name: v1,", "name: V_1!,", StringComparison.Ordinal));
        rig.Push();
        Assert.NotNull(Cluster(client, OutboundName("orders", subset: "v1")));
        Assert.Equal("spec.subsets[0].name", Assert.Single(Assert.Single(rig.Mesh.Sources.Problems.Items).Value.Problems).Path);
    }

    [Fact]
    public void Proxies_of_one_scope_share_their_resources_and_a_pod_hash_does_not_part_them()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Pod("c1", "client", "client-1", "10.244.0.7", labels: new() { ["pod-template-hash"] = "abc" });
        rig.Pod("c1", "client", "client-2", "10.244.0.8", labels: new() { ["pod-template-hash"] = "def" });
        var first = rig.Sidecar("c1", "client-1", "10.244.0.7");
        var second = rig.Sidecar("c1", "client-2", "10.244.0.8");
        rig.Push();
        Assert.Equal(1, rig.Publisher.Scopes);
        Assert.Same(first.Snapshot!.Types[Isthmus.Wire.Xds.TypeUrls.Endpoints], second.Snapshot!.Types[Isthmus.Wire.Xds.TypeUrls.Endpoints]);
    }

    private static string TcpTarget(Isthmus.ControlPlane.Push.ProxyFeed proxy, string listener) =>
        Listener(proxy, listener)!.FilterChains[0].Filters[^1].TypedConfig.Unpack<TcpProxy>().Cluster;
}
