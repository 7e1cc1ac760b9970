using System.Net;
using Isthmus.Graph.Intake;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Xunit;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>Envoy, as its project builds it, opens and ends tunnels (HBONE).</summary>
public sealed class EnvoyTunnelTests
{
    [Fact]
    public async Task Envoys_call_another_through_tunnels_whose_rules_know_the_caller()
    {
        _ = EnvoyProcess.Program;
        var folder = Directory.CreateTempSubdirectory("envoy").FullName;
        try
        {
            string Socket(string name) => Path.Combine(folder, name);
            var (socket, web, raw, door) = (Socket("discovery"), Socket("web"), Socket("raw"), Socket("door"));
            var mesh = Mesh();
            await using var discovery = await DiscoveryForEnvoys.StartAsync(mesh, socket);
            using var server = new EnvoyProcess(Node("web-1", "10.244.0.1", ("ENABLE_HBONE", "true")), socket, folder, $"[{Application}]");
            await Eventually.TrueAsync(() => server.HasEnded || discovery.Feeds.Count == 1);
            var callers = $"[{Caller("web", web)}, {Caller("raw", raw)}]";
            using var client = new EnvoyProcess(Node("client-1", "10.244.0.7"), socket, folder, callers, beside: server);
            using var gateway = new EnvoyProcess(EnvoyTakesTests.Node("router", "door-0", "10.244.0.99"), socket, folder, $"[{Caller("web", door)}]",
                beside: server);
            var followed = new FollowedMesh(discovery, server, client, gateway);
            await followed.BeginAsync();
            await AnswerAsync(web, HttpStatusCode.OK, server, client);
            await AnswerAsync(door, HttpStatusCode.OK, server, gateway);
            await followed.ChangeAsync("another caller is allowed", rig => rig.Config(Policy("other")));
            await AnswerAsync(web, HttpStatusCode.Forbidden, server, client);
            // Of TCP, the connection ends. Policies are for new ones, so there must have been none before.
            await AnswerAsync(raw, HttpStatusCode.ServiceUnavailable, server, client);
            // All certificates of this rig are for the account web.
            await followed.ChangeAsync("the caller is allowed", rig => rig.Config(Policy("web")));
            await AnswerAsync(web, HttpStatusCode.OK, server, client);
            await AnswerAsync(raw, HttpStatusCode.OK, server, client);
            foreach (var policy in (string[])["tls: {mode: ISTIO_MUTUAL}", "tls: {mode: DISABLE}", "proxyProtocol: {version: V1}", "tls: {mode: SIMPLE}"])
                await followed.ChangeAsync(policy, rig => rig.Config(Rule(policy)));
            await AnswerAsync(web, HttpStatusCode.ServiceUnavailable, server, client); // The application does not speak TLS.
            await followed.FoundNothingAsync();
            Assert.Matches("connect_terminate.downstream_rq_2xx: [1-9]", await server.AskAsync("/stats?filter=connect_terminate.downstream_rq_2xx"));
            const string Opened = "cluster.connect_originate.upstream_cx_total";
            foreach (var caller in (EnvoyProcess[])[client, gateway]) Assert.Matches($"{Opened}: [1-9]", await caller.AskAsync($"/stats?filter={Opened}"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static MeshRig Mesh()
    {
        var rig = new MeshRig("c1");
        var settings = SettingsKind.Of("c1", null, null);
        rig.Writer.Put(rig.Writer.Kinds.Settings, settings with
        {
            Settings = settings.Settings with { Mesh = settings.Settings.Mesh with { Tunnels = new(Sends: true, Prefers: true, Listens: true) } },
        });
        foreach (var (name, ip, port, target) in ((string, string, string, int)[])[("web", "10.96.0.10", "http", 8080), ("raw", "10.96.0.11", "tcp", 9090)])
        {
            rig.Service("c1", name, ip, port, 80, target, app: "web");
            rig.Slice("c1", name, target, port, ("web-1", "10.244.0.1"));
        }
        rig.Pod("c1", "web", "web-1", "10.244.0.1", labels: new() { ["networking.istio.io/tunnel"] = "http" });
        rig.Pod("c1", "client", "client-1", "10.244.0.7");
        rig.GatewayPod("c1", "door");
        rig.Config("""
            apiVersion: networking.istio.io/v1
            kind: Gateway
            metadata: {name: door, namespace: shop}
            spec: {selector: {app: door}, servers: [{port: {number: 8085, name: http, protocol: HTTP}, hosts: ['*']}]}
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: door, namespace: shop}
            spec: {hosts: ['*'], gateways: [door], http: [{route: [{destination: {host: web}}]}]}
            """);
        rig.Push();
        return rig;
    }

    private static Node Node(string pod, string address, params (string Name, string Value)[] metadata)
    {
        var node = EnvoyTakesTests.Node("sidecar", pod, address);
        foreach (var (name, value) in metadata) node.Metadata.Fields[name] = Google.Protobuf.WellKnownTypes.Value.ForString(value);
        return node;
    }

    private static async Task AnswerAsync(string socket, HttpStatusCode wanted, params EnvoyProcess[] envoys)
    {
        using var client = EnvoyProcess.ClientOf(socket);
        HttpStatusCode? seen = null;
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                using var response = await client.GetAsync(new Uri("http://web/"), TestContext.Current.CancellationToken);
                seen = response.StatusCode;
            }
            catch (HttpRequestException)
            {
                seen = null; // It does not listen yet.
            }
            return seen == wanted || Array.Exists(envoys, envoy => envoy.HasEnded);
        }, $"{Path.GetFileName(socket)} answers {wanted}");
        Assert.Equal(wanted, seen);
    }

    private static string Rule(string policy) => $$"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec: {host: web, trafficPolicy: { {{policy}} } }
        """;

    private static string Policy(string caller) => $$"""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: web, namespace: shop}
        spec: {action: ALLOW, rules: [{from: [{source: {principals: ['cluster.local/ns/shop/sa/{{caller}}'] } }] }] }
        """;

    /// <summary>What the server's sidecar is for: it answers at two ports.</summary>
    private static string Application => string.Join(", ", ((int[])[8080, 9090]).Select(port => """
        {"name": "PORT", "address": {"socket_address": {"address": "10.244.0.1", "port_value": PORT}},
         "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "application",
          "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}]},
          "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}
        """.Replace("PORT", port.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal)));

    /// <summary>The client's application: what comes from a socket goes to a Service.</summary>
    private static string Caller(string service, string socket) => """
        {"name": "NAME", "address": {"pipe": {"path": "SOCKET"}}, "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "NAME",
          "route_config": {"validate_clusters": false, "virtual_hosts": [{"name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "outbound|80||NAME.shop.svc.cluster.local"}}]}]},
          "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}
        """.Replace("NAME", service, StringComparison.Ordinal).Replace("SOCKET", socket, StringComparison.Ordinal);
}
