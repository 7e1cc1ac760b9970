using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Explain.Probing;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary><c>isthmus verify --probe</c>: Pods that call each other through the real data plane.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class ProbeTests(LoopbackMeshRig mesh)
{
    private const string Label = WellKnown.OwnDomain + "/probe", Owner = WellKnown.OwnDomain + "/probe-owner", Until = WellKnown.OwnDomain + "/probe-until";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_cluster_calls_each_and_nothing_stays_behind()
    {
        // A run on this machine that was killed, one on another machine that still may run, and one whose time is over.
        await LeaveAsync("isthmus-probe-killed", $"{Environment.MachineName}/{Environment.ProcessId}/1", TimeProvider.System.GetUtcNow().AddHours(1));
        await LeaveAsync("isthmus-probe-elsewhere", "elsewhere/1/1", TimeProvider.System.GetUtcNow().AddHours(1));
        await LeaveAsync("isthmus-probe-old", "elsewhere/1/1", TimeProvider.System.GetUtcNow().AddMinutes(-2));
        IReadOnlyList<ProbedCall> calls = [];
        // A busy machine may need longer than the seconds that a probe gives a mesh to learn of its Pods.
        await mesh.UntilAsync(async () => string.Join('\n',
            (calls = await ProbeAsync(Stop)).Where(call => !call.IsReached).Select(call => $"{call.From} → {call.To}, {call.Protocol}: {call.Error}")),
            failed => failed.Length == 0, "all calls are answered");
        Assert.Equal(12, calls.Count);
        foreach (var call in calls)
        {
            Assert.True(call.IsMutualTls, $"{call.From} → {call.To}, {call.Protocol}");
            Assert.EndsWith($"/sa/prober-{call.From[^1]}", call.Identity, StringComparison.Ordinal);
            Assert.StartsWith(call.From == call.To ? "direct, " : $"gateway ", call.Path, StringComparison.Ordinal);
            if (call.From != call.To) Assert.EndsWith($" of network{call.To[^1]}", call.Path, StringComparison.Ordinal);
        }
        await mesh.Client("cluster1").DeleteAsync(Kinds.Namespace, null, "isthmus-probe-elsewhere", Stop);
        await GoneAsync();
    }

    [Fact]
    public async Task An_interrupted_run_removes_what_it_made()
    {
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var running = ProbeAsync(interrupt.Token);
        await mesh.UntilAsync(async () => string.Join(' ', await NamespacesAsync()), found => found.Length > 0, "the run has begun");
        await interrupt.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        await GoneAsync();
    }

    private async Task<IReadOnlyList<ProbedCall>> ProbeAsync(CancellationToken stop)
    {
        var access = LoopbackMeshRig.Clusters.Select(mesh.Access).ToList();
        var facts = await Task.WhenAll(access.Select(one => new MeshFactsReader(WellKnown.SystemNamespace).ReadAsync(one.Name, one, stop)));
        using var probe = new MeshProbe(facts, access, TimeProvider.System, new Random());
        return await probe.RunAsync(Patience, stop);
    }

    private Task LeaveAsync(string name, string owner, DateTimeOffset until) => mesh.Client("cluster1").CreateAsync(Kinds.Namespace, new JsonObject
    {
        ["apiVersion"] = "v1", ["kind"] = "Namespace",
        ["metadata"] = new JsonObject
        {
            ["name"] = name, ["labels"] = new JsonObject { [Label] = "true" }, ["annotations"] = new JsonObject { [Owner] = owner, [Until] = $"{until:O}" }
        },
    }, Stop);

    private Task GoneAsync() =>
        mesh.UntilAsync(async () => string.Join(' ', await NamespacesAsync()), found => found.Length == 0, "all namespaces of probes are deleted");

    /// <summary>Those that nobody has deleted. How long the cluster takes to empty a deleted one is its own affair.</summary>
    private async Task<IEnumerable<string>> NamespacesAsync()
    {
        var lists = await Task.WhenAll(LoopbackMeshRig.Clusters.Select(cluster => mesh.Client(cluster)
            .ListAllAsync<Namespace>(Kinds.Namespace, null, new ListOptions { LabelSelector = $"{Label}=true" }, Stop)));
        return lists.SelectMany(list => list).Where(ns => ns.Metadata.DeletionTimestamp is null).Select(ns => ns.Metadata.Name);
    }
}
