using System.Text.Json.Nodes;
using Isthmus.Tests.Commands;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary><c>isthmus describe</c> as users run it, for a Service with a part in each of two running clusters.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class DescribeTests(LoopbackMeshRig mesh, FaultyServices services)
{
    [Fact]
    public async Task A_Pod_and_a_Service_are_described_with_what_the_other_cluster_has()
    {
        await services.ReadyAsync(mesh);
        await DescribedAsync("pod deployment/$here -n $ns", "Pod: $here-", "Service: $ns/$both", "DestinationRule: $ns/$split for",
            "VirtualService: $ns/$split", "Workload mTLS mode: PERMISSIVE", "In cluster2:\nService: $ns/$both\n   Pods: 1, 1 ready");
        await DescribedAsync("service $ported.$ns", "Service: $ns/$ported", "In cluster2:\nService: $ns/$ported\n   Pods: 1, 1 ready",
            "[IST0170] in cluster2: Service $ns/$ported: spec.ports: port 8011 of cluster2 does not exist in cluster1");
        await DescribedAsync("service $here-only.$ns", "Error: Service $ns/$here-only in cluster1: does not exist");
        Assert.DoesNotContain("\\u00", await DescribedAsync("pod deployment/$here -n $ns -o json", "IST0101"), StringComparison.Ordinal);
        var tree = JsonNode.Parse(await DescribedAsync("service $both.$ns -o json", "elsewhere"))!;
        Assert.Equal(("cluster1", "cluster2", 1),
            (tree["configCluster"]!.ToString(), tree["elsewhere"]![0]!["configCluster"]!.ToString(), (int)tree["elsewhere"]![0]!["readyPods"]!));
    }

    private Task<string> DescribedAsync(string arguments, params string[] parts) => mesh.UntilAsync(async () =>
    {
        var (_, output,
            error) = await StartedProgram.RunAsync(["describe", .. services.Fill(arguments).Split(' '), "--kubeconfig", mesh.Kubeconfig],
                TestContext.Current.CancellationToken);
        return output + error;
    }, text => parts.All(part => text.Contains(services.Fill(part), StringComparison.Ordinal)), services.Fill($"{arguments}: {string.Join(" | ", parts)}"));
}
