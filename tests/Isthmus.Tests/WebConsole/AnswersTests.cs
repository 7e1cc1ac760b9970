using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Tests.LoopbackMesh;
using Isthmus.Testing;
using Isthmus.WebConsole.Answers;
using Isthmus.WebConsole.Picture;
using Isthmus.WebConsole.Reading;
using Isthmus.WebConsole.Serving;
using Isthmus.WebConsole.Traffic;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>The calls of the page, against running control planes and proxies.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class AnswersTests(LoopbackMeshRig mesh)
{
    private const string Gateway = "istio-eastwestgateway", System = "istio-system";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string GatewayPod => mesh.Pod("cluster1", System, Gateway).Pod.Metadata.Name;

    private async Task UseAsync(Func<MeshState, IReadOnlyDictionary<string, Answer>, Task> use)
    {
        var clusters = LoopbackMeshRig.Clusters.Select(mesh.Access).ToList();
        using var reader = new MeshStateReader(clusters, WellKnown.SystemNamespace, TimeProvider.System);
        MeshState? read = null;
        // A cluster that does not answer in time is shown as such, and read again later.
        await mesh.UntilAsync(async () => string.Concat((read = await reader.ReadAsync(Stop)).Clusters.Select(cluster => cluster.Facts.Error)),
            errors => errors.Length == 0, "both clusters answer");
        var state = read!;
        await use(state, new PageAnswers(clusters, WellKnown.SystemNamespace, reader, TimeProvider.System).All(() => state, () => [], () => { }));
    }

    [Fact]
    public Task The_picture_has_both_clusters_and_their_proxies_answer() => UseAsync(async (state, _) =>
    {
        var topology = TopologyBuilder.Build(state);
        Assert.Equal(["cluster1", "cluster2"], topology.Clusters.Select(cluster => cluster.Name));
        Assert.All(topology.Clusters, cluster => Assert.Equal(("", 1), (cluster.Error, cluster.ControlPlanes.Count)));
        Assert.Contains(new WatchLine("cluster1", "cluster2", "synced", ""), topology.Watches);
        using var reader = new MeshStateReader([.. LoopbackMeshRig.Clusters.Select(mesh.Access)], WellKnown.SystemNamespace, TimeProvider.System);
        using var sampler = new TrafficSampler(reader.Client, TimeProvider.System);
        List<ProxyPlace> places = [new(mesh.Access("cluster1"), System, GatewayPod)];
        await SilentAsync("");
        await SilentAsync("");
        places.Add(new(mesh.Access("cluster1"), System, "gone"));
        await SilentAsync($"cluster1/{System}/gone");

        // On a busy machine, a proxy may be late.
        Task SilentAsync(string wanted) => mesh.UntilAsync(async () =>
        {
            await sampler.SampleAsync(places, Stop);
            return string.Join(' ', sampler.Silent.Select(proxy => proxy.Key));
        }, silent => silent == wanted, $"only '{wanted}' gives no answer");
    });

    [Fact]
    public async Task Services_are_known_before_the_control_planes_are_asked()
    {
        using var reader = new MeshStateReader([.. LoopbackMeshRig.Clusters.Select(mesh.Access)], WellKnown.SystemNamespace, TimeProvider.System);
        MeshState early = null!, whole = null!;
        await mesh.UntilAsync(async () =>
        {
            whole = await reader.ReadAsync(Stop, part => early = part);
            return string.Join('\n', whole.Clusters.Select(cluster => $"{cluster.Facts.ControlPlanes.Count} {cluster.Facts.Error}"));
        }, _ => whole.Clusters.All(cluster => cluster.Facts is { Error: "", ControlPlanes.Count: > 0 }), "both clusters are read");
        Assert.All(early.Clusters, cluster => Assert.Equal((true, 0), (cluster.IsPart, cluster.Facts.ControlPlanes.Count)));
        Assert.All(whole.Clusters, cluster => Assert.Equal((false, 1), (cluster.IsPart, cluster.Facts.ControlPlanes.Count)));
        Assert.Equal(whole.Clusters.Select(cluster => cluster.Services.Count), early.Clusters.Select(cluster => cluster.Services.Count));
    }

    [Fact]
    public Task A_service_has_its_endpoints_and_what_each_control_plane_knows_of_them() => UseAsync(async (_, answers) =>
    {
        JsonNode page = new JsonObject();
        await mesh.UntilAsync(
            async () => (page = (await answers["service"](new() { ["namespace"] = System, ["name"] = Gateway }, Stop))!)["knowing"]!.ToJsonString(),
            knowing => knowing.Contains("cluster1", StringComparison.Ordinal) && knowing.Contains("cluster2", StringComparison.Ordinal),
            "both control planes say what they know");
        Assert.Equal(["cluster1", "cluster2"], page["places"]!.AsArray().Select(place => place!["cluster"]!.ToString()));
        Assert.Equal(["cluster1", "cluster2"], page["knowing"]!.AsArray().Select(name => name!.ToString()));
        var endpoint = page["endpoints"]!.AsArray().First(one => one!["pod"]!.ToString() == GatewayPod)!;
        Assert.True((bool)endpoint["isReady"]! && (bool)endpoint["hasProxy"]!);
        Assert.Equal("ready, live", endpoint["known"]!["cluster1"]!.ToString());
        Assert.Equal("network1", endpoint["network"]!.ToString());
        var missing = await Assert.ThrowsAsync<ProblemException>(() => answers["service"](new() { ["namespace"] = System, ["name"] = "none" }, Stop));
        Assert.Equal($"Service {System}/none: is in none of the clusters (select one in the topology)", missing.Message);
    });

    [Fact]
    public Task All_clusters_trust_one_root_and_proxies_have_certificates_of_it() => UseAsync(async (_, answers) =>
    {
        JsonNode page = new JsonObject();
        await mesh.UntilAsync(async () => (page = (await answers["certificates"]([], Stop))!)["notes"]!.ToJsonString(), notes => notes == "[]",
            "the certificates of both clusters are read");
        var all = page["certificates"]!.AsArray().Select(one => one!).ToList();
        var roots = all.Where(one => one["role"]!.ToString() == "root").ToList();
        Assert.Equal(["cluster1", "cluster2"], roots.Select(one => one["cluster"]!.ToString()).Order());
        Assert.Single(roots.Select(one => one["fingerprint"]!.ToString()).Distinct());
        Assert.Equal(2, all.Count(one => one["role"]!.ToString() == "intermediate"));
        Assert.Equal(2, all.Count(one => one["role"]!.ToString() == "control plane"));
        var own = all.Single(one => one["owner"]!.ToString() == $"Pod {System}/{GatewayPod}");
        Assert.StartsWith("spiffe://cluster.local/ns/istio-system/sa/", own["subject"]!.ToString(), StringComparison.Ordinal);
        Assert.Equal(("ok", "ok", "the proxy"), (own["level"]!.ToString(), own["state"]!.ToString(), own["renewedBy"]!.ToString()));
        Assert.True((DateTimeOffset)own["ends"]! > DateTimeOffset.UtcNow);
        Assert.DoesNotContain("PRIVATE KEY", page.ToJsonString(), StringComparison.Ordinal);
    });

    [Fact]
    public Task The_configuration_of_a_proxy_is_that_of_proxy_config() => UseAsync(async (_, answers) =>
    {
        foreach (var (part, column) in ((string, string)[])[("clusters", "SERVICE FQDN"), ("listeners", "ADDRESS"), ("routes", "NAME"),
            ("endpoints", "ENDPOINT"), ("secrets", "RESOURCE NAME")])
        {
            var page = await answers["configuration"](new() { ["cluster"] = "cluster1", ["namespace"] = System, ["pod"] = GatewayPod, ["part"] = part }, Stop);
            Assert.Equal(column, page["head"]![0]!.ToString());
            Assert.True(part == "routes" || page["rows"]!.AsArray().Count > 0, part);
            Assert.IsType<JsonArray>(JsonNode.Parse(page["json"]!.ToString()));
        }
        await Assert.ThrowsAsync<ProblemException>(() => answers["configuration"](new() { ["cluster"] = "other", ["namespace"] = System, ["pod"] = GatewayPod },
            Stop));
    });

    [Fact]
    public Task A_trace_needs_a_caller_that_exists() => UseAsync(async (_, answers) =>
    {
        Assert.Contains((await answers["pods"]([], Stop)).AsArray(),
            pod => pod!["name"]!.ToString() == GatewayPod && (bool)pod["proxy"]! && !(bool)pod["calls"]!);
        Assert.Equal("target: is missing (fill in the field)",
            (await Assert.ThrowsAsync<ProblemException>(() => answers["trace"](new() { ["pod"] = "a" }, Stop))).Message);
        await Assert.ThrowsAsync<ProblemException>(() => answers["trace"](new() { ["cluster"] = "cluster1", ["pod"] = "none.shop", ["target"] = "b" }, Stop));
        foreach (var (field, value, option) in ((string, string, string)[])[("method", "GE T", "--method"), ("headers", "x-user: ann\nnone", "--header"),
            ("body", new('a', 9000), "--data")])
            Assert.Contains(option,
                (await Assert.ThrowsAsync<Isthmus.Core.Flags.WrongUseException>(() => answers["trace"](new()
                {
                    ["pod"] = "a", ["target"] = "b", [field] = value
                },
                    Stop))).Message,
                StringComparison.Ordinal);
        // What enters at a gateway, others call.
        Assert.Contains("isthmus trace gateway/", (await Assert.ThrowsAsync<ProblemException>(() => answers["trace"](new()
        {
            ["cluster"] = "cluster1", ["pod"] = $"{GatewayPod}.{System}", ["target"] = "http://nowhere.test"
        },
            Stop))).Message, StringComparison.Ordinal);
    });

    [Fact]
    public async Task Objects_are_analyzed_again_only_after_one_of_them_changed()
    {
        var clusters = LoopbackMeshRig.Clusters.Select(mesh.Access).ToList();
        using var reader = new MeshStateReader(clusters, WellKnown.SystemNamespace, TimeProvider.System);
        // Certificates are judged again each hour.
        var analysis = new MeshAnalysis(clusters, WellKnown.SystemNamespace, reader, new ManualClock());
        var name = $"r{RandomNumberGenerator.GetHexString(8, lowercase: true)}";
        int runs;
        // Until the mesh is quiet.
        do
        {
            runs = analysis.Runs;
            await analysis.UpdateAsync(Stop);
        }
        while (analysis.Runs > runs);
        Assert.True(runs > 0);
        await mesh.ApplyAsync("cluster1", $$"""
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: {{name}}, namespace: default}
            spec:
              hosts: [nowhere.test]
              gateways: [missing]
              http:
              - route:
                - destination: {host: nowhere.test}
            """);
        await analysis.UpdateAsync(Stop);
        Assert.Equal(runs + 1, analysis.Runs);
        Assert.Contains(analysis.Findings, finding => finding.Problem.Object == $"VirtualService default/{name}");
        await mesh.Client("cluster1").DeleteAsync(Manifests.ResourceOf(MeshApi.FindIstio("networking.istio.io/v1", "VirtualService")!), "default", name, Stop);
        await analysis.UpdateAsync(Stop);
        Assert.DoesNotContain(analysis.Findings, finding => finding.Problem.Object == $"VirtualService default/{name}");
    }

    [Fact]
    public Task What_changed_is_told_with_its_effect_for_one_host_or_for_all() => UseAsync(async (_, answers) =>
    {
        var name = $"h{RandomNumberGenerator.GetHexString(8, lowercase: true)}";
        await mesh.ApplyAsync("cluster1", $$"""
            apiVersion: v1
            kind: Service
            metadata: {name: {{name}}, namespace: default}
            spec: {ports: [{name: http, port: 80}]}
            """);
        Task<JsonNode> AskAsync(string host) => answers["history"](new() { ["host"] = host, ["since"] = "15m" }, Stop);
        var page = "";
        await mesh.UntilAsync(async () => page = (await AskAsync($"{name}.default")).ToJsonString(),
            text => text.Contains($"\"object\":\"Service default/{name}\"", StringComparison.Ordinal), "the change");
        var line = Assert.Single(JsonNode.Parse(page)!["changes"]!.AsArray(), change => change!["kind"]!.ToString() == "Service")!;
        Assert.Equal(("created", "cluster1", $"{name}.default.svc.cluster.local"),
            (line["verb"]!.ToString(), line["cluster"]!.ToString(), line["concerns"]!.ToString()));
        Assert.NotNull(line["effect"]);
        Assert.Equal(["cluster1", "cluster2"], JsonNode.Parse(page)!["controlPlanes"]!.AsArray().Select(plane => plane!["context"]!.ToString()));
        Assert.DoesNotContain(name, (await AskAsync("other.default"))["changes"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.Contains(name, (await AskAsync(""))["changes"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal("time 1y: is not one of the choices (use 15m, 1h, 6h, 24h)",
            (await Assert.ThrowsAsync<ProblemException>(() => answers["history"](new() { ["since"] = "1y" }, Stop))).Message);
        await mesh.Client("cluster1").DeleteAsync(Kinds.Service, "default", name, Stop);
    });
}
