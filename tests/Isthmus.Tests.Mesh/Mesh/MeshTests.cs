using System.Text.Json.Nodes;
using Xunit;

namespace Isthmus.Tests.Mesh.Mesh;

/// <summary>What makes two clusters one mesh: calls go on whatever is restarted, and any service works, not only the quickstart's.</summary>
public sealed class MeshTests(MeshRig mesh) : IClassFixture<MeshRig>
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
        await mesh.WithFileAsync(secret.ToJsonString(), path => CauseAsync(load, "cluster1", $"create -f {path}", ("cluster1", ["v1", "v2"]), ("cluster2", ["v1", "v2"])));

        await RestartAsync("cluster1", "sample", "helloworld-v1");
        await RestartAsync("cluster2", "sample", "helloworld-v2");
        AllAnswered(await load.FinishAsync(2000));
    }

    [Fact]
    public async Task Each_cluster_goes_on_alone_when_both_gateways_are_gone()
    {
        await using var load = new SteadyLoad(await mesh.LabAsync());
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, TimeSpan.Zero, "v1", "v2");
        await Task.WhenAll(MeshRig.Clusters.Select(cluster => mesh.KubectlAsync(cluster, "-n istio-system scale deployment/istio-eastwestgateway --replicas=0")));
        await load.UntilHeardAsync("cluster1", load.Now, "v1");
        await load.UntilHeardAsync("cluster2", load.Now, "v2");
        await Task.WhenAll(MeshRig.Clusters.Select(cluster => mesh.KubectlAsync(cluster, "-n istio-system scale deployment/istio-eastwestgateway --replicas=1")));
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, load.Now, "v1", "v2");
        AllAnswered(await load.FinishAsync(0));
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
            MeshRig.Note($"{words}: {heardIn} hears {string.Join(" and ", versions)} after {MeshRig.Seconds(await load.UntilHeardAsync(heardIn, cause, versions))}");
    }

    private async Task RestartAsync(string cluster, string ns, string name)
    {
        await mesh.KubectlAsync(cluster, $"-n {ns} rollout restart deployment/{name}");
        await mesh.KubectlAsync(cluster, $"-n {ns} rollout status deployment/{name} --timeout=90s");
    }
}
