using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Routes;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;
using DiscoveryType = Isthmus.Wire.Envoy.Clusters.Cluster.Types.DiscoveryType;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Routes of the Gateway API for callers of Services (GAMMA): whose calls they concern, and what their statuses say.</summary>
public sealed class GatewayApiRoutesTests
{
    [Fact]
    public void A_route_of_the_namespace_of_its_Service_is_for_all_callers_and_one_of_another_namespace_for_its_own()
    {
        var rig = Rig();
        var (inside, other, consumer) = (rig.Sidecar("c1"), rig.Sidecar("c1", "o", "10.244.0.8", ns: "other"),
            rig.Sidecar("c1", "u", "10.244.0.9", ns: "users"));
        rig.Config(Route("shop", "producer", "{name: orders}") + Route("users", "consumer", "{name: orders, namespace: shop}"));
        rig.Push();
        Assert.Equal("producer", Mark(inside));
        Assert.Equal("producer", Mark(other));
        Assert.Equal("consumer", Mark(consumer));
        rig.Writer.RemoveConfig("c1", "HTTPRoute", "users", "consumer");
        rig.Push();
        Assert.Equal("producer", Mark(consumer));
        rig.Writer.RemoveConfig("c1", "HTTPRoute", "shop", "producer");
        rig.Push();
        Assert.Equal("", Mark(consumer));
        Assert.Empty(rig.Mesh.Graph.Verify());
    }

    [Fact]
    public void A_route_for_a_port_leaves_the_other_ports_alone()
    {
        var rig = Rig();
        rig.AppOn("c1", "two", "10.96.0.8", "http", 80, "a");
        rig.Service("c1", "orders", "10.96.0.7");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: ports, namespace: shop}
            spec: {hosts: [ports.example], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}, {number: 8080, name: http-more, protocol: HTTP}]}
            """);
        rig.Config(Route("shop", "one", "{group: networking.istio.io, kind: ServiceEntry, name: ports, port: 80}"));
        var caller = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal("one", Mark(caller, "80", "ports.example:80"));
        Assert.Equal("", Mark(caller, "8080", "ports.example:8080"));
        Assert.Equal("outbound|8080||ports.example", Host(caller, "8080", "ports.example:8080")!.Routes.Single().Route_.Cluster);
    }

    /// <summary>Otherwise a call to one Service would get the routes of the other one that its request names.</summary>
    [Fact]
    public void Calls_to_the_address_of_a_Service_are_for_it_whatever_host_they_name_where_a_Service_has_routes()
    {
        var rig = Rig();
        rig.App("c1", "plain", "10.96.0.8", "10.244.0.2");
        var caller = rig.Sidecar("c1");
        rig.Push();
        Assert.Null(Listener(caller, "10.96.0.7_80"));
        rig.Config(Route("shop", "first", "{name: orders}"));
        rig.Push();
        foreach (var (address, host, mark) in new[] { ("10.96.0.7", "orders", "first"), ("10.96.0.8", "plain", "") })
        {
            var table = $"{host}.shop.svc.cluster.local:80";
            Assert.Contains(table,
                Listener(caller, $"{address}_80")!.FilterChains.Single().Filters[^1].TypedConfig.Unpack<HttpConnectionManager>().Rds.RouteConfigName,
                StringComparison.Ordinal);
            Assert.Equal(["*"], Host(caller, table, table)!.Domains);
            Assert.Equal(mark, Mark(caller, table, table));
        }
        // A call to an address that is no Service's is still routed by the host that it names.
        Assert.Equal("first", Mark(caller));
        rig.Writer.RemoveConfig("c1", "HTTPRoute", "shop", "first");
        rig.Push();
        Assert.Null(Listener(caller, "10.96.0.8_80"));
    }

    [Fact]
    public void Routes_of_all_kinds_compete_for_a_Service()
    {
        var rig = Rig();
        rig.Config(Route("shop", "first", "{name: orders}")
            + Route("shop", "calls", "{name: orders}", "{matches: [{method: {service: pkg.S, method: Do} }], backendRefs: [{name: orders, port: 80}]}",
                "GRPCRoute"));
        var caller = rig.Sidecar("c1");
        rig.Push();
        var routes = Host(caller, "80", "orders.shop.svc.cluster.local:80")!.Routes;
        Assert.Equal(["/pkg.S/Do", ""], routes.Select(route => route.Match.Path));
        Assert.Equal(["/apis/gateway.networking.k8s.io/v1/namespaces/shop/GRPCRoute/calls",
            "/apis/gateway.networking.k8s.io/v1/namespaces/shop/HTTPRoute/first"],
            routes.Select(route => route.Metadata.FilterMetadata["istio"].Fields["config"].StringValue));
        Assert.Equal(["shop.calls.0", "shop.first.0"], routes.Select(route => route.Name));
    }

    [Fact]
    public void Connections_are_shared_out_and_those_for_a_missing_backend_end()
    {
        var rig = Rig();
        rig.AppOn("c1", "db", "10.96.0.8", "tcp", 5432, "a");
        rig.AppOn("c1", "new", "10.96.0.9", "tcp", 5432, "a");
        rig.Config(Route("shop", "split", "{name: db}",
            "{backendRefs: [{name: db, port: 5432, weight: 3}, {name: new, port: 5432, weight: 1}, {name: none, port: 1}]}", "TCPRoute"));
        var caller = rig.Sidecar("c1");
        rig.Push();
        var clusters = Assert.Single(Listener(caller, "10.96.0.8_5432")!.FilterChains).Filters[^1].TypedConfig.Unpack<TcpProxy>().WeightedClusters.Clusters;
        Assert.Equal([("outbound|5432||db.shop.svc.cluster.local", 3u), ("outbound|5432||new.shop.svc.cluster.local", 1u), (ResourceNames.Unresolved, 1u)],
            clusters.Select(cluster => (cluster.Name, cluster.Weight)));
        Assert.Equal("ResolvedRefs=False BackendNotFound",
            Conditions(rig, "split", "TCPRoute").Single(text => text.StartsWith("ResolvedRefs", StringComparison.Ordinal)));
    }

    /// <summary>A sidecar sends calls of a headless Service to the address that the caller chose: of a call that a route brings, it is that of the host that
    /// was called.</summary>
    [Theory]
    [InlineData("HTTPRoute", "orders", "http", 80)]
    [InlineData("TCPRoute", "db", "tcp", 5432)]
    public void A_route_to_a_headless_Service_leads_to_its_endpoints(string kind, string parent, string protocol, int port)
    {
        var rig = Rig();
        rig.Join("c2");
        rig.EastWest("c2", "172.18.202.1");
        rig.AppOn("c1", "db", "10.96.0.8", "tcp", 5432, "a");
        rig.StatefulApp("c1", "ring", protocol, port, "10.244.0.5", "10.244.0.6");
        rig.StatefulApp("c2", "ring", protocol, port, "10.244.0.5");
        var (caller, direct, any) = (rig.Sidecar("c1"), OutboundName("ring", port), OutboundName("ring", port, "~"));
        var own = $"{{parentRefs: [{{group: '', kind: Service, name: ring}}], rules: [{{backendRefs: [{{name: ring, port: {port}}}]}}]}}";
        rig.Config($"{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, metadata: {{name: own, namespace: shop}}, spec: {own}}}");
        rig.Push();
        Assert.Equal(DiscoveryType.OriginalDst, Cluster(caller, direct)!.Type);
        Assert.Null(Cluster(caller, any));

        rig.Config(Route("shop", "away", $"{{name: {parent}}}", $"{{backendRefs: [{{name: ring, port: {port}}}]}}", kind));
        rig.Push();
        Assert.Equal(any, kind == "HTTPRoute" ? Host(caller, "80", "orders.shop.svc.cluster.local:80")!.Routes.Single().Route_.Cluster
            : Assert.Single(Listener(caller, "10.96.0.8_5432")!.FilterChains).Filters[^1].TypedConfig.Unpack<TcpProxy>().Cluster);
        Assert.Equal(DiscoveryType.Eds, Cluster(caller, any)!.Type);
        Assert.Equal(["10.244.0.5:8080=1", "10.244.0.6:8080=1", "172.18.202.1:15443=1"], Endpoints(caller, any));
        Assert.Contains($"outbound_.{port}_._.ring.shop.svc.cluster.local",
            Cluster(caller, any)!.TransportSocketMatches[0].TransportSocket.TypedConfig.Unpack<UpstreamTlsContext>().Sni, StringComparison.Ordinal);
        // Calls of its own still go to the Pod that the caller chose, also by its own route.
        Assert.Equal(DiscoveryType.OriginalDst, Cluster(caller, direct)!.Type);
        Assert.Empty(rig.Mesh.Graph.Verify());

        rig.Writer.RemoveConfig("c1", kind, "shop", "away");
        rig.Push();
        Assert.Null(Cluster(caller, any));
        Assert.Empty(Endpoints(caller, any));
    }

    [Fact]
    public void Backends_may_be_in_other_clusters_and_hosts_of_all_clusters()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.7", "10.244.0.1");
        rig.App("c2", "far", "10.97.0.7", "10.245.0.1");
        rig.Config(Route("shop", "r", "{name: orders}",
            "{backendRefs: [{name: far, port: 80}, {group: multicluster.x-k8s.io, kind: ServiceImport, name: orders, port: 80}]}"));
        var caller = rig.Sidecar("c1");
        rig.Push();
        Assert.Equal(["outbound|80||far.shop.svc.cluster.local", ResourceNames.Unresolved], Clusters());
        Assert.Equal("ResolvedRefs=False BackendNotFound", Conditions(rig, "r").Last());
        rig.Writer.PutMultiCluster("c2", new() { ["kind"] = "ServiceExport", ["metadata"] = new JsonObject { ["name"] = "far", ["namespace"] = "shop" } });
        rig.Writer.PutMultiCluster("c1", new() { ["kind"] = "ServiceExport", ["metadata"] = new JsonObject { ["name"] = "orders", ["namespace"] = "shop" } });
        rig.Push();
        Assert.Equal(["outbound|80||far.shop.svc.cluster.local", "outbound|80||orders.shop.svc.clusterset.local"], Clusters());
        // Routes are for callers of the cluster where they are.
        Assert.Equal("ResolvedRefs=True ResolvedRefs", Conditions(rig, "r").Last());

        IEnumerable<string> Clusters() =>
            Host(caller, "80", "orders.shop.svc.cluster.local:80")!.Routes.Single().Route_.WeightedClusters.Clusters.Select(cluster => cluster.Name);
    }

    [Theory]
    [InlineData("{name: orders}", "{backendRefs: [{name: orders, port: 80}]}", "Accepted=True Accepted", "ResolvedRefs=True ResolvedRefs")]
    [InlineData("{name: orders, port: 80}", "{backendRefs: [{name: orders, port: 80}]}", "Accepted=True Accepted", "ResolvedRefs=True ResolvedRefs")]
    [InlineData("{name: orders, port: 81}", "{backendRefs: [{name: orders, port: 80}]}", "Accepted=False NoMatchingParent", "ResolvedRefs=True ResolvedRefs")]
    [InlineData("{name: none}", "{backendRefs: [{name: orders, port: 80}]}", "Accepted=False NoMatchingParent", "ResolvedRefs=True ResolvedRefs")]
    [InlineData("{name: orders}", "{backendRefs: [{name: none, port: 80}]}", "Accepted=True Accepted", "ResolvedRefs=False BackendNotFound")]
    [InlineData("{name: orders}", "{backendRefs: [{name: orders, port: 81}]}", "Accepted=True Accepted", "ResolvedRefs=False BackendNotFound")]
    [InlineData("{name: orders}", "{backendRefs: [{group: g, kind: Unknown, name: x, port: 80}]}", "Accepted=True Accepted", "ResolvedRefs=False InvalidKind")]
    [InlineData("{name: orders}",
        "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: none, port: 80} } }], backendRefs: [{name: orders, port: 80}]}",
        "Accepted=True Accepted", "ResolvedRefs=False BackendNotFound")]
    [InlineData("{name: orders}", "{filters: [{type: ExtensionRef}], backendRefs: [{name: orders, port: 80}]}", "Accepted=False UnsupportedValue",
        "ResolvedRefs=True ResolvedRefs")]
    [InlineData("{name: orders}", "{filters: [{type: ExtensionRef}]}, {backendRefs: [{name: orders, port: 80}]}", "Accepted=True Accepted",
        "ResolvedRefs=True ResolvedRefs", "PartiallyInvalid=True UnsupportedValue")]
    public void A_status_says_whether_parents_and_backends_exist_and_rules_apply(string parent, string rules, params string[] conditions)
    {
        var rig = Rig();
        rig.Config(Route("shop", "r", parent, rules));
        rig.Push();
        Assert.Equal(conditions, Conditions(rig, "r"));
    }

    private static MeshRig Rig()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.7", "10.244.0.1");
        return rig;
    }

    private static string Route(string ns, string name, string parent, string? rules = null, string kind = "HTTPRoute")
    {
        rules ??= $$"""{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: by, value: {{name}} }]} }], backendRefs: [{name: orders, namespace: shop, port: 80}]}""";
        if (!parent.Contains("kind", StringComparison.Ordinal)) parent = parent.Replace("{", "{group: '', kind: Service, ", StringComparison.Ordinal);
        return $$"""
            apiVersion: gateway.networking.k8s.io/v1
            kind: {{kind}}
            metadata: {name: {{name}}, namespace: {{ns}}, generation: 3}
            spec: {parentRefs: [{{parent}}], rules: [{{rules}}]}
            ---

            """;
    }

    private static IEnumerable<string> Conditions(MeshRig rig, string name, string kind = "HTTPRoute")
    {
        var status = Assert.Single(rig.Mesh.RouteStatuses.Items.Values, status => status.Source.Name == name && status.Source.Kind == kind);
        Assert.Equal(3, status.Generation.Number);
        return Assert.Single(status.Parents).Conditions.Select(condition => $"{condition.Type}={condition.Status} {condition.Reason}");
    }

    private static string Mark(ProxyFeed caller, string table = "80", string host = "orders.shop.svc.cluster.local:80") =>
        Host(caller, table, host)!.Routes[0].ResponseHeadersToAdd.FirstOrDefault()?.Header.Value ?? "";

    private static VirtualHost? Host(ProxyFeed caller, string table, string host) =>
        MeshRig.Route(caller, table)?.VirtualHosts.SingleOrDefault(item => item.Name == host);
}
