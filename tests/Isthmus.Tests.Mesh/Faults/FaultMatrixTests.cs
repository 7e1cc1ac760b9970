using System.Text.Json.Nodes;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Faults;

/// <summary>Every case of docs/faults.md, repeatedly in a random order (<c>./test --soak</c>).</summary>
public sealed class FaultMatrixTests(MeshRig mesh) : IClassFixture<MeshRig>
{
    /// <param name="Lost">Requests that may have been in flight in the part that failed: the caller has one at a
    /// time.</param>
    private sealed record Fault(string Name, int Lost, Func<FaultRig, SteadyLoad, Task> Happens);

    [Theory]
    [Trait("runs", "soak")]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Whatever_fails_in_whatever_order_callers_are_answered_and_nothing_stale_remains(int seed)
    {
        var lab = await mesh.LabAsync();
        var faults = new FaultRig(mesh, lab);
        var order = Faults().ToArray();
        new Random(seed).Shuffle(order);
        foreach (var fault in order)
        {
            await using var load = new SteadyLoad(lab, "cluster1");
            await load.UntilHeardAsync("cluster1", TimeSpan.Zero, "v1", "v2");
            await fault.Happens(faults, load);
            await load.UntilHeardAsync("cluster1", load.Now, "v1", "v2");
            foreach (var ns in (string[])["istio-system", "sample"])
            {
                foreach (var cluster in MeshRig.Clusters) await mesh.ReadyAsync(cluster, ns);
            }
            await faults.ServedFromAsync("cluster1", "cluster2", "live");
            await faults.ServedFromAsync("cluster2", "cluster1", "live");
            await faults.AgreesAsync();
            // Nothing is stale: a change now reaches every cluster.
            await ScaleAsync(0);
            await load.UntilHeardAsync("cluster1", load.Now, "v1");
            await ScaleAsync(1);
            await load.UntilHeardAsync("cluster1", load.Now, "v1", "v2");
            var answers = await load.FinishAsync(0);
            var failed = answers.Where(answer => answer.Code != 200).ToList();
            Assert.True(failed.Count <= fault.Lost,
                $"{fault.Name}: {failed.Count} of {answers.Count} failed, {fault.Lost} may: {string.Join('\n', failed.Take(5))}");
            MeshRig.Note($"{fault.Name}: {answers.Count} answers, {failed.Count} failed");
        }
    }

    private IEnumerable<Fault> Faults()
    {
        yield return new("API server away and back", 0, async (faults, load) =>
        {
            await faults.LabAsync("stop", "apiserver", "--cluster", "cluster2");
            await faults.ServedFromAsync("cluster1", "cluster2", "memory");
            await load.UntilHeardAsync("cluster1", load.Now, "v1", "v2");
            await faults.LabAsync("start", "apiserver", "--cluster", "cluster2");
        });
        yield return new("API server away, control plane killed meanwhile", 0, async (faults, load) =>
        {
            await faults.LabAsync("stop", "apiserver", "--cluster", "cluster2");
            await faults.KillAsync("cluster1", "istio-system", "istiod");
            await faults.KnownFromAsync("cluster1", "cluster2 (snapshot");
            await load.UntilHeardAsync("cluster1", load.Now, "v1", "v2");
            await faults.LabAsync("start", "apiserver", "--cluster", "cluster2");
        });
        foreach (var cluster in MeshRig.Clusters)
            yield return new($"control plane of {cluster} killed", 0, (faults, _) => faults.KillAsync(cluster, "istio-system", "istiod"));
        yield return new("gateway killed", 1, (faults, _) => faults.KillAsync("cluster2", "istio-system", "istio-eastwestgateway"));
        yield return new("gateway drained", 0, (faults, _) => faults.RestartAsync("cluster2", "istio-system", "istio-eastwestgateway"));
        yield return new("gateway moved to another address", 1, async (faults, load) =>
        {
            var pool = (await (await mesh.LabAsync()).StatusAsync())["clusters"]!.AsArray()
                .Single(item => item!["name"]!.ToString() == "cluster2")!["loadBalancerPool"]!.ToString();
            var other = pool[..(pool.LastIndexOf('.') + 1)] + "77";
            foreach (var address in (string[])[other, ""])
            {
                await mesh.KubectlAsync("cluster2",
                    $"-n istio-system patch service istio-eastwestgateway --type=merge -p {{\"spec\":{{\"loadBalancerIP\":\"{address}\"}}}}");
                await load.UntilHeardAsync("cluster1", load.Now, "v1", "v2");
                if (address == other) await faults.KnownFromAsync("cluster1", other);
            }
        });
        yield return new("networks cut apart and joined again", 1, async (faults, load) =>
        {
            await faults.CutAsync("cluster2", "cluster1");
            await load.UntilHeardAsync("cluster1", load.Now, "v1");
            await faults.ServedFromAsync("cluster1", "cluster2", "memory");
            await faults.HealAsync("cluster2");
        });
        yield return new("a cluster without power", 1, async (faults, load) =>
        {
            await faults.LabAsync("stop", "cluster", "--cluster", "cluster2");
            await load.UntilHeardAsync("cluster1", load.Now, "v1");
            await faults.LabAsync("start", "cluster", "--cluster", "cluster2");
        });
        yield return new("remote secret removed and restored", 0, async (faults, load) =>
        {
            var secret = JsonNode.Parse(await mesh.KubectlAsync("cluster1", "-n istio-system get secret istio-remote-secret-cluster2 -o json"))!;
            foreach (var field in (string[])["resourceVersion", "uid", "creationTimestamp"]) secret["metadata"]!.AsObject().Remove(field);
            await mesh.KubectlAsync("cluster1", "-n istio-system delete secret istio-remote-secret-cluster2");
            await load.UntilHeardAsync("cluster1", load.Now, "v1");
            await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster1", "-n istio-system get configmaps -l isthmus.internal/last-known -o name"),
                text => text.Length == 0, "the snapshot goes with the secret");
            await mesh.WithFileAsync(secret.ToJsonString(), path => mesh.KubectlAsync("cluster1", $"create -f {path}"));
        });
        yield return new("everything restarted", 0, async (faults, _) =>
        {
            (string Cluster, string Namespace, string Name)[] parts =
            [
                ("cluster1", "istio-system", "istiod"), ("cluster2", "istio-system", "istiod"), ("cluster1", "istio-system", "istio-eastwestgateway"),
                ("cluster2", "istio-system", "istio-eastwestgateway"),
                ("cluster1", "sample", "helloworld-v1"), ("cluster2", "sample", "helloworld-v2"),
            ];
            new Random(7).Shuffle(parts);
            foreach (var (cluster, ns, name) in parts) await faults.RestartAsync(cluster, ns, name);
        });
    }

    private Task ScaleAsync(int replicas) => mesh.KubectlAsync("cluster2", $"-n sample scale deployment/helloworld-v2 --replicas={replicas}");
}
