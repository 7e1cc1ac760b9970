namespace Isthmus.Core.Problems;

/// <summary>Says why a file that somebody named cannot be read.</summary>
public static class UnreadableFile
{
    /// <param name="object">How the file was named, for example <c>-f mesh.yaml</c>.</param>
    public static ProblemException Problem(string @object, string file, Exception cause) => cause switch
    {
        _ when Directory.Exists(file) => new(@object, "is a directory", "name a file in it", cause),
        FileNotFoundException or DirectoryNotFoundException => new(@object, "does not exist", "check the file's name", cause),
        UnauthorizedAccessException => new(@object, "may not be read", "check the file's permissions", cause),
        _ => new(@object, $"cannot be read: {cause.Message}", "check the file", cause),
    };
}
