using System.Text.Json.Nodes;
using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>The faults of docs/faults.md for clusters that are joined only by <c>.global</c> names, repeatedly in a random
/// order.</summary>
public sealed class GlobalFaultTests(GlobalMesh mesh) : IClassFixture<GlobalMesh>
{
    private const string System = "istio-system";

    [Theory]
    [Trait("runs", "soak")]
    [InlineData(1)]
    public async Task Whatever_fails_callers_by_global_names_are_answered(int seed)
    {
        var faults = Faults(new FaultRig(mesh, await mesh.LabAsync())).ToArray();
        new Random(seed).Shuffle(faults);
        foreach (var fault in faults) await SurviveAsync(fault);
    }

    private async Task SurviveAsync(TopologyFault fault)
    {
        var lab = await mesh.LabAsync();
        string[] asked = [.. MeshRig.Clusters.Except([fault.WithoutApiServer, fault.WithoutPower])];
        await using var load = new SteadyLoad(lab, mesh.Calls, asked);
        await using var inner = fault.WithoutApiServer.Length > 0 ? new InnerLoad(mesh, fault.WithoutApiServer) : null;
        if (inner is not null) await inner.BeginAsync();
        await HeardAsync(load, asked);
        var begun = load.Now;
        await fault.Happens(load);
        foreach (var cluster in MeshRig.Clusters)
        {
            foreach (var ns in (string[])[System, GlobalMesh.Namespace, "kube-system"]) await mesh.ReadyAsync(cluster, ns);
        }
        await HeardAsync(load, asked);
        await ExportedAnswersAsync();
        await AgreesAsync();
        MeshRig.Note($"{fault.Name}: {MeshRig.Seconds(load.Now - begun)}");
        if (inner is not null) await inner.FinishAndCheckAsync(fault.Lost);
        foreach (var answers in (await load.FinishAsync(0)).GroupBy(answer => answer.Cluster))
        {
            var failed = answers.Where(answer => answer.Code != 200).ToList();
            Assert.True(failed.Count <= fault.Lost,
                $"{fault.Name}: {failed.Count} of {answers.Count()} from {answers.Key} failed, {fault.Lost} may: {string.Join('\n', failed.Take(5))}");
            MeshRig.Note($"{fault.Name}: {answers.Count()} answers in {answers.Key}, {failed.Count} of them not 200");
        }
        await using var back = new SteadyLoad(lab, mesh.Calls, MeshRig.Clusters);
        await HeardAsync(back, MeshRig.Clusters);
    }

    private IEnumerable<TopologyFault> Faults(FaultRig rig)
    {
        foreach (var cluster in MeshRig.Clusters)
        {
            yield return new($"control plane of {cluster} killed", _ => rig.KillAsync(cluster, System, "istiod"));
            // Nobody watches the cluster, so nobody notices.
            yield return new($"API server of {cluster} away and back", async load =>
            {
                await rig.LabAsync("stop", "apiserver", "--cluster", cluster);
                await HeardAsync(load, [GlobalMesh.Other(cluster)]);
                await rig.LabAsync("start", "apiserver", "--cluster", cluster);
            })
            { WithoutApiServer = cluster };
        }
        yield return new("one of two gateways killed", async load =>
        {
            var pods = await mesh.KubectlAsync("cluster2", $"-n {System} get pods -l app={GlobalMesh.Gateway} -o name");
            await mesh.KubectlAsync("cluster2", $"-n {System} delete {pods.Split('\n')[0]} --force --grace-period=0");
            await HeardAsync(load, MeshRig.Clusters);
        })
        { Lost = 1 };
        yield return new("both gateways killed", _ => rig.KillAsync("cluster2", System, GlobalMesh.Gateway)) { Lost = 1 };
        yield return new("gateways drained", _ => rig.RestartAsync("cluster2", System, GlobalMesh.Gateway));
        yield return new("gateway moved to another address", load => MovedAsync(rig, load)) { Lost = 1 };
        yield return new("DNS restarted", _ => ResolvingAsync(async () =>
        {
            await rig.RestartAsync("cluster1", System, "istiocoredns");
            await rig.RestartAsync("cluster1", "kube-system", "coredns");
        }));
        // Names that were resolved before keep working while their server is down.
        yield return new("istiocoredns killed", _ => ResolvingAsync(() => rig.KillAsync("cluster1", System, "istiocoredns")));
        yield return new("networks cut apart and joined again", async load =>
        {
            await rig.CutAsync("cluster2", "cluster1");
            foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, load.Now, GlobalMesh.Version(cluster));
            await rig.HealAsync("cluster2");
        })
        { Lost = 1 };
        yield return new("a cluster without power", async load =>
        {
            await rig.LabAsync("stop", "cluster", "--cluster", "cluster2");
            await load.UntilHeardAsync("cluster1", load.Now, "v1");
            await rig.LabAsync("start", "cluster", "--cluster", "cluster2");
        })
        { WithoutPower = "cluster2", Lost = 1 };
    }

    /// <summary>Nothing informs the other cluster: callers with the old address reach another gateway until the export is
    /// repeated.</summary>
    private async Task MovedAsync(FaultRig rig, SteadyLoad load)
    {
        var lab = await mesh.LabAsync();
        var pool = (await lab.StatusAsync())["clusters"]!.AsArray().Single(item => item!["name"]!.ToString() == "cluster2")!["loadBalancerPool"]!.ToString();
        var range = pool[..(pool.LastIndexOf('.') + 1)];
        foreach (var address in (string[])[range + "77", range + "78"])
        {
            await mesh.KubectlAsync("cluster2",
                $"-n {System} patch service {GlobalMesh.Gateway} --type=merge -p {{\"spec\":{{\"loadBalancerIP\":\"{address}\"}}}}");
            await MeshRig.UntilAsync(GatewayAsync, text => text == address, $"the gateway has the address {address}");
            // Existing connections keep the old address. These end with the gateways.
            await rig.RestartAsync("cluster2", System, GlobalMesh.Gateway);
            await load.UntilHeardAsync("cluster1", load.Now, "v1");
            (await lab.IsthmusAsync("global", "export", $"{GlobalMesh.Namespace}/only", "--context=cluster2", "--to", "cluster1")).Expect(0);
            await mesh.EnterAsync("cluster1");
            await HeardAsync(load, MeshRig.Clusters);
            await ExportedAnswersAsync();
        }
    }

    private Task<string> GatewayAsync() =>
        mesh.KubectlAsync("cluster2", $"-n {System} get service {GlobalMesh.Gateway} -o jsonpath={{.status.loadBalancer.ingress[0].ip}}");

    /// <summary>Calls repeatedly while something happens. Each call is a new process, which resolves the name
    /// again.</summary>
    private async Task ResolvingAsync(Func<Task> happens)
    {
        await ResolveAsync();
        var over = happens();
        while (!over.IsCompleted) await ResolveAsync();
        await over;
        await ResolveAsync();
    }

    private async Task ResolveAsync()
    {
        var codes = await mesh.ScriptAsync("cluster1", GlobalMesh.Namespace, "deploy/caller", "shell",
            "for i in $(seq 20); do curl -sS -m 20 -o /dev/null -w '%{http_code} %{errormsg}\\n' " + mesh.Calls.Url + "; done 2>&1; true");
        Assert.All(codes.Split('\n', StringSplitOptions.RemoveEmptyEntries), code => Assert.StartsWith("200", code, StringComparison.Ordinal));
    }

    /// <summary>Checks that calls through the objects of <c>isthmus global export</c> are answered only through the other
    /// cluster's gateway.</summary>
    private Task ExportedAnswersAsync() => MeshRig.UntilAsync(
        () => mesh.ScriptAsync("cluster1", GlobalMesh.Namespace, "deploy/caller", "shell", "curl -sS -m 5 only.sample.global:5000/hello 2>&1; true"),
        text => text.Contains("version: v2,", StringComparison.Ordinal), "only.sample.global answers in cluster1");

    private async Task AgreesAsync()
    {
        var lab = await mesh.LabAsync();
        foreach (var cluster in MeshRig.Clusters)
        {
            var page = JsonNode.Parse(await mesh.KubectlAsync(cluster, $"-n {System} exec deploy/istiod -- pilot-discovery request GET /debug/live?verify"))!;
            Assert.True(page["differences"]!.AsArray().Count == 0, $"{cluster}: {page["differences"]}");
            Assert.Equal(0, (int)page["failures"]!);
        }
        await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("analyze", "--output-threshold", "Warning", "--contexts",
            string.Join(',', MeshRig.Clusters))).Output,
            text => text.Contains("No validation issues found", StringComparison.Ordinal), "analyze is content");
    }

    private static async Task HeardAsync(SteadyLoad load, IEnumerable<string> callers)
    {
        var since = load.Now;
        foreach (var cluster in callers) await load.UntilHeardAsync(cluster, since, "v1", "v2");
    }
}
