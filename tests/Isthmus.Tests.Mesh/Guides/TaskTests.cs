using Isthmus.Tests.Mesh.Mesh;
using Xunit;

namespace Isthmus.Tests.Mesh.Guides;

/// <summary>Runs the pages of docs/tasks as a reader types them. They need the mesh of the quickstart, and leave it as it was.</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(PlacedMesh))]
public sealed class TaskTests(PlacedMeshRig mesh)
{
    public static TheoryData<string> Pages => [.. Directory.GetFiles(GuideShell.Tasks, "*.md").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task The_page_works_as_it_is_written(string page)
    {
        await using var shell = GuideShell.In(await mesh.LabAsync());
        var blocks = GuidePage.Read(GuideShell.Tasks, page);
        Assert.NotEmpty(blocks);
        await shell.TypeAsync(blocks);
    }
}
