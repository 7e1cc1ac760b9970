using System.Text.Json.Nodes;
using Isthmus.Operate.Certificates;
using Isthmus.Operate.MeshFile;
using Isthmus.Rigs.Servers;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Operate.MeshFile;

/// <summary>Clusters that already belong to another mesh, with a real API server in this process.</summary>
public sealed class OtherMeshTests : IAsyncLifetime
{
    private readonly RunningApiServer _server = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-other-mesh-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _server.InitializeAsync();
        await _server.SendAsync("POST", "/api/v1/namespaces", """{"metadata":{"name":"kube-system"}}""");
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Nothing_is_said_of_a_cluster_without_a_mesh() => Assert.Empty((await PlanAsync(takesOver: false)).Notes);

    [Fact]
    public async Task A_cluster_that_a_mesh_file_put_into_another_mesh_stays_there_unless_it_is_taken_over()
    {
        await NamespaceAsync(""","annotations":{"isthmus.internal/mesh":"theirs"}""");
        const string found = "'a' belongs to mesh 'theirs' (Namespace istio-system), and would move to 'ours'";
        Assert.Equal([$"mesh.yaml: spec.clusters[0]: {found} (correct metadata.name, remove the cluster from that mesh first, or use --take-over)"],
            await ProblemsAsync());
        Assert.Equal([found], (await PlanAsync(takesOver: true)).Notes);
    }

    [Theory]
    [InlineData("theirs", true)]
    [InlineData("ours", false)]
    public async Task A_cluster_whose_control_plane_says_another_mesh_ID_is_named(string id, bool other)
    {
        await NamespaceAsync("");
        await PostAsync("configmaps",
            new JsonObject
            {
                ["metadata"] = new JsonObject { ["name"] = "istio" }, ["data"] = new JsonObject { ["mesh"] = $"defaultConfig:\n  meshId: {id}\n" }
            });
        var notes = (await PlanAsync(takesOver: true)).Notes;
        Assert.Equal(other ? ["'a' belongs to mesh 'theirs' (ConfigMap istio-system/istio), and would move to 'ours'"] : [], notes);
    }

    [Theory]
    [InlineData("theirs", true)]
    [InlineData("certs", false)]
    public async Task A_root_that_workloads_trust_is_not_replaced_unasked(string folder, bool other)
    {
        foreach (var name in (string[])["certs", "theirs"]) Make(name);
        await NamespaceAsync("");
        await PostAsync("configmaps", new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = "istio-ca-root-cert" },
            ["data"] = new JsonObject { ["root-cert.pem"] = await File.ReadAllTextAsync(Path.Combine(_folder, folder, "root-cert.pem"), Stop) },
        });
        var notes = (await PlanAsync(takesOver: true)).Notes;
        if (!other) Assert.Empty(notes);
        else Assert.Contains("workloads of 'a' trust the root ", Assert.Single(notes), StringComparison.Ordinal);
        if (other) Assert.Contains("(set spec.trust to that root, or use --take-over)", Assert.Single(await ProblemsAsync()), StringComparison.Ordinal);
    }

    /// <summary>A control plane that signs itself: the first files would start another root.</summary>
    [Fact]
    public async Task Nor_is_it_by_one_that_is_still_to_be_made()
    {
        Make("theirs");
        await NamespaceAsync("");
        await PostAsync("configmaps", new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = "istio-ca-root-cert" },
            ["data"] = new JsonObject { ["root-cert.pem"] = await File.ReadAllTextAsync(Path.Combine(_folder, "theirs", "root-cert.pem"), Stop) },
        });
        Assert.Contains("but the mesh's root is not created yet", Assert.Single(await ProblemsAsync()), StringComparison.Ordinal);
    }

    /// <summary>What says how to keep its names is a mesh file, not flags of an installation; nothing is changed. What is left of another revision is no
    /// reason to take the mesh down.</summary>
    [Theory]
    [InlineData("istio-sidecar-injector", "mesh.yaml", "there", "(keep them in mesh.yaml, where spec.join: discovery gives them; or take the mesh down with "
        + "the file as it was, and bring it up again: isthmus mesh down -f mesh.yaml)")]
    [InlineData("istio-sidecar-injector", "standard input", "there", "(keep them in the mesh file, where spec.join: discovery gives them; or take the mesh "
        + "down with the file as it was, and bring it up again: isthmus mesh down -f FILE)")]
    [InlineData("istio-sidecar-injector-old", "mesh.yaml", "in ConfigMap istio-system/istio-sidecar-injector-old", "(keep them in mesh.yaml, where spec.join: "
        + "discovery gives them; or if nothing uses revision old any more, of which ConfigMap istio-system/istio-sidecar-injector-old is left, remove it: "
        + "isthmus uninstall --revision old --context a)")]
    public async Task A_mesh_that_is_to_join_by_names_is_refused_while_its_control_planes_have_others(string map, string source, string where, string remedy)
    {
        await NamespaceAsync("");
        const string values = """{"global":{"meshID":"ours","network":"default","multiCluster":{"clusterName":"a"}}}""";
        await PostAsync("configmaps", new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = map }, ["data"] = new JsonObject { ["values"] = values },
        });
        var mesh = Read("{join: names, clusters: [{name: a}]}", source);
        using var links = await MeshLinks.OpenAsync(mesh, _ => _server.Access, ["a"], Stop);
        var design = new MeshDesign(mesh);
        var plan = await new MeshPlanner(design, links, TimeProvider.System, takesOver: true).PlanAsync(Stop);
        var run = new MeshRun(design, links, plan, new(TimeSpan.FromMinutes(1)), new Unheard(), TimeProvider.System);
        var refused = Assert.Single((await Assert.ThrowsAsync<MeshProblemsException>(() => run.RunAsync(Stop))).Problems).ToString();
        Assert.Contains("leaves out values.global.meshID, which is 'ours' " + where, refused, StringComparison.Ordinal);
        Assert.EndsWith(remedy, refused, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_folder, "certs", "root-cert.pem")));
    }

    private sealed class Unheard : IMeshProgress
    {
        public void Started(string cluster, string step)
        {
        }

        public void Finished(string cluster, string step, TimeSpan took)
        {
        }

        public void Note(string cluster, string text)
        {
        }
    }

    private MeshSpec Read(string spec, string source = "mesh.yaml") =>
        MeshReader.Read($"apiVersion: mesh.isthmus.internal/v1alpha1\nkind: Mesh\nmetadata: {{name: ours}}\nspec: {spec}\n", source, _folder);

    private void Make(string folder)
    {
        var files = new CaFiles(Path.Combine(_folder, folder), TimeProvider.System);
        var request = new CaRequest(KeyKind.EcP256, 10);
        files.MakeRoot(request);
        files.MakeIntermediate("a", request, "istio-system");
    }

    private Task NamespaceAsync(string annotations) =>
        _server.SendAsync("POST", "/api/v1/namespaces", $$"""{"metadata":{"name":"istio-system"{{annotations}} } }""");

    private Task PostAsync(string resource, JsonObject value) => _server.SendAsync("POST", $"/api/v1/namespaces/istio-system/{resource}", value.ToJsonString());

    private async Task<MeshPlan> PlanAsync(bool takesOver)
    {
        var mesh = Read("{clusters: [{name: a}]}");
        using var links = await MeshLinks.OpenAsync(mesh, _ => _server.Access, ["a"], Stop);
        return await new MeshPlanner(new MeshDesign(mesh), links, TimeProvider.System, takesOver).PlanAsync(Stop);
    }

    private async Task<List<string>> ProblemsAsync() =>
        [.. (await Assert.ThrowsAsync<MeshProblemsException>(() => PlanAsync(takesOver: false))).Problems.Select(problem => problem.ToString())];
}
