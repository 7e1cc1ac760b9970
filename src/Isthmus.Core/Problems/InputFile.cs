namespace Isthmus.Core.Problems;

/// <summary>Reads a file that the user named: a configuration, which is always small.</summary>
public static class InputFile
{
    /// <summary>More than an API server accepts, and less than would keep a parser busy for minutes.</summary>
    private const long Largest = 4 << 20;

    /// <param name="object">How the file was named, for example <c>-f mesh.yaml</c>.</param>
    public static string Read(string @object, string file)
    {
        try
        {
            // The length of a pipe is unknown, and reported as 0.
            return new FileInfo(file) is { Exists: true, Length: > Largest and var length }
                ? throw new ProblemException(@object, $"is too large to be a configuration ({length >> 20} MiB)", "check the file's name")
                : File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw UnreadableFile.Problem(@object, file, e);
        }
    }
}
