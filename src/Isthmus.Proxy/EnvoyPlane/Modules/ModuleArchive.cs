using System.Formats.Tar;
using System.IO.Compression;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>Takes modules out of what they are packed in.</summary>
internal static class ModuleArchive
{
    /// <summary>The largest module: Istio's limit.</summary>
    public const long MaxBytes = 256L * 1024 * 1024;

    /// <summary>Where a layer of an image has the module.</summary>
    private const string FileName = "plugin.wasm";

    private const int TarMagicAt = 257, MostLayers = 4;

    public static bool IsModule(ReadOnlySpan<byte> bytes) => bytes.Length >= 8 && bytes.StartsWith("\0asm"u8);

    /// <summary>The module in a download, which may be compressed, and the only file of an archive.</summary>
    /// <exception cref="ModuleException">There is none.</exception>
    public static byte[] Unpack(byte[] download)
    {
        var bytes = download;
        for (var layer = 0; layer < MostLayers; layer++)
        {
            if (IsModule(bytes)) return bytes;
            if (IsCompressed(bytes)) bytes = Inflate(bytes);
            else if (IsTar(bytes)) bytes = FromTar(new MemoryStream(bytes), _ => true);
            else break;
        }
        throw new ModuleException("it is not a module of Wasm");
    }

    /// <summary>The module in a compressed layer of an image.</summary>
    /// <exception cref="ModuleException">There is none.</exception>
    public static byte[] FromLayer(byte[] layer)
    {
        var tar = IsCompressed(layer) ? Inflate(layer) : layer;
        return FromTar(new MemoryStream(tar), name => Path.GetFileName(name) == FileName);
    }

    private static bool IsCompressed(ReadOnlySpan<byte> bytes) => bytes is [0x1f, 0x8b, ..];

    private static bool IsTar(ReadOnlySpan<byte> bytes) => bytes.Length > TarMagicAt + 5 && bytes[TarMagicAt..].StartsWith("ustar"u8);

    private static byte[] Inflate(byte[] bytes)
    {
        try
        {
            using var plain = new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress);
            return ReadAll(plain);
        }
        catch (InvalidDataException e)
        {
            throw new ModuleException($"it cannot be decompressed: {e.Message}", e);
        }
    }

    private static byte[] FromTar(Stream archive, Predicate<string> isWanted)
    {
        try
        {
            using var reader = new TarReader(archive);
            while (reader.GetNextEntry() is { } entry)
                if (entry.EntryType is TarEntryType.RegularFile or TarEntryType.V7RegularFile && isWanted(entry.Name) && entry.DataStream is { } data)
                    return ReadAll(data);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or FormatException)
        {
            throw new ModuleException($"its archive cannot be read: {e.Message}", e);
        }
        throw new ModuleException($"its archive has no {FileName}");
    }

    private static byte[] ReadAll(Stream stream)
    {
        using var whole = new MemoryStream();
        var piece = new byte[64 * 1024];
        while (stream.Read(piece) is > 0 and var count)
        {
            if (whole.Length + count > MaxBytes) throw new ModuleException($"it is larger than {MaxBytes} bytes when it is unpacked");
            whole.Write(piece, 0, count);
        }
        return whole.ToArray();
    }
}
