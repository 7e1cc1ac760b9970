using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Traffic;

/// <summary>Small meshes with resources that a person can read. They restate facts about a real istiod.</summary>
public sealed class GeneratedGoldenTests
{
    private const string Routing = """
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: orders, namespace: shop}
        spec:
          host: orders
          trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}, loadBalancer: {consistentHash: {httpHeaderName: x-user}}}
          subsets:
          - {name: v1, labels: {version: v1}}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: orders, namespace: shop}
        spec:
          hosts: [orders]
          http:
          - name: canary
            match: [{headers: {x-canary: {exact: 'yes'}}, uri: {prefix: /v1}}]
            rewrite: {uri: /}
            timeout: 2s
            retries: {attempts: 3, retryOn: 'connect-failure,503', perTryTimeout: 500ms}
            fault: {delay: {percentage: {value: 0.5}, fixedDelay: 1s}}
            route: [{destination: {host: orders, subset: v1}, weight: 90, headers: {response: {set: {x-from: canary}}}}, {destination: {host: orders}, weight: 10}]
          - route: [{destination: {host: orders}}]
            mirror: {host: orders, subset: v1}
            mirrorPercentage: {value: 25}
        """;

    [Fact]
    public void Two_networks()
    {
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.1", "10.244.0.2");
        rig.AppOn("c2", "db", "10.96.0.10", "tcp", 5432, "10.244.0.3");
        rig.EastWest("c2", "172.18.202.1");
        rig.Pod("c1", "orders", "client", "10.244.0.7");
        var proxy = rig.Sidecar("c1");
        rig.Push();
        Golden.Verify(Print(proxy, TypeUrls.Cluster), "cds");
        Golden.Verify(Print(proxy, TypeUrls.Endpoints), "eds");
        Golden.Verify(Print(proxy, TypeUrls.Listener), "lds");
        Golden.Verify(Print(proxy, TypeUrls.Route), "rds");
        Golden.Verify(Print(proxy, TypeUrls.NameTable), "nds");
    }

    [Fact]
    public void Routing_rules()
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Config(Routing);
        var proxy = rig.Sidecar("c1");
        rig.Push();
        Assert.Empty(rig.Mesh.Sources.Problems.Items);
        Golden.Verify(Print(proxy, TypeUrls.Route), "rds");
        Golden.Verify(Print(proxy, TypeUrls.Cluster, "orders"), "cds");
    }

    [Fact]
    public void An_access_log_is_written_where_and_as_the_mesh_says()
    {
        var rig = new MeshRig("c1");
        rig.Writer.PutSettings("c1", Kubernetes.Yaml.YamlText.Parse("{accessLogFile: /dev/stdout, accessLogFormat: '%PROTOCOL%'}", "mesh"), null);
        var proxy = rig.Sidecar("c1");
        rig.Push();
        var log = MeshRig.Listener(proxy,
            "virtualOutbound")!.FilterChains[1].Filters[0].TypedConfig.Unpack<Isthmus.Wire.Envoy.NetworkFilters.TcpProxy>().AccessLog[0];
        var file = log.TypedConfig.Unpack<Isthmus.Wire.Envoy.AccessLoggers.FileAccessLog>();
        Assert.Equal(("/dev/stdout", "%PROTOCOL%\n"), (file.Path, file.LogFormat.TextFormatSource.InlineString));
    }

    private static string Print(ProxyFeed proxy, string type, string only = "")
    {
        var parser = WireTypes.Registry.Find(type[(type.LastIndexOf('/') + 1)..]).Parser;
        var lines = proxy.Snapshot!.Types[type].All.Where(resource => resource.Name.Contains(only, StringComparison.Ordinal))
            .OrderBy(resource => resource.Name, StringComparer.Ordinal)
            .Select(resource => JsonNode.Parse(WireTypes.Json.Format(parser.ParseFrom(resource.Body.Value)))!.ToJsonString(new JsonSerializerOptions
            {
                WriteIndented = true
            }));
        return string.Join("\n", lines);
    }
}
