using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Lab.Supervisor;
using Xunit;

namespace Isthmus.Tests.Mesh.Guides;

/// <summary>Types the guides, block by block, into one shell: the pages are the only copy of their commands.</summary>
public sealed class GuideTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(6);

    [Theory]
    [InlineData("clusters.md")]
    [InlineData("multi-primary.md")]
    [InlineData("multi-primary-multi-network.md")]
    [InlineData("primary-remote.md")]
    [InlineData("primary-remote-multi-network.md")]
    public async Task The_guide_works_as_it_is_written(string page)
    {
        try { await Preflight.RunAsync(TestContext.Current.CancellationToken); }
        catch (Core.Problems.ProblemException e) { Assert.Skip(e.Message); }

        var root = Root();
        var blocks = GuidePage.Read(Path.Combine(root, "docs", "guides"), page);
        Assert.NotEmpty(blocks);
        var folder = Directory.CreateTempSubdirectory("isthmus-guide-").FullName;
        try
        {
            foreach (var name in (string[])["samples", "tools", "manifests", "bin"]) Directory.CreateSymbolicLink(Path.Combine(folder, name), Path.Combine(root, name));
            await TypeAsync(blocks, folder);
        }
        finally
        {
            await BashAsync("bin/isthmus lab down", folder, TimeSpan.FromSeconds(60));
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task TypeAsync(IReadOnlyList<GuideBlock> blocks, string folder)
    {
        var script = new StringBuilder("set -e -o pipefail\n");
        for (var i = 0; i < blocks.Count; i++)
        {
            await File.WriteAllTextAsync(Path.Combine(folder, $".block{i}"), blocks[i].Script);
            script.Append($"exec >.output{i} 2>&1; . ./.block{i}; touch .done{i}\n");
        }
        await File.WriteAllTextAsync(Path.Combine(folder, ".all"), script.ToString());
        await BashAsync(". ./.all", folder, Patience);
        for (var i = 0; i < blocks.Count; i++)
        {
            var block = blocks[i];
            var path = Path.Combine(folder, $".output{i}");
            var output = File.Exists(path) ? await File.ReadAllTextAsync(path) : "";
            var where = $"docs/guides/{block.Page}:{block.Line}";
            Assert.True(File.Exists(Path.Combine(folder, $".done{i}")), $"{where} failed:\n{block.Script}\nIt said:\n{output}");
            var lines = output.Split('\n').Select(line => line.TrimEnd()).ToList();
            foreach (var expected in block.Expected.Where(line => line.Length > 0))
            {
                var pattern = new Regex("^" + Regex.Escape(expected).Replace("…", ".*", StringComparison.Ordinal) + "$");
                Assert.True(lines.Exists(line => pattern.IsMatch(line)), $"{where}: no line '{expected}' in the output of\n{block.Script}\nIt said:\n{output}");
            }
        }
    }

    private static async Task BashAsync(string script, string folder, TimeSpan patience)
    {
        var start = new ProcessStartInfo("bash", ["-c", script]) { WorkingDirectory = folder, RedirectStandardInput = true };
        start.Environment["ISTHMUS_LAB_HOME"] = Path.Combine(folder, ".lab");
        start.Environment["KUBECONFIG"] = Path.Combine(folder, ".kubeconfig");
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(patience);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
        }
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Isthmus.slnx"))) folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("the tests run outside of the repository");
    }
}
