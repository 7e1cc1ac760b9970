using System.Globalization;
using Xunit;

namespace Isthmus.Tests.Mesh.Guides;

/// <summary>Types the guides, block by block, into one shell: the pages are the only copy of their commands.</summary>
public sealed class GuideTests
{
    [Theory]
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
        var begun = TimeProvider.System.GetTimestamp();
        await shell.TypeAsync(blocks);
        // ./test shows them at its end.
        await File.AppendAllTextAsync(GuideShell.Times, string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetElapsedTime(begun).TotalSeconds,6:0.0} s  {page}\n"), TestContext.Current.CancellationToken);
    }
}
