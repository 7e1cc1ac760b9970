using Isthmus.Tests.Mesh.Guides;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Envoys;

/// <summary>Meshes that no guide describes, each from one file: other combinations of primaries, remotes and shared
/// networks.</summary>
public sealed class MixedMeshTests
{
    private const string Head = "apiVersion: mesh.isthmus.internal/v1alpha1\nkind: Mesh\nmetadata: {name: mixed}\nspec:\n  install: {profile: minimal}\n";

    /// <summary>One Service in every cluster. Its answers name the cluster, and a caller runs next to it.</summary>
    private const string Workload = """
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
        metadata: {name: tide, namespace: mixed}
        spec:
          selector: {matchLabels: {app: tide}}
          template:
            metadata: {labels: {app: tide}}
            spec:
              terminationGracePeriodSeconds: 1
              containers:
              - {name: web, image: docker.io/istio/examples-helloworld-v1:1.0, env: [{name: SERVICE_VERSION, value: in-CLUSTER}]}
              - {name: caller, image: host.lab.internal/rootfs, command: [sleep, infinity]}
        """;

    [Fact]
    public async Task A_remote_with_two_primaries_goes_on_with_one_of_them()
    {
        await using var shell = await GuideShell.CreateAsync();
        string[] clusters = ["cluster1", "cluster2", "cluster3"];
        await UpAsync(shell, clusters, """
              networks: [{name: north}, {name: south}]
              clusters:
              - {name: cluster1, network: north}
              - {name: cluster2, network: north}
              - {name: cluster3, network: south, primaries: [cluster1, cluster2]}
            """);
        await EverybodyReachesEverybodyAsync(shell, clusters);

        await ExpectAsync(shell, """
            kubectl --context=cluster1 -n istio-system scale deployment istiod --replicas=0
            kubectl --context=cluster1 -n istio-system wait --for=delete pod -l app=istiod --timeout=60s
            kubectl --context=cluster3 -n mixed rollout restart deployment tide
            kubectl --context=cluster3 -n mixed rollout status deployment tide --timeout=100s
            """);
        await EverybodyReachesEverybodyAsync(shell, ["cluster3"], clusters);
    }

    [Theory]
    [Trait("runs", "soak")]
    [InlineData("three networks where one has two clusters", 4, """
          networks: [{name: north}, {name: south}, {name: west}]
          clusters:
          - {name: cluster1, network: north}
          - {name: cluster2, network: south}
          - {name: cluster3, network: south}
          - {name: cluster4, network: west}
        """)]
    [InlineData("two primaries, each with a remote", 4, """
          networks: [{name: north}, {name: south}]
          clusters:
          - {name: cluster1, network: north}
          - {name: cluster2, network: south, primaries: [cluster1]}
          - {name: cluster3, network: south}
          - {name: cluster4, network: north, primaries: [cluster3]}
        """)]
    [InlineData("three clusters on one network", 3, """
          clusters: [{name: cluster1}, {name: cluster2}, {name: cluster3}]
        """)]
    [InlineData("five clusters on five networks", 5, """
          networks: [{name: n1}, {name: n2}, {name: n3}, {name: n4}, {name: n5}]
          clusters:
          - {name: cluster1, network: n1}
          - {name: cluster2, network: n2}
          - {name: cluster3, network: n3}
          - {name: cluster4, network: n4}
          - {name: cluster5, network: n5}
        """)]
    public async Task Every_cluster_reaches_every_other(string what, int count, string spec)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(what);
        await using var shell = await GuideShell.CreateAsync();
        string[] clusters = [.. Enumerable.Range(1, count).Select(number => $"cluster{number}")];
        await UpAsync(shell, clusters, spec);
        await EverybodyReachesEverybodyAsync(shell, clusters);
    }

    private static async Task UpAsync(GuideShell shell, string[] clusters, string spec)
    {
        await shell.WriteAsync("mesh.yaml", Head + spec + "\n");
        foreach (var cluster in clusters) await shell.WriteAsync($"{cluster}.yaml", Workload.Replace("in-CLUSTER", $"in-{cluster}", StringComparison.Ordinal));
        Assert.Contains("Mesh mixed matches the file", await ExpectAsync(shell, "isthmus lab up --topology ./mesh.yaml"), StringComparison.Ordinal);
        Assert.Contains("No difference", await ExpectAsync(shell, "isthmus mesh diff -f mesh.yaml"), StringComparison.Ordinal);
        await ExpectAsync(shell, string.Join('\n', clusters.Select(cluster => $"kubectl --context={cluster} apply -f {cluster}.yaml")));
        await ExpectAsync(shell,
            string.Join('\n', clusters.Select(cluster => $"kubectl --context={cluster} -n mixed rollout status deployment tide --timeout=100s")));
        // What the new Pods changed is on its way for a moment.
        await MeshRig.UntilAsync(() => ExpectAsync(shell, $"isthmus verify --contexts {string.Join(',', clusters)}"),
            text => text.Contains("The clusters form one mesh", StringComparison.Ordinal), "verify is content");
    }

    /// <summary>Changes take a moment to pass between clusters: each caller repeats its call until it has reached all, for
    /// at most a minute.</summary>
    private static async Task EverybodyReachesEverybodyAsync(GuideShell shell, string[] callers, string[]? answering = null)
    {
        answering ??= callers;
        foreach (var caller in callers)
        {
            var heard = await ExpectAsync(shell, $$"""
                for try in $(seq 60); do
                  heard=$(kubectl --context={{caller}} -n mixed exec deploy/tide -c caller -- \
                    sh -c 'for i in $(seq 20); do curl -sS -m 5 tide.mixed:5000/hello || echo; done' \
                    | grep -o 'in-cluster[0-9]*' | sort -u | paste -sd' ')
                  [ "$(echo $heard | wc -w)" = {{answering.Length}} ] && break
                  sleep 1
                done
                echo "heard $heard"
                """);
            Assert.Contains($"heard {string.Join(' ', answering.Select(cluster => $"in-{cluster}"))}", heard, StringComparison.Ordinal);
        }
    }

    private static async Task<string> ExpectAsync(GuideShell shell, string command)
    {
        var (code, output) = await shell.RunAsync($"set -e\n{command}");
        Assert.True(code == 0, $"exit status {code} of {command}\n{output}");
        return output;
    }
}
