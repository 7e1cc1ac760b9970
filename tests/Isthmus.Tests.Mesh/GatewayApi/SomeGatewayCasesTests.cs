using System.Diagnostics;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>A part of the cases, which each run of the tests makes: routes in the mesh and at Gateways, statuses, and backends in the other
/// cluster.</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(PlacedMesh))]
public sealed class SomeGatewayCasesTests(PlacedMeshRig mesh)
{
    [Fact]
    public async Task Some_cases_are_as_specified_with_backends_in_one_cluster_and_in_the_other()
    {
        var begun = Stopwatch.GetTimestamp();
        await using var lab = await GatewayLab.CreateAsync(mesh, isQuick: true);
        try
        {
            var cases = LabCase.All.Where(one => one.IsQuick).ToList();
            MeshRig.Note($"{cases.Count} cases; ready after {MeshRig.Seconds(Stopwatch.GetElapsedTime(begun))}");
            foreach (var one in cases) await lab.RunAsync(one);
            await lab.MoveAsync(isElsewhere: true);
            foreach (var one in cases.Where(one => one.IsElsewhere)) await lab.RunAsync(one);
        }
        finally
        {
            await lab.ClearAsync();
            MeshRig.Note($"all: {MeshRig.Seconds(Stopwatch.GetElapsedTime(begun))}");
        }
    }
}
