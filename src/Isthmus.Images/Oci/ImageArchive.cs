using System.Formats.Tar;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;

namespace Isthmus.Images.Oci;

/// <summary>A blob of an archive.</summary>
/// <param name="Type">The media type; empty in docker's format.</param>
public sealed record ArchiveBlob(string Path, string Type, long Size);

/// <summary>An image in an archive.</summary>
/// <param name="Names">The references that the archive has for it.</param>
/// <param name="Manifest">The blob with its manifest; null in docker's format.</param>
public sealed record ArchiveImage(ValueList<string> Names, ArchiveBlob? Manifest, ArchiveBlob Config, ValueList<ArchiveBlob> Layers);

/// <summary>
/// Reads a tar with images: an OCI layout, or what <c>docker save</c> writes. The archive is not trusted: names never become paths of this
/// machine, and everything that is read whole has a limit.
/// </summary>
public sealed class ImageArchive : IDisposable
{
    private const int MostEntries = 100_000, LargestDocument = 4 << 20, DeepestLinks = 10;

    private readonly FileStream _file;
    private readonly string _name;
    private readonly Dictionary<string, (long Offset, long Length)> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _links = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _otherPlatforms = new(StringComparer.Ordinal);

    private ImageArchive(FileStream file, string name) => (_file, _name) = (file, name);

    /// <exception cref="ProblemException">The file cannot be read, or is not an archive of images.</exception>
    public static ImageArchive Open(string path)
    {
        FileStream file;
        try
        {
            file = File.OpenRead(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw UnreadableFile.Problem($"image archive {path}", path, e);
        }
        var archive = new ImageArchive(file, path);
        try
        {
            archive.Index();
            return archive;
        }
        catch
        {
            archive.Dispose();
            throw;
        }
    }

    public void Dispose() => _file.Dispose();

    /// <summary>The platforms of images that <see cref="Images"/> left out.</summary>
    public IReadOnlyCollection<string> OtherPlatforms => _otherPlatforms;

    /// <summary>The images for Linux on an architecture.</summary>
    public IReadOnlyList<ArchiveImage> Images(string architecture)
    {
        // Newer versions of docker write both; only the first has digests.
        if (Find("index.json") is not null && Find("oci-layout") is not null)
            return [.. FromIndex(Document("index.json"), [], architecture, new(StringComparer.Ordinal))];
        if (Find("manifest.json") is not null) return [.. FromDocker(Document("manifest.json"))];
        throw Malformed("it has neither index.json nor manifest.json");
    }

    public Stream Open(ArchiveBlob blob)
    {
        var (offset, length) = Find(blob.Path) ?? throw Malformed($"{blob.Path} is missing");
        return new FilePart(_file, offset, length);
    }

    public byte[] Read(ArchiveBlob blob)
    {
        if (blob.Size > LargestDocument) throw Malformed($"{blob.Path} is too large for a document ({blob.Size} bytes)");
        using var stream = Open(blob);
        var content = new byte[blob.Size];
        return stream.ReadAtLeast(content, content.Length, throwOnEndOfStream: false) == content.Length
            ? content
            : throw Malformed($"it ends within {blob.Path}");
    }

    public JsonNode Parse(ArchiveBlob blob)
    {
        try
        {
            // A name that occurs twice has different values for different readers.
            return StrictJson.Parse(Read(blob)) ?? throw Malformed($"{blob.Path} is empty");
        }
        catch (JsonException e)
        {
            throw Malformed($"{blob.Path} is not JSON: {e.Message}");
        }
    }

    public ProblemException Malformed(string why) =>
        new(_name, $"is not an archive of images: {why}", "use a file of 'isthmus image build', 'docker save', or an OCI layout in a tar");

    private void Index()
    {
        try
        {
            using var tar = new TarReader(_file, leaveOpen: true);
            while (tar.GetNextEntry() is { } entry)
            {
                if (_files.Count + _links.Count >= MostEntries) throw Malformed($"it has more than {MostEntries} entries");
                var path = Normal(entry.Name);
                if (entry.EntryType is TarEntryType.RegularFile or TarEntryType.V7RegularFile) _files[path] = (entry.DataOffset, entry.Length);
                else if (entry.EntryType is TarEntryType.SymbolicLink)
                    _links[path] = Normal(Path.Combine("/", Path.GetDirectoryName(path) ?? "", entry.LinkName));
                else if (entry.EntryType is TarEntryType.HardLink) _links[path] = Normal(entry.LinkName);
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException or ArgumentException or OverflowException)
        {
            throw Malformed(e.Message);
        }
        if (_files.Count == 0) throw Malformed("it is empty, or compressed (unpack it with gunzip)");
    }

    private string Normal(string path) =>
        path.Contains('\0', StringComparison.Ordinal) ? throw Malformed("a path has a zero byte") : Path.GetFullPath(Path.Combine("/", path))[1..];

    private (long Offset, long Length)? Find(string path)
    {
        for (var step = 0; step < DeepestLinks; step++)
        {
            if (_files.TryGetValue(path, out var place)) return place.Offset >= 0 ? place : null;
            // Older versions of docker refer to a layer of another image by a link.
            if (!_links.TryGetValue(path, out var target)) return null;
            path = target;
        }
        return null;
    }

    private JsonNode Document(string path) => Parse(Blob(path, ""));

    private ArchiveBlob Blob(string path, string type) => new(path, type, Find(path)?.Length ?? throw Malformed($"{path} is missing"));

    private ArchiveBlob Blob(JsonNode? descriptor)
    {
        if (!Digest.TryParse(Text(descriptor, "digest"), out var digest)) throw Malformed($"'{Text(descriptor, "digest")}' is not a sha256 digest");
        return Blob(ArchiveWriter.BlobPath(digest.Hex), Text(descriptor, "mediaType"));
    }

    /// <param name="read">The digests of the indexes that were read. Each is read once: otherwise, a few that refer to each other many
    /// times would take forever.</param>
    private IEnumerable<ArchiveImage> FromIndex(JsonNode index, IReadOnlyList<string> names, string architecture, HashSet<string> read, int depth = 0)
    {
        if (depth > DeepestLinks) throw Malformed("its indexes are nested too deeply");
        var entries = List(index, "manifests").ToLookup(entry => IsFor(entry, architecture));
        _otherPlatforms.UnionWith(entries[false].Where(entry => !IsAttestation(entry))
            .Select(entry => $"{Text(entry["platform"], "os")}/{Text(entry["platform"], "architecture")}"));
        foreach (var group in entries[true].GroupBy(entry => Text(entry, "digest")))
        {
            ValueList<string> own = [.. names.Concat(group.SelectMany(NamesOf)).Distinct()];
            var manifest = Blob(group.First());
            var document = Parse(manifest);
            if (document is not JsonObject described) throw Malformed($"{manifest.Path} is not a manifest");
            if (described["manifests"] is JsonArray)
            {
                if (ArchiveWriter.BlobPath(Digest.Of(Read(manifest)).Hex) != manifest.Path) throw Malformed($"{manifest.Path} does not match its digest");
                if (!read.Add(group.Key)) continue;
                foreach (var image in FromIndex(described, own, architecture, read, depth + 1)) yield return image;
            }
            else if (!IsAttestation(group.First()))
            {
                yield return new(own, manifest, Blob(described["config"]), [.. List(described, "layers").Select(Blob)]);
            }
        }
    }

    private static bool IsFor(JsonObject entry, string architecture) =>
        entry["platform"] is not JsonObject platform || (Text(platform, "os") is "linux" or "" && Text(platform, "architecture") == architecture);

    /// <summary>Attestations are stored like images.</summary>
    private static bool IsAttestation(JsonObject entry) => Text(entry["annotations"], "vnd.docker.reference.type").Length > 0;

    private static IEnumerable<string> NamesOf(JsonNode entry)
    {
        var annotations = entry["annotations"];
        var name = Text(annotations, "io.containerd.image.name");
        if (name.Length == 0) name = Text(annotations, "org.opencontainers.image.ref.name");
        return name.Length == 0 ? [] : [name];
    }

    private IEnumerable<ArchiveImage> FromDocker(JsonNode manifest)
    {
        if (manifest is not JsonArray images) throw Malformed("manifest.json is not a list");
        return images.OfType<JsonObject>().Select(image => new ArchiveImage(
            [.. (image["RepoTags"] as JsonArray ?? []).Select(name => name?.ToString() ?? "").Where(name => name.Length > 0)], null,
            Blob(Normal(Text(image, "Config")), ""), [.. (image["Layers"] as JsonArray ?? []).Select(layer => Blob(Normal(layer?.ToString() ?? ""), ""))]));
    }

    private static string Text(JsonNode? node, string field) => node is JsonObject map && map[field] is JsonValue value ? value.ToString() : "";

    private static IEnumerable<JsonObject> List(JsonNode node, string field) =>
        node is JsonObject map && map[field] is JsonArray list ? list.OfType<JsonObject>() : [];

    /// <summary>A part of a file, which several readers may read by turns.</summary>
    private sealed class FilePart(FileStream file, long start, long length) : Stream
    {
        private long _at;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => length;

        public override long Position { get => _at; set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            var read = RandomAccess.Read(file.SafeFileHandle, buffer[..(int)Math.Min(buffer.Length, length - _at)], start + _at);
            _at += read;
            return read;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
