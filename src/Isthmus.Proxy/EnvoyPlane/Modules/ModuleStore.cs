using System.Security.Cryptography;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>The modules that Envoy runs, as files. What is there already is not fetched again.</summary>
internal sealed class ModuleStore : IDisposable
{
    /// <summary>How long files stay that no plugin uses any more: Envoy may still go back to them.</summary>
    private static readonly TimeSpan Kept = TimeSpan.FromHours(24);

    private const int AtOnce = 4;

    private readonly Lock _guard = new(); // Guards the two tables.
    private readonly Dictionary<string, Entry> _byUrl = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _inUse = new(StringComparer.Ordinal); // plugin → file
    private readonly SemaphoreSlim _slots = new(AtOnce); // Modules may be large.
    private readonly string _directory;
    private readonly TimeProvider _time;
    private readonly ModuleHttp _http;
    private readonly ModuleDownload _download;
    private int _written;

    /// <param name="directory">Only the proxy's user may enter it.</param>
    /// <param name="ports">Clock and resolver.</param>
    /// <param name="insecure">Hosts whose certificates are not checked.</param>
    public ModuleStore(string directory, ProxyPorts ports, IReadOnlyList<string> insecure)
    {
        (_directory, _time) = (directory, ports.Time);
        _http = new(ports.Resolver, insecure);
        _download = new(_http, ports.Time);
    }

    /// <param name="file">The module.</param>
    /// <param name="sha256">Of what the URL leads to: the module, or the manifest of an image.</param>
    private sealed class Entry(string file, string sha256)
    {
        public string File { get; } = file;

        public string Sha256 { get; } = sha256;

        /// <summary>The versions of the plugins that had it.</summary>
        public Dictionary<string, string> Versions { get; } = new(StringComparer.Ordinal);

        public DateTimeOffset UsedAt { get; set; }
    }

    /// <returns>The path of the module.</returns>
    /// <exception cref="ModuleException">The module cannot be fetched.</exception>
    public async Task<string> GetAsync(ModuleRequest request, CancellationToken stop)
    {
        if (Known(request) is { } known) return known;
        await _slots.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            // Another plugin may have fetched it meanwhile.
            return Known(request) ?? await FetchAsync(request, stop).ConfigureAwait(false);
        }
        finally
        {
            _slots.Release();
        }
    }

    /// <summary>Envoy no longer asks for a plugin.</summary>
    public void Release(string plugin)
    {
        lock (_guard) _inUse.Remove(plugin);
    }

    public void Dispose()
    {
        _http.Dispose();
        _slots.Dispose();
    }

    private string? Known(ModuleRequest request)
    {
        lock (_guard)
        {
            if (!_byUrl.TryGetValue(request.Url, out var entry) || (request.Sha256.Length > 0 && request.Sha256 != entry.Sha256)) return null;
            if (request.IsAlwaysPulled && entry.Versions.GetValueOrDefault(request.Plugin) != request.Version) return null;
            return Use(request, entry);
        }
    }

    private async Task<string> FetchAsync(ModuleRequest request, CancellationToken stop)
    {
        var (module, sha256) = request.Scheme switch
        {
            "oci" => await ModuleImage.GetAsync(_http, request, stop).ConfigureAwait(false),
            "http" or "https" => Named(await _download.GetAsync(request.Url, stop).ConfigureAwait(false)),
            _ => throw new ModuleException($"URLs of {request.Scheme} are not supported: use http, https or oci"),
        };
        if (request.Sha256.Length > 0 && request.Sha256 != sha256) throw new ModuleException($"it hashes to {sha256}, which is not the sha256 of the plugin");
        if (!ModuleArchive.IsModule(module)) throw new ModuleException("it is not a module of Wasm");
        var file = Path.Combine(_directory, $"{Named(module).Sha256}.wasm");
        try
        {
            Directory.CreateDirectory(_directory);
            // Envoy must not see half a module.
            var part = $"{file}.{Interlocked.Increment(ref _written)}";
            await File.WriteAllBytesAsync(part, module, stop).ConfigureAwait(false);
            File.Move(part, file, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModuleException($"it cannot be written: {e.Message}", e);
        }
        lock (_guard)
        {
            var entry = _byUrl[request.Url] = new(file, sha256);
            Use(request, entry);
            Sweep();
        }
        return file;
    }

    private static (byte[] Module, string Sha256) Named(byte[] module) => (module, Convert.ToHexStringLower(SHA256.HashData(module)));

    private string Use(ModuleRequest request, Entry entry)
    {
        entry.UsedAt = _time.GetUtcNow();
        entry.Versions[request.Plugin] = request.Version;
        return _inUse[request.Plugin] = entry.File;
    }

    private void Sweep()
    {
        var oldest = _time.GetUtcNow() - Kept;
        foreach (var (url, entry) in _byUrl.Where(item => item.Value.UsedAt < oldest && !_inUse.ContainsValue(item.Value.File)).ToList())
        {
            _byUrl.Remove(url);
            if (!_byUrl.Values.Any(other => other.File == entry.File)) File.Delete(entry.File);
        }
    }
}
