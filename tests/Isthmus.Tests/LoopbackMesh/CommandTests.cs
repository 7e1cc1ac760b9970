using System.Text.Json.Nodes;
using Isthmus.Tests.Commands;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>Commands as users type them, with a mesh behind the kubeconfig.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class CommandTests(LoopbackMeshRig mesh)
{
    [Fact]
    public async Task A_namespace_that_is_nowhere_is_no_namespace_without_problems()
    {
        var (code, output, error) = await RunAsync("analyze", "-n", "istio-sytem");
        Assert.NotEqual(0, code);
        Assert.DoesNotContain("✔", output, StringComparison.Ordinal);
        Assert.Contains("namespace \"istio-sytem\": not found in cluster1, cluster2", error, StringComparison.Ordinal);
        Assert.Contains("istio-system", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_precheck_has_the_same_answer_for_programs()
    {
        var (code, output, error) = await RunAsync("precheck", "--context=cluster1", "-o", "json");
        var tree = JsonNode.Parse(output)!;
        Assert.True((string?)tree["cluster"] == "cluster1", error);
        Assert.Equal(tree["issues"]!.AsArray().Count == 0, code == 0);
        Assert.All(tree["issues"]!.AsArray(),
            issue => Assert.All((string[])["object", "message", "remedy"], field => Assert.NotEmpty(issue![field]!.ToString())));
        var (plain, text, _) = await RunAsync("precheck", "--context=cluster1");
        Assert.Equal((code, code == 0), (plain, text.Contains("✔ No issues found", StringComparison.Ordinal)));
    }

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) =>
        StartedProgram.RunAsync([.. arguments, "--kubeconfig", mesh.Kubeconfig], TestContext.Current.CancellationToken);
}
