using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.MeshFile;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.MeshFile;

/// <summary>What goes with a mesh and what stays, and what a plan says of a cluster that joins, with a real API server in this process.</summary>
public sealed class MeshRemovalTests : IAsyncLifetime
{
    private static readonly ResourceKind Policies = Manifests.ResourceOf(MeshApi.AuthorizationPolicy);

    private readonly RunningApiServer _server = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-removal-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _server.InitializeAsync();
        foreach (var ns in (string[])["kube-system", "shop"]) await _server.SendAsync("POST", "/api/v1/namespaces", $$"""{"metadata":{"name":"{{ns}}"} }""");
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Nothing_of_others_means_nothing_stays()
    {
        using var links = await OpenAsync();
        await InstallAsync(links);
        var plan = Assert.Single(await Removal(links, purges: false).PlanAsync(Stop));
        Assert.Empty(plan.Others);
        Assert.Contains(new(Kinds.Namespace, null, "istio-system"), plan.Removals);
        Assert.Equal((await DefinitionsAsync(links)).Count(), plan.Removals.Count(removal => removal.Kind == Kinds.CustomResourceDefinition));
    }

    /// <summary>The namespace of the mesh has the certificates of its gateways, and every policy of the cluster goes with its definition.</summary>
    [Fact]
    public async Task What_holds_objects_of_others_stays_and_is_named_unless_it_is_purged()
    {
        using var links = await OpenAsync();
        var client = links.All[0].Client;
        await InstallAsync(links);
        await client.CreateAsync(Kinds.Secret,
            Parse(
                """{"metadata": {"name": "www", "namespace": "istio-system"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "YQ==", "tls.key": "YQ=="} }"""),
            Stop);
        foreach (var name in (string[])["deny", "allow"])
            await client.CreateAsync(Policies,
                Parse(
                    $$"""
                        {"apiVersion": "security.istio.io/v1beta1", "kind": "AuthorizationPolicy", "metadata": {"name": "{{name}}", "namespace": "shop"},
                          "spec": {} }
                        """),
                Stop);
        // One object, that both its definition and its namespace hold.
        await client.CreateAsync(Policies, Parse("""
            {"apiVersion": "security.istio.io/v1beta1", "kind": "AuthorizationPolicy", "metadata": {"name": "all", "namespace": "istio-system"}, "spec": {} }
            """), Stop);
        // The mesh's own, of a kind that stays.
        await client.CreateAsync(Policies, Parse("""
            {"apiVersion": "security.istio.io/v1beta1", "kind": "AuthorizationPolicy",
             "metadata": {"name": "ours", "namespace": "shop", "annotations": {"isthmus.internal/mesh": "ours"} }, "spec": {} }
            """), Stop);

        var removal = Removal(links, purges: false);
        var plan = Assert.Single(await removal.PlanAsync(Stop));
        await removal.RunAsync([plan], Stop);
        Assert.Equal(["3 × AuthorizationPolicy: istio-system/all, shop/allow, shop/deny", "1 × Secret: istio-system/www"], Bystander.Describe(plan.Others));
        Assert.NotNull(await client.FindAsync(Kinds.Secret, "istio-system", "www", Stop));
        Assert.Equal(["all", "allow", "deny"],
            (await client.ListAllAsync<JsonObject>(Policies, null, new(), Stop)).Select(one => one["metadata"]!["name"]!.ToString()).Order());
        Assert.Equal(["authorizationpolicies.security.istio.io"], await DefinitionsAsync(links));
        Assert.Null(await client.FindAsync(Kinds.ServiceAccount, "istio-system", "istiod", Stop));

        plan = Assert.Single(await Removal(links, purges: true).PlanAsync(Stop));
        Assert.Equal((5, 4), (plan.Others.Count, Bystander.Objects(plan.Others).Count()));
        Assert.Equal(["CustomResourceDefinition authorizationpolicies.security.istio.io", "Namespace istio-system"],
            plan.Removals.Select(removal => removal.ToString()).Order());
    }

    [Fact]
    public async Task A_cluster_that_joins_is_told_of_Pods_without_sidecars()
    {
        using var links = await OpenAsync();
        await links.All[0].Client.PatchAsync(Kinds.Namespace, null, "shop", Parse("""{"metadata": {"labels": {"istio-injection": "enabled"} } }"""),
            PatchType.Merge, Stop);
        await links.All[0].Client.CreateAsync(Kinds.ServiceAccount, Parse("""{"metadata": {"name": "default", "namespace": "shop"} }"""), Stop);
        await links.All[0].Client.CreateAsync(Kinds.Pod,
            Parse("""{"metadata": {"name": "job-1", "namespace": "shop"}, "spec": {"containers": [{"name": "app", "image": "app"}]} }"""), Stop);
        Assert.Contains("a: 1 Pod (shop/job-1) of namespaces with injection has no sidecar; restart it when the mesh is up", (await PlanAsync(links)).Notes);
    }

    [Fact]
    public async Task Nodes_get_the_region_and_zone_of_the_file_and_give_them_back()
    {
        using var links = await OpenAsync("region: eu, zone: eu-1");
        var client = links.All[0].Client;
        await client.CreateAsync(Kinds.Node, Parse("""{"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/region": "eu"} } }"""), Stop);
        var change = Assert.Single((await PlanAsync(links)).Changes, change => change.Part == Part.Nodes);
        Assert.Equal(("Node n1", "metadata.labels[topology.kubernetes.io/zone]"), (change.Object, Assert.Single(change.Fields).Path));
        await new NodePlaces(links.Design, links.Links.All[0]).ApplyAsync(Stop);
        Assert.Equal("eu-1", await LabelAsync("zone"));
        Assert.DoesNotContain((await PlanAsync(links)).Changes, change => change.Part == Part.Nodes);
        await new NodePlaces(links.Design, links.Links.All[0]).RemoveAsync(Stop);
        Assert.Equal(("eu", null), (await LabelAsync("region"), await LabelAsync("zone")));

        async Task<string?> LabelAsync(string name) =>
            (await client.GetAsync(Kinds.Node, null, "n1", Stop))["metadata"]!["labels"]![$"topology.kubernetes.io/{name}"]?.ToString();
    }

    [Fact]
    public async Task A_region_that_a_Node_contradicts_is_refused()
    {
        using var links = await OpenAsync("region: eu");
        await links.All[0].Client.CreateAsync(Kinds.Node, Parse("""{"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/region": "us"} } }"""), Stop);
        var problem = Assert.Single((await Assert.ThrowsAsync<MeshProblemsException>(() => PlanAsync(links))).Problems);
        Assert.Equal(
            "mesh.yaml: spec.clusters[0].region: is 'eu', but Node n1 of 'a' has topology.kubernetes.io/region=us (correct it, or omit it: each Node says "
                + "where it is)",
            problem.ToString());
    }

    [Fact]
    public async Task Gateways_of_an_installation_are_a_part_of_their_own()
    {
        using var links = await OpenAsync("install: {profile: demo}");
        var changes = (await PlanAsync(links)).Changes;
        Assert.Contains(changes, change => change is { Part: Part.Gateways, Object: "Deployment istio-system/istio-egressgateway" });
        Assert.Contains(changes, change => change is { Part: Part.ControlPlane, Object: "Deployment istio-system/istiod" });
        Assert.DoesNotContain(changes,
            change => change.Part == Part.ControlPlane && change.Object.Contains("gateway", StringComparison.Ordinal)
                && change.Object.StartsWith("Deployment", StringComparison.Ordinal));
    }

    /// <summary>The definitions, and the namespace with one object of the installation.</summary>
    private static async Task InstallAsync(Opened links)
    {
        var client = links.All[0].Client;
        await client.CreateAsync(Kinds.Namespace, links.Design.Owned(Parse("""{"metadata": {"name": "istio-system"} }""")), Stop);
        foreach (var value in Manifests.Render(OperatorSpec.Build([], ["profile=minimal"], "default")).SelectMany(component => component.Objects)
            .Where(value => value["kind"]!.ToString() is "CustomResourceDefinition" or "ServiceAccount"))
                await client.CreateAsync(Manifests.KindOf(value)!, value, Stop);
        await Eventually.ValueAsync(async () =>
        {
            try { return await client.ListAllAsync<JsonObject>(Policies, null, new(), Stop); }
            catch (KubeException e) when (e.IsNotFound) { return null; }
        }, "the definition is served");
    }

    private static async Task<IEnumerable<string>> DefinitionsAsync(Opened links) =>
        (await links.All[0].Client.ListAllAsync<JsonObject>(Kinds.CustomResourceDefinition, null, new(), Stop))
            .Select(one => one["metadata"]!["name"]!.ToString()).Where(name => name.EndsWith(".istio.io", StringComparison.Ordinal));

    private static MeshRemoval Removal(Opened links, bool purges) =>
        new(links.Design, links.Links, new(["a"], purges), TimeSpan.FromMinutes(1), new Unseen(), TimeProvider.System);

    private static Task<MeshPlan> PlanAsync(Opened links) => new MeshPlanner(links.Design, links.Links, TimeProvider.System).PlanAsync(Stop);

    private async Task<Opened> OpenAsync(string more = "")
    {
        var mesh = MeshReader.Read(
            $"apiVersion: mesh.isthmus.internal/v1alpha1\nkind: Mesh\nmetadata: {{name: ours}}\nspec: {{clusters: [{{name: "
                + $"a{(more.Length > 0 ? $", {more}" : "")}}}]}}\n",
            "mesh.yaml", _folder);
        return new(new MeshDesign(mesh), await MeshLinks.OpenAsync(mesh, _ => _server.Access, ["a"], Stop));
    }

    private static JsonObject Parse(string text) => (JsonObject)JsonNode.Parse(text)!;

    private sealed record Opened(MeshDesign Design, MeshLinks Links) : IDisposable
    {
        internal IReadOnlyList<ClusterLink> All => Links.All;

        public void Dispose() => Links.Dispose();
    }

    private sealed class Unseen : IMeshProgress
    {
        public void Started(string cluster, string step) { }

        public void Finished(string cluster, string step, TimeSpan took) { }

        public void Note(string cluster, string text) { }
    }
}
