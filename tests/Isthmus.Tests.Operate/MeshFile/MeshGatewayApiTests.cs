using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Operate.Install;
using Isthmus.Operate.MeshFile;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.MeshFile;

/// <summary>The definitions of the Gateway API that a mesh file asks for.</summary>
public sealed class MeshGatewayApiTests : IAsyncLifetime
{
    private static readonly ResourceKind Routes = Manifests.ResourceOf(MeshApi.HttpRoute);

    private readonly RunningApiServer _server = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-gateway-api-").FullName;

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
    public void Clusters_with_configuration_get_the_definitions_unless_one_of_them_says_otherwise()
    {
        var mesh = Read("""
            gatewayApi: {install: true}
            clusters:
            - name: a
            - {name: b, install: {values: {base: {enableGatewayAPICRDs: false}}}}
            - {name: c, primaries: [a]}
            - {name: d, controlPlane: {cluster: a}}
            """);
        var design = new MeshDesign(mesh);
        var bringing = mesh.Clusters.Where(cluster => Bring(Manifests.Render(design.Installation(cluster, "192.0.2.1"))));
        Assert.Equal(["a", "d"], bringing.Select(cluster => cluster.Name));
        Assert.False(Bring(Manifests.Render(design.HostedControlPlane(mesh.Cluster("d")))));
        var silent = Read("clusters: [{name: a}]");
        Assert.False(Bring(Manifests.Render(new MeshDesign(silent).Installation(silent.Clusters[0], ""))));
        var byNames = Read("join: names\ngatewayApi: {install: true}\nclusters: [{name: a}]");
        Assert.True(Bring(Manifests.Render(new MeshDesign(byNames).Installation(byNames.Clusters[0], ""))));
    }

    [Theory]
    [InlineData("gatewayApi: {install: soon}", "mesh.yaml: spec.gatewayApi.install: 'soon' is not true or false (write true or false, without quotes)")]
    [InlineData("gatewayApi: {instal: true}", "mesh.yaml: spec.gatewayApi.instal: is not a field of a mesh file (did you mean 'install'?)")]
    public void Mistakes_are_named(string field, string problem)
    {
        var wrong = Assert.Throws<MeshProblemsException>(() => Read($"{field}\nclusters: [{{name: a}}]"));
        Assert.Equal(problem, Assert.Single(wrong.Problems).ToString());
    }

    [Fact]
    public async Task A_plan_names_definitions_that_must_not_be_replaced()
    {
        var mesh = Read("gatewayApi: {install: true}\nclusters: [{name: a}]");
        using var links = await MeshLinks.OpenAsync(mesh, _ => _server.Access, ["a"], Stop);
        var client = links.All[0].Client;
        Assert.Contains((await PlanAsync(mesh, links)).Changes, change => change.Object == $"CustomResourceDefinition {MeshApi.HttpRoute.CrdName}");

        var newer = GatewayApiCrds.All.Single(definition => Applier.Name(definition) == MeshApi.HttpRoute.CrdName);
        newer["metadata"]!["annotations"]![GatewayApiCrds.VersionAnnotation] = "v1.7.0";
        await client.CreateAsync(Kinds.CustomResourceDefinition, newer, Stop);
        var refused = await Assert.ThrowsAsync<MeshProblemsException>(() => PlanAsync(mesh, links));
        Assert.Contains("'v1.7.0', which is newer than v1.6.1", Assert.Single(refused.Problems).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_mesh_that_goes_leaves_definitions_with_objects_of_others_unless_it_is_purged()
    {
        var mesh = Read("gatewayApi: {install: true}\nclusters: [{name: a}]");
        using var links = await MeshLinks.OpenAsync(mesh, _ => _server.Access, ["a"], Stop);
        var (client, design) = (links.All[0].Client, new MeshDesign(mesh));
        var objects = Manifests.Render(design.Installation(mesh.Clusters[0], "")).Single(component => component.Name == GatewayApiBundle.Component).Objects;
        await new Applier(client, TimeProvider.System).ApplyAsync(objects, Stop);
        Assert.DoesNotContain((await PlanAsync(mesh, links)).Changes, change => change.Object.EndsWith(GatewayApiCrds.Group, StringComparison.Ordinal));
        const string built = """{"metadata": {"name": "istio"}, "spec": {"controllerName": "istio.io/gateway-controller"}}""";
        await CreateAsync(client, Manifests.ResourceOf(MeshApi.GatewayClass), built);
        await CreateAsync(client, Routes, """{"metadata": {"name": "r", "namespace": "shop"}, "spec": {}}""");

        var plan = await RemovalAsync(purges: false);
        Assert.Equal(["1 × HTTPRoute: shop/r"], Bystander.Describe(plan.Others));
        Assert.Equal(9, plan.Removals.Count(GatewayApiBundle.IsPart));
        Assert.Equal(12, (await RemovalAsync(purges: true)).Removals.Count(GatewayApiBundle.IsPart));

        async Task<ClusterRemoval> RemovalAsync(bool purges) => Assert.Single(await new MeshRemoval(
            design, links, new(["a"], purges), TimeSpan.FromMinutes(1), new Unseen(), TimeProvider.System).PlanAsync(Stop));
    }

    private static bool Bring(IReadOnlyList<Component> components) =>
        components.Any(component => component.Name == GatewayApiBundle.Component);

    private static Task<MeshPlan> PlanAsync(MeshSpec mesh, MeshLinks links) =>
        new MeshPlanner(new MeshDesign(mesh), links, TimeProvider.System).PlanAsync(Stop);

    private MeshSpec Read(string spec) => MeshReader.Read(
        $"apiVersion: mesh.isthmus.internal/v1alpha1\nkind: Mesh\nmetadata: {{name: ours}}\nspec:\n  {spec.ReplaceLineEndings("\n  ")}\n", "mesh.yaml",
            _folder);

    /// <summary>API servers serve a version a moment after its definition is stored.</summary>
    private static Task CreateAsync(KubeClient client, ResourceKind kind, string json)
    {
        var value = JsonNode.Parse(json)!.AsObject();
        (value["apiVersion"], value["kind"]) = (kind.ApiVersion, kind.Kind);
        return Eventually.ValueAsync(async () =>
        {
            try { return await client.CreateAsync(kind, value, Stop); }
            catch (KubeException e) when (e.IsNotFound) { return null; }
        }, $"{kind.ApiVersion} is served");
    }

    private sealed class Unseen : IMeshProgress
    {
        public void Started(string cluster, string step) { }

        public void Finished(string cluster, string step, TimeSpan took) { }

        public void Note(string cluster, string text) { }
    }
}
