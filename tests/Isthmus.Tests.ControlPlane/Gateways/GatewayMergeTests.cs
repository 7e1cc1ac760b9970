using Google.Protobuf;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy.Routes;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.Gateways;

/// <summary>Several VirtualServices for one host at a gateway: the oldest first, but what matches everything last, as in Istio.</summary>
public sealed class GatewayMergeTests
{
    private const string Api = "{match: [{uri: {prefix: /api} }], directResponse: {status: 201} }",
        Head = "{match: [{uri: {prefix: /}, headers: {x: {exact: z} } }], directResponse: {status: 202} }";

    private static string All(int status) => $$"""{directResponse: {status: {{status}} } }""";

    [Theory]
    [InlineData("older for all", "^/api 201, ^/ 200")]
    [InlineData("older for all by a prefix", "^/api 201, ^/ 203")]
    [InlineData("both for all", "^/a 204, ^/api 201, ^/ 200")]
    [InlineData("by a header", "^/+1 202, ^/api 201, ^/ 200")]
    [InlineData("newer for all", "^/api 201, ^/ 200")]
    public void Routes_for_everything_come_last(string which, string expected)
    {
        var (older, newer) = which switch
        {
            "older for all" => (All(200), Api),
            "older for all by a prefix" => ("{match: [{uri: {prefix: /} }], directResponse: {status: 203} }", Api),
            "both for all" => ("{match: [{uri: {prefix: /a} }], directResponse: {status: 204} }, " + All(200), $"{Api}, {All(500)}"),
            "by a header" => ($"{Head}, {All(200)}", Api),
            _ => (Api, All(200)),
        };
        var rig = new MeshRig("c1");
        rig.Service("c1", "front", "10.96.0.9");
        var gateway = rig.Router("c1", "front");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {selector: {app: front}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
            """);
        rig.Config(Routing("older", "2024-01-01T00:00:00Z", older));
        rig.Config(Routing("newer", "2024-01-02T00:00:00Z", newer));
        rig.Push();
        Assert.Equal(expected, string.Join(", ", Assert.Single(Route(gateway, "http.8080")!.VirtualHosts).Routes.Select(Text)));
    }

    /// <summary>What is served at one address is not for clients of another.</summary>
    [Fact]
    public void Servers_of_one_port_at_several_addresses_have_routes_of_their_own()
    {
        var rig = new MeshRig("c1");
        rig.Service("c1", "front", "10.96.0.9");
        var gateway = rig.Router("c1", "front");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec:
              selector: {app: front}
              servers:
              - {port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example.com]}
              - {port: {number: 80, name: inner, protocol: HTTP}, bind: 127.0.0.1, hosts: [b.example.com]}
            """);
        rig.Config(Routing("one", "2024-01-01T00:00:00Z", All(200)));
        rig.Config(Routing("two", "2024-01-02T00:00:00Z", All(200)).Replace("a.example", "b.example", StringComparison.Ordinal));
        rig.Push();
        Assert.Equal(["a.example.com"], HostsOf("http.8080"));
        Assert.Equal(["b.example.com"], HostsOf("http.8080.127.0.0.1"));
        Assert.Contains("http.8080.127.0.0.1", Listener(gateway, "127.0.0.1_8080")!.ToByteString().ToStringUtf8(), StringComparison.Ordinal);

        List<string> HostsOf(string table) => [.. Route(gateway, table)!.VirtualHosts.Select(host => host.Domains[0])];
    }

    /// <summary>The Service of an east-west gateway may offer another port (networkGatewayPorts): the Pods listen where the Gateway says, as in Istio. Ports of
    /// the system are not for gateways, which have no rights.</summary>
    [Theory]
    [InlineData(80, "0.0.0.0_8080")]
    [InlineData(15443, "0.0.0.0_15443")]
    [InlineData(8443, "0.0.0.0_8443")]
    [InlineData(81, "")]
    [InlineData(15021, "")] // of the probes
    public void A_port_that_the_service_lacks_is_that_of_the_pods(int port, string expected)
    {
        var rig = new MeshRig("c1");
        rig.Service("c1", "front", "10.96.0.9");
        var gateway = rig.Router("c1", "front");
        rig.Config($$"""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {selector: {app: front}, servers: [{port: {number: {{port}}, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]}
            """);
        rig.Push();
        string[] candidates = ["0.0.0.0_80", "0.0.0.0_81", "0.0.0.0_8080", "0.0.0.0_15021", "0.0.0.0_15443", "0.0.0.0_8443"];
        Assert.Equal(expected, string.Join(", ", candidates.Where(name => Listener(gateway, name) is not null)));
    }

    /// <summary>Proxies refuse a listener without chains, and with it what it was sent with.</summary>
    [Fact]
    public void A_port_that_passes_connections_on_for_no_Service_has_no_listener()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        var gateway = rig.Router("c1", "front");
        Expose("'*.prod.svc.cluster.local'");
        Assert.Null(Listener(gateway, "0.0.0.0_15443"));
        Expose("'*.prod.svc.cluster.local', orders.shop.svc.cluster.local");
        Assert.Single(Listener(gateway, "0.0.0.0_15443")!.FilterChains);
        Expose("'*.prod.svc.cluster.local'");
        Assert.Null(Listener(gateway, "0.0.0.0_15443"));

        void Expose(string hosts)
        {
            rig.Config("{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: cross, namespace: shop}, spec: {selector: {app: front}, servers: "
                + $"[{{port: {{number: 15443, name: tls, protocol: TLS}}, tls: {{mode: AUTO_PASSTHROUGH}}, hosts: [{hosts}]}}]}}}}");
            rig.Push();
        }
    }

    private static string Routing(string name, string created, string http) => $$"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: {{name}}, namespace: shop, creationTimestamp: "{{created}}"}
        spec: {hosts: [a.example.com], gateways: [front], http: [{{http}}]}
        """;

    private static string Text(Route route) =>
        $"^{route.Match.Prefix}{(route.Match.Headers.Count > 0 ? $"+{route.Match.Headers.Count}" : "")} {route.DirectResponse.Status}";
}
