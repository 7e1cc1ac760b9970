using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.IstioMesh;

/// <summary>One mesh of Istio for all classes that only read it.</summary>
[Trait("shard", "LoopbackMesh")]
[CollectionDefinition(nameof(SharedIstioMesh))]
public sealed class SharedIstioMesh : ICollectionFixture<IstioMesh>;

/// <summary>The commands that read, on a mesh that is Istio's alone: they say what is so, and name what only a control plane of
/// Isthmus could tell.</summary>
[Collection(nameof(SharedIstioMesh))]
public sealed class IstioCommandTests(IstioMesh mesh) : IDisposable
{
    private const string Foreign = "is a control plane that is not of Isthmus, or an older one (revision default, version 1.31.0)";

    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-istio-commands-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Verify_finds_one_mesh_and_names_what_istiod_cannot_tell()
    {
        EnvoyProcess.IsNeeded();
        var (code, output, error) = await mesh.RunAsync("verify");
        Assert.True(code == 0, output + error);
        Has(output, "The clusters form one mesh", Foreign, "is not known");
        Lacks(output + error, "404", "✘");
    }

    [Fact]
    public async Task Analyze_and_migrate_check_find_nothing_wrong()
    {
        var (code, output, _) = await mesh.RunAsync("analyze");
        Assert.Equal(0, code);
        Has(output, "No validation issues found");
        (code, output, var error) = await mesh.RunAsync("migrate", "check");
        Assert.True(code == 0, output + error);
        Has(output, "0 lost, 0 differ, 0 notes");
        Assert.Equal("", error);
    }

    /// <summary>What is lost is found in the cluster as in the file that made it.</summary>
    [Fact]
    public async Task Migrate_check_names_what_would_be_lost_and_exits_with_79()
    {
        const string Objects = """
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: slow, namespace: other}
            spec: {hosts: [slow.example], http: [{fault: {delay: {exponentialDelay: 1s, percentage: {value: 10}}}, route: [{destination: {host: slow.example}}]}]}
            """;
        var file = Path.Combine(_folder, "lost.yaml");
        await File.WriteAllTextAsync(file, Objects, TestContext.Current.CancellationToken);
        var (code, output, error) = await mesh.RunAsync("migrate", "check", "-f", file, "-o", "json");
        Assert.True(code == 79, output + error);
        var found = Assert.Single(JsonNode.Parse(output)!.AsArray(), line => line!["level"]!.ToString() == "lost")!;
        Assert.Equal(("VirtualService other/slow", "spec.http[0].fault.delay.exponentialDelay", "1s"),
            (found["object"]!.ToString(), found["field"]!.ToString(), found["value"]!.ToString()));
        Has(found["remedy"]!.ToString(), "fixedDelay");
    }

    [Fact]
    public async Task Proxy_status_says_what_istiod_says()
    {
        var (code, output, _) = await mesh.RunAsync("proxy-status");
        Assert.Equal(0, code);
        Assert.Matches($@"{IstioMeshRig.Sleep}\.shop +cluster1 +SYNCED +STALE +SYNCED +SYNCED +NOT SENT +{IstioMeshRig.Istiod} +1\.31\.0", output);
        Assert.Matches($@"{IstioMeshRig.Gateway}\.istio-system +cluster1 +SYNCED +ERROR +SYNCED +NOT SENT", output);
        Has(output, $"{IstioMeshRig.Gateway}.istio-system: refuses listeners: Error adding/updating listener(s) 0.0.0.0_8080: no such filter");
        Has((await mesh.RunAsync("version")).Output, "control plane version: 1.31.0");
        Has(output, $"{IstioMeshRig.Istiod}: {Foreign}: what its proxies ask");
        Assert.Matches($"cluster1 +synced +{IstioMeshRig.Istiod} +unknown +unknown +unknown", (await mesh.RunAsync("remote-clusters")).Output);
        Has((await mesh.RunAsync("experimental", "injector", "list")).Output, "docker.io/istio/proxyv2:1.31.0");
    }

    [Fact]
    public async Task A_namespace_is_asked_for_or_refused()
    {
        var (code, output, error) = await mesh.RunAsync("proxy-status", "-n", "istio-system");
        Assert.Equal((0, false), (code, output.Contains(".shop", StringComparison.Ordinal)));
        Has(output, $"{IstioMeshRig.Gateway}.istio-system");
        foreach (var command in (string[])["proxy-status -n nons", "certificates -n nons", "certificates -i nons", "verify -i nons"])
        {
            (code, output, error) = await mesh.RunAsync(command.Split(' '));
            Assert.True(code == 1, output + error);
            Has(error, command.Contains("-n", StringComparison.Ordinal) ? "namespace \"nons\": not found in " : "namespace nons: has no control plane in ");
        }
    }

    /// <summary>With <c>ENABLE_DEBUG_ON_HTTP=false</c>, an istiod has no debug pages. It is a row then, and no error.</summary>
    [Fact]
    public async Task An_istiod_without_debug_pages_is_a_row()
    {
        mesh.Clusters[0].Pages.HasDebug = false;
        try
        {
            var (code, output, error) = await mesh.RunAsync("proxy-status");
            Assert.True(code == 0, output + error);
            Assert.Matches($"(unknown +){{7}}{IstioMeshRig.Istiod} +unknown", output);
            Has(output, "does not answer /debug/syncz on port 8080");
            var row = Assert.Single(JsonNode.Parse((await mesh.RunAsync("proxy-status", "-o", "json")).Output)!.AsArray())!;
            Assert.Equal(IstioMeshRig.Istiod, row["istiod"]!.ToString());
            Assert.Contains("proxy", row["unknown"]!.AsArray().Select(name => name!.ToString()));
            (code, _, error) = await mesh.RunAsync("proxy-status", "web.shop");
            Assert.Equal(1, code);
            Has(error, $"{IstioMeshRig.Istiod} {Foreign}");
            // What only it could tell changes no verdict.
            (code, output, error) = await mesh.RunAsync("verify");
            Assert.True(code == 0, output + error);
            Has(output, "which clusters it watches is not known");
            (code, _, error) = await mesh.RunAsync("experimental", "internal-debug", "registryz");
            Assert.Equal(1, code);
            Has(error, "does not answer /debug/registryz on port 8080", "ENABLE_DEBUG_ON_HTTP");
            (code, output, error) = await mesh.RunAsync("remote-clusters");
            Assert.True(code == 0, output + error);
            Assert.Matches($"(unknown +){{3}}{IstioMeshRig.Istiod} +(unknown +){{3}}is a control plane", output);
        }
        finally
        {
            mesh.Clusters[0].Pages.HasDebug = true;
        }
    }

    [Fact]
    public async Task What_istiod_does_not_tell_of_a_proxy_is_listed_as_unknown()
    {
        var (code, output, _) = await mesh.RunAsync("proxy-status", "web-5d9-w1.shop", "-o", "json");
        Assert.Equal(0, code);
        var row = Assert.Single(JsonNode.Parse(output)!.AsArray())!;
        Assert.Equal(IstioMeshRig.Istiod, row["istiod"]!.ToString());
        Assert.Equal(["since", "problems", "losses", "program"], row["unknown"]!.AsArray().Select(name => name!.ToString()));
    }

    [Fact]
    public async Task History_names_the_control_planes_that_keep_none_and_what_to_use_instead()
    {
        var (code, output, error) = await mesh.RunAsync("history");
        Assert.True(code == 0, output + error);
        Has(output, "No control plane that answers keeps a history of changes.",
            $"{IstioMeshRig.Istiod} in cluster1 keeps no history: it is a control plane that is not of Isthmus", "version 1.31.0", "--show-managed-fields");
        Assert.Equal("", error);
        (code, output, _) = await mesh.RunAsync("history", "-o", "json");
        Assert.Equal(0, code);
        var plane = Assert.Single(JsonNode.Parse(output)!["withoutHistory"]!.AsArray())!;
        Assert.Equal(("cluster1", IstioMeshRig.Istiod), (plane["context"]!.ToString(), plane["istiod"]!.ToString()));
    }

    public static TheoryData<string, string> Tables => new()
    {
        { "listener", "127.* 15006 +Trans: tls; App: istio,istio-peer-exchange.*Cluster: inbound\\|8080\\|\\|" },
        { "cluster", "web.shop.svc.cluster.local +80 +- +outbound +EDS" }, { "route", "80 +web.shop.svc.cluster.local:80 +web.shop.svc.cluster.local" },
        { "endpoint", @":8080 +HEALTHY +OK +outbound\|80\|\|web.shop.svc.cluster.local" }, { "secret", "default +Cert Chain +ACTIVE +true +[0-9a-f]+" },
        { "bootstrap", "\"ISTIO_VERSION\": \"1.31.0\"" },
        { "all", "web.shop.svc.cluster.local" }, { "log", "http: warning" }, { "ecds", "ECDS NAME" },
    };

    [Theory]
    [MemberData(nameof(Tables))]
    public async Task Proxy_config_reads_Envoy(string part, string line)
    {
        EnvoyProcess.IsNeeded();
        var (code, output, error) = await mesh.RunAsync("proxy-config", part, $"{IstioMeshRig.Web}.shop");
        Assert.True(code == 0, error);
        Assert.Matches(line, output);
    }

    [Fact]
    public async Task Trace_follows_a_call_through_Envoys_and_names_the_policy_that_denies_it()
    {
        EnvoyProcess.IsNeeded();
        var (code, output, error) = await mesh.RunAsync("trace", $"{IstioMeshRig.Sleep}.shop", "web.shop/");
        Assert.True(code == 0, output + error);
        Has(output, "route         web.shop.svc.cluster.local:80, route default", "✔ TLS           mutual TLS of the mesh",
            "✔ inbound       0.0.0.0_8080 → inbound|8080||", "The configuration shows no failure, but 1 hop is not known");
        (code, output, _) = await mesh.RunAsync("trace", $"{IstioMeshRig.Sleep}.shop", "web.shop/closed");
        Assert.Equal(1, code);
        Has(output, "AuthorizationPolicy shop/closed in cluster1", "ISM2064");
    }

    [Fact]
    public async Task Policies_and_objects_of_a_Pod_are_shown()
    {
        EnvoyProcess.IsNeeded();
        Assert.Matches("DENY +closed.shop +1", (await mesh.RunAsync("authz", "check", $"{IstioMeshRig.Web}.shop")).Output);
        var (code, output, error) = await mesh.RunAsync("describe", "pod", $"{IstioMeshRig.Web}.shop");
        Assert.True(code == 0, error);
        Has(output, "Service: shop/web", "Workload mTLS mode: PERMISSIVE");
    }

    [Fact]
    public async Task A_bug_report_has_the_mesh_and_answers_as_the_clusters()
    {
        EnvoyProcess.IsNeeded();
        var (code, output, error) = await mesh.RunAsync("bug-report", "--dir", _folder);
        Assert.True(code == 0, output + error);
        // Of all pages, only the one that fails on this istiod is missing.
        Assert.Equal("/debug/krtz", Assert.Single(System.Text.RegularExpressions.Regex.Matches(output + error, "/debug/[a-zA-Z_]+").Select(match => match.Value)
            .Distinct()));
        // All pages that it lists, but for those that do something.
        Assert.Contains("/debug/registryz", mesh.Clusters[0].Pages.Asked);
        Assert.DoesNotContain(mesh.Clusters[0].Pages.Asked, asked => asked.Contains("clear", StringComparison.Ordinal)
            || asked.Contains("push=", StringComparison.Ordinal) || asked.Contains("disconnect", StringComparison.Ordinal));
        var pack = Path.Combine(_folder, "bug-report.tar.gz");
        (code, output, error) = await mesh.RunAsync("trace", "--snapshot", pack, $"{IstioMeshRig.Sleep}.shop", "web.shop/closed");
        Assert.True(code == 1, output + error);
        Has(output, "AuthorizationPolicy shop/closed in cluster1");
        (code, output, error) = await mesh.RunAsync("migrate", "check", "--snapshot", pack);
        Assert.True(code == 0, output + error);
        Has(output, "0 lost");
    }

    [Fact]
    public async Task A_debug_page_that_istiod_lacks_is_named_with_those_it_has()
    {
        var (code, _, error) = await mesh.RunAsync("experimental", "internal-debug", "problemz");
        Assert.Equal(1, code);
        Has(error, "page 'problemz'", "does not exist", "adsz", "registryz");
        // A page that it has, but not for the proxy that is named.
        (code, _, error) = await mesh.RunAsync("experimental", "internal-debug", "config_dump?proxyID=nobody.shop");
        Assert.Equal(1, code);
        Has(error, "has no answer to config_dump?proxyID=nobody.shop: Proxy not connected to this Pilot instance");
        Lacks(error, "not of Isthmus");
    }

    [Fact]
    public async Task Diff_says_that_istiod_cannot_tell()
    {
        var file = Path.Combine(_folder, "web.yaml");
        await File.WriteAllTextAsync(file,
            "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: web, namespace: shop}, spec: {hosts: [web], http: [{route: "
                + "[{destination: {host: web}}]}]}}",
            TestContext.Current.CancellationToken);
        var (code, _, error) = await mesh.RunAsync("diff", "-f", file);
        Assert.Equal(2, code);
        Has(error, "(revision default, version 1.31.0)", "what the files would change for its proxies is not known", "isthmus migrate check -f");
        Lacks(error, "404");
    }

    [Fact]
    public async Task Whether_proxies_have_an_object_istiod_cannot_tell()
    {
        var asked = await Assert.ThrowsAsync<ProblemException>(() =>
            Distribution.AskAsync(new(mesh.Clusters[0].Client, WellKnown.SystemNamespace), MeshApi.VirtualService, "1", TestContext.Current.CancellationToken));
        Has(asked.Message, $"Pod istio-system/{IstioMeshRig.Istiod}", Foreign, "what its proxies have is not known", "isthmus proxy-status");
        Lacks(asked.Message, "404");
    }

    private static void Has(string text, params string[] parts) => Assert.All(parts, part => Assert.Contains(part, text, StringComparison.Ordinal));

    private static void Lacks(string text, params string[] parts) => Assert.All(parts, part => Assert.DoesNotContain(part, text, StringComparison.Ordinal));
}
