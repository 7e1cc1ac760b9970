using Xunit;

namespace Isthmus.Tests.Mesh.Guides;

/// <summary>
/// Runs the guides, block by block, in one shell: the pages are the only copy of their commands. Guides that need the same clusters share
/// a lab, one after another: each must leave the clusters as it found them.
/// </summary>
public sealed class GuideTests
{
    /// <summary>What a shard runs: one guide, or guides that share a lab.</summary>
    private static readonly IReadOnlyDictionary<string, string[]> SharedLabs = new Dictionary<string, string[]>(StringComparer.Ordinal)
    {
        ["guides-on-one-network"] = ["multi-primary.md", "primary-remote.md", "primary-remote-older-form.md", "gateway-api-mesh.md",
            "gateway-api-primary-remote.md"],
        ["guides-on-two-networks"] =
        [
            "multi-primary-multi-network.md", "primary-remote-multi-network.md", "external-control-plane.md", "mesh-file.md",
            "replicated-control-planes.md", "gateway-api-multi-network.md", "gateway-api-external-control-plane.md",
        ],
    };

    private static readonly string[] OwnLabs = ["clusters.md", "revisions.md", "from-istio.md", "gateway-api-ingress.md"];

    /// <summary>They need real nodes (<c>./test --kubelet</c>).</summary>
    private static readonly string[] RealNodes = ["cni.md"];

    /// <summary>Each guide has its own row if somebody asked for a guide by its name, or for clusters of their own.</summary>
    public static TheoryData<string> Guides => Environment.GetEnvironmentVariable("ISTHMUS_TEST_EACH_GUIDE") == "1"
        ? [.. OwnLabs.Concat(SharedLabs.Values.SelectMany(pages => pages)).Concat(RealNodes)]
        : [.. OwnLabs.Concat(SharedLabs.Keys)];

    [Theory]
    [Trait("shard", "page")]
    [MemberData(nameof(Guides))]
    public async Task The_guide_works_as_it_is_written(string guide)
    {
        await using var shell = await GuideShell.CreateAsync();
        var pages = SharedLabs.GetValueOrDefault(guide, [guide]).Select(page => GuidePage.Read(GuideShell.Pages, page)).ToList();
        Assert.All(pages, Assert.NotEmpty);
        if (pages.Count > 1) await shell.StartLabAsync(pages[0]);
        foreach (var page in pages[..^1])
        {
            await shell.TypeAsync([.. page.Select(GuideClusters.WithoutLabDown)]);
            await shell.CheckNothingIsLeftAsync();
            shell.RemoveFiles();
        }
        await shell.TypeAsync(pages[^1]);
        if (pages.Count == 1) await shell.CheckNothingIsLeftAsync();
    }
}
