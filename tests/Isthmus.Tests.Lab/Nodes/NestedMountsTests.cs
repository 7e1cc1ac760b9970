using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Volumes;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class NestedMountsTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("volume-").FullName;

    [Fact]
    public void A_volume_has_a_directory_for_each_mount_inside_of_it_in_any_container()
    {
        var spec = new PodSpec
        {
            InitContainers = [Container(("ca", "/etc/ca"), ("keys", "/etc/ca/keys/"))],
            Containers = [Container(("ca", "/etc/ca"), ("crl", "/etc/ca/a/crl"), ("deep", "/etc/ca/a/crl/deep"), ("other", "/etc/cacerts"))],
        };
        Assert.Equal(["keys", "a/crl"], NestedMounts.In(spec, "ca"));
        Assert.Equal(["deep"], NestedMounts.In(spec, "crl"));
        Assert.Empty(NestedMounts.In(spec, "other"));
    }

    [Fact]
    public void The_directories_outlive_every_change_of_the_files()
    {
        foreach (var name in (string[])["first", "second"])
        {
            AtomicDirectory.Write(_directory, new Dictionary<string, ProjectedFile> { [name] = new([1], 0b110_100_100) }, null);
            NestedMounts.Make(_directory, ["crl", "a/b", "second/x"]);
        }
        Assert.Equal(["a", "crl", "second"],
            Directory.EnumerateFileSystemEntries(_directory).Select(Path.GetFileName).Where(name => !name!.StartsWith("..", StringComparison.Ordinal)).Order());
        Assert.True(Directory.Exists(Path.Combine(_directory, "a/b")));
    }

    private static Container Container(params (string Name, string Path)[] mounts) =>
        new() { VolumeMounts = [.. mounts.Select(mount => new VolumeMount { Name = mount.Name, MountPath = mount.Path })] };

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
