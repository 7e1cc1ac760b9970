using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Faults;

/// <summary>A network that loses packets, which only a real one can do.</summary>
[Collection(nameof(SharedMesh))]
[Trait("shard", nameof(SharedMesh))]
public sealed class CutPathTests(MeshRig mesh)
{
    [Fact]
    [Trait("runs", "soak")]
    public async Task A_path_that_is_cut_between_networks_is_told_from_configuration_that_is_wrong()
    {
        var lab = await mesh.LabAsync();
        var faults = new FaultRig(mesh, lab);
        Task<Outcome> TraceAsync(string timeout = "2s") =>
            lab.IsthmusAsync("trace", "deploy/sleep.sample", "helloworld.sample:5000/hello", "--context=cluster1", $"--timeout={timeout}");
        await mesh.KubectlAsync("cluster1", "-n sample scale deployment/helloworld-v1 --replicas=0");
        await MeshRig.UntilAsync(async () => (await TraceAsync()).Output, text => text.Contains("✔ The call gets through", StringComparison.Ordinal),
            "the caller is served by the other cluster");
        await faults.CutAsync("cluster1", "cluster2");
        try
        {
            const string way = "object  network2 through gateway";
            await MeshRig.UntilAsync(async () => (await TraceAsync()).Output,
                text => text.Contains(way, StringComparison.Ordinal) && text.Contains("or packets do not arrive (ISM2077)", StringComparison.Ordinal),
                "the path is named");
            // The caller's proxy gives up by itself only after all its attempts to connect.
            var found = (await TraceAsync("60s")).Output;
            Assert.True(found.Contains(way, StringComparison.Ordinal) && found.Contains("(ISM2076)", StringComparison.Ordinal), found);
        }
        finally
        {
            await faults.HealAsync("cluster1");
            await mesh.KubectlAsync("cluster1", "-n sample scale deployment/helloworld-v1 --replicas=1");
        }
    }
}
