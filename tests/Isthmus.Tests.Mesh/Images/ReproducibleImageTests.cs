using System.Diagnostics;
using Isthmus.Tests.Mesh.Lab;
using Xunit;

namespace Isthmus.Tests.Mesh.Images;

/// <summary>Two clones of the same commit, at different paths, build the same image.</summary>
public sealed class ReproducibleImageTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-clones-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    [Trait("runs", "soak")]
    public async Task Two_clones_build_the_same_image()
    {
        var here = await BuildAsync("a");
        Assert.StartsWith("sha256:", here, StringComparison.Ordinal);
        Assert.Equal(here, await BuildAsync("longer/path"));
    }

    private async Task<string> BuildAsync(string name)
    {
        var sources = BuiltProgram.Sources;
        var start = new ProcessStartInfo("bash", ["-euc", """
            mkdir -p "$(dirname "$2")"
            git clone -q "$1" "$2"
            "$2/isthmus" image build --output "$2.tar" --packages "$3" | tail -1
            """, "bash", sources, Path.Combine(_directory, name), Path.Combine(sources, "artifacts/packages-13")]) { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        return output.Trim();
    }
}
