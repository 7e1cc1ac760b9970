using Isthmus.Testing;
using Isthmus.Tests.Mesh.Guides;
using Xunit;
using static Isthmus.Tests.Mesh.Envoys.EnvoyPods;

namespace Isthmus.Tests.Mesh.Envoys;

/// <summary>Every topology of <c>isthmus mesh template</c> with real Envoys on one side and our proxies on the other, under mutual TLS. Two networks
/// are in <see cref="EnvoyPlaneTests"/>.</summary>
public sealed class EnvoyTopologyTests
{
    /// <param name="template">The topology.</param>
    /// <param name="envoys">The cluster whose Pods have Envoys.</param>
    /// <param name="gateway">A gateway of cluster1 that has one; empty: there is none.</param>
    /// <param name="primaries">The clusters with control planes.</param>
    [Theory]
    [InlineData("multi-primary", "cluster2", "", "cluster1 cluster2")]
    [InlineData("primary-remote", "cluster2", "istio-eastwestgateway", "cluster1")]
    public async Task Clusters_of_one_network_hear_each_other(string template, string envoys, string gateway, string primaries)
    {
        await using var shell = await BeginAsync(template);
        await StrictAsync(shell, primaries.Split(' '));
        // Through this gateway, the other cluster's proxies reach their control plane.
        if (gateway.Length > 0) await BecomesEnvoyAsync(shell, "cluster1", gateway);
        foreach (var cluster in (string[])["cluster1", "cluster2"]) await StartAsync(shell, cluster, cluster, cluster == envoys);
        await EachHearsBothAsync(shell);
    }

    [Fact]
    public async Task Pods_of_an_external_control_plane_hear_each_other()
    {
        await using var shell = await BeginAsync("external-control-plane");
        await StrictAsync(shell, "cluster2");
        await StartAsync(shell, "cluster2", "envoy", isEnvoy: true, "envoys");
        await StartAsync(shell, "cluster2", "own", isEnvoy: false, "owns");
        foreach (var caller in (string[])["envoys", "owns"]) await HearsAsync(shell, "cluster2", caller, "tide", "in-envoy in-own");
    }

    [Fact]
    public async Task Replicated_control_planes_call_each_others_global_names()
    {
        await using var shell = await BeginAsync("replicated-control-planes");
        await StrictAsync(shell, "cluster1", "cluster2");
        await BecomesEnvoyAsync(shell, "cluster1", "istio-ingressgateway");
        await StartAsync(shell, "cluster1", "cluster1", isEnvoy: true, "envoys");
        await StartAsync(shell, "cluster2", "cluster2", isEnvoy: false, "owns");
        await shell.WriteAsync("wave.yaml", """
            apiVersion: v1
            kind: Service
            metadata: {name: wave, namespace: mixed}
            spec: {selector: {app: tide}, ports: [{name: http, port: 5000}]}
            """);
        // A name that both clusters export leads to the own one.
        await ExpectAsync(shell, """
            kubectl --context=cluster1 apply -f wave.yaml
            isthmus global export mixed/wave --context=cluster1 --to cluster2
            isthmus global export mixed/tide --context=cluster2 --to cluster1
            """);
        await HearsAsync(shell, "cluster1", "envoys", "tide.mixed.global", "in-cluster2");
        await HearsAsync(shell, "cluster2", "owns", "wave.mixed.global", "in-cluster1");
    }

    private static async Task<GuideShell> BeginAsync(string template)
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        var shell = await GuideShell.CreateAsync();
        try
        {
            await ExpectAsync(shell, $"isthmus mesh template {template} > mesh.yaml");
            await LabUpAsync(shell, "./mesh.yaml");
        }
        catch
        {
            await shell.DisposeAsync();
            throw;
        }
        return shell;
    }

    private static async Task StrictAsync(GuideShell shell, params string[] clusters)
    {
        await shell.WriteAsync("strict.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: mixed, labels: {istio-injection: enabled}}\n" + Strict);
        foreach (var cluster in clusters) await ExpectAsync(shell, $"kubectl --context={cluster} apply -f strict.yaml");
    }

    private static async Task StartAsync(GuideShell shell, string cluster, string version, bool isEnvoy, string name = "tide")
    {
        await shell.WriteAsync($"{name}.yaml", Workload(version, isEnvoy ? ByEnvoy : "", name));
        await ExpectAsync(shell, $"""
            kubectl --context={cluster} apply -f {name}.yaml
            kubectl --context={cluster} -n mixed rollout status deployment {name} --timeout=100s
            kubectl --context={cluster} -n mixed exec deploy/{name} -c istio-proxy -- sh -c '{(isEnvoy ? "" : "! ")}pgrep -x envoy'
            """);
    }
}
