using Isthmus.Commands;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class VersionTests
{
    /// <summary>What is no tag is no version: not the name of an image, not the port of a registry, not a digest.</summary>
    [Theory]
    [InlineData("docker.io/istio/pilot:1.31.0", "1.31.0")]
    [InlineData("registry:5000/istio/pilot:1.31.0@sha256:0123", "1.31.0")]
    [InlineData("registry:5000/istio/pilot", null)]
    [InlineData("docker.io/istio/pilot@sha256:0123", null)]
    [InlineData("pilot", null)]
    public void The_version_of_an_image_is_its_tag(string image, string? version) => Assert.Equal(version, ImageTag.Of(image));

    [Fact]
    public async Task The_API_is_that_of_Istio_1_31()
    {
        var (code, output, _) = await StartedProgram.RunAsync(["version", "--remote=false"], TestContext.Current.CancellationToken);
        Assert.Equal(0, code);
        Assert.Matches(@"(?m)^APIs: those of Istio 1\.31\.[0-9]+$", output.ReplaceLineEndings("\n"));
    }

    [Fact]
    public void The_TLS_library_is_OpenSSL_with_its_version() => Assert.Matches(@"^OpenSSL 3\.[0-9]+\.[0-9]+$", TlsLibrary.Name);
}
