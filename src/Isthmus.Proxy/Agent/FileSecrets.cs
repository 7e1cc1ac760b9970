using System.Collections.Concurrent;
using Isthmus.Core.Problems;
using Isthmus.Core.Trust;
using Isthmus.Proxy.Tls;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Agent;

/// <summary>
/// Secrets in mounted files: those that resources name by path (<c>file-cert:CHAIN~KEY</c>, <c>file-root:FILE</c>, <c>file-root:system</c>), and <c>default</c>
/// and
/// <c>ROOTCA</c> when a directory is given. <see cref="Refresh"/> checks the files again; the last good content stays.
/// </summary>
internal sealed partial class FileSecrets(string directory, TimeProvider time, ILogger log)
{
    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    private sealed record Entry(string Stamp, CertificateSecret? Certificate, RootSecret? Roots, DateTimeOffset Updated);

    public CertificateSecret? FindCertificate(string name) => Find(name)?.Certificate;

    public RootSecret? FindRoots(string name) => Find(name)?.Roots;

    /// <summary>Reads the files that changed; returns the names of their secrets.</summary>
    public IReadOnlyList<string> Refresh()
    {
        var changed = new List<string>();
        foreach (var (name, entry) in _entries)
        {
            var next = Load(name, entry);
            if (ReferenceEquals(next, entry) || next is null) continue;
            _entries[name] = next;
            changed.Add(name);
        }
        return changed;
    }

    public IEnumerable<SecretView> View() => _entries
        .Where(e => e.Value.Certificate is not null || e.Value.Roots is not null)
        .Select(e => new SecretView(e.Key, "file", e.Value.Updated, e.Value.Certificate?.ChainPem ?? "", e.Value.Roots?.Pem ?? ""));

    /// <summary>How long the certificates are valid, and the CAs that somebody has put into files: nobody else sees these. What the machine trusts, and the
    /// roots of the mesh, are not for anybody here to renew.</summary>
    public IEnumerable<(string Name, SecretLife Life)> Lives() =>
        from entry in _entries
        where entry.Key is not (TlsSettings.SystemRoots or TlsSettings.MeshRoots)
        let life = entry.Value.Certificate?.Life ?? entry.Value.Roots?.Life
        where life is not null
        select (entry.Key, life.Value);

    /// <summary>Nothing names these any more. Should something do so again, they are read anew.</summary>
    public void Forget(IEnumerable<string> names)
    {
        foreach (var name in names) _entries.TryRemove(name, out _);
    }

    private Entry? Find(string name)
    {
        if (_entries.TryGetValue(name, out var entry)) return entry;
        return Load(name, null) is { } loaded ? _entries.GetOrAdd(name, loaded) : null;
    }

    /// <summary>The same entry when nothing changed; null when the name is not that of a file.</summary>
    private Entry? Load(string name, Entry? last)
    {
        if (Files(name) is not { } files) return null;
        // The stamp covers missing files, so that their appearance is noticed.
        var stamp = string.Join(' ',
            files.Select(f => new FileInfo(f) is { Exists: true } i ? $"{i.LastWriteTimeUtc.Ticks}/{i.Length}/{i.ResolveLinkTarget(true)?.FullName}" : "-"));
        if (last?.Stamp == stamp) return last;
        try
        {
            if (!files.All(File.Exists)) return (last ?? new("", null, null, default)) with { Stamp = stamp };
            return files.Length == 2
                ? new(stamp, CertificateSecret.Load(name, File.ReadAllText(files[0]), File.ReadAllText(files[1])), null, time.GetUtcNow())
                : new(stamp, null, RootSecret.Load(name, File.ReadAllText(files[0])), time.GetUtcNow());
        }
        // Files in the middle of a replacement are read again next time.
        catch (Exception e) when (e is ProblemException or IOException or UnauthorizedAccessException)
        {
            Unusable(log, name, e.Message);
            return (last ?? new("", null, null, default)) with { Stamp = stamp };
        }
    }

    private string[]? Files(string name)
    {
        const string certificate = "file-cert:", roots = "file-root:";
        if (name.StartsWith(certificate, StringComparison.Ordinal) && name[certificate.Length..].Split('~') is [var chain, var key]) return [chain, key];
        if (name.StartsWith(roots, StringComparison.Ordinal)) return [SystemRoots.FileOf(name[roots.Length..])];
        if (directory.Length == 0) return null;
        return name switch
        {
            "default" => [Path.Combine(directory, "cert-chain.pem"), Path.Combine(directory, "key.pem")],
            "ROOTCA" => [Path.Combine(directory, "root-cert.pem")],
            _ => null,
        };
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Secret {Name} cannot be used: {Reason}")]
    private static partial void Unusable(ILogger log, string name, string reason);
}
