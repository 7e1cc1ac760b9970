using System.Runtime.InteropServices;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Nodes.Volumes;

/// <summary>One file of a projected volume.</summary>
/// <param name="Mode">Permission bits, for example 0644 (octal).</param>
internal sealed record ProjectedFile(byte[] Content, int Mode)
{
    public bool Equals(ProjectedFile? other) => other is not null && Mode == other.Mode && Content.AsSpan().SequenceEqual(other.Content);

    public override int GetHashCode() => HashCode.Combine(Mode, Content.Length);
}

/// <summary>
/// Replaces the files of a directory all at once, as Kubernetes does. The files are in a separate directory. <c>..data</c>
/// is a link to it that is replaced by a rename, and the visible names are links through <c>..data</c>.
/// </summary>
internal static partial class AtomicDirectory
{
    private const string Current = "..data";

    /// <param name="files">Relative paths to contents. Other directories stay: they are mount points of other volumes.</param>
    /// <param name="group">The group of the files, or null to keep it.</param>
    /// <returns>False when everything was already up to date.</returns>
    internal static bool Write(string directory, IReadOnlyDictionary<string, ProjectedFile> files, long? group)
    {
        Directory.CreateDirectory(directory);
        var link = Path.Combine(directory, Current);
        var old = new DirectoryInfo(link).LinkTarget;
        if (old is not null && IsSame(Path.Combine(directory, old), files)) return false;
        var fresh = NextName(directory, old);
        var at = Path.Combine(directory, fresh);
        foreach (var (path, file) in files) WriteFile(at, path, file, group);
        if (files.Count == 0) Directory.CreateDirectory(at);
        OpenTo(at, group);
        var draft = link + "_tmp";
        File.Delete(draft);
        File.CreateSymbolicLink(draft, fresh);
        // File.Move does not move a link to a directory.
        LinuxException.Check(Rename(draft, link), $"rename {draft}");
        Link(directory, files.Keys);
        if (old is not null) Directory.Delete(Path.Combine(directory, old), recursive: true);
        return true;
    }

    /// <summary>Whether a path of an item stays inside its volume.</summary>
    internal static bool IsSafe(string path) =>
        path.Length > 0 && !path.StartsWith('/') && !path.StartsWith("..", StringComparison.Ordinal) && !path.Split('/').Any(part => part is ".." or "" or ".");

    private static string NextName(string directory, string? old)
    {
        var number = old is not null && int.TryParse(old.AsSpan(old.LastIndexOf('_') + 1), out var last) ? last + 1 : 1;
        while (Directory.Exists(Path.Combine(directory, $"..content_{number}"))) number++;
        return $"..content_{number}";
    }

    private static void WriteFile(string at, string path, ProjectedFile file, long? group)
    {
        var target = Path.Combine(at, path);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        File.WriteAllBytes(target, file.Content);
        var mode = (UnixFileMode)file.Mode;
        if (group is { } id)
        {
            LinuxException.Check(Libc.ChangeOwner(target, uint.MaxValue, (uint)id), $"chown {target}");
            mode |= UnixFileMode.GroupRead;
        }
        File.SetUnixFileMode(target, mode);
    }

    private static void OpenTo(string at, long? group)
    {
        foreach (var directory in Directory.EnumerateDirectories(at, "*", SearchOption.AllDirectories).Prepend(at))
        {
            if (group is { } id) LinuxException.Check(Libc.ChangeOwner(directory, uint.MaxValue, (uint)id), $"chown {directory}");
            File.SetUnixFileMode(directory, (UnixFileMode)0b111_101_101);
        }
    }

    private static void Link(string directory, IEnumerable<string> paths)
    {
        var wanted = paths.Select(path => path.Split('/')[0]).ToHashSet(StringComparer.Ordinal);
        foreach (var entry in new DirectoryInfo(directory).EnumerateFileSystemInfos())
        {
            if (!entry.Name.StartsWith("..", StringComparison.Ordinal) && !wanted.Remove(entry.Name) && entry.LinkTarget is not null) entry.Delete();
        }
        foreach (var name in wanted) File.CreateSymbolicLink(Path.Combine(directory, name), $"{Current}/{name}");
    }

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Rename(string from, string to);

    private static bool IsSame(string at, IReadOnlyDictionary<string, ProjectedFile> files)
    {
        if (!Directory.Exists(at)) return false;
        var there = Directory.EnumerateFiles(at, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(at, path)).ToList();
        return there.Count == files.Count
            && there.All(path => files.TryGetValue(path, out var file) && file.Content.AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(at, path))));
    }
}
