using Isthmus.Core.Names;
using Isthmus.Tests.LoopbackMesh;
using Isthmus.WebConsole;
using Isthmus.WebConsole.Reading;
using Isthmus.WebConsole.Serving;
using Isthmus.WebConsole.Traffic;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>The page Problems has all that <c>verify</c> checks: a part that gets no calls while another answers, and gateways that proxies cannot
/// reach.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class LostPartsTests(LoopbackMeshRig mesh, FaultyServices services)
{
    [Fact]
    public async Task A_part_that_gets_no_calls_is_a_problem_and_gateways_are_tried()
    {
        await services.ReadyAsync(mesh);
        var clusters = LoopbackMeshRig.Clusters.Select(mesh.Access).ToList();
        using var reader = new MeshStateReader(clusters, WellKnown.SystemNamespace, TimeProvider.System);
        using var watch = new MeshWatch(reader, new MeshAnalysis(clusters, WellKnown.SystemNamespace, reader, TimeProvider.System),
            new PrometheusTraffic(PrometheusChoice.None, WellKnown.SystemNamespace, reader.Client, TimeProvider.System), new EventHub(), TimeProvider.System);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        // As the Pods are when it starts: the watch reads again only for an open page.
        await mesh.UntilAsync(async () => string.Join('\n', await mesh.VerifyAsync()),
            text => Parts.All(part => text.Contains(services.Fill(part.Object), StringComparison.Ordinal)), "verify names the parts");
        var watching = watch.RunAsync(stop.Token);
        try
        {
            await mesh.UntilAsync(() => Task.FromResult(string.Join('\n',
                watch.Problems.Select(row => $"{row.FoundBy} {row.Cluster} {row.Problem.Code} {row.Problem}"))),
                text => Parts.All(part => text.Contains($"verify {part.Cluster} {part.Code} {services.Fill(part.Object)}", StringComparison.Ordinal)),
                "the page has the parts");
            await mesh.UntilAsync(() => Task.FromResult(string.Join('\n',
                watch.Checks.Where(check => check.What == "path to gateway").Select(check => $"{check.Cluster} {check.IsKnown}")
                    .Order(StringComparer.Ordinal))),
                text => text == "cluster1 True\ncluster2 True", "each cluster's proxies tried the other's gateway");
        }
        finally
        {
            await stop.CancelAsync();
            await Record.ExceptionAsync(() => watching);
        }
    }

    private static readonly (string Cluster, string Code, string Object)[] Parts =
        [("cluster2", "ISM2051", "Pod $ns/$faraway"), ("cluster2", "ISM2051", "Pod $half/$halved"), ("cluster1", "ISM2047", "Pod $ns/$sick")];
}
