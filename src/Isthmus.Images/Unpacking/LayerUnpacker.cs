using System.Formats.Tar;
using System.IO.Compression;
using System.Runtime.Versioning;
using Isthmus.Images.Oci;

namespace Isthmus.Images.Unpacking;

/// <summary>How much an image may unpack to.</summary>
public sealed record UnpackLimits(long Bytes, int Entries)
{
    public static readonly UnpackLimits Default = new(16L << 30, 1_000_000);
}

/// <summary>A layer that cannot be unpacked. The message continues a sentence that begins with the layer.</summary>
public sealed class LayerException(string message, Exception? cause = null) : Exception(message, cause)
{
    public string Remedy { get; init; } = "save the image again";
}

/// <summary>
/// Unpacks the layers of an image into a directory, one over the other. Layers are not trusted: nothing outside of the directory is created,
/// changed or deleted, whatever names and links they have, and they have limits. Devices, pipes and set-user-ID bits are left out.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class LayerUnpacker(string root, UnpackLimits limits)
{
    private const string Whiteout = ".wh.", Opaque = ".wh..wh..opq";
    private const string Sparse = "GNU.sparse.";
    private const int LongestPath = 4096;
    private const long LongestHeaders = 2 * LongestPath;
    private const int NoSpace = 28, QuotaExceeded = 122;
    private const UnixFileMode Usable = (UnixFileMode)0b111_000_000, Permissions = (UnixFileMode)0b1_111_111_111;

    // A directory gets its mode at the end: until then, files must be created in it.
    private readonly Dictionary<string, UnixFileMode> _directories = new(StringComparer.Ordinal);
    private long _bytes;
    private int _entries;

    /// <summary>Adds a layer: a tar, compressed with gzip or not at all.</summary>
    /// <returns>The digest of the uncompressed layer.</returns>
    /// <exception cref="LayerException">The layer is malformed, too large, or would leave the directory.</exception>
    public Digest Add(Stream layer, CancellationToken stop)
    {
        var written = new HashSet<string>(StringComparer.Ordinal);
        try
        {
            using var content = new HashedReader(Plain(layer), limits.Bytes + (limits.Entries * LongestHeaders));
            using (var tar = new TarReader(content, leaveOpen: true))
            {
                while (tar.GetNextEntry() is { } entry)
                {
                    stop.ThrowIfCancellationRequested();
                    if (++_entries > limits.Entries) throw new LayerException($"has more than {limits.Entries} files");
                    Add(entry, written);
                }
            }
            return content.Finish();
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException or ArgumentException or OverflowException)
        {
            throw new LayerException($"is not a valid tar: {e.Message}", e);
        }
        catch (IOException e) when (e.HResult is not (NoSpace or QuotaExceeded))
        {
            // For example a file where a directory is needed, or a name that the file system cannot store.
            throw new LayerException($"cannot be unpacked: {e.Message}", e);
        }
    }

    /// <summary>How many bytes the files have that were written so far.</summary>
    public long Bytes => _bytes;

    /// <summary>Sets the modes of directories. Call it after the last layer.</summary>
    public void Finish()
    {
        foreach (var (path, mode) in _directories.OrderByDescending(pair => pair.Key.Length))
        {
            // A later layer may have replaced one of its parents by a link.
            var at = new DirectoryInfo(root + path);
            if (at.Exists && ScopedPath.Resolve(root, path) == path) at.UnixFileMode = mode;
        }
    }

    private void Add(TarEntry entry, HashSet<string> written)
    {
        // It has a name, but no file.
        if (entry.EntryType == TarEntryType.GlobalExtendedAttributes) return;
        // The content of such a file is a map with the parts that it has, and its name is another one.
        if (entry is PaxTarEntry pax && pax.ExtendedAttributes.Keys.Any(key => key.StartsWith(Sparse, StringComparison.Ordinal)))
            throw new LayerException($"has a sparse file ({entry.Name}), which is not supported");
        var parts = Parts(entry.Name);
        if (parts.Length == 0) return;
        var parent = EnsureDirectory(parts[..^1]);
        var name = parts[^1];
        if (name == Opaque)
        {
            RemoveLower(parent, written);
            return;
        }
        if (name.StartsWith(Whiteout, StringComparison.Ordinal))
        {
            Remove(parent, name[Whiteout.Length..], written);
            return;
        }
        var path = $"{parent}/{name}";
        if (!Write(entry, path)) return;
        for (var one = path; one.Length > 0; one = one[..one.LastIndexOf('/')]) written.Add(one);
    }

    private bool Write(TarEntry entry, string path)
    {
        var at = root + path;
        var old = new FileInfo(at);
        switch (entry.EntryType)
        {
            case TarEntryType.Directory:
                if (old.LinkTarget is not null || old.Exists) old.Delete();
                MakeDirectory(path, entry.Mode & Permissions);
                break;
            case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                Clear(at);
                WriteFile(entry, at);
                break;
            case TarEntryType.SymbolicLink:
                Clear(at);
                File.CreateSymbolicLink(at, entry.LinkName);
                break;
            case TarEntryType.HardLink:
                // The target is inside, too: its directories are resolved below the root, and it must be a file itself.
                var target = Parts(entry.LinkName) is { Length: > 0 } parts ? $"{ScopedPath.Resolve(root, string.Join('/', parts[..^1]))}/{parts[^1]}" : "";
                if (target == path) return true;
                if (!File.Exists(root + target) && new FileInfo(root + target).LinkTarget is null)
                    throw new LayerException($"links {entry.Name} to {entry.LinkName}, which does not exist");
                Clear(at);
                NativeFiles.Link(root + target, at);
                return true;
            // Containers have devices of their own.
            case TarEntryType.CharacterDevice or TarEntryType.BlockDevice or TarEntryType.Fifo:
                Clear(at);
                return false;
            default:
                throw new LayerException($"has an entry of type {entry.EntryType} ({entry.Name}), which is not supported");
        }
        NativeFiles.TryGive(at, entry.Uid, entry.Gid);
        return true;
    }

    private void WriteFile(TarEntry entry, string at)
    {
        _bytes += entry.Length;
        if (_bytes > limits.Bytes) throw new LayerException($"unpacks to more than {limits.Bytes} bytes");
        using (var file = new FileStream(at, FileMode.CreateNew, FileAccess.Write)) entry.DataStream?.CopyTo(file);
        File.SetUnixFileMode(at, entry.Mode & Permissions);
        // Python and make compare times.
        File.SetLastWriteTimeUtc(at, entry.ModificationTime.UtcDateTime);
    }

    /// <summary>The parts of a path; an absolute path is relative to the root, as for other runtimes.</summary>
    private static string[] Parts(string path)
    {
        if (path.Length > LongestPath) throw new LayerException($"has a path of {path.Length} characters");
        string[] parts = [.. path.Split('/').Where(part => part is not "" and not ".")];
        return parts.Contains("..") || path.Contains('\0', StringComparison.Ordinal)
            ? throw new LayerException($"has the path '{path}', which leaves the image")
            : parts;
    }

    /// <summary>The directory that the parts lead to, below the root; it is created if necessary.</summary>
    private string EnsureDirectory(string[] parts)
    {
        var path = "";
        foreach (var part in parts)
        {
            path = ScopedPath.Resolve(root, $"{path}/{part}");
            if (Directory.Exists(root + path)) continue;
            // A file of a lower layer makes room, as does the missing target of a link.
            var steps = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
            for (var i = 1; i <= steps.Length; i++)
            {
                var step = "/" + string.Join('/', steps[..i]);
                if (File.Exists(root + step)) File.Delete(root + step);
                if (!Directory.Exists(root + step)) MakeDirectory(step, Permissions & (UnixFileMode)0b111_101_101);
            }
        }
        return path;
    }

    private void MakeDirectory(string path, UnixFileMode mode)
    {
        Directory.CreateDirectory(root + path, Usable);
        _directories[path] = mode;
    }

    /// <summary>Deletes what lower layers have at a path. Whiteouts do not apply to files of their own layer, whatever the order.</summary>
    private void Remove(string parent, string name, HashSet<string> written)
    {
        // Other names with this prefix are notes of the runtime that wrote the layer.
        if (name.StartsWith(Whiteout, StringComparison.Ordinal)) return;
        if (name is "" or "." or "..") throw new LayerException($"has the entry '{Whiteout}{name}', which removes no file");
        var path = $"{parent}/{name}";
        if (!written.Contains(path)) Clear(root + path);
        else if (IsDirectory(root + path)) RemoveLower(path, written);
    }

    /// <summary>Deletes what other layers have below a directory.</summary>
    private void RemoveLower(string directory, HashSet<string> written)
    {
        foreach (var child in new DirectoryInfo(root + directory).EnumerateFileSystemInfos())
        {
            var path = $"{directory}/{child.Name}";
            if (!written.Contains(path)) Clear(child.FullName);
            else if (IsDirectory(child.FullName)) RemoveLower(path, written);
        }
    }

    private static bool IsDirectory(string at) => new DirectoryInfo(at) is { LinkTarget: null, Exists: true };

    /// <summary>Deletes what is at a path, without following a link.</summary>
    private static void Clear(string at)
    {
        if (new FileInfo(at) is var file && (file.LinkTarget is not null || file.Exists)) file.Delete();
        else if (Directory.Exists(at)) Directory.Delete(at, recursive: true);
    }

    private static Stream Plain(Stream layer)
    {
        var head = new byte[4];
        var length = layer.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        var whole = new PrefixedStream(head[..length], layer);
        return head switch
        {
            [0x1f, 0x8b, ..] => new GZipStream(whole, CompressionMode.Decompress),
            [0x28, 0xb5, 0x2f, 0xfd] => throw new LayerException("is compressed with zstd, which is not supported")
            {
                Remedy = "save it in docker's format, without compression: skopeo copy docker://IMAGE docker-archive:FILE.tar:IMAGE",
            },
            _ => whole,
        };
    }
}
