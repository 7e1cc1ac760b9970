using System.Text.Json.Nodes;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Guides;
using Xunit;
using static Isthmus.Tests.Mesh.Envoys.EnvoyPods;

namespace Isthmus.Tests.Mesh.Envoys;

/// <summary>The ways to choose a real Envoy for whole control planes and for gateways of all kinds, each with calls through it.</summary>
public sealed class EnvoyWaysTests
{
    private const string Envoy = "/usr/local/bin/envoy";

    /// <summary>In one cluster the mesh's settings say it for all Pods, in the other each gateway for itself.</summary>
    private static readonly string Mesh = """
        apiVersion: mesh.isthmus.internal/v1alpha1
        kind: Mesh
        metadata: {name: ways}
        spec:
          gatewayApi: {install: true}
          install: {profile: minimal}
          networks: [{name: north}, {name: south}]
          clusters:
          - {name: cluster1, network: north, install: {meshConfig: {defaultConfig: {binaryPath: 'ENVOY'} } } }
          - name: cluster2
            network: south
            install:
              components:
                ingressGateways:
                - name: istio-ingressgateway
                  enabled: true
                  k8s: {podAnnotations: {proxy.istio.io/config: "binaryPath: ENVOY"}}

        """.Replace("ENVOY", Envoy, StringComparison.Ordinal);

    /// <summary>A Gateway of the Gateway API whose ConfigMap names the program, and the routes of all gateways.</summary>
    private static readonly string Gateways = """
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: parts, namespace: mixed}
        data: {deployment: "spec: {template: {metadata: {annotations: {proxy.istio.io/config: 'binaryPath: ENVOY'} } } }"}
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: Gateway
        metadata: {name: front, namespace: mixed}
        spec:
          gatewayClassName: istio
          infrastructure: {parametersRef: {group: '', kind: ConfigMap, name: parts}}
          listeners: [{name: http, port: 80, protocol: HTTP}]
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: tide, namespace: mixed}
        spec: {parentRefs: [{name: front}], rules: [{backendRefs: [{name: tide, port: 5000}]}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: doors, namespace: mixed}
        spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: tide, namespace: mixed}
        spec: {hosts: ['*'], gateways: [doors], http: [{route: [{destination: {host: tide, port: {number: 5000}}}]}]}

        """.Replace("ENVOY", Envoy, StringComparison.Ordinal);

    [Fact]
    public async Task Each_way_gives_a_Pod_its_Envoy()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        await using var shell = await GuideShell.CreateAsync();
        await shell.WriteAsync("mesh.yaml", Mesh);
        await LabUpAsync(shell, "./mesh.yaml");
        foreach (var cluster in (string[])["cluster1", "cluster2"])
        {
            await shell.WriteAsync($"{cluster}.yaml", Workload(cluster, "") + Strict + (cluster == "cluster2" ? Gateways : ""));
            await ExpectAsync(shell, $"kubectl --context={cluster} apply -f {cluster}.yaml");
        }
        await shell.WriteAsync("chart.json", new JsonArray(new JsonObject
        {
            ["chart"] = "charts/gateway", ["name"] = "edge", ["namespace"] = "mixed", ["upgrade"] = false,
            ["values"] = new JsonObject { ["env"] = new JsonObject { ["PROXY_BINARY_PATH"] = Envoy } },
        }).ToJsonString());
        await shell.WriteAsync("edge.yaml", await RenderedAsync(shell));
        await ExpectAsync(shell, "kubectl --context=cluster2 -n mixed apply -f edge.yaml");

        await RunsAsync(shell, "cluster1", "mixed", "tide", "1");
        await RunsAsync(shell, "cluster2", "mixed", "tide", "0");
        await RunsAsync(shell, "cluster2", "istio-system", "istio-ingressgateway", "1");
        await RunsAsync(shell, "cluster2", "mixed", "front-istio", "1");
        await RunsAsync(shell, "cluster2", "mixed", "edge", "1");
        foreach (var door in (string[])["front-istio.mixed", "edge.mixed", "istio-ingressgateway.istio-system"])
            await UntilAsync(shell, $"kubectl --context=cluster2 -n mixed exec deploy/tide -c caller -- curl -sS -m 5 http://{door}/hello; true", "in-cluster");
        await EachHearsBothAsync(shell);
        foreach (var (ns, name) in new[] { ("istio-system", "istio-ingressgateway"), ("mixed", "front-istio"), ("mixed", "edge") })
            Assert.DoesNotMatch("\t(warning|error|critical)\t", await ExpectAsync(shell, $"kubectl --context=cluster2 -n {ns} logs deploy/{name}"));
    }

    /// <summary>How many processes of Envoy a Pod has.</summary>
    private static async Task RunsAsync(GuideShell shell, string cluster, string ns, string deployment, string count)
    {
        await ExpectAsync(shell, $"kubectl --context={cluster} -n {ns} rollout status deployment {deployment} --timeout=150s");
        Assert.Equal(count, (await ExpectAsync(shell,
            $"kubectl --context={cluster} -n {ns} exec deploy/{deployment} -c istio-proxy -- sh -c 'pgrep -x envoy | wc -l'")).Trim());
    }

    /// <summary>The objects of a chart, as Helm makes them.</summary>
    private static async Task<string> RenderedAsync(GuideShell shell)
    {
        var result = JsonNode.Parse(await ExpectAsync(shell, "tools/charts/render < chart.json"))![0]!;
        Assert.Equal("", result["error"]!.ToString());
        return string.Join("\n---\n", result["files"]!.AsObject().Where(file => !file.Key.EndsWith(".txt", StringComparison.Ordinal))
            .Select(file => file.Value!.ToString()));
    }
}
