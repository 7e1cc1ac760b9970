using System.Diagnostics;
using Isthmus.Tests.Mesh.Lab;
using Xunit;

namespace Isthmus.Tests.Mesh.Images;

/// <summary>The whole of <c>tools/release</c>, from two clones of the same commit at different paths.</summary>
public sealed class ReleaseTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-releases-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    [Trait("runs", "soak")]
    public async Task Two_clones_make_the_same_release()
    {
        var commit = (await RunAsync("git", "-C", Sources, "rev-parse", "HEAD")).Trim();
        var sums = await ReleaseAsync(commit, "a");
        foreach (var name in (string[])["base-", "istiod-", "gateway-", "cni-", "-manifests.tar.gz", "-client.tar.gz", "-image-linux-", ".spdx.json"])
            Assert.Contains(name, sums, StringComparison.Ordinal);
        Assert.Equal(sums.Split('\n'), (await ReleaseAsync(commit, "longer/path")).Split('\n'));
    }

    private static string Sources => BuiltProgram.Sources;

    /// <summary>Makes a release, runs the programs in its archives, and returns the checksums.</summary>
    private Task<string> ReleaseAsync(string commit, string name) => RunAsync("bash", "-euo", "pipefail", "-c", """
        mkdir -p "$(dirname "$2")"
        git clone -q "$1" "$2"
        cd "$2"
        git checkout -q "$4"
        version=$(sed -nE 's|.*<Version>(.*)</Version>.*|\1|p' Directory.Build.props)
        tools/release "$version" --packages "$3" >&2
        cd "artifacts/release/$version"
        for archive in *-client.tar.gz isthmus-*-linux-*.tar.gz; do
          tar xzf "$archive" -C "$2/artifacts"
          [ "$("$2/artifacts/${archive%.tar.gz}/bin/isthmus" --version)" = "$version" ]
        done
        cat SHA256SUMS
        """, "bash", Sources, Path.Combine(_directory, name), Path.Combine(Sources, "artifacts/packages-13"), commit);

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        return output;
    }
}
