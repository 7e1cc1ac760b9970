using System.Net;
using System.Text;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Proxy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.NetworkFilters;
using Xunit;
using ProxyIdentity = Isthmus.Mesh.Model.ProxyIdentity;

namespace Isthmus.Tests.Effects.Gateways;

/// <summary>Gateways behind other proxies: what MeshConfig says, as the proxy applies it to requests.</summary>
public sealed class GatewayTopologyTests
{
    private const string Balancer = "10.9.9.9";

    private const string Front = """
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: front, namespace: shop}
        spec: {selector: {app: eastwest}, servers: [{port: {number: 15443, name: http, protocol: HTTP}, hosts: ['*']}]}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: partners, namespace: shop}
        spec: {selector: {matchLabels: {app: eastwest}}, rules: [{from: [{source: {remoteIpBlocks: [203.0.113.0/24]}}]}]}
        """;

    [Theory]
    [InlineData(0, null, false, Balancer, Balancer, "http")]
    [InlineData(0, "203.0.113.7", false, $"203.0.113.7,{Balancer}", Balancer, "http")]
    [InlineData(1, "203.0.113.7", true, $"203.0.113.7,{Balancer}", "203.0.113.7", "https")]
    [InlineData(1, "203.0.113.7, 192.0.2.1", false, $"203.0.113.7, 192.0.2.1,{Balancer}", "192.0.2.1", "https")]
    [InlineData(2, "203.0.113.7, 192.0.2.1", true, $"203.0.113.7, 192.0.2.1,{Balancer}", "203.0.113.7", "https")]
    [InlineData(2, "203.0.113.7", false, $"203.0.113.7,{Balancer}", Balancer, "https")]
    [InlineData(1, "nonsense", false, $"nonsense,{Balancer}", Balancer, "https")]
    public void Policies_judge_the_client_and_not_the_load_balancer(int trusted, string? forwardedFor, bool allowed, string forwards, string external,
        string proto)
    {
        var action = ActionOf($"defaultConfig: {{gatewayTopology: {{numTrustedProxies: {trusted}}}}}", null);
        var request = Head(
            $"GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-proto: https\r\nx-envoy-external-address: "
                + $"203.0.113.9\r\n{(forwardedFor is null ? "" : $"x-forwarded-for: {forwardedFor}\r\n")}\r\n");
        var connection = Connection(null);
        RequestPreparation.Apply(request, connection, action, new NoSecrets(), new Random(1));
        Assert.Equal((forwards, external, proto),
            (request.Headers.GetJoined("x-forwarded-for"u8), request.Headers.GetJoined("x-envoy-external-address"u8),
                request.Headers.GetJoined("x-forwarded-proto"u8)));
        var facts = new PolicyFacts(request, "http", null, connection.Source, RequestPreparation.RemoteAddress(request.Headers, connection, action.Client),
            connection.Destination, "");
        Assert.Equal(allowed, Assert.Single(action.Running(null).OfType<PolicyFilter>()).Rules.Decide(facts).IsAllowed);
    }

    [Theory]
    [InlineData("SANITIZE", null, null)]
    [InlineData("FORWARD_ONLY", null, "theirs")]
    [InlineData("APPEND_FORWARD", null, "theirs,own")]
    [InlineData("SANITIZE_SET", null, "own")]
    [InlineData("UNDEFINED", null, "own")]
    [InlineData("ALWAYS_FORWARD_ONLY", "theirs", "theirs")]
    public void Certificates_that_others_report_are_handled_as_configured(string mode, string? ofPlain, string? ofAuthenticated)
    {
        var action = ActionOf($"defaultConfig: {{gatewayTopology: {{forwardClientCertDetails: {mode}}}}}", null);
        Assert.Equal(ofPlain, Forwarded(null));
        Assert.Equal(ofAuthenticated, Forwarded(new TlsPeer(["spiffe://a/ns/b/sa/c"], [], "CN=c", "cafe", "", "", "PEM")));

        string? Forwarded(TlsPeer? peer)
        {
            var request = Head("GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-client-cert: theirs\r\n\r\n");
            RequestPreparation.Apply(request, Connection(peer), action, new NoSecrets(), new Random(1));
            var field = request.Headers.GetJoined("x-forwarded-client-cert"u8);
            return field is null
                ? null
                : string.Join(',', field.Split(',').Select(element => element.StartsWith("Hash=cafe;Cert=", StringComparison.Ordinal) ? "own" : element));
        }
    }

    [Fact]
    public void A_gateways_own_topology_replaces_the_meshs()
    {
        var node = new Struct();
        node.Fields["PROXY_CONFIG"] = Value.ForStruct(
            Struct.Parser.ParseJson("""{"gatewayTopology": {"numTrustedProxies": 2, "forwardClientCertDetails": "FORWARD_ONLY"}}"""));
        var identity = ProxyIdentity.TryRead("router~10.0.0.1~front.shop~shop.svc.cluster.local", node, Locality.Unknown, out _)!;
        Assert.Equal(new GatewayTopology(2, ClientCertForwarding.ForwardOnly), identity.Topology);
        Assert.Equal(2, ActionOf("defaultConfig: {gatewayTopology: {numTrustedProxies: 1}}", identity.Topology).Client.TrustedHops);
        Assert.Null(ProxyIdentity.TryRead("router~10.0.0.1~front.shop~shop.svc.cluster.local", new(), Locality.Unknown, out _)!.Topology);
    }

    [Theory]
    [InlineData("{numTrustedProxies: -1}", "defaultConfig.gatewayTopology.numTrustedProxies")]
    [InlineData("{numTrustedProxies: many}", "defaultConfig.gatewayTopology.numTrustedProxies")]
    [InlineData("{numTrustedProxies: 1, forwardClientCertDetails: SOMETIMES}", "defaultConfig.gatewayTopology.forwardClientCertDetails")]
    [InlineData("{numTrustedProxies: 1, proxyProtocol: {version: 1}}", "defaultConfig.gatewayTopology.proxyProtocol.version")]
    [InlineData("{numTrustedProxy: 1}", "defaultConfig.gatewayTopology.numTrustedProxy")]
    public void A_topology_that_cannot_be_honoured_is_reported_and_trusts_nobody(string topology, string path)
    {
        var (config, problems) = MeshConfigReader.ReadMesh(YamlText.Parse($"defaultConfig: {{gatewayTopology: {topology}}}", "mesh"));
        Assert.Equal(path, Assert.Single(problems).Path);
        Assert.Equal(new GatewayTopology(0, ClientCertForwarding.Sanitize), config.GatewayTopology);
    }

    [Theory]
    [InlineData("NONE", "/a/../b//c%2Fd?e=//%2F", "/a/../b//c%2Fd?e=//%2F")]
    [InlineData("BASE", "/a/../b//c%2fd?e=//%2F", "/b//c%2Fd?e=//%2F")]
    [InlineData("DEFAULT", "/a/../b//c%2fd", "/b//c%2Fd")]
    [InlineData("MERGE_SLASHES", "/a/../b//c%2fd?e=//%2F", "/b/c%2Fd?e=//%2F")]
    [InlineData("DECODE_AND_MERGE_SLASHES", "/a/../b//c%2fd%5Ce?e=//%2F", "/b/c/d/e?e=//%2F")]
    [InlineData("DECODE_AND_MERGE_SLASHES", "/a%2f..%2Fadmin", "/admin")]
    [InlineData("DECODE_AND_MERGE_SLASHES", "/a%2F%2Fb%2f%2e%2e%2Fadmin?x=1", "/a/admin?x=1")]
    public void Paths_are_normalised_as_MeshConfig_says(string mode, string path, string expected)
    {
        var settings = $"pathNormalization: {{normalization: {mode}}}";
        foreach (var action in (HttpAction[])[ActionOf(settings, null), InboundActionOf(settings)])
        {
            var request = Head($"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            Assert.Equal(0, RequestPreparation.NormalizePath(request, action.Paths));
            Assert.Equal(expected, request.TargetText);
            // What is forwarded would not change again.
            Assert.Equal(0, RequestPreparation.NormalizePath(request, action.Paths));
            Assert.Equal(expected, request.TargetText);
        }
    }

    [Theory]
    [InlineData("/", 0)]
    [InlineData("/a/b-c_d~e.f/@:!$&'()*+,=?x=;//%2f", 0)]
    [InlineData("/caf%C3%A9/a%20b/%41%2B", 0)]
    [InlineData("/admin;x=1", 400)]
    [InlineData("/a/..;/admin", 400)]
    [InlineData("/a%3Bx", 400)]
    [InlineData("/a%3bx", 400)]
    [InlineData("//admin", 400)]
    [InlineData("/a//b", 400)]
    [InlineData("/a/../b", 400)]
    [InlineData("/a/./b", 400)]
    [InlineData("/a/..", 400)]
    [InlineData("/a/%2e%2E/b", 400)]
    [InlineData("/a%2fb", 400)]
    [InlineData("/a%2Fb", 400)]
    [InlineData("/a%5cb", 400)]
    [InlineData("/a%5Cb", 400)]
    [InlineData("/a\\b", 400)]
    [InlineData("/a%252fb", 400)]
    [InlineData("/a%", 400)]
    [InlineData("/a%0", 400)]
    [InlineData("/a%zz", 400)]
    [InlineData("/a%00", 400)]
    [InlineData("/a%0d%0a", 400)]
    [InlineData("/a%3Fb", 400)]
    [InlineData("/a%23b", 400)]
    [InlineData("/a%E9", 400)]
    [InlineData("/a%C0%AF", 400)]
    [InlineData("/a\u00e9", 400)]
    [InlineData("/a|b", 400)]
    [InlineData("/a\"b", 400)]
    public void Strict_paths_have_one_reading(string path, int status)
    {
        const string Settings = "pathNormalization: {normalization: STRICT}";
        foreach (var action in (HttpAction[])[ActionOf(Settings, null), InboundActionOf(Settings)])
        {
            var request = new RequestHead { Method = "GET", Authority = "x" };
            request.SetTarget(Encoding.Latin1.GetBytes(path));
            Assert.Equal(status, RequestPreparation.NormalizePath(request, action.Paths));
        }
    }

    [Fact]
    public void An_unknown_normalization_is_reported_and_keeps_the_default()
    {
        var (config, problems) = MeshConfigReader.ReadMesh(YamlText.Parse("pathNormalization: {normalization: MERGE}", "mesh"));
        Assert.Equal(("pathNormalization.normalization", PathNormalization.Base), (Assert.Single(problems).Path, config.PathNormalization));
    }

    private static HttpAction ActionOf(string settings, GatewayTopology? own)
    {
        var rig = new MeshRig("c1");
        rig.EastWest("c1", "172.18.201.1");
        Assert.Empty(rig.Writer.PutSettings("c1", YamlText.Parse(settings, "mesh"), null));
        rig.Config(Front);
        var gateway = rig.Router("c1", "eastwest", topology: own);
        rig.Push();
        return Decode(gateway, "0.0.0.0_15443", 0);
    }

    private static HttpAction InboundActionOf(string settings)
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Writer.PutSettings("c1", YamlText.Parse(settings, "mesh"), null);
        var orders = rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1");
        rig.Push();
        return Decode(orders, "virtualInbound", 8080);
    }

    private static HttpAction Decode(ProxyFeed proxy, string listener, int port) => HttpDecoder.Decode(
        MeshRig.Listener(proxy,
            listener)!.FilterChains.First(chain => (chain.FilterChainMatch?.DestinationPort
                ?? 0) == port).Filters[^1].TypedConfig.Unpack<HttpConnectionManager>(),
        []);

    private static Downstream Connection(TlsPeer? peer) => new(
        null!, new("in", new(IPAddress.Loopback, 80), false, false, false, Direction.Outbound, null, null, default, true, null!, default, default, null!),
        new(IPAddress.Loopback, 80), new(IPAddress.Parse(Balancer), 1234))
    {
        Transport = new MemoryTransport([], () => 1) { Client = peer },
    };

    private static RequestHead Head(string text)
    {
        var head = new RequestHead();
        HeadParser.ParseRequest(Encoding.Latin1.GetBytes(text), head, HttpLimits.Default);
        return head;
    }
}
