using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Security;

/// <summary>
/// The roots of a mesh are replaced, one after the other, while callers in both clusters never stop (<c>./test --soak</c>). The page
/// docs/tasks/root-rotation.md does it once in every run of the tests.
/// </summary>
public sealed class RotationLoadTests(MeshRig mesh) : IClassFixture<MeshRig>
{
    private const int Steps = 3; // those that take a command: step 3 of 4 is to wait

    private static readonly TimeSpan Length = TimeSpan.FromHours(1);

    [Fact]
    [Trait("runs", "soak")]
    public async Task No_call_is_lost_while_roots_are_replaced_for_an_hour()
    {
        var lab = await mesh.LabAsync();
        var faults = new FaultRig(mesh, lab);
        var directory = Directory.CreateTempSubdirectory("isthmus-rotation-").FullName;
        try
        {
            await using var load = new SteadyLoad(lab);
            var rounds = 0;
            do
            {
                await HeardAsync(load);
                var root = Path.Combine(directory, $"root-{++rounds}");
                (await lab.IsthmusAsync("ca", "root", "--dir", root)).Expect(0);
                for (var step = 0; step < Steps; step++)
                    Assert.Contains("✔ Done", (await lab.IsthmusAsync("ca", "rotate", "--dir", root, "--wait", "-y")).Expect(0), StringComparison.Ordinal);
                Assert.Contains("form one mesh", (await lab.IsthmusAsync("verify")).Expect(0), StringComparison.Ordinal);
                // A Pod that starts now has never known the old root.
                await faults.RestartAsync("cluster2", "sample", "helloworld-v2");
            }
            while (load.Now < Length);
            await HeardAsync(load);
            var answers = await load.FinishAsync(0);
            var failed = answers.Where(answer => answer.Code != 200).ToList();
            Assert.True(failed.Count == 0, $"{failed.Count} of {answers.Count} failed, the first: {string.Join('\n', failed.Take(5))}");
            MeshRig.Note($"{rounds} roots, {answers.Count} answers, all 200");
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static async Task HeardAsync(SteadyLoad load)
    {
        var cause = load.Now;
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, cause, "v1", "v2");
    }
}
