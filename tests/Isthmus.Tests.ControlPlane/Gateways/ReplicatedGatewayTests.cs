using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Gateways;

/// <summary>The gateway of replicated control planes: one filter chain that routes by SNI, and its possible
/// destinations.</summary>
public sealed class ReplicatedGatewayTests
{
    private const string Entry = """
        apiVersion: networking.istio.io/v1alpha3
        kind: Gateway
        metadata: {name: entry, namespace: istio-system}
        spec:
          selector: {app: eastwest}
          servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.global']}]
        ---
        apiVersion: networking.istio.io/v1alpha3
        kind: DestinationRule
        metadata: {name: entry, namespace: istio-system}
        spec: {host: '*.global', trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
        """;

    private const string Rewrite = """
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: entry, namespace: istio-system}
        spec:
          workloadSelector: {labels: {app: eastwest}}
          configPatches:
          - applyTo: NETWORK_FILTER
            match: {context: GATEWAY, listener: {portNumber: 15443, filterChain: {filter: {name: envoy.filters.network.sni_cluster}}}}
            patch:
              operation: INSERT_AFTER
              value:
                name: envoy.filters.network.tcp_cluster_rewrite
                typed_config:
                  "@type": type.googleapis.com/istio.envoy.config.filter.network.tcp_cluster_rewrite.v2alpha1.TcpClusterRewrite
                  cluster_pattern: "\\.global$"
                  cluster_replacement: .svc.cluster.local
        """;

    [Fact]
    public void One_chain_takes_the_cluster_from_the_sni_and_ends_in_the_black_hole()
    {
        var (rig, gateway) = Rig();
        rig.Push();
        var chain = Assert.Single(MeshRig.Listener(gateway, "0.0.0.0_15443")!.FilterChains);
        Assert.Equal(["*.global"], chain.FilterChainMatch.ServerNames);
        Assert.Empty(chain.FilterChainMatch.ApplicationProtocols);
        Assert.Equal(["envoy.filters.network.sni_cluster", "envoy.filters.network.tcp_proxy"], chain.Filters.Select(filter => filter.Name));
        Assert.Equal("BlackHoleCluster", chain.Filters[1].TypedConfig.Unpack<TcpProxy>().Cluster);
        Assert.Null(MeshRig.Cluster(gateway, "outbound_.80_._.orders.shop.svc.cluster.local"));
    }

    [Fact]
    public void The_rewrite_stands_between_and_opens_the_services_of_the_mesh_that_accept_its_tls()
    {
        var (rig, gateway) = Rig();
        rig.Service("c1", "plain", "10.96.0.20");
        rig.Pod("c1", "plain", "plain-0", "10.244.0.20", mtls: false);
        rig.Slice("c1", "plain", 8080, "http", ("plain-0", "10.244.0.20"));
        rig.Config(Rewrite);
        rig.Push();
        Assert.Empty(rig.Mesh.Sources.Problems.Items);
        var filters = Assert.Single(MeshRig.Listener(gateway, "0.0.0.0_15443")!.FilterChains).Filters;
        var rewrite = filters[1].TypedConfig.Unpack<TcpClusterRewrite>();
        Assert.Equal((@"\.global$", ".svc.cluster.local", 3), (rewrite.ClusterPattern, rewrite.ClusterReplacement, filters.Count));
        Assert.Equal(["10.244.0.1:8080=1"], MeshRig.Endpoints(gateway, "outbound_.80_._.orders.shop.svc.cluster.local"));
        Assert.Empty(MeshRig.Endpoints(gateway, "outbound_.80_._.plain.shop.svc.cluster.local"));

        rig.Writer.RemoveConfig("c1", "EnvoyFilter", "istio-system", "entry");
        rig.Push();
        Assert.Equal(2, Assert.Single(MeshRig.Listener(gateway, "0.0.0.0_15443")!.FilterChains).Filters.Count);
        Assert.Null(MeshRig.Cluster(gateway, "outbound_.80_._.orders.shop.svc.cluster.local"));
    }

    [Theory]
    [InlineData("MESH_INTERNAL", "ISTIO_MUTUAL", true)]
    [InlineData("MESH_INTERNAL", "DISABLE", false)]
    [InlineData("MESH_INTERNAL", "SIMPLE", false)]
    [InlineData("MESH_EXTERNAL", "ISTIO_MUTUAL", false)]
    public void An_entry_of_its_own_is_a_target_when_it_is_of_the_mesh_and_takes_its_tls(string location, string mode, bool isTarget)
    {
        var (rig, gateway) = Rig();
        rig.Config($$"""
            apiVersion: networking.istio.io/v1alpha3
            kind: ServiceEntry
            metadata: {name: orders, namespace: shop}
            spec:
              hosts: [orders.shop.global]
              location: {{location}}
              ports: [{name: http, number: 80, protocol: http}]
              resolution: DNS
              addresses: [240.0.0.3]
              endpoints: [{address: orders.shop.svc.cluster.local}]
            ---
            apiVersion: networking.istio.io/v1alpha3
            kind: DestinationRule
            metadata: {name: orders, namespace: shop}
            spec: {host: orders.shop.global, trafficPolicy: {tls: {mode: {{mode}} } } }
            """);
        rig.Push();
        var cluster = MeshRig.Cluster(gateway, "outbound_.80_._.orders.shop.global");
        Assert.Equal(isTarget, cluster is not null);
        if (cluster is not null) Assert.Null(cluster.TransportSocket);
    }

    [Fact]
    public void A_gateway_follows_rules_of_the_root_namespace_for_hosts_of_that_namespace()
    {
        var rig = new MeshRig("c1");
        rig.Config(Entry);
        rig.Config("""
            apiVersion: networking.istio.io/v1alpha3
            kind: ServiceEntry
            metadata: {name: orders, namespace: istio-system}
            spec: {hosts: [orders.shop.global], location: MESH_INTERNAL, ports: [{name: http, number: 80, protocol: http}], resolution: DNS,
              addresses: [240.0.0.3], endpoints: [{address: orders.shop.svc.cluster.local}]}
            """);
        var caller = rig.Sidecar("c1", ns: "istio-system");
        rig.Push();
        Assert.NotNull(MeshRig.Cluster(caller, "outbound|80||orders.shop.global")!.TransportSocket);
    }

    [Fact]
    public void A_caller_reaches_the_address_of_the_entry_through_the_other_gateway_over_mesh_tls()
    {
        var (rig, _) = Rig();
        rig.Config("""
            apiVersion: networking.istio.io/v1alpha3
            kind: ServiceEntry
            metadata: {name: stock, namespace: shop}
            spec:
              hosts: [stock.far.global]
              location: MESH_INTERNAL
              ports: [{name: http1, number: 8000, protocol: http}]
              resolution: DNS
              addresses: [240.0.0.2]
              endpoints: [{address: 172.18.9.9, ports: {http1: 15443}}]
            """);
        var caller = rig.Sidecar("c1", dnsCapture: false);
        rig.Push();
        var cluster = MeshRig.Cluster(caller, "outbound|8000||stock.far.global")!;
        Assert.Equal(Isthmus.Wire.Envoy.Clusters.Cluster.Types.DiscoveryType.StrictDns, cluster.Type);
        var endpoint = cluster.LoadAssignment.Endpoints.Single().LbEndpoints.Single().Endpoint.Address.SocketAddress;
        Assert.Equal(("172.18.9.9", 15443u), (endpoint.Address, endpoint.PortValue));
        Assert.Equal("outbound_.8000_._.stock.far.global", cluster.TransportSocket.TypedConfig.Unpack<Isthmus.Wire.Envoy.UpstreamTlsContext>().Sni);
        var domains = MeshRig.Route(caller, "8000")!.VirtualHosts.Single(host => host.Name == "stock.far.global:8000").Domains;
        Assert.Contains("240.0.0.2", domains);
        Assert.Contains("240.0.0.2:8000", domains);
        Assert.NotNull(MeshRig.Listener(caller, "0.0.0.0_8000"));
    }

    [Fact]
    public void A_rewrite_in_another_place_and_a_pattern_that_is_none_are_refused()
    {
        var (rig, _) = Rig();
        rig.Config(Rewrite.Replace("INSERT_AFTER", "INSERT_FIRST", StringComparison.Ordinal));
        Assert.Contains("works only directly after sni_cluster", Problem(rig), StringComparison.Ordinal);
        rig.Config(Rewrite.Replace("\\\\.global$", "(", StringComparison.Ordinal));
        Assert.Contains("is not a usable regular expression", Problem(rig), StringComparison.Ordinal);
    }

    private static string Problem(MeshRig rig)
    {
        rig.Push();
        return rig.Mesh.Sources.Problems.Items.Single().Value.Problems.Single().Message;
    }

    private static (MeshRig Rig, ProxyFeed Gateway) Rig()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.EastWest("c1", "172.18.201.1");
        rig.Config(Entry);
        return (rig, rig.Router("c1", "eastwest", sniDnat: true));
    }
}
