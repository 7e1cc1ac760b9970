using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Diagnose.Packing;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>From what <c>isthmus bug-report</c> packed, <c>trace</c>, <c>verify</c> and <c>analyze</c> name the same faults as the running mesh, and the pack
/// holds no secret.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed partial class SnapshotTests(LoopbackMeshRig mesh, FaultyServices services)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_packed_mesh_has_the_faults_of_the_running_one()
    {
        await services.ReadyAsync(mesh);
        var expected = InjectedFault.All.Select(fault => $"{fault.Target}: {(fault.IsSeenOnlyByCall ? "" : string.Join(" | ", fault.Trace.Split(" | ")[..2]))}")
            .ToList();
        await mesh.UntilAsync(async () =>
        {
            var pack = await mesh.PackAsync();
            var found = await Task.WhenAll(
                InjectedFault.All.Select(
                    async fault => $"{fault.Target}: {Cause(await TraceAsync(pack, fault.Caller, fault.Target, fault.Request(services)))}"));
            return string.Join('\n',
                found.Zip(expected)
                    .Where(pair => !pair.First.StartsWith(pair.Second, StringComparison.Ordinal)
                        || (pair.Second.EndsWith(": ", StringComparison.Ordinal) && pair.First != pair.Second))
                    .Select(pair => $"expected {pair.Second}, found {pair.First}"));
        }, different => different.Length == 0, "the packed mesh has the same first causes");
        Assert.True(InjectedFault.All.Count(fault => !fault.IsSeenOnlyByCall) >= 30);
    }

    [Fact]
    public async Task Verify_and_analyze_find_the_same_in_a_pack()
    {
        await services.ReadyAsync(mesh);
        await mesh.UntilAsync(async () =>
        {
            var pack = await mesh.PackAsync();
            var (live, packed) = (Sorted((await mesh.VerifyAsync()).Select(problem => problem.ToString())),
                Sorted((await VerifyAsync(pack)).Select(problem => problem.ToString())));
            return live.Contains("ISM2051", StringComparison.Ordinal) || live.Contains("sidecar", StringComparison.Ordinal)
                ? Difference(live, packed)
                : "the mesh is not ready yet";
        }, different => different.Length == 0, "verify finds the same");
        await mesh.UntilAsync(async () =>
        {
            var pack = await mesh.PackAsync();
            var reader = new InventoryReader(WellKnown.SystemNamespace, proxies: 200);
            var inventories = await Task.WhenAll(pack.Contexts.Select(context => reader.ReadAsync(context, pack.Access(context), Stop)));
            var known = (await Task.WhenAll(LoopbackMeshRig.Clusters.Select(cluster => reader.ReadAsync(cluster, mesh.Access(cluster), Stop)))).Select(Trusted)
                .ToList();
            if (known.Exists(one => one.Length == 0) || !known.SequenceEqual(inventories.Select(Trusted), StringComparer.Ordinal))
                return $"proxies trust {string.Join('\n', known)}, in the pack {string.Join('\n', inventories.Select(Trusted))}";
            var packed = Analysis.Run(inventories);
            var live = (await mesh.AnalyzeAsync()).ToList();
            return live.Count > 10 ? Difference(Sorted(live.Select(Line)), Sorted(packed.Select(Line))) : "the mesh is not ready yet";
        }, different => different.Length == 0, "analyze finds the same");
    }

    /// <summary>The proxies that trust what their cluster distributes.</summary>
    private static string Trusted(ClusterInventory inventory) =>
        string.Join(", ",
            inventory.Trust.Proxies.Where(proxy => proxy.Root == inventory.Trust.InForce && proxy.Root.IsKnown)
                .Select(proxy => $"{proxy.Namespace}/{proxy.Pod}").Order(StringComparer.Ordinal));

    [Fact]
    public async Task What_a_pack_cannot_know_is_said()
    {
        await services.ReadyAsync(mesh);
        await mesh.UntilAsync(async () => TraceText.Write(await TraceAsync(await mesh.PackAsync(), "$caller", "$both:18081/hello"), details: false),
            text => text.Contains("? call", StringComparison.Ordinal)
                && text.Contains("not made: the clusters are those of a snapshot of ", StringComparison.Ordinal)
                && text.Contains("✔ The call would get through; it was not made.", StringComparison.Ordinal),
            "the call is not made");
        // The proxies were asked when the pack was made.
        MeshPack pack = null!;
        await mesh.UntilAsync(async () =>
        {
            pack = await mesh.PackAsync();
            var checks = (await Verification.RunAsync([.. pack.Contexts.Select(pack.Access)], WellKnown.SystemNamespace, pack.Time, Stop)).Checks;
            return string.Join('\n',
                checks.Where(check => check.What == "path to gateway").Select(path => path is { IsKnown: true, Problem: null } ? "known" : path.Found));
        }, paths => paths == "known\nknown", "the path to each gateway is in the pack");
        var outside = TraceText.Write(await TraceAsync(pack, "$caller", $"{services.Name("outside")}.example.com"), details: false);
        Assert.Contains("what a DNS server outside answers is not in the snapshot", outside, StringComparison.Ordinal);
        Assert.Contains("? The configuration shows no failure, but 1 hop is not known", outside, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cluster_that_does_not_answer_is_named_and_the_others_are_packed()
    {
        await services.ReadyAsync(mesh);
        var gone = new ClusterAccess { Name = "gone", Server = new("https://127.0.0.1:1") };
        var pack = await mesh.PackAsync(mesh.Access("cluster1"), gone);
        var missing = pack.Manifest.Clusters.Single(cluster => cluster.Context == "gone");
        Assert.NotEqual("", missing.Error);
        Assert.True(pack.Manifest.Clusters.Single(cluster => cluster.Context == "cluster1") is { Error: "", Proxies: > 0, ControlPlanes: 1, Objects: > 50 });
        var problems = (await VerifyAsync(pack)).ToList();
        Assert.Contains(problems, problem => problem is { Code: "ISM1001" or "ISM1002" } && problem.Object.Contains("gone", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_pack_holds_no_key_no_token_and_no_value_of_a_secret()
    {
        await services.ReadyAsync(mesh);
        var pack = await mesh.PackAsync();
        var text = pack.AllText();
        Assert.DoesNotContain("PRIVATE KEY", text, StringComparison.Ordinal);
        Assert.DoesNotMatch(Token(), text);
        var symmetric = System.Text.Json.Nodes.JsonNode.Parse(services.Tokens.Keys)!["keys"]!.AsArray()
            .First(key => key!["kty"]!.ToString() == "oct")!["k"]!.ToString();
        Assert.DoesNotContain(symmetric, text, StringComparison.Ordinal);
        Assert.Contains("RequestAuthentication", text, StringComparison.Ordinal);
        var secrets = 0;
        foreach (var secret in (await Task.WhenAll(LoopbackMeshRig.Clusters.Select(cluster => mesh.Client(cluster)
            .ListAllAsync<Secret>(Kinds.Secret, null, new(), Stop))))
            .SelectMany(list => list))
        {
            foreach (var key in secret.Data.Keys)
            {
                var value = Encoding.UTF8.GetString(secret.Bytes(key)!);
                // Certificates are public, and are in the pack where proxies have them.
                if (value.Length < 8 || value.StartsWith("-----BEGIN CERTIFICATE", StringComparison.Ordinal)) continue;
                secrets++;
                Assert.DoesNotContain(secret.Data[key], text, StringComparison.Ordinal);
                Assert.False(text.Contains(value, StringComparison.Ordinal) && key != "namespace", $"{secret.Key}, key {key}");
            }
        }
        Assert.True(secrets > 3);
        // What is found about a Secret is there in its place.
        using var client = new KubeClient(pack.Access("cluster1"));
        var remote = await client.GetAsync<Secret>(Kinds.Secret, WellKnown.SystemNamespace, "istio-remote-secret-cluster2", Stop);
        Assert.Empty(remote.Data);
        Assert.Equal("https://cluster2.test:6443", SecretFacts.Of(remote).Remote.Single().Server);
    }

    private async Task<CallTrace> TraceAsync(MeshPack pack, string caller, string target, SentRequest? sent = null)
    {
        using var run = new TraceRun([.. pack.Contexts.Select(pack.Access)], WellKnown.SystemNamespace, pack.Time, new Random());
        return await run.RunAsync(new($"deployment/{services.Fill(caller)}", services.Name("ns"), TraceTarget.Parse(services.Fill(target)), true,
            TimeSpan.FromSeconds(3)) { Sent = sent ?? SentRequest.Plain },
            Stop);
    }

    private static async Task<IEnumerable<Core.Problems.Problem>> VerifyAsync(MeshPack pack) =>
        (await Verification.RunAsync([.. pack.Contexts.Select(pack.Access)], WellKnown.SystemNamespace, pack.Time, Stop)).Checks.Select(check => check.Problem)
            .OfType<Core.Problems.Problem>();

    private string Cause(CallTrace trace) => trace.Failure?.Problem is { } problem ? services.Unfill($"{problem.Code} | {problem.Object}") : "";

    private static string Line(Finding finding) => $"{finding.Cluster} {finding.Problem}";

    private static string Sorted(IEnumerable<string> lines) => string.Join('\n', lines.Order(StringComparer.Ordinal));

    private static string Difference(string live, string packed) => live == packed ? "" : $"live:\n{live}\npacked:\n{packed}";

    [GeneratedRegex(@"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.")]
    private static partial Regex Token();
}
