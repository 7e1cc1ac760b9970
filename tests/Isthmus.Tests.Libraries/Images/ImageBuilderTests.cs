using System.Net;
using System.Net.Sockets;
using Isthmus.Images.Building;
using Xunit;

namespace Isthmus.Tests.Libraries.Images;

public sealed class ImageBuilderTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-builder-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task An_interrupted_build_leaves_no_file_and_no_process()
    {
        // A mirror that accepts connections and never answers.
        using var mirror = new TcpListener(IPAddress.Loopback, 0);
        mirror.Start();
        var scratch = Directory.CreateDirectory(Path.Combine(_directory, "scratch")).FullName;
        var request = new BuildRequest(new(_directory, [], "1", ""), Path.Combine(_directory, "image.tar"), ["a:1"], "amd64",
            new($"http://{mirror.LocalEndpoint}/debian", ""), "", "") { WithoutCni = true };
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var building = new ImageBuilder(new Silent(), TimeProvider.System, scratch).BuildAsync(request, stop.Token);
        // If the build fails before it asks the mirror, its error is the test's.
        var asked = mirror.AcceptSocketAsync(stop.Token).AsTask();
        if (await Task.WhenAny(asked, building) == building) await building;
        using var connection = await asked;
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => building);
        Assert.Equal(["scratch"], Directory.EnumerateFileSystemEntries(_directory).Select(Path.GetFileName));
        Assert.Empty(Directory.EnumerateFileSystemEntries(scratch));
        // The program that asked has ended: its connection is closed.
        var read = new byte[64 * 1024];
        while (true)
        {
            try
            {
                if (await connection.ReceiveAsync(read, TestContext.Current.CancellationToken) == 0) break;
            }
            catch (SocketException)
            {
                break;
            }
        }
    }

    [Fact]
    public async Task An_image_without_the_plugin_for_nodes_is_refused_unless_that_is_wanted()
    {
        var request = new BuildRequest(new(_directory, [], "1", ""), Path.Combine(_directory, "image.tar"), ["a:1"], "amd64",
            new("http://127.0.0.1:1/debian", ""), "", "");
        var refused = await Assert.ThrowsAsync<Core.Problems.ProblemException>(() => new ImageBuilder(new Silent(), TimeProvider.System,
            _directory).BuildAsync(request,
            TestContext.Current.CancellationToken));
        Assert.Contains("istio-cni: the CNI plug-in has not been built (run 'tools/cni-plugin ", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Packages_of_another_release_of_Debian_are_refused()
    {
        var kept = Directory.CreateDirectory(Path.Combine(_directory, "packages")).FullName;
        foreach (var name in BaseRoot.Packages)
            await File.WriteAllTextAsync(Path.Combine(kept, $"{name}_{(name == "base-files" ? "12.4+deb12u5" : "1-1")}_amd64.deb"), "",
                TestContext.Current.CancellationToken);
        var request = new BuildRequest(new(_directory, [], "1", ""), Path.Combine(_directory, "image.tar"), ["a:1"], "amd64",
            new("http://127.0.0.1:1/debian", kept), "", "") { WithoutCni = true };

        var refused = await Assert.ThrowsAsync<Core.Problems.ProblemException>(() => new ImageBuilder(new Silent(), TimeProvider.System,
            _directory).BuildAsync(request,
            TestContext.Current.CancellationToken));

        Assert.Contains("base-files_12.4+deb12u5_amd64.deb is not of Debian 13 (trixie)", refused.Message, StringComparison.Ordinal);
    }

    private sealed class Silent : IBuildProgress
    {
        public void Started(string step)
        {
        }

        public void Finished(string step, TimeSpan took)
        {
        }
    }
}
