using System.Formats.Tar;
using System.Text.Json.Nodes;

namespace Isthmus.Images.Oci;

/// <summary>
/// Writes images as one tar: an OCI image layout, with the <c>manifest.json</c> that docker reads. Docker, podman and containerd accept it.
/// </summary>
public static class ArchiveWriter
{
    private const UnixFileMode Plain = (UnixFileMode)0b110_100_100;

    /// <param name="images">They may share layers.</param>
    public static void Write(Stream output, IReadOnlyList<ImageDocuments> images, DateTimeOffset time, CancellationToken stop)
    {
        var blobs = new SortedDictionary<string, Func<Stream>>(StringComparer.Ordinal);
        foreach (var layer in images.SelectMany(image => image.Layers)) blobs[layer.Digest.Hex] = () => File.OpenRead(layer.File);
        foreach (var content in images.SelectMany(image => new[] { image.Config, image.Manifest }))
            blobs[Digest.Of(content).Hex] = () => new MemoryStream(content, writable: false);
        using var tar = new TarWriter(output, TarEntryFormat.Ustar, leaveOpen: true);
        Add(tar, "oci-layout", ImageDocuments.Bytes(new JsonObject { ["imageLayoutVersion"] = "1.0.0" }), time);
        Add(tar, "index.json", ImageDocuments.Bytes(Index(images)), time);
        Add(tar, "manifest.json", ImageDocuments.Bytes(ForDocker(images)), time);
        foreach (var (hex, open) in blobs)
        {
            stop.ThrowIfCancellationRequested();
            using var content = open();
            Add(tar, BlobPath(hex), content, time);
        }
    }

    internal static string BlobPath(string hex) => $"blobs/sha256/{hex}";

    private static JsonObject Index(IReadOnlyList<ImageDocuments> images)
    {
        var manifests = new JsonArray();
        foreach (var (image, name) in images.SelectMany(image => image.Spec.Names.Select(name => (image, name))))
        {
            var descriptor = ImageDocuments.Descriptor(ImageDocuments.ManifestType, image.Digest, image.Manifest.Length);
            descriptor["platform"] = new JsonObject { ["architecture"] = image.Spec.Architecture, ["os"] = "linux" };
            // containerd reads the first name, podman the second.
            descriptor["annotations"] = new JsonObject { ["io.containerd.image.name"] = name, ["org.opencontainers.image.ref.name"] = name };
            manifests.Add((JsonNode)descriptor);
        }
        return new() { ["schemaVersion"] = 2, ["mediaType"] = ImageDocuments.IndexType, ["manifests"] = manifests };
    }

    private static JsonArray ForDocker(IReadOnlyList<ImageDocuments> images) =>
        new([.. images.Select(image => new JsonObject
        {
            ["Config"] = BlobPath(Digest.Of(image.Config).Hex),
            ["RepoTags"] = new JsonArray([.. image.Spec.Names.Select(name => (JsonNode)name)]),
            ["Layers"] = new JsonArray([.. image.Layers.Select(layer => (JsonNode)BlobPath(layer.Digest.Hex))]),
        })]);

    private static void Add(TarWriter tar, string path, byte[] content, DateTimeOffset time)
    {
        using var stream = new MemoryStream(content, writable: false);
        Add(tar, path, stream, time);
    }

    private static void Add(TarWriter tar, string path, Stream content, DateTimeOffset time) =>
        tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, path) { Mode = Plain, ModificationTime = time, DataStream = content });
}
