using System.Text;

namespace Isthmus.Images.Oci;

/// <summary>An entry of a layer.</summary>
/// <param name="Link">The target of a symbolic link; null for files and directories.</param>
/// <param name="Open">Opens the content of a file; null for links and directories.</param>
public sealed record LayerEntry(UnixFileMode Mode, string? Link, Func<Stream>? Open);

/// <summary>The files of a layer, sorted by path. All belong to root.</summary>
public sealed class LayerTree
{
    private const UnixFileMode Plain = (UnixFileMode)0b110_100_100, Runnable = (UnixFileMode)0b111_101_101;

    private readonly SortedDictionary<string, LayerEntry> _entries = new(StringComparer.Ordinal);

    /// <summary>Paths without a leading slash. A directory comes before what it contains.</summary>
    public IReadOnlyDictionary<string, LayerEntry> Entries => _entries;

    /// <summary>Adds a file of this machine.</summary>
    public void AddFile(string path, string source, bool runnable = false) => Add(path, new(runnable ? Runnable : Plain, null, () => File.OpenRead(source)));

    public void AddText(string path, string text, bool runnable = false) => AddBytes(path, Encoding.UTF8.GetBytes(text), runnable ? Runnable : Plain);

    public void AddBytes(string path, byte[] content, UnixFileMode mode) => Add(path, new(mode, null, () => new MemoryStream(content, writable: false)));

    public void AddLink(string path, string target) => Add(path, new((UnixFileMode)0b111_111_111, target, null));

    public void AddDirectory(string path, UnixFileMode mode = Runnable) => Add(path, new(mode, null, null));

    private void Add(string path, LayerEntry entry)
    {
        var plain = path.Trim('/');
        for (var slash = plain.LastIndexOf('/'); slash > 0; slash = plain.LastIndexOf('/', slash - 1))
            _entries.TryAdd(plain[..slash], new(Runnable, null, null));
        _entries[plain] = entry;
    }
}
