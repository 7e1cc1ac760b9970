using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Graph.Intake;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;
using OpenPort = Isthmus.Kubernetes.Objects.ServicePort;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>Envoy, as its project builds it, is the proxy of a Gateway of the Gateway API: it takes every kind of listener, route and policy, and finds nothing
/// to warn of.</summary>
public sealed class EnvoyTakesGatewaysTests
{
    private const string Api = "gateway.networking.k8s.io/v1", Certificate = "certificateRefs: [{name: cert}]";

    private static readonly int[] Ports = [80, 443, 8443, 9443, 9000, 9001, 7443];

    private static readonly string[] Listeners =
    [
        "{name: http, port: 80, protocol: HTTP}",
        "{name: host, port: 80, protocol: HTTP, hostname: '*.example.com'}",
        $"{{name: any, port: 443, protocol: HTTPS, tls: {{{Certificate}}} }}",
        $"{{name: wide, port: 443, protocol: HTTPS, hostname: '*.wild.org', tls: {{{Certificate}}} }}",
        $"{{name: one, port: 443, protocol: HTTPS, hostname: one.wild.org, tls: {{{Certificate}, options: {{gateway.istio.io/tls-terminate-mode: SIMPLE}}}} }}",
        $"{{name: ends, port: 8443, protocol: TLS, hostname: ends.example, tls: {{mode: Terminate, {Certificate}}} }}",
        "{name: through, port: 9443, protocol: TLS, hostname: through.example, tls: {mode: Passthrough} }",
        "{name: bytes, port: 9000, protocol: TCP}",
        "{name: datagrams, port: 5300, protocol: UDP}",
    ];

    /// <summary>More fields of the Gateway.</summary>
    private static readonly string[] Gateways =
    [
        "", "tls: {frontend: {default: {validation: {caCertificateRefs: [{kind: ConfigMap, group: '', name: ca}]} } } }",
        "tls: {frontend: {default: {validation: {mode: AllowInsecureFallback, caCertificateRefs: [{kind: ConfigMap, group: '', name: ca}]} }, "
            + "perPort: [{port: 443, tls: {validation: {caCertificateRefs: [{kind: ConfigMap, group: '', name: ca}]} } }]} }",
        "tls: {frontend: {default: {validation: {caCertificateRefs: [{kind: ConfigMap, group: '', name: none}]} } } }",
        "tls: {backend: {clientCertificateRef: {name: cert} } }",
    ];

    /// <summary>Routes of all kinds, and what applies to a Gateway or to a backend.</summary>
    private static IEnumerable<JsonObject> Objects =>
    [
        .. EnvoyTakesRoutesTests.Rules.Select(rules =>
            (JsonObject)YamlText.Parse($"{{apiVersion: {Api}, kind: HTTPRoute, spec: {{parentRefs: [{{name: front}}], rules: [{rules}]}}}}", "route")!),
        .. ApiSamples.Read("gateways").Select(sample => (JsonObject)sample),
    ];

    [Fact]
    public async Task Envoy_takes_every_listener_route_and_policy_without_a_warning()
    {
        _ = EnvoyProcess.Program;
        var folder = Directory.CreateTempSubdirectory("envoy").FullName;
        try
        {
            var socket = Path.Combine(folder, "discovery");
            var mesh = Mesh();
            mesh.Push();
            await using var discovery = await DiscoveryForEnvoys.StartAsync(mesh, socket);
            using var gateway = new EnvoyProcess(
                EnvoyTakesTests.Node("router", "front-0", "10.244.0.99", ("gateway.networking.k8s.io/gateway-name", "front")), socket, folder);
            var followed = new FollowedMesh(discovery, gateway);
            await followed.BeginAsync();
            foreach (var more in Gateways)
            {
                await followed.ChangeAsync($"Gateway {more}", rig => rig.Config(Gateway(more)));
                foreach (var one in Objects)
                {
                    await followed.ChangeAsync(one.ToJsonString(), rig => rig.Writer.PutConfig("c1", Named(one, "one")));
                    await followed.ChangeAsync($"without {one["kind"]}", rig => rig.Writer.RemoveConfig("c1", $"{one["kind"]}", "shop", "one"));
                }
            }
            await followed.FoundNothingAsync();
            // All at once, nothing is refused by the control plane, and every port is served.
            foreach (var (index, one) in Objects.Index())
                await followed.ChangeAsync($"and {one.ToJsonString()}", rig => rig.Writer.PutConfig("c1", Named(one, $"all-{index}")));
            await followed.FoundNothingAsync();
            Assert.Equal([], mesh.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems).Where(problem => problem.Severity == Severity.Error));
            var served = discovery.Feeds.Single().Snapshot!.Types[TypeUrls.Listener].All.Select(item => item.Name).ToHashSet();
            Assert.Empty(Ports.Select(port => $"0.0.0.0_{port}").Append("udp_0.0.0.0_5300").Except(served));
            var dump = await gateway.AskAsync("/config_dump");
            foreach (var kind in (string[])["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"])
                Assert.Contains(kind.ToLowerInvariant(), dump, StringComparison.OrdinalIgnoreCase);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static MeshRig Mesh()
    {
        var rig = new MeshRig("c1");
        rig.Settings("accessLogFile: /dev/null\nextensionProviders: [{name: outer, envoyExtAuthzGrpc: {service: web.shop.svc.cluster.local, port: 80}}, "
            + "{name: spans, zipkin: {service: web.shop.svc.cluster.local, port: 80}}]\ndefaultProviders: {tracing: [spans]}");
        rig.App("c1", "web", "10.96.0.7", "10.244.0.1");
        rig.AppOn("c1", "dns", "10.96.0.8", "udp", 53, "10.244.0.2");
        var ca = new TestCa("ca");
        var (certificate, key) = TestCa.SelfSignedPair("one.wild.org");
        rig.Writer.Put("c1", new ConfigMap { Metadata = new() { Name = "ca", Namespace = "shop" }, Data = { ["ca.crt"] = ca.Pem } });
        rig.Writer.Put("c1", new Secret
        {
            Metadata = new() { Name = "cert", Namespace = "shop" }, Type = "kubernetes.io/tls",
            Data = { ["tls.crt"] = Base64(certificate), ["tls.key"] = Base64(key) },
        });
        rig.GatewayPod("c1", "front", new() { ["gateway.networking.k8s.io/gateway-name"] = "front" });
        rig.Writer.PutSecretAccess(new("c1", "shop", "front"), SecretAccess.Granted);
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "front", Namespace = "shop" },
            Spec = new()
            {
                ClusterIP = "10.96.0.20", ClusterIPs = ["10.96.0.20"], Selector = { ["app"] = "front" },
                Ports =
                [
                    .. Ports.Select(port => new OpenPort { Name = $"port-{port}", Port = port, TargetPort = JsonValue.Create(port) }),
                    new() { Name = "datagrams", Port = 5300, TargetPort = JsonValue.Create(5300), Protocol = "UDP" },
                ],
            },
        });
        rig.Config(Gateway(""));
        return rig;
    }

    private static string Gateway(string more) => $$"""
        apiVersion: {{Api}}
        kind: Gateway
        metadata: {name: front, namespace: shop, annotations: {gateway.istio.io/service-account: front} }
        spec:
          gatewayClassName: istio
          allowedListeners: {namespaces: {from: Same} }
          listeners: [{{string.Join(", ", Listeners)}}]
          {{(more.Length > 0 ? more : "# nothing more")}}
        """;

    private static JsonObject Named(JsonObject one, string name)
    {
        var named = (JsonObject)one.DeepClone();
        named["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = "shop" };
        return named;
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
