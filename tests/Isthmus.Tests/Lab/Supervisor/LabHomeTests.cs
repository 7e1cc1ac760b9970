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
        Assert.Equal(["state", "user", "user/notes"], Directory.EnumerateFileSystemEntries(_root, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(_root, path)).Order());
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private static void Remove(LabHome home)
    {
        Directory.Delete(home.Logs);
        Directory.Delete(home.Clusters);
        home.RemoveEmpty();
    }
}
