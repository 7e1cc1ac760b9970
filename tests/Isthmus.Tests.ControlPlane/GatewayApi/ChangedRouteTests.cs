using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>What a change of routes at a gateway makes anew: that, and nothing else.</summary>
public sealed class ChangedRouteTests
{
    private static readonly Dictionary<string, string> ByGateway = new() { ["gateway.networking.k8s.io/gateway-name"] = "front" };

    private readonly MeshRig _rig = Mesh();

    [Fact]
    public void A_changed_route_costs_its_virtual_hosts_only()
    {
        for (var route = 0; route < 40; route++) Route(route, $"r{route}.example.com", "/a");
        _rig.Push();
        var proxy = _rig.Router("c1", "front", labels: ByGateway);
        var before = PartsOf(proxy, "http.80");
        Route(7, "r7.example.com", "/b");
        var changes = _rig.Push();
        var after = PartsOf(proxy, "http.80");
        Assert.Equal(before.Count, after.Count);
        Assert.Single(before.Zip(after), pair => !ReferenceEquals(pair.First, pair.Second));
        // Sidecars have nothing to do with it.
        Assert.Empty(changes.Routed);
        Assert.True(changes.IsRoutesOnly);
    }

    /// <summary>However it came about, a state is the same as one that is made at once.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Changes_one_by_one_lead_to_the_same_as_all_at_once(int seed)
    {
        var random = new Random(seed);
        var proxy = _rig.Router("c1", "front", labels: ByGateway);
        string[] hosts = ["a.example.com", "b.example.com", "*.example.com", "*", "c.example.org", "d.other.net"];
        for (var step = 0; step < 120; step++)
        {
            var (number, host) = (random.Next(6), hosts[random.Next(hosts.Length)]);
            switch (random.Next(7))
            {
                case 0: _rig.Writer.RemoveConfig("c1", "HTTPRoute", "shop", $"r{number}"); break;
                case 1: VirtualService(number, host); break;
                case 2: _rig.Writer.RemoveConfig("c1", "VirtualService", "shop", $"v{number}"); break;
                case 3 when step % 5 == 0: _rig.App("c1", $"late{number}", $"10.96.7.{number + 1}", "10.244.7.1"); break;
                default: Route(number, host, $"/{random.Next(3)}", random.Next(3) switch { 0 => "plain", 1 => "safe", _ => "" }); break;
            }
            _rig.Push();
            var fresh = new Publisher(TimeProvider.System);
            fresh.PublishAll(_rig.Mesh.View(), null);
            var other = new ProxyFeed(proxy.Proxy, TimeProvider.System, _ => { });
            fresh.Join(other);
            Assert.Equal(MeshRig.Versions(other), MeshRig.Versions(proxy));
        }
        Assert.Empty(_rig.Mesh.Graph.Verify());
    }

    /// <summary>A table without routes answers nothing, and one that has routes no longer says so.</summary>
    [Fact]
    public void The_host_of_nothing_goes_with_the_first_route_and_comes_with_the_last()
    {
        var rig = Mesh(hasOneListener: true);
        var proxy = rig.Router("c1", "front", labels: ByGateway);
        Assert.Equal(["blackhole:80"], HostsOf(proxy));
        Route(1, "a.example.com", "/", rig: rig);
        rig.Push();
        Assert.Equal(["a.example.com:80"], HostsOf(proxy));
        rig.Writer.RemoveConfig("c1", "HTTPRoute", "shop", "r1");
        rig.Push();
        Assert.Equal(["blackhole:80"], HostsOf(proxy));
    }

    /// <summary>A bug stops the update of a gateway after it has changed a part of a table.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_a_failed_push_began_is_part_of_the_next_and_others_have_it_at_once(bool isForAll)
    {
        VirtualService(1, "x.example.com");
        VirtualService(2, "z.example.com");
        _rig.Push();
        var proxy = _rig.Router("c1", "front", labels: ByGateway);
        var sidecar = _rig.Sidecar("c1");
        Assert.Contains("x.example.com:80", HostsOf(proxy));
        VirtualService(1, "y.example.com");
        _rig.App("c1", "late", "10.96.7.1", "10.244.7.1");
        var changes = _rig.Writer.Commit();
        var view = _rig.Mesh.View();
        var (listed, broken) = (view.Traffic.ListedByGateway, view.Traffic.ListedByGateway["shop/own"]
            .Select(routes => routes.Name == "v2" ? routes with { Rules = [null!] } : routes).ToValueList());
        Assert.Throws<AggregateException>(() =>
            _rig.Publisher.PublishAll(view with { Traffic = view.Traffic with { ListedByGateway = listed.SetItem("shop/own", broken) } }, changes));
        Assert.NotNull(MeshRig.Cluster(sidecar, MeshRig.OutboundName("late")));
        _rig.Publisher.PublishAll(view, isForAll ? null : new());
        Assert.Contains("y.example.com:80", HostsOf(proxy));
        Assert.DoesNotContain("x.example.com:80", HostsOf(proxy));
    }

    private static List<string> HostsOf(ProxyFeed proxy) => [.. MeshRig.Route(proxy, "http.80")!.VirtualHosts.Select(host => host.Name)];

    private static List<XdsPart> PartsOf(ProxyFeed proxy, string table) =>
        proxy.Snapshot!.Types[TypeUrls.Route].TryGet(table, out var resource) ? [.. resource.Parts!.Items] : [];

    private void Route(int number, string host, string path, string section = "plain", MeshRig? rig = null) => (rig ?? _rig).Config($$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: r{{number}}, namespace: shop, creationTimestamp: "2026-01-0{{number % 8 + 1}}T00:00:00Z"}
        spec:
          parentRefs: [{name: front{{(section.Length > 0 ? $", sectionName: {section}" : "")}}}]
          {{(host == "*" ? "# every host" : $"hostnames: ['{host}']")}}
          rules: [{matches: [{path: {type: PathPrefix, value: {{path}}} }], backendRefs: [{name: app, port: 80}]}]
        """);

    private void VirtualService(int number, string host) => _rig.Config($$"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: v{{number}}, namespace: shop, creationTimestamp: "2026-01-0{{number + 2}}T00:00:00Z"}
        spec: {hosts: ['{{host}}'], gateways: [own], http: [{match: [{uri: {prefix: /v{{number}}} }], route: [{destination: {host: app} }]}]}
        """);

    private static MeshRig Mesh(bool hasOneListener = false)
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "app", "10.96.1.1", "10.244.1.1");
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "front", Namespace = MeshRig.Namespace },
            Spec = new()
            {
                Type = "ClusterIP", ClusterIP = "10.96.0.20", ClusterIPs = ["10.96.0.20"], Selector = { ["app"] = "front" },
                Ports = { new() { Name = "http", Port = 80, TargetPort = JsonValue.Create(80) },
                    new() { Name = "https", Port = 443, TargetPort = JsonValue.Create(443) } },
            },
        });
        var (certificate, key) = TestCa.SelfSignedPair("*.example.com");
        rig.Config("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec:
              gatewayClassName: istio
              listeners:
              - {name: plain, port: 80, protocol: HTTP}

            """ + (hasOneListener ? "" : """
              - {name: narrow, port: 80, protocol: HTTP, hostname: b.example.com}
              - {name: safe, port: 443, protocol: HTTPS, hostname: "*.example.com", tls: {certificateRefs: [{name: pair}]} }
              - {name: safest, port: 443, protocol: HTTPS, hostname: a.example.com, tls: {certificateRefs: [{name: pair}]} }
            ---
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: own, namespace: shop}
            spec: {selector: {app: front}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*', v.example.com]}]}
            """));
        rig.Writer.Put("c1", new Secret
        {
            Metadata = new() { Name = "pair", Namespace = MeshRig.Namespace }, Type = "kubernetes.io/tls",
            Data = { ["tls.crt"] = Encoded(certificate), ["tls.key"] = Encoded(key) },
        });
        rig.Push();
        return rig;
    }

    private static string Encoded(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));
}
