using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>Writes the files of a pack. All that is written passes <see cref="Redaction"/>.</summary>
internal sealed class PackWriter : IAsyncDisposable
{
    // Escapes would hide what looks like a secret.
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, TypeInfoResolver = KubeJson.Default };

    private readonly SemaphoreSlim _turn = new(1);
    private readonly GZipStream _gzip;
    private readonly TarWriter _tar;
    private readonly DateTimeOffset _time;

    internal PackWriter(Stream file, DateTimeOffset time)
    {
        _gzip = new(file, CompressionLevel.Fastest, leaveOpen: true);
        _tar = new(_gzip, TarEntryFormat.Pax, leaveOpen: true);
        _time = time;
    }

    /// <summary>How many files there are so far.</summary>
    internal int Count { get; private set; }

    internal Task AddAsync(string path, JsonNode tree, CancellationToken stop) => AddAsync(path, Redaction.Tree(tree).ToJsonString(Plain), stop);

    internal async Task AddAsync(string path, string text, CancellationToken stop)
    {
        var bytes = Encoding.UTF8.GetBytes(Redaction.Text(text));
        await _turn.WaitAsync(stop);
        try
        {
            using var data = new MemoryStream(bytes);
            // Not interrupted: half an entry would make the rest unreadable.
            await _tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile,
                $"{PackLayout.Root}/{path}") { DataStream = data, ModificationTime = _time, Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite },
                CancellationToken.None);
            Count++;
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _tar.DisposeAsync();
        await _gzip.DisposeAsync();
        _turn.Dispose();
    }
}
