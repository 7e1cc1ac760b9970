using Isthmus.Lab.Nodes.Pods;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class ProgramMountsTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("program-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void A_native_program_of_any_name_is_seen_without_what_lies_beside_it()
    {
        var program = Write("isthmus-1.0-linux-amd64");
        Write("private.key");
        Assert.Equal([(program, "/opt/isthmus/isthmus", true)], Mounts(program));
        var plugin = Write("istio-cni");
        Assert.Equal([(program, "/opt/isthmus/isthmus", true), (plugin, "/opt/isthmus/istio-cni", true)], Mounts(program));
    }

    [Fact]
    public void A_build_is_seen_as_a_whole_with_its_runtime() =>
        Assert.Equal([(_directory, "/opt/isthmus", false), ("/usr/share/dotnet", "/opt/dotnet", false)], Mounts(_directory));

    private static IEnumerable<(string Source, string Target, bool IsFile)> Mounts(string build)
    {
        var mounts = LaunchPlan.ProgramMounts(build, "/usr/share/dotnet").ToList();
        Assert.All(mounts, mount => Assert.True(mount.ReadOnly));
        return mounts.Select(mount => (mount.Source, mount.Target, mount.IsFile));
    }

    private string Write(string name)
    {
        var path = Path.Combine(_directory, name);
        File.WriteAllText(path, "");
        return path;
    }
}
