using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Isthmus.Testing;

/// <summary>Images as other programs write them, made by hand.</summary>
public sealed class TestImage
{
    /// <summary>Complete names; none are written if it is empty.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    public string Architecture
    {
        get;
        init;
    } = System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64
        ? "amd64"
        : "arm64";

    /// <summary>What the configuration says about containers, as JSON.</summary>
    public string Config { get; init; } = "{}";

    /// <summary>The tars of its layers, the lowest first.</summary>
    public IReadOnlyList<byte[]> Layers { get; init; } = [];

    /// <summary>Whether a layer is not the one that its digest names.</summary>
    public bool IsDamaged { get; init; }

    public static PaxTarEntry File(string name, string content, int mode = 0b110_100_100) => File(name, Encoding.UTF8.GetBytes(content), mode);

    public static PaxTarEntry File(string name, byte[] content, int mode) => new(TarEntryType.RegularFile, name)
    {
        DataStream = new MemoryStream(content), Mode = (UnixFileMode)mode, ModificationTime = DateTimeOffset.FromUnixTimeSeconds(1_600_000_000),
    };

    public static PaxTarEntry Directory(string name, int mode = 0b111_101_101) => new(TarEntryType.Directory, name + "/") { Mode = (UnixFileMode)mode };

    public static PaxTarEntry Link(string name, string target) => new(TarEntryType.SymbolicLink, name) { LinkName = target };

    public static PaxTarEntry HardLink(string name, string target) => new(TarEntryType.HardLink, name) { LinkName = target };

    public static byte[] Layer(params PaxTarEntry[] entries)
    {
        using var output = new MemoryStream();
        using (var tar = new TarWriter(output, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach (var entry in entries) tar.WriteEntry(entry);
        }
        // The writer leaves out the end of a tar without entries.
        return entries.Length == 0 ? new byte[1024] : output.ToArray();
    }

    public static byte[] Compressed(byte[] layer)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionMode.Compress, leaveOpen: true)) gzip.Write(layer);
        return output.ToArray();
    }

    /// <summary>Writes the archive of <c>docker save</c>, before it had OCI layouts.</summary>
    public void WriteDocker(string file)
    {
        var config = ConfigBytes();
        var layers = Layers.Select((layer, i) => (Path: $"layer{i}/layer.tar", Content: Stored(layer))).ToList();
        var manifest = new JsonArray(new JsonObject
        {
            ["Config"] = $"{Hex(config)}.json",
            ["RepoTags"] = Names.Count == 0 ? null : new JsonArray([.. Names.Select(name => (JsonNode)name)]),
            ["Layers"] = new JsonArray([.. layers.Select(layer => (JsonNode)layer.Path)]),
        });
        Write(file, [("manifest.json", Bytes(manifest)), ($"{Hex(config)}.json", config), .. layers]);
    }

    /// <summary>Writes an OCI layout with compressed layers.</summary>
    public void WriteOci(string file)
    {
        var config = ConfigBytes();
        var layers = Layers.Select(layer => IsZstd(layer) ? layer : Compressed(Stored(layer))).ToList();
        var manifest = Bytes(new JsonObject
        {
            ["schemaVersion"] = 2, ["config"] = Descriptor(config),
            ["layers"] = new JsonArray([.. layers.Select(layer => (JsonNode)Descriptor(layer,
                $"application/vnd.oci.image.layer.v1.tar+{(IsZstd(layer) ? "zstd" : "gzip")}"))]),
        });
        var index = new JsonArray();
        foreach (var name in Names.DefaultIfEmpty(""))
        {
            var entry = Descriptor(manifest);
            entry["platform"] = new JsonObject { ["os"] = "linux", ["architecture"] = Architecture };
            if (name.Length > 0) entry["annotations"] = new JsonObject { ["io.containerd.image.name"] = name };
            index.Add((JsonNode)entry);
        }
        Write(file,
        [
            ("oci-layout", Encoding.UTF8.GetBytes("{}")), ("index.json", Bytes(new JsonObject { ["manifests"] = index })),
            .. layers.Append(config).Append(manifest).Select(blob => ($"blobs/sha256/{Hex(blob)}", blob)),
        ]);
    }

    /// <summary>Whether a layer begins as one that is compressed with zstd.</summary>
    private static bool IsZstd(byte[] layer) => layer is [0x28, 0xb5, 0x2f, 0xfd, ..];

    private byte[] Stored(byte[] layer) => IsDamaged ? [.. layer, .. new byte[512]] : layer;

    private byte[] ConfigBytes() => Bytes(new JsonObject
    {
        ["os"] = "linux", ["architecture"] = Architecture, ["created"] = "2025-01-02T03:04:05Z", ["config"] = JsonNode.Parse(Config),
        ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray([.. Layers.Select(layer => (JsonNode)$"sha256:{Hex(layer)}")]) },
    });

    private static JsonObject Descriptor(byte[] content, string type = "application/octet-stream") =>
        new() { ["mediaType"] = type, ["digest"] = $"sha256:{Hex(content)}", ["size"] = content.Length };

    private static string Hex(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));

    private static byte[] Bytes(JsonNode node) => Encoding.UTF8.GetBytes(node.ToJsonString());

    private static void Write(string file, IEnumerable<(string Path, byte[] Content)> files)
    {
        using var output = System.IO.File.Create(file);
        using var tar = new TarWriter(output, TarEntryFormat.Ustar);
        foreach (var (path, content) in files.DistinctBy(one => one.Path))
            tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, path) { DataStream = new MemoryStream(content) });
    }
}
