using System.Text.Json.Nodes;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Faults;

/// <summary>What makes two clusters one mesh: calls continue whatever is restarted.</summary>
[Collection(nameof(SharedMesh))]
[Trait("shard", nameof(SharedMesh))]
public sealed class MeshTests(MeshRig mesh)
{
    [Fact]
    public async Task No_request_is_lost_while_parts_of_the_mesh_come_and_go()
    {
        await using var load = new SteadyLoad(await mesh.LabAsync());
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, TimeSpan.Zero, "v1", "v2");

        await CauseAsync(load, "cluster2", "-n sample scale deployment/helloworld-v2 --replicas=0", ("cluster1", ["v1"]), ("cluster2", ["v1"]));
        await CauseAsync(load, "cluster2", "-n sample scale deployment/helloworld-v2 --replicas=1", ("cluster1", ["v1", "v2"]), ("cluster2", ["v1", "v2"]));

        await RestartAsync("cluster2", "istio-system", "istio-eastwestgateway");

        var secret = JsonNode.Parse(await mesh.KubectlAsync("cluster1", "-n istio-system get secret istio-remote-secret-cluster2 -o json"))!;
        foreach (var field in (string[])["resourceVersion", "uid", "creationTimestamp"]) secret["metadata"]!.AsObject().Remove(field);
        await CauseAsync(load, "cluster1", "-n istio-system delete secret istio-remote-secret-cluster2", ("cluster1", ["v1"]), ("cluster2", ["v1", "v2"]));
        await mesh.WithFileAsync(secret.ToJsonString(),
            path => CauseAsync(load, "cluster1", $"create -f {path}", ("cluster1", ["v1", "v2"]), ("cluster2", ["v1", "v2"])));

        await RestartAsync("cluster1", "sample", "helloworld-v1");
        await RestartAsync("cluster2", "sample", "helloworld-v2");
        AllAnswered(await load.FinishAsync(2000));
    }

    [Fact]
    public async Task Each_cluster_goes_on_alone_when_both_gateways_are_gone()
    {
        await using var load = new SteadyLoad(await mesh.LabAsync());
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, TimeSpan.Zero, "v1", "v2");
        await Task.WhenAll(MeshRig.Clusters.Select(cluster => mesh.KubectlAsync(cluster,
            "-n istio-system scale deployment/istio-eastwestgateway --replicas=0")));
        await load.UntilHeardAsync("cluster1", load.Now, "v1");
        await load.UntilHeardAsync("cluster2", load.Now, "v2");
        await Task.WhenAll(MeshRig.Clusters.Select(cluster => mesh.KubectlAsync(cluster,
            "-n istio-system scale deployment/istio-eastwestgateway --replicas=1")));
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, load.Now, "v1", "v2");
        AllAnswered(await load.FinishAsync(0));
    }

    [Fact]
    public async Task A_primary_moves_to_another_revision_and_back_without_losing_a_request()
    {
        const string revision = """
            apiVersion: install.istio.io/v1alpha1
            kind: IstioOperator
            spec: {profile: minimal, revision: canary, values: {global: {meshID: mesh1, network: network1, multiCluster: {clusterName: cluster1}}}}
            """;
        var lab = await mesh.LabAsync();
        await using var load = new SteadyLoad(lab);
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, TimeSpan.Zero, "v1", "v2");
        await mesh.WithFileAsync(revision, async path => (await lab.IsthmusAsync("install", "--context=cluster1", "-y", "-f", path)).Expect(0));
        (await lab.IsthmusAsync("tag", "set", "next", "--revision", "canary", "--context=cluster1")).Expect(0);
        await MoveAsync("canary", "-n sample label --overwrite namespace sample istio-injection- istio.io/rev=next");
        var injection = (await lab.IsthmusAsync("x", "injector", "list", "--context=cluster1")).Expect(0);
        Assert.Matches(@"(?m)^sample +canary +.*\bcanary: 1\b", injection);
        Assert.Matches(@"(?m)^sample +istio-revision-tag-next +canary +\S+/\S+:\S+$", injection);
        Assert.Contains("\"/debug/syncz\"", (await lab.IsthmusAsync("x", "internal-debug", "list", "--context=cluster1")).Expect(0));
        var missing = await lab.IsthmusAsync("x", "internal-debug", "nothing", "--context=cluster1");
        missing.Expect(1);
        Assert.Matches(@"page 'nothing': does not exist \(use one of .*\bclusterz, ", missing.Errors);
        await MoveAsync("default", "-n sample label --overwrite namespace sample istio-injection=enabled istio.io/rev-");
        var gone = (await lab.IsthmusAsync("uninstall", "--revision", "canary", "-y", "--context=cluster1")).Expect(0);
        Assert.Contains("Removed MutatingWebhookConfiguration istio-revision-tag-next.", gone);
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, load.Now, "v1", "v2");
        AllAnswered(await load.FinishAsync(0));
    }

    /// <summary>A service and the gateway of cluster1 restart with proxies of another control plane.</summary>
    private async Task MoveAsync(string revision, string label)
    {
        await mesh.KubectlAsync("cluster1", label);
        await RestartAsync("cluster1", "sample", "helloworld-v1");
        var rev = $$"""{"spec":{"template":{"metadata":{"labels":{"istio.io/rev":"{{revision}}"} } } } }""".Replace(" ", "", StringComparison.Ordinal);
        await mesh.KubectlAsync("cluster1", $"-n istio-system patch deployment istio-eastwestgateway -p {rev}");
        await mesh.KubectlAsync("cluster1", "-n istio-system rollout status deployment/istio-eastwestgateway --timeout=90s");
        var lab = await mesh.LabAsync();
        await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("proxy-status", "--context=cluster1")).Expect(0), text =>
        {
            // Terminating proxies stay connected to their old control plane until they end.
            var moved = text.Split('\n')
                .Where(line => line.StartsWith("helloworld-v1-", StringComparison.Ordinal)
                    || line.StartsWith("istio-eastwestgateway-", StringComparison.Ordinal))
                .ToList();
            return moved.Count == 2 && moved.TrueForAll(line => line.Contains("istiod-canary-", StringComparison.Ordinal) == (revision == "canary"));
        }, $"the proxies ask revision {revision}");
    }

    private static void AllAnswered(IReadOnlyList<LoadAnswer> answers)
    {
        var failed = answers.Where(answer => answer.Code != 200).ToList();
        Assert.True(failed.Count == 0, $"{failed.Count} of {answers.Count} failed, the first: {string.Join('\n', failed.Take(5))}");
        MeshRig.Note($"{answers.Count} answers, all 200");
    }

    private async Task CauseAsync(SteadyLoad load, string cluster, string words, params (string Cluster, string[] Versions)[] effects)
    {
        var cause = load.Now;
        await mesh.KubectlAsync(cluster, words);
        foreach (var (heardIn, versions) in effects)
            MeshRig.Note(
                $"{words}: {heardIn} hears {string.Join(" and ", versions)} after {MeshRig.Seconds(await load.UntilHeardAsync(heardIn, cause, versions))}");
    }

    private async Task RestartAsync(string cluster, string ns, string name)
    {
        await mesh.KubectlAsync(cluster, $"-n {ns} rollout restart deployment/{name}");
        await mesh.KubectlAsync(cluster, $"-n {ns} rollout status deployment/{name} --timeout=90s");
    }
}
