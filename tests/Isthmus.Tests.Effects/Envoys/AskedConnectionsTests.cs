using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;
using OpenPort = Isthmus.Kubernetes.Objects.ServicePort;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>Connections of clients outlive what routes say: an Envoy asks the authorizer of a rule on those that are older than the rule.</summary>
public sealed class AskedConnectionsTests
{
    private const string Cluster = """
        , {"name": "door", "type": "STATIC", "load_assignment": {"cluster_name": "door", "endpoints": [{"lb_endpoints": [
          {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 8080}}}}]}]}}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Nobody answers for the authorizer, so that a request that is asked about gets 403. Otherwise, it is redirected.</summary>
    [Fact]
    public async Task An_Envoy_asks_on_connections_from_before_the_rule_and_from_before_its_edits()
    {
        _ = EnvoyProcess.Program;
        var folder = Directory.CreateTempSubdirectory("envoy").FullName;
        try
        {
            var (socket, door) = (Path.Combine(folder, "discovery"), Path.Combine(folder, "door"));
            var mesh = Mesh();
            mesh.Push();
            await using var discovery = await DiscoveryForEnvoys.StartAsync(mesh, socket);
            using var gateway = new EnvoyProcess(
                EnvoyTakesTests.Node("router", "front-0", "10.244.0.99", ("gateway.networking.k8s.io/gateway-name", "front")), socket, folder, Listener(door), Cluster);
            var followed = new FollowedMesh(discovery, gateway);
            await followed.BeginAsync();
            using var client = EnvoyProcess.ClientOf(door);
            await AnswersAsync(301);
            var connections = await ConnectionsAsync();
            foreach (var asked in (string[])
            [
                "protocol: HTTP, http: {allowedHeaders: [x-a]}", "protocol: HTTP, http: {allowedHeaders: [x-b]}, forwardBody: {maxSize: 9}",
                "protocol: GRPC, grpc: {allowedHeaders: [x-c]}",
            ])
            {
                await followed.ChangeAsync(asked, rig => rig.Config(
                    Route($"{{type: ExternalAuth, externalAuth: {{backendRef: {{name: auth, port: 80}}, {asked}}}}}, ")));
                await AnswersAsync(403);
                await followed.ChangeAsync($"without {asked}", rig => rig.Config(Route("")));
                await AnswersAsync(301);
            }
            await followed.FoundNothingAsync();
            Assert.Equal(connections, await ConnectionsAsync());

            Task<string> ConnectionsAsync() => gateway.AskAsync("/stats?filter=cluster.door.upstream_cx_total");

            Task AnswersAsync(int status) => Eventually.TrueAsync(async () =>
            {
                Assert.False(gateway.HasEnded);
                using var response = await client.GetAsync(new Uri("http://web.example/"), Stop);
                return (int)response.StatusCode == status;
            });
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static MeshRig Mesh()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "auth", "10.96.0.7", "10.244.0.1");
        rig.GatewayPod("c1", "front", new() { ["gateway.networking.k8s.io/gateway-name"] = "front" });
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "front", Namespace = "shop" },
            Spec = new()
            {
                ClusterIP = "10.96.0.20", ClusterIPs = ["10.96.0.20"], Selector = { ["app"] = "front" },
                Ports = [new OpenPort { Name = "http", Port = 8080, TargetPort = JsonValue.Create(8080) }],
            },
        });
        rig.Config("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop, annotations: {gateway.istio.io/service-account: front} }
            spec: {gatewayClassName: istio, listeners: [{name: http, port: 8080, protocol: HTTP}]}
            """);
        rig.Config(Route(""));
        return rig;
    }

    private static string Route(string filters) => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: r, namespace: shop}
        spec:
          parentRefs: [{name: front}]
          rules: [{filters: [{{filters}}{type: RequestRedirect, requestRedirect: {hostname: other.example, statusCode: 301} }]}]
        """;

    /// <summary>The way from a client to the gateway: one connection for each of the client's.</summary>
    private static string Listener(string socket) => """
        [{"name": "door", "address": {"pipe": {"path": "SOCKET"}}, "filter_chains": [{"filters": [{"name": "tcp", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "door", "cluster": "door"}}]}]}]
        """.Replace("SOCKET", socket, StringComparison.Ordinal);
}
