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
        var sums = await ReleaseAsync("a");
        foreach (var name in (string[])["base-", "istiod-", "gateway-", "cni-", "-manifests.tar.gz", "-client.tar.gz", "-image-linux-", ".spdx.json"]) Assert.Contains(name, sums, StringComparison.Ordinal);
        Assert.Equal(sums, await ReleaseAsync("longer/path"));
    }

    /// <summary>Makes a release, runs the programs in its archives, and returns the checksums.</summary>
    private async Task<string> ReleaseAsync(string name)
    {
        var sources = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(LabRig.FindProgram())!, "../../../.."));
        var start = new ProcessStartInfo("bash", ["-euo", "pipefail", "-c", """
            mkdir -p "$(dirname "$2")"
            git clone -q "$1" "$2"
            cd "$2"
            version=$(sed -nE 's|.*<Version>(.*)</Version>.*|\1|p' Directory.Build.props)
            tools/release "$version" --packages "$3" >&2
            cd "artifacts/release/$version"
            for archive in *-client.tar.gz isthmus-*-linux-*.tar.gz; do
              tar xzf "$archive" -C "$2/artifacts"
              [ "$("$2/artifacts/${archive%.tar.gz}/bin/isthmus" --version)" = "$version" ]
            done
            cat SHA256SUMS
            """, "bash", sources, Path.Combine(_directory, name), Path.Combine(sources, "artifacts/packages")]) { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        return output;
    }
}
