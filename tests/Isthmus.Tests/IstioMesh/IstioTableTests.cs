using System.Diagnostics;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Tests.Commands;
using Xunit;

namespace Isthmus.Tests.IstioMesh;

/// <summary>Every command that reads, on a mesh that is Istio's alone.</summary>
public abstract class IstioTableTests<TRig>(TRig mesh) : IDisposable
    where TRig : IstioMeshRig
{
    private protected const string Web = IstioMeshRig.Web, Sleep = IstioMeshRig.Sleep, Unknown = "is a control plane that is not of Isthmus, or an older one";

    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-istio-table-").FullName;

    private protected TRig Mesh => mesh;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>A line, how it exits, and what its output has.</summary>
    public static TheoryData<string, int, string> Lines => new()
    {
        { "verify", 0, "The clusters form one mesh" }, { "verify", 0, $"{Unknown}.*what it finds wrong with objects and proxies is not known" },
        { "analyze", 0, "No validation issues found" }, { "migrate check", 0, "0 lost, 0 differ" },
        { $"trace {Sleep}.shop web.shop/", 0, "mutual TLS of the mesh" }, { $"trace {Sleep}.shop web.shop/closed", 1, "AuthorizationPolicy shop/closed" },
        { $"trace --no-call {Sleep}.shop web.shop/", 0, "The configuration shows no failure" },
        { "proxy-status", 0, $"{Web}.shop +cluster1 +SYNCED +SYNCED" }, { "proxy-status", 0, "ERROR" }, { "proxy-status", 0, Unknown },
        { "version", 0, "control plane version: 1\\." }, { "remote-clusters", 0, "cluster1 +synced .*unknown" },
        { "history", 0, "keeps no history" }, { "certificates", 0, "needs anything now" },
        { $"describe pod {Web}.shop", 0, "Service: shop/web" }, { "describe service web.shop", 0, "Service: shop/web" },
        { $"authz check {Web}.shop", 0, "DENY +closed.shop +1" }, { $"proxy-config clusters {Web}.shop", 0, "web.shop.svc.cluster.local +80" },
        { $"proxy-config listeners {Web}.shop", 0, "15006" }, { $"proxy-config routes {Web}.shop", 0, "web.shop.svc.cluster.local:80" },
        { $"proxy-config endpoints {Web}.shop", 0, ":8080 +HEALTHY" }, { $"proxy-config secrets {Web}.shop", 0, "ROOTCA" },
        { $"proxy-config bootstrap {Web}.shop -o short", 0, "Istio Version: +1\\." }, { $"proxy-config ecds {Web}.shop", 0, "ECDS NAME" },
        { $"proxy-config log {Web}.shop", 0, "http: warning" }, { $"proxy-config log {Web}.shop --level http:debug", 0, "http: debug" },
        { $"proxy-config all {Web}.shop", 0, "web.shop.svc.cluster.local" }, { $"proxy-config rootca-compare {Web}.shop {Sleep}.shop", 0, "identical ROOTCA" },
        { "experimental internal-debug registryz", 0, "\\[" }, { "experimental internal-debug syncz --all", 0, IstioMeshRig.Istiod },
        { "experimental injector list", 0, "docker.io/istio/proxyv2:1\\." }, { "tag list", 0, "" },
        { "experimental wait virtualservice missing.shop", 1, "" }, { $"proxy-status {Web}.shop -o json", 0, "\"unknown\"" },
        { $"experimental envoy-stats {Web}.shop", 0, "cluster_manager.active_clusters: [1-9]" },
        { $"experimental envoy-stats {Web}.shop -o json", 0, "\"name\": \"cluster_manager" },
        { $"experimental envoy-stats {Web}.shop -o prom", 0, "envoy_cluster_manager_active_clusters{} [1-9]" },
        { $"experimental envoy-stats {Web}.shop -t clusters", 0, "outbound\\|80\\|\\|web.shop.svc.cluster.local::" },
        { $"experimental envoy-stats {Web}.shop -t clusters -o yaml", 0, "cluster_statuses:" },
        { "experimental internal-debug problemz", 1, "" }, { "experimental internal-debug config_dump?proxyID=nobody.shop", 1, "" }, { "admin log", 1, "" },
    };

    [Theory]
    [MemberData(nameof(Lines))]
    public async Task A_command_says_what_is_so(string line, int exits, string has)
    {
        EnvoyProcess.IsNeeded();
        var (code, output, error) = await mesh.RunAsync(line.Split(' '));
        Assert.True(code == exits, $"{line} exits with {code}\n{output}\n{error}");
        Assert.Matches(new Regex(has), output);
        // An error is a sentence of ours, and not the status of a page, or a stack.
        foreach (var wrong in (string[])["status 404", "Unhandled", "   at ", "Exception"])
            Assert.DoesNotContain(wrong, output + error, StringComparison.Ordinal);
        Assert.Equal(exits != 0 && output.Length == 0, error.StartsWith("Error: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_bug_report_has_all_clusters_and_answers_as_they_do()
    {
        EnvoyProcess.IsNeeded();
        var (code, output, error) = await mesh.RunAsync("bug-report", "--dir", _folder, "-o", "json");
        Assert.True(code == 0, output + error);
        var clusters = JsonNode.Parse(output)!["clusters"]!.AsArray();
        Assert.Equal(mesh.Clusters.Select(cluster => (cluster.Name, 1, 3)),
            clusters.Select(cluster => (cluster!["cluster"]!.ToString(), (int)cluster["controlPlanes"]!, (int)cluster["proxies"]!)));
        var pack = Path.Combine(_folder, "bug-report.tar.gz");
        foreach (var (line, exits, has) in ((string, int, string)[])[($"trace --snapshot {pack} {Sleep}.shop web.shop/closed", 1,
            "AuthorizationPolicy shop/closed"),
            ($"verify --snapshot {pack}", 0, "The clusters form one mesh"), ($"analyze --snapshot {pack}", 0, "No validation issues found"),
            ($"certificates --snapshot {pack}", 0, "needs anything now")])
        {
            (code, output, error) = await mesh.RunAsync(line.Split(' '));
            Assert.True(code == exits, $"{line} exits with {code}\n{output}\n{error}");
            Assert.Contains(has, output, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData($"envoy {Web}.shop", "server_info", "\"state\": \"LIVE\"")]
    [InlineData($"proxy deployment/web.shop", "", "")]
    [InlineData("kiali", "", "")]
    public async Task A_dashboard_leads_to_Envoy(string line, string page, string has)
    {
        EnvoyProcess.IsNeeded();
        using var process = Process.Start(mesh.Started(["dashboard", .. line.Split(' '), "--browser=false", "-p", "0"]))!;
        try
        {
            if (has.Length == 0)
            {
                await process.WaitForExitAsync(Stop);
                Assert.Equal(1, process.ExitCode);
                Assert.Matches("^Error: .*does not exist", await process.StandardError.ReadToEndAsync(Stop));
                return;
            }
            var url = await process.StandardOutput.ReadLineAsync(Stop);
            using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            Assert.Contains(has, (await http.GetStringAsync(new Uri(url + page), Stop)).Replace("\":\"", "\": \"", StringComparison.Ordinal),
                StringComparison.Ordinal);
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    /// <summary>A control plane that says that it is ready, and does not answer, is a fault of its own. All else is told.</summary>
    [Fact]
    public async Task A_control_plane_that_does_not_answer_is_named_and_the_rest_is_told()
    {
        EnvoyProcess.IsNeeded();
        mesh.Clusters[^1].Pages.IsSilent = true;
        try
        {
            var (code, output, error) = await mesh.RunAsync("verify");
            Assert.True(code == 1, output + error);
            Assert.Matches($"ISM1040.*Pod istio-system/{IstioMeshRig.Istiod} in {mesh.Clusters[^1].Name}", output.ReplaceLineEndings(" "));
            Assert.Contains("root of trust", output, StringComparison.Ordinal);
            Assert.DoesNotContain("ISM1021", output, StringComparison.Ordinal);
            (code, output, error) = await mesh.RunAsync("trace", $"{Sleep}.shop", "web.shop/");
            Assert.True(code == 0, output + error);
            // Where none answers, there is a row all the same, and the status says that nothing is known.
            foreach (var command in (string[])["remote-clusters", "proxy-status"])
            {
                (code, output, error) = await mesh.RunAsync(command, $"--context={mesh.Clusters[^1].Name}");
                Assert.True(code == 1, output + error);
                Assert.Matches($@"unknown +.*{IstioMeshRig.Istiod}", output);
            }
            (code, output, error) = await mesh.RunAsync("experimental", "internal-debug", "syncz", $"--context={mesh.Clusters[^1].Name}");
            Assert.True(code == 1, output + error);
            Assert.Contains($"control plane {IstioMeshRig.Istiod}: has no answer to syncz: ", error, StringComparison.Ordinal);
        }
        finally
        {
            mesh.Clusters[^1].Pages.IsSilent = false;
        }
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }
}

[Trait("shard", "LoopbackMesh")]
public sealed class OldIstioMeshTests(OldIstioMesh mesh) : IstioTableTests<OldIstioMesh>(mesh), IClassFixture<OldIstioMesh>;

[Trait("shard", "LoopbackMesh")]
public sealed class TwoIstioClustersTests(TwoIstioClusters mesh) : IstioTableTests<TwoIstioClusters>(mesh), IClassFixture<TwoIstioClusters>
{
    /// <summary>It takes connections, and holds up nothing but what only it knows.</summary>
    [Fact]
    public async Task A_control_plane_that_hangs_is_named()
    {
        EnvoyProcess.IsNeeded();
        Mesh.Clusters[^1].Pages.IsHanging = true;
        try
        {
            var (code, output, error) = await Mesh.RunAsync("verify");
            Assert.True(code == 1, output + error);
            Assert.Matches("ISM1040.*no answer within 10 s: what it finds wrong, and which clusters it watches, is not known",
                output.ReplaceLineEndings(" "));
        }
        finally
        {
            Mesh.Clusters[^1].Pages.IsHanging = false;
        }
    }

    [Theory]
    [InlineData("/debug/clusterz", "status 500: it cannot be made: which clusters it watches is not known")]
    [InlineData("/debug/problemz", "status 500: it cannot be made: what it finds wrong is not known")]
    public async Task Only_what_a_control_plane_does_not_tell_is_not_known(string page, string said)
    {
        EnvoyProcess.IsNeeded();
        Mesh.Clusters[^1].Pages.Broken = page;
        try
        {
            var (code, output, error) = await Mesh.RunAsync("verify");
            Assert.True(code == 1, output + error);
            Assert.Matches($"ISM1040.*{said}", output.ReplaceLineEndings(" "));
        }
        finally
        {
            Mesh.Clusters[^1].Pages.Broken = "";
        }
    }

    [Fact]
    public async Task All_clusters_and_both_releases_are_shown()
    {
        EnvoyProcess.IsNeeded();
        var (_, output, _) = await Mesh.RunAsync("verify");
        Assert.Matches("revision default, version 1\\.31\\.0", output);
        Assert.Matches("revision default, version 1\\.24\\.6", output);
        (_, output, _) = await Mesh.RunAsync("trace", $"{Sleep}.shop", "web.shop/");
        Assert.Contains("cluster2", output, StringComparison.Ordinal);
        (_, output, _) = await Mesh.RunAsync("remote-clusters");
        Assert.Matches("cluster2 +istio-system/istio-remote-secret-cluster2 +synced", output);
        (_, output, _) = await Mesh.RunAsync("certificates", "-o", "json");
        Assert.Equal(["cluster1", "cluster2"],
            JsonNode.Parse(output)!["certificates"]!.AsArray().Select(row => row!["cluster"]!.ToString()).Distinct().Order());
        (_, output, _) = await Mesh.RunAsync("history", "-o", "json");
        Assert.Equal(2, JsonNode.Parse(output)!["withoutHistory"]!.AsArray().Count);
    }
}
