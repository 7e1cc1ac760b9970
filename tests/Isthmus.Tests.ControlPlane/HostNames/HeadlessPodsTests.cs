using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Xds;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.HostNames;

/// <summary>Pods behind headless Services, seen from another network.</summary>
public sealed class HeadlessPodsTests
{
    private const string Gateway = """
        apiVersion: networking.istio.io/v1beta1
        kind: Gateway
        metadata: {name: cross, namespace: shop}
        spec:
          selector: {app: eastwest}
          servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]
        """;

    [Fact]
    public void A_pod_of_another_network_has_an_address_here_that_leads_to_that_pod_alone()
    {
        var rig = Two();
        rig.StatefulApp("c2", "ledger", "tcp", 5432, "10.244.0.1", "10.244.0.2");
        var client = rig.Sidecar("c1");
        rig.Push();

        var names = Names(client).Table;
        var (first, second) = (Assert.Single(names["ledger-0.ledger.shop.svc.cluster.local"].Ips),
            Assert.Single(names["ledger-1.ledger.shop.svc.cluster.local"].Ips));
        Assert.NotEqual(first, second);
        Assert.All([first, second], address => Assert.StartsWith("240.240.", address, StringComparison.Ordinal));
        Assert.Equal([first, second], names["ledger.shop.svc.cluster.local"].Ips);
        Assert.Equal([first], names["ledger-0.c2.ledger.shop.svc.cluster.local"].Ips);

        const string cluster = "outbound|5432||ledger-1.c2.ledger.shop.svc.cluster.local";
        Assert.Equal(cluster, Listener(client, $"{second}_5432")!.FilterChains[0].Filters[^1].TypedConfig.Unpack<TcpProxy>().Cluster);
        Assert.Equal(["172.18.202.1:15443=1"], Endpoints(client, cluster));
        Assert.Equal("outbound_.5432_._.ledger-1.c2.ledger.shop.svc.cluster.local", SniOf(client, cluster));
    }

    [Fact]
    public void The_far_gateway_leads_the_name_in_the_SNI_to_that_pod()
    {
        var rig = Two();
        rig.StatefulApp("c2", "ledger", "tcp", 5432, "10.244.0.1", "10.244.0.2");
        rig.Config(Gateway);
        var gateway = rig.Router("c2", "eastwest");
        var other = rig.Router("c1", "eastwest");
        rig.Push();
        const string sni = "outbound_.5432_._.ledger-1.c2.ledger.shop.svc.cluster.local";
        Assert.Contains(Listener(gateway, "0.0.0.0_15443")!.FilterChains, chain => chain.FilterChainMatch.ServerNames.Contains(sni));
        Assert.Equal(["10.244.0.2:8080=1"], Endpoints(gateway, sni));
        Assert.DoesNotContain(Listener(other, "0.0.0.0_15443")!.FilterChains, chain => chain.FilterChainMatch.ServerNames.Contains(sni));
    }

    [Fact]
    public void A_name_means_the_own_clusters_pod_first_and_the_cluster_in_it_means_exactly_one()
    {
        var rig = Two();
        rig.StatefulApp("c1", "ledger", "tcp", 5432, "10.244.0.1");
        rig.StatefulApp("c2", "ledger", "tcp", 5432, "10.244.0.1", "10.244.0.2");
        var client = rig.Sidecar("c1");
        rig.Push();
        var names = Names(client).Table;
        Assert.Equal(["10.244.0.1"], names["ledger-0.ledger.shop.svc.cluster.local"].Ips);
        Assert.Equal(["10.244.0.1"], names["ledger-0.c1.ledger.shop.svc.cluster.local"].Ips);
        var far = Assert.Single(names["ledger-0.c2.ledger.shop.svc.cluster.local"].Ips);
        Assert.StartsWith("240.240.", far, StringComparison.Ordinal);
        Assert.Equal(["10.244.0.1", far, names["ledger-1.ledger.shop.svc.cluster.local"].Ips[0]], names["ledger.shop.svc.cluster.local"].Ips);
    }

    [Fact]
    public void The_address_decides_for_HTTP_too_whatever_the_request_calls_its_host()
    {
        var rig = Two();
        rig.StatefulApp("c2", "ledger", "http", 80, "10.244.0.1");
        var client = rig.Sidecar("c1");
        rig.Push();
        var address = Assert.Single(Names(client).Table["ledger-0.ledger.shop.svc.cluster.local"].Ips);
        Assert.NotNull(Listener(client, $"{address}_80"));
        Assert.NotNull(Listener(client, $"{address}_8080")); // A near Pod is called at its own address.
        var host = Assert.Single(Route(client, "ledger-0.c2.ledger.shop.svc.cluster.local:80")!.VirtualHosts);
        Assert.Equal(["*"], host.Domains);
        Assert.Equal("outbound|80||ledger-0.c2.ledger.shop.svc.cluster.local", host.Routes[0].Route_.Cluster);
        Assert.DoesNotContain(Route(client, "80")!.VirtualHosts, other => other.Name.StartsWith("ledger-0", StringComparison.Ordinal));
    }

    [Fact]
    public void A_pod_that_is_not_ready_leaves_the_names_and_its_address_waits_for_it()
    {
        var rig = Two();
        rig.StatefulApp("c2", "ledger", "tcp", 5432, "10.244.0.1", "10.244.0.2");
        var client = rig.Sidecar("c1");
        rig.Push();
        var before = Names(client).Table["ledger-1.ledger.shop.svc.cluster.local"].Ips[0];

        rig.Slice("c2", "ledger", 8080, "tcp", ("ledger-0", "10.244.0.1"), ("!ledger-1", "10.244.0.2"));
        rig.Push();
        Assert.False(Names(client).Table.ContainsKey("ledger-1.ledger.shop.svc.cluster.local"));
        Assert.Empty(Endpoints(client, "outbound|5432||ledger-1.c2.ledger.shop.svc.cluster.local"));

        rig.Pod("c2", "ledger", "ledger-1", "10.244.0.77", named: true); // It is back at another address.
        rig.Slice("c2", "ledger", 8080, "tcp", ("ledger-0", "10.244.0.1"), ("ledger-1", "10.244.0.77"));
        rig.Push();
        Assert.Equal([before], Names(client).Table["ledger-1.ledger.shop.svc.cluster.local"].Ips);
    }

    [Fact]
    public void Pods_without_names_are_reached_too_through_the_headless_host()
    {
        var rig = Two();
        rig.Service("c2", "feed", "None", "tcp", 7000);
        rig.Pod("c2", "feed", "feed-5d4f.x", "10.244.0.5");
        rig.Slice("c2", "feed", 8080, "tcp", ("feed-5d4f.x", "10.244.0.5"));
        var client = rig.Sidecar("c1");
        rig.Push();
        var address = Assert.Single(Names(client).Table["feed.shop.svc.cluster.local"].Ips);
        Assert.Equal(["172.18.202.1:15443=1"], Endpoints(client, "outbound|7000||feed-5d4f-x.c2.feed.shop.svc.cluster.local"));
        Assert.NotNull(Listener(client, $"{address}_7000"));
        Assert.Null(Listener(client, "0.0.0.0_7000")); // No other connection on this port is affected.
    }

    [Theory]
    [InlineData(true)] // within one network there is nothing to stand in for
    [InlineData(false)] // and without a gateway nothing to go through
    public void Pods_that_can_be_dialled_or_not_be_reached_at_all_are_no_hosts(bool gateway)
    {
        var rig = new MeshRig("c1", "c2");
        rig.StatefulApp("c2", "ledger", "tcp", 5432, "10.244.0.1");
        if (gateway) rig.EastWest("c2", "172.18.202.1");
        var near = rig.Sidecar("c2");
        rig.Push();
        Assert.Equal(["10.244.0.1"], Names(near).Table["ledger-0.ledger.shop.svc.cluster.local"].Ips);
        Assert.DoesNotContain(near.Snapshot!.Types[TypeUrls.Cluster].All, cluster => cluster.Name.Contains("ledger-0", StringComparison.Ordinal));
        if (!gateway) Assert.DoesNotContain(rig.Mesh.Services.Items.Keys, host => host.StartsWith("ledger-0", StringComparison.Ordinal));
    }

    [Fact]
    public void Pods_follow_their_headless_host_in_what_is_exported_cluster_local_and_ruled()
    {
        var rig = Two();
        rig.StatefulApp("c2", "ledger", "tcp", 5432, "10.244.0.1");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: r, namespace: shop}
            spec: {host: ledger, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}, subsets: [{name: v1, labels: {version: v1}}]}
            """);
        var client = rig.Sidecar("c1");
        rig.Push();
        const string cluster = "outbound|5432||ledger-0.c2.ledger.shop.svc.cluster.local";
        Assert.Equal(7u, Cluster(client, cluster)!.CircuitBreakers.Thresholds[0].MaxConnections);
        Assert.Null(Cluster(client, "outbound|5432|v1|ledger-0.c2.ledger.shop.svc.cluster.local"));

        rig.Writer.PutSettings("c1",
            Isthmus.Kubernetes.Yaml.YamlText.Parse("serviceSettings: [{settings: {clusterLocal: true}, hosts: [ledger.shop.svc.cluster.local]}]", "mesh"),
            null);
        rig.Push();
        Assert.Null(Cluster(client, cluster));
        Assert.False(Names(client).Table.ContainsKey("ledger-0.ledger.shop.svc.cluster.local"));
    }

    [Fact]
    public void Pods_without_mesh_TLS_are_not_promised()
    {
        var rig = Two();
        rig.Service("c2", "ledger", "None", "tcp", 5432);
        rig.Pod("c2", "ledger", "ledger-0", "10.244.0.1", mtls: false, named: true);
        rig.Slice("c2", "ledger", 8080, "tcp", ("ledger-0", "10.244.0.1"));
        var client = rig.Sidecar("c1");
        rig.Push();
        Assert.False(Names(client).Table.ContainsKey("ledger-0.ledger.shop.svc.cluster.local"));
    }

    [Fact]
    public void What_is_derived_step_by_step_is_what_is_derived_from_scratch()
    {
        var rig = Two();
        rig.StatefulApp("c2", "ledger", "tcp", 5432, "10.244.0.1", "10.244.0.2");
        rig.Push();
        rig.EastWest("c2", "172.18.202.1", ready: false);
        rig.Slice("c2", "ledger", 8080, "tcp", ("ledger-0", "10.244.0.1"));
        rig.Push();
        Assert.Empty(rig.Mesh.Graph.Verify());
        rig.Writer.RemoveCluster("c2");
        rig.Push();
        Assert.Empty(rig.Mesh.Graph.Verify());
        Assert.DoesNotContain(rig.Mesh.Services.Items.Keys, host => host.Contains("ledger", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("c1", "c2")]
    [InlineData("c2", "c1")]
    public void Each_address_of_a_service_that_is_headless_in_one_cluster_only_leads_somewhere(string normal, string headless)
    {
        // Each cluster has a control plane, for which its own definition applies.
        var rigs = new[] { normal, headless }.ToDictionary(cluster => cluster, cluster => Two(cluster));
        foreach (var rig in rigs.Values)
        {
            rig.Service(normal, "ledger", "10.96.0.7", "tcp", 5432);
            rig.Pod(normal, "ledger", "ledger-5d4f-x", "10.244.0.1");
            rig.Slice(normal, "ledger", 8080, "tcp", ("ledger-5d4f-x", "10.244.0.1"));
            rig.StatefulApp(headless, "ledger", "tcp", 5432, "10.244.0.2");
            rig.Config(Gateway);
        }
        var caller = rigs[headless].Sidecar(headless);
        var other = rigs[normal].Sidecar(normal);
        var gateway = rigs[normal].Router(normal, "eastwest");
        foreach (var rig in rigs.Values) rig.Push();

        var addresses = Names(caller).Table["ledger.shop.svc.cluster.local"].Ips;
        Assert.Equal(2, addresses.Count);
        Assert.Equal("10.244.0.2", addresses[0]);
        var cluster = Listener(caller, $"{addresses[1]}_5432")!.FilterChains[0].Filters[^1].TypedConfig.Unpack<TcpProxy>().Cluster;
        var sni = SniOf(caller, cluster);
        Assert.Contains(Listener(gateway, "0.0.0.0_15443")!.FilterChains, chain => chain.FilterChainMatch.ServerNames.Contains(sni));
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(gateway, sni));
        // Where it is not headless, callers keep its ClusterIP and get nothing for single Pods.
        Assert.Equal(["10.96.0.7"], Names(other).Table["ledger.shop.svc.cluster.local"].Ips);
        Assert.DoesNotContain(other.Snapshot!.Types[TypeUrls.Cluster].All, c => c.Name.Contains("ledger-0", StringComparison.Ordinal));
        Assert.DoesNotContain(rigs[normal].Mesh.Services.Items.Values, service => service.Pod is not null && service.Allocated.Count > 0);
        Assert.All(rigs.Values, rig => Assert.Empty(rig.Mesh.Graph.Verify()));
    }

    private static MeshRig Two(string config = "c1")
    {
        var rig = new MeshRig(MultiClusterSettings.Default, config, ["c1", "c2"]);
        rig.EastWest("c1", "172.18.201.1");
        rig.EastWest("c2", "172.18.202.1");
        return rig;
    }

    private static string SniOf(ProxyFeed proxy, string cluster) =>
        Cluster(proxy, cluster)!.TransportSocketMatches[0].TransportSocket.TypedConfig.Unpack<UpstreamTlsContext>().Sni;
}
