using Isthmus.Lab.Supervisor;
using Xunit;

namespace Isthmus.Tests.Lab.Supervisor;

public sealed class LabHomeTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("isthmus-home-").FullName;

    [Fact]
    public void Directories_that_had_to_be_made_go_with_the_lab()
    {
        var home = new LabHome(Path.Combine(_root, "state/isthmus/lab"));
        home.Create();
        home.CreateOutside(Path.Combine(_root, "user/.kube"));
        Remove(home);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_root));
    }

    [Fact]
    public void What_others_had_or_use_by_now_stays()
    {
        Directory.CreateDirectory(Path.Combine(_root, "state"));
        var home = new LabHome(Path.Combine(_root, "state/isthmus/lab"));
        home.Create();
        // A second command creates nothing new, and must not forget what the first one created.
        home.Create();
        home.CreateOutside(Path.Combine(_root, "user/.kube"));
        File.WriteAllText(Path.Combine(_root, "user/notes"), "mine");
        Remove(home);
        Assert.Equal(["state", "user", "user/notes"],
            Directory.EnumerateFileSystemEntries(_root, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(_root, path)).Order());
    }

    [Fact]
    public void Nobody_else_reads_the_state_of_a_lab()
    {
        var home = new LabHome(Path.Combine(_root, "lab"));
        home.Create();
        home.CreateMesh();
        LabState.Empty.Save(home);
        const UnixFileMode others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.OtherRead
            | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;
        foreach (var path in new[] { home.Directory, home.Logs, home.Clusters, home.Mesh, home.LabFile })
            Assert.Equal(default, File.GetUnixFileMode(path) & others);
        // A directory that was open before is closed.
        File.SetUnixFileMode(home.Mesh, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | others);
        home.CreateMesh();
        Assert.Equal(default, File.GetUnixFileMode(home.Mesh) & others);
    }

    [Fact]
    public void Nobody_else_reads_the_objects_of_a_cluster()
    {
        var path = Path.Combine(_root, "objects.db");
        File.WriteAllText(path, "");
        Isthmus.Lab.ApiServer.Pki.PrivateFile.Reserve(path);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        File.Delete(path);
        Isthmus.Lab.ApiServer.Pki.PrivateFile.Reserve(path);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private static void Remove(LabHome home)
    {
        Directory.Delete(home.Logs);
        Directory.Delete(home.Clusters);
        home.RemoveEmpty();
    }
}
