using Isthmus.ControlPlane.Push;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>Addresses and hosts belong to somebody: a ServiceEntry, WorkloadEntry or Service of another namespace gets nothing of their calls.</summary>
public sealed class ServiceEntryOwnershipTests
{
    private const string Web = "web.shop.svc.cluster.local", Own = "outbound|443||db.shop.svc.cluster.local", Thief = "outbound|443||a.tenant.test";

    private readonly MeshRig _rig = new("c1", "c2");
    private readonly ProxyFeed _client;

    public ServiceEntryOwnershipTests() => _client = _rig.Sidecar("c1");

    [Theory]
    [InlineData("10.96.0.20", "10.96.0.20")]
    [InlineData("10.96.0.20/32", "10.96.0.20/32")]
    [InlineData("::ffff:10.96.0.20", "10.96.0.20")]
    public void The_ClusterIP_of_a_Service_leads_to_the_Service(string claimed, string named)
    {
        _rig.AppOn("c1", "db", "10.96.0.20", "tcp", 443, "10.244.0.1");
        _rig.Config(Entry("a.tenant.test", claimed));
        _rig.Push();
        Assert.Equal(Own, TargetOf(Listener(_client, "10.96.0.20_443")!.FilterChains[0]));
        Assert.DoesNotContain(Thief, Targets("0.0.0.0_443"));
        Assert.DoesNotContain("10.96.0.20", Names(_client).Table.TryGetValue("a.tenant.test", out var name) ? name.Ips : []);
        var problem = Assert.Single(Claims());
        Assert.Equal(("ISM1440", "ServiceEntry tenant/a.tenant.test", "spec.addresses[0]", Severity.Warning),
            (problem.Code, problem.Object, problem.Path, problem.Severity));
        Assert.StartsWith($"{named} is the address of Service shop/db in c1: calls to it do not go to this entry", problem.Message, StringComparison.Ordinal);
        Assert.Empty(_rig.Mesh.Graph.Verify());
    }

    [Fact]
    public void The_entry_keeps_what_is_nobody_elses_and_gets_the_address_when_the_Service_is_gone()
    {
        _rig.AppOn("c1", "db", "10.96.0.20", "tcp", 443, "10.244.0.1");
        _rig.Config(Entry("a.tenant.test", "10.96.0.20, 192.0.2.7"));
        _rig.Push();
        Assert.Equal(Thief, TargetOf(Listener(_client, "192.0.2.7_443")!.FilterChains[0]));
        Assert.Equal(["192.0.2.7"], Names(_client).Table["a.tenant.test"].Ips);
        _rig.Writer.Remove("c1", Kinds.Service, MeshRig.Namespace, "db");
        _rig.Push();
        Assert.Equal(Thief, TargetOf(Listener(_client, "10.96.0.20_443")!.FilterChains[0]));
        Assert.Empty(Claims());
        Assert.Empty(_rig.Mesh.Graph.Verify());
    }

    /// <summary>The Service of the API server has no selector, and its one endpoint is no Pod. Clients use its address without a name.</summary>
    [Fact]
    public void The_address_of_the_API_server_stays_the_API_servers()
    {
        _rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "kubernetes", Namespace = "default" },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = "10.96.0.1", ClusterIPs = ["10.96.0.1"],
                Ports = { new() { Name = "https", Port = 443, TargetPort = System.Text.Json.Nodes.JsonValue.Create(6443) } },
            },
        });
        _rig.Writer.Put("c1", new EndpointSlice
        {
            Metadata = new() { Name = "kubernetes", Namespace = "default", Labels = { ["kubernetes.io/service-name"] = "kubernetes" } },
            Endpoints = [new() { Addresses = ["192.0.2.10"], Conditions = new() { Ready = true } }],
            Ports = { new() { Name = "https", Port = 6443 } },
        });
        _rig.Config(Entry("a.tenant.test", "10.96.0.1"));
        var victim = _rig.Sidecar("c1", "victim", ns: "default");
        _rig.Push();
        foreach (var proxy in (ProxyFeed[])[_client, victim])
        {
            Assert.All(Listener(proxy, "10.96.0.1_443")!.FilterChains,
                chain => Assert.Equal("outbound|443||kubernetes.default.svc.cluster.local", TargetOf(chain)));
            Assert.Null(Listener(proxy, "0.0.0.0_443"));
            Assert.DoesNotContain("10.96.0.1", Names(proxy).Table.TryGetValue("a.tenant.test", out var named) ? named.Ips : []);
        }
        Assert.StartsWith("10.96.0.1 is the address of Service default/kubernetes in c1", Assert.Single(Claims()).Message, StringComparison.Ordinal);
        Assert.Empty(_rig.Mesh.Graph.Verify());
    }

    [Fact]
    public void An_entry_without_an_address_of_its_own_left_does_not_take_the_whole_port()
    {
        _rig.AppOn("c1", "db", "10.96.0.20", "tcp", 443, "10.244.0.1");
        _rig.Config(Entry("a.tenant.test", "10.96.0.20"));
        _rig.Push();
        Assert.Null(Listener(_client, "0.0.0.0_443"));
    }

    [Fact]
    public void Requests_by_the_address_of_a_Service_go_to_the_Service()
    {
        _rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        _rig.Config(Entry("a.tenant.test", "10.96.0.10", "number: 80, name: http, protocol: HTTP"));
        _rig.Push();
        Assert.Contains("10.96.0.10", Domains($"{Web}:80"));
        Assert.DoesNotContain("10.96.0.10", Domains("a.tenant.test:80"));
    }

    /// <summary>Envoy matches the address before it looks for HTTP.</summary>
    [Fact]
    public void A_range_does_not_take_HTTP_from_the_Services_in_it()
    {
        _rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        _rig.Config(Entry("a.tenant.test", "10.96.0.0/12", "number: 80, name: tcp, protocol: TCP"));
        _rig.Push();
        var chains = Listener(_client, "0.0.0.0_80")!.FilterChains;
        var http = Assert.Single(chains, chain => chain.FilterChainMatch.PrefixRanges.Any(range => range is { AddressPrefix: "10.96.0.10", PrefixLen: 32 }));
        Assert.Contains("http/1.1", http.FilterChainMatch.ApplicationProtocols);
        Assert.Contains(http.Filters, filter => filter.Name == "envoy.filters.network.http_connection_manager");
        Assert.Contains("outbound|80||a.tenant.test", Targets("0.0.0.0_80"));
    }

    [Fact]
    public void An_address_belongs_to_the_Service_of_its_own_cluster_only()
    {
        _rig.AppOn("c2", "db", "10.96.0.20", "tcp", 443, "10.244.0.1");
        _rig.Config(Entry("a.tenant.test", "10.96.0.20"));
        var (there, plain) = (_rig.Sidecar("c2"), _rig.Sidecar("c1", "plain", dnsCapture: false));
        _rig.Push();
        Assert.Equal(Thief, TargetOf(Listener(_client, "10.96.0.20_443")!.FilterChains[0]));
        Assert.Equal(Own, TargetOf(Listener(there, "10.96.0.20_443")!.FilterChains[0]));
        // Without DNS capture, c1 calls the Service at its address in c2.
        Assert.Equal(Own, TargetOf(Listener(plain, "10.96.0.20_443")!.FilterChains[0]));
        Assert.Contains("Service shop/db in c2", Assert.Single(Claims()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_address_of_a_Pod_is_the_Pods()
    {
        _rig.StatefulApp("c1", "db", "tcp", 443, "10.244.0.1");
        _rig.Slice("c1", "db", 443, "tcp", ("db-0", "10.244.0.1"));
        _rig.Config(Entry("a.tenant.test", "10.244.0.1"));
        _rig.Push();
        Assert.Equal(Own, TargetOf(Listener(_client, "10.244.0.1_443")!.FilterChains[0]));
        Assert.Contains("Pod shop/db-0 in c1", Assert.Single(Claims()).Message, StringComparison.Ordinal);
    }

    /// <summary>A Service without a selector, or a WorkloadEntry, may name any address as an endpoint.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_headless_Service_of_another_namespace_does_not_take_the_calls_of_a_Pod(bool isSlice)
    {
        _rig.StatefulApp("c1", "db", "tcp", 443, "10.244.0.1");
        _rig.Slice("c1", "db", 443, "tcp", ("db-0", "10.244.0.1"));
        _rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "a", Namespace = "tenant" },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = "None", ClusterIPs = ["None"], Selector = { ["app"] = "a" }, Ports = { new() { Name = "tcp", Port = 443 } }
            },
        });
        if (isSlice)
        {
            _rig.Writer.Put("c1", new EndpointSlice
            {
                Metadata = new() { Name = "a-1", Namespace = "tenant", Labels = { ["kubernetes.io/service-name"] = "a" } },
                Endpoints = [new() { Addresses = ["10.244.0.1"], Conditions = new() { Ready = true } }],
                Ports = { new() { Name = "tcp", Port = 443 } },
            });
        }
        else
        {
            _rig.Config("""
                apiVersion: networking.istio.io/v1
                kind: WorkloadEntry
                metadata: {name: a, namespace: tenant}
                spec: {address: 10.244.0.1, labels: {app: a} }
                """);
        }
        _rig.Push();
        Assert.Equal(Own, TargetOf(Listener(_client, "10.244.0.1_443")!.FilterChains[0]));
        Assert.Null(Listener(_client, "0.0.0.0_443"));
    }

    [Fact]
    public void An_address_of_several_entries_is_the_oldest_ones()
    {
        _rig.Config(Entry("z.tenant.test", "192.0.2.7", ns: "first", created: "2024-01-01T00:00:00Z"));
        _rig.Config(Entry("a.tenant.test", "192.0.2.7", created: "2025-01-01T00:00:00Z"));
        _rig.Push();
        Assert.Equal("outbound|443||z.tenant.test", TargetOf(Listener(_client, "192.0.2.7_443")!.FilterChains[0]));
        Assert.Contains("192.0.2.7 is the address of the older ServiceEntry first/z.tenant.test in c1", Assert.Single(Claims()).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void An_allocated_address_stays_with_its_host_even_after_a_restart()
    {
        _rig.AppOn("c2", "db", "10.96.0.20", "tcp", 443, "10.244.0.1");
        _rig.Push();
        var address = Assert.Single(Names(_client).Table["db.shop.svc.cluster.local"].Ips);
        Assert.StartsWith("240.240.", address, StringComparison.Ordinal);
        _rig.Config(Entry("a.tenant.test", address));
        _rig.Push();
        Assert.Equal(Own, TargetOf(Listener(_client, $"{address}_443")!.FilterChains[0]));
        Assert.Contains("db.shop.svc.cluster.local", Assert.Single(Claims()).Message, StringComparison.Ordinal);

        var next = _rig.Writer.Copy(Isthmus.Mesh.Model.MultiClusterSettings.Default);
        next.Mesh.Sources.Allocated.Remove("db.shop.svc.cluster.local");
        next.Commit();
        Assert.Equal(address, Assert.Single(next.Mesh.Services.Items["db.shop.svc.cluster.local"].Allocated["c1"]).ToString());
        Assert.DoesNotContain(address, next.Mesh.Services.Items["a.tenant.test"].AddressesIn("c1").Select(other => other.ToString()));
    }

    /// <summary>An allocated address is the host's in every cluster, however many claim it, and wherever they are.</summary>
    [Fact]
    public void Nobody_in_any_cluster_gets_an_allocated_address()
    {
        _rig.AppOn("c2", "db", "10.96.0.20", "tcp", 443, "10.244.0.1");
        _rig.Push();
        var address = Assert.Single(Names(_client).Table["db.shop.svc.cluster.local"].Ips);
        _rig.Config("c1", Entry("a.tenant.test", address, created: "2023-01-01T00:00:00Z"));
        _rig.Config("c2", Entry("b.tenant.test", address, created: "2022-01-01T00:00:00Z"));
        _rig.Config("c2", Entry("a.tenant.test", address, created: "2021-01-01T00:00:00Z"));
        _rig.Push();
        Assert.Equal(Own, TargetOf(Listener(_client, $"{address}_443")!.FilterChains[0]));
        Assert.Equal(address, Assert.Single(Names(_client).Table["db.shop.svc.cluster.local"].Ips));
        Assert.Equal(3, Claims().Count(claim => claim.Message.Contains("db.shop.svc.cluster.local", StringComparison.Ordinal)));
        Assert.Empty(_rig.Mesh.Graph.Verify());
    }

    /// <summary>As in Istio: Kubernetes' Service wins, and its calls get no other endpoints.</summary>
    [Theory]
    [InlineData(Web)]
    [InlineData("web.shop")]
    [InlineData("web.shop.svc")]
    [InlineData("Web.Shop.svc.cluster.local")]
    public void The_host_of_a_Service_has_the_endpoints_of_the_Service_alone(string host)
    {
        _rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        _rig.Config(Entry(host, "192.0.2.7", "number: 80, name: http, protocol: HTTP"));
        _rig.Push();
        Assert.Equal(["10.244.0.1:8080=1"], Endpoints(_client, OutboundName("web")));
        Assert.Equal([$"{Web}:80"], VirtualHosts().Where(name => name.Contains("shop", StringComparison.OrdinalIgnoreCase)));
        Assert.Contains("web.shop", Domains($"{Web}:80"));
        Assert.Equal($"{host} is the host of Service shop/web in c1: this entry has no effect on it", Assert.Single(Claims()).Message);
        Assert.Equal("ISM1441", Assert.Single(Claims()).Code);
    }

    /// <summary>As in Istio: the namespace of a Service may add endpoints to it.</summary>
    [Fact]
    public void An_entry_in_the_namespace_of_the_Service_adds_endpoints()
    {
        _rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        _rig.Config(Entry(Web, "192.0.2.7", "number: 80, name: http, protocol: HTTP", ns: MeshRig.Namespace));
        _rig.Push();
        Assert.Equal(["10.244.0.1:8080=1", "192.0.2.99:80=1"], Endpoints(_client, OutboundName("web")).Order());
        Assert.Empty(Claims());
    }

    [Theory]
    [InlineData("gone.shop.svc.cluster.local", "is a name of namespace shop")]
    [InlineData("gone.shop.svc.clusterset.local", "is a name of namespace shop")]
    [InlineData("*.shop.svc.cluster.local", "is a name of namespace shop")]
    [InlineData("db-0.db.shop.svc.cluster.local", "is a name of namespace shop")]
    [InlineData("*.svc.cluster.local", "covers names of all namespaces")]
    [InlineData("*.local", "covers names of all namespaces")]
    public void Names_of_Kubernetes_belong_to_their_namespace_even_before_there_is_a_Service(string host, string why)
    {
        _rig.Config(Entry(host, "192.0.2.7"));
        _rig.Push();
        Assert.Null(Cluster(_client, $"outbound|443||{host}"));
        Assert.Equal($"{host} {why}: this entry has no effect on it", Assert.Single(Claims()).Message);
        _rig.Config(Entry(host, "192.0.2.8", ns: "istio-system"));
        _rig.Push();
        Assert.NotNull(Cluster(_client, $"outbound|443||{host}"));
    }

    [Fact]
    public void A_name_of_the_own_namespace_may_be_defined_by_an_entry()
    {
        _rig.Config(Entry("machine.tenant.svc.cluster.local", "192.0.2.7"));
        _rig.Push();
        Assert.NotNull(Cluster(_client, "outbound|443||machine.tenant.svc.cluster.local"));
        Assert.Empty(Claims());
    }

    [Fact]
    public void The_host_of_an_older_entry_of_another_namespace_gets_no_endpoints()
    {
        _rig.Config(Entry("api.example.com", "192.0.2.7", ns: "first", created: "2024-01-01T00:00:00Z", endpoint: "192.0.2.50"));
        _rig.Config(Entry("api.example.com", "192.0.2.8", created: "2025-01-01T00:00:00Z"));
        _rig.Push();
        Assert.Equal(["192.0.2.50:443=1"], Endpoints(_client, "outbound|443||api.example.com"));
        Assert.Null(Listener(_client, "192.0.2.8_443"));
        Assert.Equal("api.example.com is the host of the older ServiceEntry first/api.example.com in c1: this entry has no effect on it",
            Assert.Single(Claims()).Message);
        _rig.Writer.RemoveConfig("c1", "ServiceEntry", "first", "api.example.com");
        _rig.Push();
        Assert.Equal(["192.0.2.99:443=1"], Endpoints(_client, "outbound|443||api.example.com"));
        Assert.Empty(_rig.Mesh.Graph.Verify());
    }

    private static string Entry(string host, string addresses, string port = "number: 443, name: tcp, protocol: TCP", string ns = "tenant",
        string created = "2024-06-01T00:00:00Z", string endpoint = "192.0.2.99") =>
        $$"""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: "{{host}}", namespace: {{ns}}, creationTimestamp: "{{created}}"}
        spec: {hosts: ["{{host}}"], addresses: [{{string.Join(", ", addresses.Split(", ").Select(address => $"\"{address}\""))}}], ports: [{ {{port}} }],
          resolution: STATIC, location: MESH_INTERNAL, endpoints: [{address: {{endpoint}} }] }
        """;

    private List<Problem> Claims() => [.. _rig.Mesh.ForeignClaims.Items.Values.SelectMany(item => item.Problems)];

    private IEnumerable<string> VirtualHosts() => Route(_client, "80")!.VirtualHosts.Select(host => host.Name);

    private IEnumerable<string> Domains(string name) => Route(_client, "80")!.VirtualHosts.Where(host => host.Name == name).SelectMany(host => host.Domains);

    private List<string> Targets(string listener) =>
        Listener(_client, listener) is { } found ? [.. found.FilterChains.Append(found.DefaultFilterChain).OfType<FilterChain>().Select(TargetOf)] : [];

    private static string TargetOf(FilterChain chain) =>
        chain.Filters.Where(filter => filter.Name == "envoy.filters.network.tcp_proxy").Select(filter => filter.TypedConfig.Unpack<TcpProxy>().Cluster)
            .FirstOrDefault("");
}
