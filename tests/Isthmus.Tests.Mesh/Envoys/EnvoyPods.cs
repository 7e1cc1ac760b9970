using Isthmus.Testing;
using Isthmus.Tests.Mesh.Guides;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Envoys;

/// <summary>Labs whose Pods may have the program of Envoy, and Pods that have it as their data plane.</summary>
internal static class EnvoyPods
{
    internal const string ByEnvoy = """proxy.istio.io/config: "{binaryPath: /usr/local/bin/envoy, proxyMetadata: {SECRET_TTL: 40s}}" """;

    internal const string OneCluster = """
        apiVersion: mesh.isthmus.internal/v1alpha1
        kind: Mesh
        metadata: {name: mesh1}
        spec: {install: {profile: minimal}, clusters: [{name: cluster1}]}
        """;

    private const string Manifest = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: mixed, labels: {istio-injection: enabled}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: tide, namespace: mixed}
        spec: {selector: {app: tide}, ports: [{name: http, port: 5000}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: NAME, namespace: mixed}
        spec:
          selector: {matchLabels: {app: tide, pod: NAME}}
          template:
            metadata: {labels: {app: tide, pod: NAME}, annotations: {ANNOTATIONS}}
            spec:
              terminationGracePeriodSeconds: 10
              containers:
              - {name: web, image: docker.io/istio/examples-helloworld-v1:1.0, env: [{name: SERVICE_VERSION, value: in-WHERE}]}
              - {name: caller, image: host.lab.internal/rootfs, command: [sleep, infinity]}

        """;

    /// <summary>A Pod that calls, and answers as <c>in-VERSION</c> for the Service <c>tide</c>, in the namespace <c>mixed</c>.</summary>
    internal static string Workload(string version, string annotations, string name = "tide") =>
        Manifest.Replace("NAME", name, StringComparison.Ordinal).Replace("WHERE", version, StringComparison.Ordinal)
            .Replace("ANNOTATIONS", annotations, StringComparison.Ordinal);

    /// <summary>For a cluster in whose API server a control plane reads the mesh's objects.</summary>
    internal const string Strict = """
        ---
        apiVersion: security.istio.io/v1
        kind: PeerAuthentication
        metadata: {name: default, namespace: mixed}
        spec: {mtls: {mode: STRICT}}

        """;

    internal static Task LabUpAsync(GuideShell shell, string topology) =>
        ExpectAsync(shell, $"ISTHMUS_LAB_ENVOY='{RealEnvoy.Find()}' isthmus lab up --topology {topology}");

    /// <summary>Gives a gateway an Envoy.</summary>
    internal static async Task BecomesEnvoyAsync(GuideShell shell, string cluster, string gateway)
    {
        await shell.WriteAsync("gateway.yaml", "spec: {template: {metadata: {annotations: {proxy.istio.io/config: 'binaryPath: /usr/local/bin/envoy'}}}}\n");
        await ExpectAsync(shell, $"""
            kubectl --context={cluster} -n istio-system patch deployment {gateway} --patch-file gateway.yaml
            kubectl --context={cluster} -n istio-system rollout status deployment {gateway} --timeout=100s
            kubectl --context={cluster} -n istio-system exec deploy/{gateway} -- pgrep -x envoy
            """);
    }

    /// <summary>Changes take a moment to pass between clusters: the caller repeats its calls until it has heard all.</summary>
    internal static Task<string> HearsAsync(GuideShell shell, string cluster, string caller, string host, string wanted) => UntilAsync(shell,
        $"kubectl --context={cluster} -n mixed exec deploy/{caller} -c caller -- sh -c 'for i in $(seq 20); do curl -sS -m 5 {host}:5000/hello; done' | grep "
            + "-o 'in-[a-z0-9]*' | sort -u | paste -sd' '",
        wanted);

    internal static async Task EachHearsBothAsync(GuideShell shell)
    {
        foreach (var caller in (string[])["cluster1", "cluster2"]) await HearsAsync(shell, caller, "tide", "tide", "in-cluster1 in-cluster2");
    }

    internal static Task<string> UntilAsync(GuideShell shell, string command, string wanted) =>
        MeshRig.UntilAsync(async () => (await shell.RunAsync(command)).Output, text => text.Contains(wanted, StringComparison.Ordinal), $"{command}: {wanted}");

    internal static async Task<string> ExpectAsync(GuideShell shell, string command)
    {
        var (code, output) = await shell.RunAsync($"set -e\n{command}");
        Assert.True(code == 0, $"exit status {code} of {command}\n{output}");
        return output;
    }
}
