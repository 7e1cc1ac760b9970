namespace Isthmus.Lab.ApiServer.Pki;

/// <summary>Writes files that only their owner may read, and replaces them atomically, so that a reader never sees half a key.</summary>
internal static class PrivateFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public static async Task WriteAsync(string path, string text, CancellationToken stop)
    {
        var draft = path + ".new";
        File.Delete(draft);
        await using (var stream = new FileStream(draft, Created(FileOptions.Asynchronous)))
        await using (var writer = new StreamWriter(stream))
        {
            await writer.WriteAsync(text.AsMemory(), stop);
        }
        File.Move(draft, path, overwrite: true);
    }

    public static void Write(string path, string text)
    {
        var draft = path + ".new";
        File.Delete(draft);
        using (var writer = new StreamWriter(draft, Created(FileOptions.None))) writer.Write(text);
        File.Move(draft, path, overwrite: true);
    }

    /// <summary>Creates an empty file for a program that would create it for everybody; one that exists is closed to
    /// others.</summary>
    public static void Reserve(string path)
    {
        if (File.Exists(path)) File.SetUnixFileMode(path, OwnerOnly);
        else new FileStream(path, Created(FileOptions.None)).Dispose();
    }

    /// <summary>Creates the directory; one that exists is closed to others.</summary>
    public static void CreateDirectory(string path)
    {
        Directory.CreateDirectory(path, OwnerOnly | UnixFileMode.UserExecute);
        File.SetUnixFileMode(path, OwnerOnly | UnixFileMode.UserExecute);
    }

    private static FileStreamOptions Created(FileOptions options) => new()
    {
        Mode = FileMode.CreateNew,
        Access = FileAccess.Write,
        UnixCreateMode = OwnerOnly,
        Options = options,
    };
}
