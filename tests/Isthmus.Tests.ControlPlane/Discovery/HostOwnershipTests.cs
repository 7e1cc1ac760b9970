using Isthmus.ControlPlane.Push;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Routes;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>With <c>hostOwnership: NAMESPACE</c>, a namespace configures only its own hosts, unless their owner grants it more.</summary>
public sealed class HostOwnershipTests
{
    private const string Owned = "hostOwnership: NAMESPACE", Web = "web.shop.svc.cluster.local";

    private readonly MeshRig _rig = new("c1", "c2");
    private readonly ProxyFeed _client, _tenant;

    public HostOwnershipTests()
    {
        PutWeb("c1");
        _client = _rig.Sidecar("c1");
        _tenant = _rig.Sidecar("c1", "tenant", "10.244.0.8", ns: "tenant");
    }

    [Theory]
    [InlineData("", "tenant", true)]
    [InlineData("hostOwnership: ANY", "tenant", true)]
    [InlineData(Owned, "tenant", false)]
    [InlineData(Owned, "shop", true)]
    [InlineData(Owned, "istio-system", true)]
    public void A_VirtualService_of_another_namespace_has_no_effect(string settings, string ns, bool applies)
    {
        _rig.Settings(settings);
        _rig.Config(Routing(ns, Web));
        _rig.Push();
        Assert.Equal((applies, applies), (IsRouted(_client), IsRouted(_tenant)));
        if (applies)
        {
            Assert.Empty(Claims());
            return;
        }
        var problem = Assert.Single(Claims());
        Assert.Equal(("ISM1442", "VirtualService tenant/x", "spec.hosts[0]", Severity.Warning), (problem.Code, problem.Object, problem.Path, problem.Severity));
        Assert.Equal($"{Web} belongs to namespace shop, which does not let tenant configure it: this has no effect on the host (hostOwnership is NAMESPACE)",
            problem.Message);
        Assert.Equal("move the object to shop, or annotate the Service or the namespace shop with networking.isthmus.internal/host-grants: tenant",
            problem.Remedy);
        Assert.Equal(problem, Assert.Single(_rig.Mesh.ForeignClaimsOf(_rig.Mesh.Sources.VirtualServices.Items.Values.Single())));
    }

    [Theory]
    [InlineData("", "tenant", true)]
    [InlineData(Owned, "tenant", false)]
    [InlineData(Owned, "istio-system", true)]
    public void Neither_has_a_DestinationRule_not_even_for_callers_of_its_own_namespace(string settings, string ns, bool applies)
    {
        _rig.Settings(settings);
        _rig.Config(Rule(ns, Web));
        _rig.Push();
        Assert.Equal(applies, Limit(_tenant) == 7);
        Assert.Equal(applies ? 0 : 1, Claims().Count);
    }

    [Theory]
    [InlineData("tenant", "", true)]
    [InlineData("other, tenant", "", true)]
    [InlineData("*", "", true)]
    [InlineData("", "tenant", true)]
    [InlineData("other", "other", false)]
    public void The_owner_grants_its_hosts_by_an_annotation_of_the_Service_or_the_namespace(string ofService, string ofNamespace, bool applies)
    {
        _rig.Settings(Owned);
        _rig.Config(Routing("tenant", Web));
        _rig.Config(Rule("tenant", Web));
        _rig.Push();
        Assert.False(IsRouted(_client));
        PutWeb("c1", ofService);
        _rig.Writer.Put("c1",
            new Namespace { Metadata = new() { Name = "shop", Annotations = { ["networking.isthmus.internal/host-grants"] = ofNamespace } } });
        _rig.Push();
        Assert.Equal((applies, applies, applies ? 0 : 2), (IsRouted(_client), Limit(_tenant) == 7, Claims().Count));
        PutWeb("c1");
        _rig.Writer.Put("c1", new Namespace { Metadata = new() { Name = "shop" } });
        _rig.Push();
        Assert.False(IsRouted(_client));
        Assert.Empty(_rig.Mesh.Graph.Verify());
    }

    [Fact]
    public void A_grant_lets_a_ServiceEntry_add_endpoints()
    {
        PutWeb("c1", "tenant");
        _rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: x, namespace: tenant}
            spec: {hosts: [{{Web}}], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, location: MESH_INTERNAL,
              endpoints: [{address: 192.0.2.99}]}
            """);
        _rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "192.0.2.99:80=1"], Endpoints(_client, OutboundName("web")).Order());
        PutWeb("c1");
        _rig.Push();
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(_client, OutboundName("web")));
    }

    /// <summary>A wildcard applies to the hosts that are its namespace's.</summary>
    [Theory]
    [InlineData("*.shop.svc.cluster.local", "belongs to namespace shop")]
    [InlineData("*.svc.cluster.local", "covers hosts of all namespaces")]
    [InlineData("*.local", "covers hosts of all namespaces")]
    public void Wildcards_take_no_hosts_of_others(string host, string why)
    {
        _rig.Settings(Owned);
        _rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "own", Namespace = "tenant" },
            Spec = new() { Type = "ClusterIP", ClusterIP = "10.96.0.30", ClusterIPs = ["10.96.0.30"], Ports = { new() { Name = "http", Port = 80 } } },
        });
        _rig.Config(Routing("tenant", host));
        _rig.Config(Rule("tenant", host));
        _rig.Push();
        Assert.False(IsRouted(_client));
        Assert.Null(HostOf(_client, host));
        Assert.NotEqual(7u, Limit(_tenant));
        Assert.Equal(host != "*.shop.svc.cluster.local", HostOf(_client, "own.tenant.svc.cluster.local")!.Routes[0].DirectResponse is not null);
        Assert.All(Claims(), problem => Assert.Contains(why, problem.Message, StringComparison.Ordinal));
        Assert.Equal(2, Claims().Count);
    }

    [Theory]
    [InlineData("gone.shop.svc.cluster.local", false)]
    [InlineData("shop.example.com", true)]
    public void A_name_that_is_no_host_of_the_mesh_is_its_namespaces_or_nobodys(string host, bool applies)
    {
        _rig.Settings(Owned);
        _rig.Config(Routing("tenant", host));
        _rig.Push();
        Assert.Equal(applies, HostOf(_client, host) is not null);
        Assert.Equal(applies ? 0 : 1, Claims().Count);
    }

    [Fact]
    public void The_host_of_a_ServiceEntry_belongs_to_its_namespace()
    {
        _rig.Settings(Owned);
        _rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: api, namespace: shop}
            spec: {hosts: [api.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
            """);
        _rig.Config(Routing("tenant", "api.example.com"));
        _rig.Push();
        Assert.Null(HostOf(_client, "api.example.com")!.Routes[0].DirectResponse);
        Assert.Single(Claims());
    }

    [Fact]
    public void A_host_of_another_cluster_has_the_same_owner()
    {
        _rig.Settings(Owned);
        _rig.Writer.Remove("c1", Kinds.Service, MeshRig.Namespace, "web");
        PutWeb("c2");
        _rig.Config(Routing("tenant", Web));
        _rig.Push();
        Assert.False(IsRouted(_client));
        Assert.Single(Claims());
        PutWeb("c2", "tenant");
        _rig.Push();
        Assert.True(IsRouted(_client));
    }

    [Theory]
    [InlineData(Web, false)]
    [InlineData("shop.example.com", true)]
    [InlineData("*", true)]
    public void At_gateways_too_and_wildcards_there_are_nobodys(string host, bool applies)
    {
        _rig.Settings(Owned);
        _rig.Service("c1", "front", "10.96.0.9");
        var gateway = _rig.Router("c1", "front");
        _rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {selector: {app: front}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
            """);
        _rig.Config(Routing("tenant", host, "gateways: [shop/front], "));
        _rig.Push();
        Assert.Equal(applies, Route(gateway, "http.8080")!.VirtualHosts.Any(known => known.Routes.Any(route => route.DirectResponse is { Status: 418 })));
        Assert.Equal(applies ? 0 : 1, Claims().Count);
    }

    private void PutWeb(string cluster, string grants = "")
    {
        _rig.App(cluster, "web", "10.96.0.10", "10.244.0.1");
        _rig.Writer.Put(cluster, new Service
        {
            Metadata = new() { Name = "web", Namespace = MeshRig.Namespace, Annotations = { ["networking.isthmus.internal/host-grants"] = grants } },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = "10.96.0.10", ClusterIPs = ["10.96.0.10"], Selector = { ["app"] = "web" },
                Ports = { new() { Name = "http", Port = 80 } }
            },
        });
    }

    private static string Routing(string ns, string host, string more = "") => $$"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: x, namespace: {{ns}} }
        spec: {hosts: ["{{host}}"], {{more}}http: [{directResponse: {status: 418} }] }
        """;

    private static string Rule(string ns, string host) => $$"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: x, namespace: {{ns}} }
        spec: {host: "{{host}}", trafficPolicy: {connectionPool: {tcp: {maxConnections: 7} } } }
        """;

    private List<Problem> Claims() => [.. _rig.Mesh.ForeignClaims.Items.Values.SelectMany(item => item.Problems)];

    private static VirtualHost? HostOf(ProxyFeed proxy, string host) => Route(proxy, "80")!.VirtualHosts.FirstOrDefault(known => known.Name == $"{host}:80");

    private static bool IsRouted(ProxyFeed proxy) => HostOf(proxy, Web)!.Routes[0].DirectResponse is { Status: 418 };

    private static uint? Limit(ProxyFeed proxy) => Cluster(proxy, OutboundName("web"))!.CircuitBreakers.Thresholds[0].MaxConnections;
}
