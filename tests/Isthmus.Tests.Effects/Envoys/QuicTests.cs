using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Agent;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy.Listeners;
using Xunit;
using Node = Isthmus.Wire.Envoy.Node;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>HTTP/3 at gateways whose proxy is Envoy.</summary>
public sealed class QuicTests : IDisposable
{
    private readonly TestCa _ca = new("web");

    public void Dispose() => _ca.Dispose();

    [Fact]
    public async Task An_Envoy_gateway_answers_over_HTTP_3_with_its_plugins_and_tells_of_it()
    {
        _ = EnvoyProcess.Program;
        var folder = Directory.CreateTempSubdirectory("envoy").FullName;
        try
        {
            var (socket, quic, tls) = (Path.Combine(folder, "discovery"), Path.Combine(folder, "quic"), Path.Combine(folder, "tls"));
            await File.WriteAllTextAsync(Path.Combine(folder, "ca.pem"), _ca.Pem, TestContext.Current.CancellationToken);
            var mesh = Mesh(quic: true);
            var module = Path.Combine(folder, "marks.wasm");
            await File.WriteAllBytesAsync(module, WasmModule.AddingHeader("x-marks"), TestContext.Current.CancellationToken);
            mesh.Writer.PutConfig("c1",
                (JsonObject)YamlText.Parse(
                    $"{{apiVersion: extensions.istio.io/v1alpha1, kind: WasmPlugin, metadata: {{name: marks, namespace: shop}}, spec: {{url: "
                        + $"'file://{module}', pluginConfig: {{mark: door}}}}}}",
                    "plugin")!);
            mesh.Push();
            await using var discovery = await DiscoveryForEnvoys.StartAsync(mesh, socket);
            var listeners = $"[{Listener("by-quic", quic)}, {Listener("by-tls", tls)}]";
            var clusters =
                $", {Cluster("by-quic", "quic.v3.QuicUpstreamTransport", "http3_protocol_options", folder, tls: false)}, "
                    + $"{Cluster("by-tls", "tls.v3.UpstreamTlsContext", "http2_protocol_options", folder, tls: true)}";
            using var gateway = new EnvoyProcess(Node(), socket, folder, listeners, clusters);
            foreach (var way in (string[])[quic, tls])
            {
                using var client = EnvoyProcess.ClientOf(way);
                var (status, advertised, marks) = (0, "", "");
                await Eventually.TrueAsync(async () =>
                {
                    if (gateway.HasEnded) return true;
                    try
                    {
                        using var response = await client.GetAsync(new Uri("http://door.example/"), TestContext.Current.CancellationToken);
                        string Head(string name) => response.Headers.NonValidated.TryGetValues(name, out var values) ? string.Join(',', values) : "";
                        (status, advertised, marks) = ((int)response.StatusCode, Head("alt-svc"), Head("x-marks"));
                        return status == 418;
                    }
                    catch (HttpRequestException)
                    {
                        return false;
                    }
                });
                Assert.Equal((418, "h3=\":443\"; ma=86400", """{"mark":"door"}"""), (status, advertised, marks));
            }
            Assert.Matches("http3_total: [1-9]", await gateway.AskAsync("/stats?filter=outbound_udp.*downstream_rq_http3_total"));
            Assert.Equal([], gateway.NewLines());
            Assert.All(discovery.Feeds, feed => Assert.Equal(SyncState.Synced, feed.Sync));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("mode: SIMPLE, credentialName: door", true, true)]
    [InlineData("mode: SIMPLE, credentialName: door", false, false)]
    [InlineData("mode: MUTUAL, credentialName: door", true, false)]
    [InlineData("mode: OPTIONAL_MUTUAL, credentialName: door", true, false)]
    public void A_server_has_HTTP_3_if_it_asks_clients_for_nothing_that_HTTP_3_would_not_ask_for(string tls, bool isOn, bool hasQuic)
    {
        var mesh = Mesh(isOn, tls);
        var feed = mesh.Connect(Identity(hasQuic: true));
        mesh.Push();
        Assert.Equal(hasQuic, MeshRig.Listener(feed, "udp_0.0.0.0_8443") is not null);
        Assert.NotNull(MeshRig.Listener(feed, "0.0.0.0_8443"));
    }

    [Fact]
    public void Proxies_without_QUIC_and_servers_without_a_UDP_port_have_none()
    {
        var mesh = Mesh(quic: true);
        var feed = mesh.Connect(Identity(hasQuic: false));
        mesh.Push();
        Assert.DoesNotContain(feed.Snapshot!.Types[TypeUrls.Listener].All, resource => resource.Name.StartsWith("udp_", StringComparison.Ordinal));
        var other = Mesh(quic: true);
        var second = other.Connect(Identity(hasQuic: true));
        other.Writer.Put("c1", Door(hasUdp: false));
        other.Push();
        Assert.DoesNotContain(second.Snapshot!.Types[TypeUrls.Listener].All, resource => resource.Name.StartsWith("udp_", StringComparison.Ordinal));
    }

    /// <summary>A plugin that sees connections would not see those of HTTP/3.</summary>
    [Fact]
    public void A_plugin_for_connections_keeps_HTTP_3_away()
    {
        var mesh = Mesh(quic: true);
        var identity = Identity(hasQuic: true);
        var feed = mesh.Connect(identity with { Software = identity.Software with { RunsWasm = true } });
        mesh.Writer.PutConfig("c1",
            (JsonObject)YamlText.Parse(
                "{apiVersion: extensions.istio.io/v1alpha1, kind: WasmPlugin, metadata: {name: a, namespace: shop}, spec: {url: 'oci://a.example/b', type: "
                    + "NETWORK}}",
                "a")!);
        mesh.Push();
        Assert.Null(MeshRig.Listener(feed, "udp_0.0.0.0_8443"));
    }

    [Fact]
    public void The_control_plane_switches_it_on() =>
        Assert.True(DiscoverySettings.Read([], name => name == "PILOT_ENABLE_QUIC_LISTENERS" ? "true" : null).QuicListeners);

    private MeshRig Mesh(bool quic, string tls = "mode: SIMPLE, credentialName: door")
    {
        var rig = new MeshRig("c1");
        var settings = SettingsKind.Of("c1", null, null);
        rig.Writer.Put(rig.Writer.Kinds.Settings,
            settings with { Settings = settings.Settings with { Mesh = settings.Settings.Mesh with { QuicListeners = quic } } });
        rig.GatewayPod("c1", "door", new() { ["istio"] = "ingressgateway" });
        rig.Writer.PutSecretAccess(new("c1", "shop", "door"), SecretAccess.Granted);
        rig.Writer.Put("c1", Door(hasUdp: true));
        using var certificate = _ca.Server("door.example");
        using var key = certificate.GetECDsaPrivateKey()!;
        rig.Writer.Put("c1", new Secret
        {
            Metadata = new() { Name = "door", Namespace = "shop" },
            Data =
            {
                ["tls.crt"] = Base64(certificate.ExportCertificatePem()), ["tls.key"] = Base64(key.ExportPkcs8PrivateKeyPem()), ["ca.crt"] = Base64(_ca.Pem)
            },
        });
        foreach (var text in (string[])
        [
            $"{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: front, namespace: shop}}, spec: {{selector: {{istio: ingressgateway}}, "
                + $"servers: [{{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: [door.example], tls: {{{tls}}}}}]}}}}",
            "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: door, namespace: shop}, spec: {hosts: [door.example], gateways: "
                + "[front], http: [{directResponse: {status: 418}}]}}",
        ]) rig.Writer.PutConfig("c1", (JsonObject)YamlText.Parse(text, "object")!);
        return rig;
    }

    private static Service Door(bool hasUdp) => YamlText.Parse($$"""
        metadata: {name: door, namespace: shop}
        spec: {clusterIP: 10.96.0.91, clusterIPs: [10.96.0.91], selector: {app: door},
          ports: [{name: https, port: 443, targetPort: 8443}{{(hasUdp ? ", {name: http3, port: 443, targetPort: 8443, protocol: UDP}" : "")}}]}
        """, "service")!.Deserialize(KubeJson.Of<Service>())!;

    private static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));

    private static Isthmus.Mesh.Model.ProxyIdentity Identity(bool hasQuic)
    {
        var envoy = ApiMesh.Envoy("router", "door-0", "10.244.0.99", []);
        return envoy with { Proof = new(new("c1", "shop", "door"), ""), Software = envoy.Software with { HasQuic = hasQuic, RunsWasm = false } };
    }

    private static Node Node()
    {
        var environment = new Dictionary<string, string>
        {
            ["POD_NAME"] = "door-0", ["POD_NAMESPACE"] = "shop", ["INSTANCE_IP"] = "10.244.0.99", ["SERVICE_ACCOUNT"] = "door", ["ISTIO_META_CLUSTER_ID"] = "c1"
        };
        var node = AgentNode.Build(AgentSettings.Read("router", "shop.svc.cluster.local", environment), new Dictionary<string, string> { ["app"] = "door" },
            new Dictionary<string, string>());
        node.Metadata.Fields.Remove("ISTHMUS_VERSION");
        return node;
    }

    /// <summary>A client of the gateway in the same Envoy: what comes from a socket goes to a cluster.</summary>
    private static string Listener(string cluster, string socket) => """
        {"name": "CLUSTER", "address": {"pipe": {"path": "SOCKET"}}, "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "CLUSTER",
          "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "CLUSTER"}}]}]},
          "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}
        """.Replace("CLUSTER", cluster, StringComparison.Ordinal).Replace("SOCKET", socket, StringComparison.Ordinal);

    private static string Cluster(string name, string transport, string protocol, string folder, bool tls)
    {
        var context = """{"sni": "door.example", "common_tls_context": {"validation_context": {"trusted_ca": {"filename": "FOLDER/ca.pem"}}}}""".Replace(
            "FOLDER",
            folder, StringComparison.Ordinal);
        var config = (JsonObject)JsonNode.Parse(tls ? context : $$"""{"upstream_tls_context": {{context}} }""")!;
        config["@type"] = $"type.googleapis.com/envoy.extensions.transport_sockets.{transport}";
        return """
            {"name": "NAME", "type": "STATIC", "connect_timeout": "1s",
             "load_assignment": {"cluster_name": "NAME", "endpoints": [{"lb_endpoints": [
               {"endpoint": {"address": {"socket_address": {"protocol": "LAYER", "address": "127.0.0.1", "port_value": 8443}}}}]}]},
             "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
               "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"PROTOCOL": {}}}},
             "transport_socket": {"name": "envoy.transport_sockets.KIND", "typed_config": CONFIG}}
            """.Replace("NAME", name, StringComparison.Ordinal).Replace("LAYER", tls ? "TCP" : "UDP", StringComparison.Ordinal).Replace("PROTOCOL", protocol, StringComparison.Ordinal)
            .Replace("KIND", tls ? "tls" : "quic", StringComparison.Ordinal).Replace("CONFIG", config.ToJsonString(), StringComparison.Ordinal);
    }
}
