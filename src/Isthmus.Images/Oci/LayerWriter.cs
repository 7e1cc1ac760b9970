using System.Formats.Tar;
using System.IO.Compression;

namespace Isthmus.Images.Oci;

/// <summary>A layer in a file.</summary>
/// <param name="Digest">Of the compressed bytes.</param>
/// <param name="Content">The digest of the uncompressed tar (<c>diff_id</c>).</param>
/// <param name="Origin">What the image's history says about the layer.</param>
public sealed record Layer(string File, Digest Digest, long Size, Digest Content, long ContentSize, string Origin);

/// <summary>Writes a layer so that the same files always result in the same bytes.</summary>
public static class LayerWriter
{
    public static Layer Write(LayerTree tree, string file, string origin, DateTimeOffset time, CancellationToken stop)
    {
        using var output = new FileStream(file, FileMode.CreateNew, FileAccess.Write);
        using var compressed = new HashingStream(output);
        Digest content;
        long length;
        using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
        using (var plain = new HashingStream(gzip))
        {
            // Pax headers contain the ID of the process, so entries have the older format.
            using (var tar = new TarWriter(plain, TarEntryFormat.Ustar, leaveOpen: true))
            {
                foreach (var (path, entry) in tree.Entries)
                {
                    stop.ThrowIfCancellationRequested();
                    Write(tar, path, entry, time);
                }
            }
            (content, length) = (plain.Finish(), plain.Length);
        }
        return new(file, compressed.Finish(), compressed.Length, content, length, origin);
    }

    private static void Write(TarWriter tar, string path, LayerEntry entry, DateTimeOffset time)
    {
        var type = entry.Link is not null ? TarEntryType.SymbolicLink : entry.Open is null ? TarEntryType.Directory : TarEntryType.RegularFile;
        var written = new UstarTarEntry(type, type == TarEntryType.Directory ? path + "/" : path) { Mode = entry.Mode, ModificationTime = time };
        if (entry.Link is { } target) written.LinkName = target;
        using var content = entry.Open?.Invoke();
        if (content is not null) written.DataStream = content;
        tar.WriteEntry(written);
    }
}
