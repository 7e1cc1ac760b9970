using System.Net;
using System.Runtime.InteropServices;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.Supervisor;
using Isthmus.Operate.Certificates;
using Isthmus.Rigs.Servers;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Trust;

/// <summary>The umask belongs to the whole process, so nothing else may run beside these tests.</summary>
[CollectionDefinition(nameof(OpenUmask), DisableParallelization = true)]
public sealed class OpenUmask;

/// <summary>Files with keys are closed to other users even where the umask closes nothing.</summary>
[Collection(nameof(OpenUmask))]
public sealed partial class OpenUmaskTests : IDisposable
{
    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.OtherRead
        | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    private readonly string _root = Directory.CreateTempSubdirectory("isthmus-umask-").FullName;
    private readonly uint _before = Umask(0);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public void The_umask_of_this_test_closes_nothing()
    {
        var path = Path.Combine(_root, "open");
        File.WriteAllText(path, "");
        Assert.Equal(UnixFileMode.OtherRead | UnixFileMode.OtherWrite, File.GetUnixFileMode(path) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite));
    }

    [Fact]
    public void Keys_of_the_mesh()
    {
        var files = new CaFiles(_root, TimeProvider.System);
        files.MakeRoot(new(KeyKind.EcP256, 10));
        files.MakeIntermediate("cluster1", new(KeyKind.EcP256, 10), "istio-system");
        Assert.Equal(2, Closed("*-key.pem"));
    }

    [Fact]
    public async Task Keys_settings_and_kubeconfigs_of_a_lab()
    {
        var home = new LabHome(Path.Combine(_root, "lab"));
        home.Create();
        home.CreateMesh();
        LabState.Empty.Save(home);
        using (var pki = await ClusterPki.EnsureAsync(Path.Combine(home.Clusters, "c1"), "c1", IPAddress.Loopback, TimeProvider.System, Stop))
        {
            await Kubeconfig.WriteAsync(Path.Combine(home.Clusters, "c1", "kubeconfig"), pki, "c1", new Uri("https://127.0.0.1:1"), null, Stop);
        }
        Assert.InRange(Closed("*"), 5, int.MaxValue);
        foreach (var directory in (string[])[home.Directory, home.Logs, home.Clusters, home.Mesh])
            Assert.Equal(default, File.GetUnixFileMode(directory) & Others);
    }

    [Fact]
    public async Task Objects_of_a_cluster()
    {
        await using var cluster = new LoopbackCluster();
        await cluster.StartAsync();
        var directory = cluster.Folder;
        foreach (var file in Files(directory, "*"))
            Assert.True((File.GetUnixFileMode(file) & Others) == default, $"{file} is {File.GetUnixFileMode(file)}");
        Assert.NotEmpty(Directory.EnumerateFiles(directory, "*.db*", SearchOption.AllDirectories));
    }

    public void Dispose()
    {
        _ = Umask(_before);
        Directory.Delete(_root, recursive: true);
    }

    private int Closed(string pattern)
    {
        var files = Files(_root, pattern);
        foreach (var file in files) Assert.True((File.GetUnixFileMode(file) & Others) == default, $"{file} is {File.GetUnixFileMode(file)}");
        return files.Count;
    }

    /// <summary>Lock files hold nothing, and the list of directories that the lab made no secrets.</summary>
    private static List<string> Files(string directory, string pattern) =>
        [.. Directory.EnumerateFiles(directory, pattern, SearchOption.AllDirectories)
            .Where(file => !file.EndsWith("lock", StringComparison.Ordinal) && Path.GetFileName(file) != "made")];

    [LibraryImport("libc", EntryPoint = "umask")]
    private static partial uint Umask(uint mask);
}
