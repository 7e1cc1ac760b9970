using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>Requests and connections get the routes of the listener with the narrowest hostname for them, and of no other.</summary>
public sealed class IsolationTests
{
    [Fact]
    public void A_request_gets_the_routes_of_one_listener_of_its_port()
    {
        var door = Door(Listeners("HTTP", "") + Route("r-any", "any", "'*.example.com', bar.com")
            + Route("r-wide", "wide", "bar.example.com, abc.foo.example.com, '*.foo.example.com'") + Route("r-foo", "foo", ""));
        var table = MeshRig.Route(door, "http.8443")!;
        Assert.Equal("r-any", Owner(table, "bar.com"));
        Assert.Equal("r-wide", Owner(table, "bar.example.com"));
        Assert.Equal("r-foo", Owner(table, "*.foo.example.com"));
        // The listener has no route, and that of a wider one must not answer for it.
        Assert.Equal("nobody", Owner(table, "abc.foo.example.com"));
        Assert.Equal("nobody", Owner(table, "*.example.com"));
        Assert.Equal("nobody", Owner(table, "*"));
    }

    [Fact]
    public void A_connection_that_named_one_listener_gets_no_routes_of_another()
    {
        var door = Door(Listeners("HTTPS", ", tls: {certificateRefs: [{name: cert}]}") + Route("r-any", "any", "example.org") + Route("r-foo", "foo", ""));
        var foo = MeshRig.Route(door, "https.443.foo.door~foo.shop")!;
        Assert.Equal("r-foo", Owner(foo, "*.foo.example.com"));
        Assert.Equal(("421", "421"), (Owner(foo, "abc.foo.example.com"), Owner(foo, "*")));
        var any = MeshRig.Route(door, "https.443.any.door~any.shop")!;
        Assert.Equal(("r-any", "421"), (Owner(any, "example.org"), Owner(any, "*.example.com")));
        Assert.Null(Owner(any, "*"));
    }

    [Fact]
    public void Names_that_a_connection_passes_through_by_have_one_listener()
    {
        var door = Door(Listeners("TLS", ", tls: {mode: Passthrough}")
            + Route("r-any", "any", "example.org, x.example.com", "TLSRoute")
            + Route("r-wide", "wide", "'*.example.com', '*.foo.example.com', y.foo.example.com", "TLSRoute"));
        Assert.Equal(
            ["* closed", "*.example.com r-wide", "*.foo.example.com closed", "abc.foo.example.com closed", "example.org r-any"],
            Chains(door));
    }

    [Fact]
    public void Listeners_that_end_TLS_and_that_pass_it_through_share_a_port()
    {
        var door = Door("""
            {name: end, port: 443, protocol: TLS, hostname: end.com, tls: {certificateRefs: [{name: cert}]}},
            {name: pass, port: 443, protocol: TLS, hostname: pass.com, tls: {mode: Passthrough}},
            {name: web, port: 443, protocol: HTTPS, hostname: web.com, tls: {certificateRefs: [{name: cert}]}}
            """.Insert(0, Start) + End + Route("r-end", "end", "end.com", "TLSRoute") + Route("r-pass", "pass", "pass.com", "TLSRoute") + Route("r-web", "web", ""));
        Assert.Equal(["end.com r-end TLS", "pass.com r-pass", "web.com http TLS"], Chains(door));
    }

    [Fact]
    public void Connections_of_a_port_go_where_its_TCPRoute_says()
    {
        var door = Door($"{Start}{{name: raw, port: 443, protocol: TCP}}{End}{Route("r-raw", "raw", "", "TCPRoute")}");
        Assert.Equal(["* r-raw"], Chains(door));
    }

    private const string Start =
        "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop}, spec: {gatewayClassName: istio, listeners: [",
        End = "]} }\n";

    private static string Listeners(string protocol, string tls) => $$"""
        {{Start}}
        {name: any, port: 443, protocol: {{protocol}}{{tls}} },
        {name: wide, port: 443, protocol: {{protocol}}, hostname: "*.example.com"{{tls}} },
        {name: foo, port: 443, protocol: {{protocol}}, hostname: "*.foo.example.com"{{tls}} },
        {name: abc, port: 443, protocol: {{protocol}}, hostname: "abc.foo.example.com"{{tls}} }
        {{End}}

        """;

    /// <summary>A route of a listener, with a backend of the same name.</summary>
    private static string Route(string name, string section, string hostnames, string kind = "HTTPRoute") => $$"""
        ---
        {apiVersion: gateway.networking.k8s.io/v1, kind: {{kind}}, metadata: {name: {{name}}, namespace: shop},
         spec: {parentRefs: [{name: door, sectionName: {{section}} }], hostnames: [{{hostnames}}], rules: [{backendRefs: [{name: {{name}}, port: 80}]}]} }

        """;

    private static ProxyFeed Door(string yaml)
    {
        var rig = new GatewayApiRig(yaml).Certificate("shop", "cert");
        foreach (var name in (string[])["r-any", "r-wide", "r-foo", "r-end", "r-pass", "r-web", "r-raw"])
            rig.Mesh.App("c1", name, $"10.96.1.{name.Length + name[2]}", "10.244.1.1");
        rig.Mesh.Service("c1", "door", "10.96.0.5", "https", 443, 8443);
        var door = rig.Mesh.Router("c1", "door", labels: new() { [GatewayNaming.GatewayLabel] = "door" });
        rig.Mesh.Push();
        return door;
    }

    /// <summary>The route behind the first rule of a host; null: the table has no such host.</summary>
    private static string? Owner(RouteConfiguration table, string host) =>
        table.VirtualHosts.SingleOrDefault(known => known.Domains.Contains(host)) is not { } found ? null
        : found.Routes.Count == 0 ? "nobody" : found.Routes[0].DirectResponse is { } direct ? $"{direct.Status}" : NameOf(found.Routes[0].Route_.Cluster);

    private static IEnumerable<string> Chains(ProxyFeed door) => MeshRig.Listener(door, "0.0.0.0_8443")!.FilterChains.SelectMany(chain =>
        (chain.FilterChainMatch?.ServerNames is { Count: > 0 } names ? names.AsEnumerable() : ["*"])
            .Select(name => $"{name} {Target(chain)}{(chain.TransportSocket is null ? "" : " TLS")}")).Order(StringComparer.Ordinal);

    private static string Target(Isthmus.Wire.Envoy.Listeners.FilterChain chain) =>
        chain.Filters.Select(filter => filter.TypedConfig).FirstOrDefault(config => config.TypeUrl.EndsWith("TcpProxy", StringComparison.Ordinal))
            ?.Unpack<Isthmus.Wire.Envoy.NetworkFilters.TcpProxy>() is { } tcp
            ? tcp.Cluster == "BlackHoleCluster" ? "closed" : NameOf(tcp.Cluster) : "http";

    private static string NameOf(string cluster) => cluster.Split('|')[^1].Split('.')[0];
}
