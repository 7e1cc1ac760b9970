using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.Nodes.Volumes;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class AtomicDirectoryTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("volume-").FullName;

    [Fact]
    public void After_any_history_exactly_the_last_files_are_visible() =>
        Prop.ForAll<byte[][]>(history =>
        {
            foreach (var step in history)
            {
                var files = (step ?? []).Distinct()
                    .ToDictionary(one => one % 3 == 0 ? $"d/{one % 7}" : $"k{one % 5}", one => new ProjectedFile([one], 0b110_100_100), StringComparer.Ordinal,
                        last: true);
                AtomicDirectory.Write(_directory, files, null);
                foreach (var (path, file) in files) Assert.Equal(file.Content, File.ReadAllBytes(Path.Combine(_directory, path)));
                var visible = Directory.EnumerateFileSystemEntries(_directory).Select(Path.GetFileName)
                    .Where(name => !name!.StartsWith("..", StringComparison.Ordinal));
                Assert.Equal(files.Keys.Select(path => path.Split('/')[0]).Distinct().Order(), visible.Order());
                // The link and its target; nothing of earlier writes.
                Assert.Equal(2, Directory.EnumerateFileSystemEntries(_directory, "..*").Count());
            }
        }).MustHold();

    [Fact]
    public void Equal_content_is_not_written_again()
    {
        Dictionary<string, ProjectedFile> files = new() { ["a"] = new([1], 0b110_100_100) };
        Assert.True(AtomicDirectory.Write(_directory, files, null));
        Assert.False(AtomicDirectory.Write(_directory, files, null));
    }

    [Theory]
    [InlineData("a", true)]
    [InlineData("a/b.c", true)]
    [InlineData("", false)]
    [InlineData("/a", false)]
    [InlineData("../a", false)]
    [InlineData("a/../../b", false)]
    [InlineData("..data", false)]
    public void Paths_stay_inside(string path, bool safe) => Assert.Equal(safe, AtomicDirectory.IsSafe(path));

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}

internal static class LastWins
{
    internal static Dictionary<string, TValue> ToDictionary<T, TValue>(this IEnumerable<T> items, Func<T, string> key, Func<T, TValue> value,
        StringComparer comparer, bool last)
    {
        var result = new Dictionary<string, TValue>(comparer);
        foreach (var item in items)
        {
            if (last || !result.ContainsKey(key(item))) result[key(item)] = value(item);
        }
        return result;
    }
}
