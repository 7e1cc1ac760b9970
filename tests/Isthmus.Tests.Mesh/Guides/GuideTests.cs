using Xunit;

namespace Isthmus.Tests.Mesh.Guides;

/// <summary>Runs the guides, block by block, in one shell: the pages are the only copy of their commands.</summary>
public sealed class GuideTests
{
    [Theory]
    [Trait("shard", "page")]
    [InlineData("clusters.md")]
    [InlineData("revisions.md")]
    [InlineData("multi-primary.md")]
    [InlineData("multi-primary-multi-network.md")]
    [InlineData("primary-remote.md")]
    [InlineData("primary-remote-older-form.md")]
    [InlineData("primary-remote-multi-network.md")]
    [InlineData("external-control-plane.md")]
    [InlineData("mesh-file.md")]
    [InlineData("replicated-control-planes.md")]
    public async Task The_guide_works_as_it_is_written(string page)
    {
        await using var shell = await GuideShell.CreateAsync();
        var blocks = GuidePage.Read(GuideShell.Pages, page);
        Assert.NotEmpty(blocks);
        await shell.TypeAsync(blocks);
        await shell.CheckNothingIsLeftAsync();
    }
}
