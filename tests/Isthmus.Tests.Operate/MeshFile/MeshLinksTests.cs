using Isthmus.Operate.MeshFile;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Operate.MeshFile;

/// <summary>Conflicts between live clusters and a mesh file, with real API servers in this process.</summary>
public sealed class MeshLinksTests : IAsyncLifetime
{
    private readonly RunningApiServer _one = new(), _other = new();

    public async ValueTask InitializeAsync()
    {
        foreach (var server in (RunningApiServer[])[_one, _other])
        {
            await server.InitializeAsync();
            await server.SendAsync("POST", "/api/v1/namespaces", """{"metadata":{"name":"kube-system"}}""");
            await server.SendAsync("POST", "/api/v1/nodes", """{"metadata":{"name":"node"},"spec":{"podCIDR":"10.244.0.0/24","podCIDRs":["10.244.0.0/24"]}}""");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _one.DisposeAsync();
        await _other.DisposeAsync();
    }

    [Fact]
    public async Task All_that_is_in_the_way_is_told_at_once()
    {
        var problems = await ProblemsAsync(
            "  clusters: [{name: a}, {name: b, context: missing}, {name: c, context: again}, {name: d, context: away, server: 'https://10.0.0.9'}]\n");
        Assert.Equal(
        [
            "mesh.yaml: spec.clusters[1].context: 'missing' is not a context in the kubeconfig (contexts: a, again, away, other)",
            $"mesh.yaml: spec.clusters[0]: the API server of 'a' is {_one.Access.Server.ToString().TrimEnd('/')}, which other clusters cannot reach (set "
                + $"spec.clusters[0].server to an address that Pods of the other clusters can reach)",
            "mesh.yaml: spec.clusters[2].context: 'again' leads to the same cluster as 'a' (specify the context of another cluster)",
            $"mesh.yaml: spec.clusters[2]: the API server of 'c' is {_one.Access.Server.ToString().TrimEnd('/')}, which other clusters cannot reach (set "
                + $"spec.clusters[2].server to an address that Pods of the other clusters can reach)",
        ], problems[..4]);
        Assert.StartsWith("mesh.yaml: spec.clusters[3].context: 'away' does not respond: ", problems[4], StringComparison.Ordinal);
        Assert.Equal(5, problems.Count);
    }

    [Fact]
    public async Task Pod_ranges_that_overlap_are_fine_between_networks_and_not_on_one()
    {
        const string servers = "{name: a, network: x, server: 'https://10.0.0.1'}, {name: other, network: NETWORK, server: 'https://10.0.0.2'}";
        const string networks = "  networks: [{name: x}, {name: z}]\n";
        using var links = await OpenAsync($"{networks}  clusters: [{servers.Replace("NETWORK", "z", StringComparison.Ordinal)}]\n");
        Assert.Equal(["https://10.0.0.1", "https://10.0.0.2"], links.All.Select(link => link.Server));
        Assert.Equal(
            ["mesh.yaml: spec.clusters[1].network: 'x' is a single flat network, but Pods of 'other' are in 10.244.0.0/24 and those of 'a' in 10.244.0.0/24 "
                + "(give each cluster its own range, or put the clusters on different networks)"],
            await ProblemsAsync($"  networks: [{{name: x}}]\n  clusters: [{servers.Replace("NETWORK", "x", StringComparison.Ordinal)}]\n"));
    }

    /// <summary>A CA whose files are lost is not silently replaced by a new one.</summary>
    [Fact]
    public async Task Missing_files_never_begin_a_new_root_beside_one_that_is_in_use()
    {
        await _one.SendAsync("POST", "/api/v1/namespaces", """{"metadata":{"name":"istio-system"}}""");
        await _one.SendAsync("POST", "/api/v1/namespaces/istio-system/secrets", """{"metadata":{"name":"cacerts"},"data":{}}""");
        var mesh = MeshReader.Read(
            "apiVersion: mesh.isthmus.internal/v1alpha1\nkind: Mesh\nmetadata: {name: m}\nspec: {trust: {directory: nowhere}, clusters: [{name: a}]}\n",
            "mesh.yaml", Path.GetTempPath());
        using var links = await MeshLinks.OpenAsync(mesh, _ => _one.Access, ["a"], TestContext.Current.CancellationToken);
        var problems = (await Assert.ThrowsAsync<MeshProblemsException>(() => new MeshPlanner(new MeshDesign(mesh), links,
            TimeProvider.System).PlanAsync(TestContext.Current.CancellationToken))).Problems;
        Assert.Contains("'a' has the Secret istio-system/cacerts: with a new root, proxies would no longer trust", Assert.Single(problems).Message,
            StringComparison.Ordinal);
    }

    private Task<MeshLinks> OpenAsync(string spec) => MeshLinks.OpenAsync(MeshReaderTests.Read(spec), context => context switch
    {
        "other" => _other.Access,
        "away" => _one.Access with { Server = new Uri("https://127.0.0.1:1") },
        _ => _one.Access,
    }, ["a", "again", "away", "other"], TestContext.Current.CancellationToken);

    private async Task<List<string>> ProblemsAsync(string spec) =>
        [.. (await Assert.ThrowsAsync<MeshProblemsException>(() => OpenAsync(spec))).Problems.Select(problem => problem.ToString())];
}
