using Isthmus.Testing;
using Isthmus.Tests.Mesh.Guides;
using Xunit;
using static Isthmus.Tests.Mesh.Envoys.EnvoyPods;

namespace Isthmus.Tests.Mesh.Envoys;

/// <summary>EnvoyFilters that change the bootstrap of a real Envoy: it starts with it, and its agent names them if it does not take it.</summary>
public sealed class EnvoyBootstrapTests
{
    private const string Asks = "kubectl --context=cluster1 -n mixed exec deploy/envoy -c istio-proxy -- curl -s localhost:15000/runtime";

    [Fact]
    public async Task A_Pod_that_starts_has_what_EnvoyFilters_say_and_names_them_if_its_Envoy_refuses()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        await using var shell = await GuideShell.CreateAsync();
        await shell.WriteAsync("mesh.yaml", OneCluster);
        await LabUpAsync(shell, "./mesh.yaml");
        await shell.WriteAsync("own.yaml", Workload("own", "", "own"));
        await shell.WriteAsync("envoy.yaml", Workload("envoy", ByEnvoy, "envoy") + Strict);
        await ExpectAsync(shell, """
            kubectl --context=cluster1 apply -f own.yaml -f envoy.yaml
            for name in own envoy; do kubectl --context=cluster1 -n mixed rollout status deployment $name --timeout=100s; done
            """);
        var applied = await PatchAsync(shell, "layeredRuntime: {layers: [{name: own, static_layer: {isthmus.test: 7}}]}");
        Assert.Contains("Envoys read their bootstrap when they start, and proxies of Isthmus have none: the patch applies only to Pods whose proxy is Envoy",
            applied, StringComparison.Ordinal);
        Assert.Contains("1 Pod gets nothing of it", applied, StringComparison.Ordinal);
        Assert.DoesNotContain("isthmus.test", await ExpectAsync(shell, Asks), StringComparison.Ordinal);
        await ExpectAsync(shell, Restarts + "kubectl --context=cluster1 -n mixed rollout status deployment envoy --timeout=100s");
        await UntilAsync(shell, Asks, "\"isthmus.test\"");
        foreach (var caller in (string[])["own", "envoy"]) await HearsAsync(shell, "cluster1", caller, "tide", "in-envoy in-own");

        await PatchAsync(shell, "stats_flush_interval: soon");
        await ExpectAsync(shell, Restarts);
        await UntilAsync(shell, "kubectl --context=cluster1 -n mixed logs -l pod=envoy -c istio-proxy --tail=20; true",
            "EnvoyFilters change its bootstrap (applyTo: BOOTSTRAP)");
        await ExpectAsync(shell, """
            kubectl --context=cluster1 -n mixed delete envoyfilter start
            kubectl --context=cluster1 -n mixed rollout status deployment envoy --timeout=100s
            """);
        await UntilAsync(shell, $"{Asks} | grep -c isthmus.test", "0");
    }

    private const string Restarts = "kubectl --context=cluster1 -n mixed rollout restart deployment envoy\n";

    private static async Task<string> PatchAsync(GuideShell shell, string value)
    {
        await shell.WriteAsync("start.yaml", $$"""
            apiVersion: networking.istio.io/v1alpha3
            kind: EnvoyFilter
            metadata: {name: start, namespace: mixed}
            spec: {configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: { {{value}} } } }]}
            """);
        return await ExpectAsync(shell, "kubectl --context=cluster1 apply -f start.yaml 2>&1");
    }
}
