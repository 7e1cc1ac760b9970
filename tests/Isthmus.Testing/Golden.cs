using System.Runtime.CompilerServices;
using Xunit;

namespace Isthmus.Testing;

/// <summary>Compares text with <c>golden/{file}.{test}.{name}.txt</c> next to the test. <c>./test --accept</c> rewrites
/// these files.</summary>
public static class Golden
{
    public static void Verify(string actual, string name, [CallerFilePath] string file = "", [CallerMemberName] string test = "") =>
        VerifyFile(actual, Path.Combine(Path.GetDirectoryName(file)!, "golden", $"{Path.GetFileNameWithoutExtension(file)}.{test}.{name}.txt"));

    /// <summary>The same for a file of the repository that is generated.</summary>
    public static void VerifyFile(string actual, string path)
    {
        actual = actual.ReplaceLineEndings("\n").TrimEnd() + "\n";
        if (Environment.GetEnvironmentVariable("ISTHMUS_ACCEPT") == "1")
        {
            Assert.True(Environment.GetEnvironmentVariable("CI") is null, "Goldens are never accepted in CI.");
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, actual);
            return;
        }
        Assert.True(File.Exists(path), $"No golden yet: run ./test --accept, then read {path} before you commit it.");
        Assert.Equal(File.ReadAllText(path), actual);
    }
}
