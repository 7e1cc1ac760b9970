using System.Runtime.CompilerServices;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Installation;

/// <summary>What the quickstart leaves behind.</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(PlacedMesh))]
public sealed class QuickstartTests(PlacedMeshRig mesh)
{
    [Fact]
    public async Task What_the_quickstart_deployed_can_be_applied_again_by_hand()
    {
        var lab = await mesh.LabAsync();
        var applied = await lab.KubectlAsync("--context=cluster1", "apply", "-n", "sample", "-f", Sample("sleep/sleep.yaml"));
        Assert.Contains("deployment.apps/sleep ", applied.Expect(0), StringComparison.Ordinal);
        Assert.Empty(applied.Errors);
    }

    [Fact]
    public async Task An_injected_Pod_counts_with_its_sidecar_and_tells_its_story_in_order()
    {
        await mesh.LabAsync();
        // The sidecar has requests and limits, the application has none.
        Assert.Equal("Burstable", await mesh.KubectlAsync("cluster1", "-n sample get pods -l app=sleep -o jsonpath={.items[0].status.qosClass}"));
        var pod = await mesh.KubectlAsync("cluster1", "-n sample get pods -l app=sleep -o jsonpath={.items[0].metadata.name}");
        // Events are written in the background: that of the last container may come after the Pod is ready.
        var expected = Enumerable.Repeat((string[])["Pulled", "Created", "Started"], 3).SelectMany(part => part).ToList();
        await MeshRig.UntilAsync(() => mesh.KubectlAsync("cluster1",
            $"-n sample get events --field-selector involvedObject.name={pod},source=kubelet -o jsonpath={{.items[*].reason}}"),
            story => story.Split(' ').Where(reason => reason is "Pulled" or "Created" or "Started").SequenceEqual(expected), string.Join(' ', expected));
    }

    private static string Sample(string name, [CallerFilePath] string path = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, "../../../samples", name));
}
