using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Faults;

/// <summary>The cases of docs/faults.md that every test run checks, under a steady stream of requests.</summary>
[Collection(nameof(SharedMesh))]
[Trait("shard", nameof(SharedMesh))]
public sealed class FaultTests(MeshRig mesh)
{
    [Fact]
    public async Task A_control_plane_killed_while_a_remote_API_server_is_away_serves_what_was_known()
    {
        var lab = await mesh.LabAsync();
        var faults = new FaultRig(mesh, lab);
        await faults.ServedFromAsync("cluster1", "cluster2", "live");
        await using var load = new SteadyLoad(lab, "cluster1");
        await using var inner = new InnerLoad(mesh, "cluster2");
        await inner.BeginAsync();
        await load.UntilHeardAsync("cluster1", TimeSpan.Zero, "v1", "v2");

        await faults.LabAsync("stop", "apiserver", "--cluster", "cluster2");
        await faults.ServedFromAsync("cluster1", "cluster2", "memory");
        var killed = load.Now;
        await faults.KillAsync("cluster1", "istio-system", "istiod");
        await faults.ServedFromAsync("cluster1", "cluster2", "snapshot");
        MeshRig.Note($"serves again {MeshRig.Seconds(load.Now - killed)} after the control plane was killed");
        await faults.KnownFromAsync("cluster1", "cluster2 (snapshot");
        await load.UntilHeardAsync("cluster1", load.Now, "v1", "v2");

        await faults.LabAsync("start", "apiserver", "--cluster", "cluster2");
        var back = load.Now;
        await faults.ServedFromAsync("cluster1", "cluster2", "live");
        MeshRig.Note($"live again {MeshRig.Seconds(load.Now - back)} after the API server was");
        // Nothing is stale: a change now reaches every cluster.
        await ScaleAsync(0);
        await load.UntilHeardAsync("cluster1", load.Now, "v1");
        await ScaleAsync(1);
        await load.UntilHeardAsync("cluster1", load.Now, "v1", "v2");
        await faults.AgreesAsync();
        AllAnswered(await load.FinishAsync(0));
        await inner.FinishAndCheckAsync();
    }

    [Fact]
    public async Task Credentials_change_without_an_endpoint_leaving_and_those_before_can_be_taken_back()
    {
        var lab = await mesh.LabAsync();
        var faults = new FaultRig(mesh, lab);
        await using var load = new SteadyLoad(lab);
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, TimeSpan.Zero, "v1", "v2");
        var begun = load.Now;

        var before = await TokensAsync();
        await ApplySecretAsync(lab, "--rotate");
        Assert.Equal(before.Length + 1, (await TokensAsync()).Length);
        await WatchedWithAsync("changed credentials");
        foreach (var token in before) await mesh.KubectlAsync("cluster2", $"-n istio-system delete {token}");
        await ApplySecretAsync(lab, "--token-duration=1h");
        await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("remote-clusters", "--context=cluster1", "-o", "json")).Output,
            text => text.Contains("credentialsExpire", StringComparison.Ordinal) && text.Contains("\"live\"", StringComparison.Ordinal),
            "the end of the token is told");

        // A Secret that does not work changes nothing but the report about it.
        await ApplySecretAsync(lab, "", yaml => System.Text.RegularExpressions.Regex.Replace(yaml, "token: .*", "token: nobody"));
        await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("remote-clusters", "--context=cluster1")).Output,
            text => text.Contains("the previous ones stay in effect", StringComparison.Ordinal), "the refused credentials are told");
        var steady = (await load.FinishAsync(0)).Where(answer => answer.At > begun).ToList();
        AllAnswered(steady);
        foreach (var cluster in MeshRig.Clusters)
        {
            // Each endpoint gives half of the answers. A run of 30 from one alone would mean that an endpoint is gone.
            var heard = steady.Where(answer => answer.Cluster == cluster).Select(answer => answer.Version).ToList();
            for (var i = 0; i + 30 <= heard.Count; i++)
                Assert.True(heard.Skip(i).Take(30).Distinct().Count() == 2, $"{cluster}: one version alone from answer {i} of {heard.Count}");
        }
        await ApplySecretAsync(lab, "");
        await faults.ServedFromAsync("cluster1", "cluster2", "live");
        await faults.AgreesAsync();
    }

    [Fact]
    public async Task A_cluster_that_loses_its_power_takes_nothing_with_it_and_comes_back_whole()
    {
        var lab = await mesh.LabAsync();
        var faults = new FaultRig(mesh, lab);
        await using var load = new SteadyLoad(lab, "cluster1");
        await load.UntilHeardAsync("cluster1", TimeSpan.Zero, "v1", "v2");
        await faults.LabAsync("stop", "cluster", "--cluster", "cluster2");
        await load.UntilHeardAsync("cluster1", load.Now, "v1");
        await faults.ServedFromAsync("cluster1", "cluster2", "memory");
        await faults.LabAsync("start", "cluster", "--cluster", "cluster2");
        await load.UntilHeardAsync("cluster1", load.Now, "v1", "v2");
        foreach (var ns in (string[])["istio-system", "sample"]) await mesh.ReadyAsync("cluster2", ns);
        await faults.ServedFromAsync("cluster1", "cluster2", "live");
        await faults.AgreesAsync();
        // Requests in flight to the failed cluster are lost: that is one request at a time.
        Expect(await load.FinishAsync(0), atMost: 1);
    }

    [Fact]
    public async Task A_gateway_that_leaves_loses_no_request_even_where_it_is_the_only_way()
    {
        var lab = await mesh.LabAsync();
        var faults = new FaultRig(mesh, lab);
        await mesh.KubectlAsync("cluster1", "-n sample scale deployment/helloworld-v1 --replicas=0");
        await using var load = new SteadyLoad(lab, "cluster1");
        await load.UntilHeardAsync("cluster1", TimeSpan.Zero, "v2");
        await faults.RestartAsync("cluster2", "istio-system", "istio-eastwestgateway");
        await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster2", "-n istio-system get pods -l app=istio-eastwestgateway -o name"),
            text => text.Trim().Split('\n').Length == 1, "the old gateway is gone");
        await load.UntilHeardAsync("cluster1", load.Now, "v2");
        AllAnswered(await load.FinishAsync(0));
        await mesh.KubectlAsync("cluster1", "-n sample scale deployment/helloworld-v1 --replicas=1");
        await mesh.ReadyAsync("cluster1", "sample");
        await faults.AgreesAsync();
    }

    private Task ScaleAsync(int replicas) => mesh.KubectlAsync("cluster2", $"-n sample scale deployment/helloworld-v2 --replicas={replicas}");

    private async Task<string[]> TokensAsync() =>
        (await mesh.KubectlAsync("cluster2", "-n istio-system get secrets --field-selector type=kubernetes.io/service-account-token -o name"))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private async Task ApplySecretAsync(Lab.LabRig lab, string option, Func<string, string>? edit = null)
    {
        string[] words = ["create-remote-secret", "--context=cluster2", "--name=cluster2", .. option.Length > 0 ? (string[])[option] : []];
        var yaml = (await lab.IsthmusAsync(words)).Expect(0);
        await mesh.WithFileAsync(edit?.Invoke(yaml) ?? yaml, path => mesh.KubectlAsync("cluster1", $"apply -f {path}"));
    }

    private Task WatchedWithAsync(string words) => MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster1", "-n istio-system logs deploy/istiod"),
        text => text.Contains(words, StringComparison.Ordinal), $"the control plane says '{words}'");

    private static void AllAnswered(IReadOnlyList<LoadAnswer> answers) => Expect(answers, atMost: 0);

    private static void Expect(IReadOnlyList<LoadAnswer> answers, int atMost)
    {
        var failed = answers.Where(answer => answer.Code != 200).ToList();
        Assert.True(failed.Count <= atMost, $"{failed.Count} of {answers.Count} failed, the first: {string.Join('\n', failed.Take(5))}");
        MeshRig.Note($"{answers.Count} answers, {failed.Count} of them not 200");
    }
}
