using System.Collections.Concurrent;
using Isthmus.Core.Problems;
using Isthmus.Core.Trust;

namespace Isthmus.Proxy.Tls;

/// <summary>
/// Secrets from files: <c>default</c> from <c>cert-chain.pem</c> and <c>key.pem</c> in a directory, <c>ROOTCA</c> from its
/// <c>root-cert.pem</c>, and those that resources name by path (<c>file-cert:CHAIN~KEY</c>, <c>file-root:FILE</c>).
/// </summary>
internal sealed class DirectorySecrets(string directory, TimeProvider time) : ISecretSource
{
    private readonly ConcurrentDictionary<string, CertificateSecret?> _certificates = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, RootSecret?> _roots = new(StringComparer.Ordinal);
    private readonly DateTimeOffset _loaded = time.GetUtcNow();

    /// <summary>Never raised: files are read once.</summary>
    public event Action<string>? Changed
    {
        add { }
        remove { }
    }

    /// <exception cref="ProblemException">The files exist but cannot be used.</exception>
    public CertificateSecret? FindCertificate(string name) => _certificates.GetOrAdd(name, LoadCertificate);

    /// <exception cref="ProblemException">The file exists but cannot be used.</exception>
    public RootSecret? FindRoots(string name) => _roots.GetOrAdd(name, LoadRoots);

    public bool IsAbsent(string name) => FindCertificate(name) is null && FindRoots(name) is null;

    public IReadOnlyList<SecretView> View() =>
    [
        .. _certificates.Values.OfType<CertificateSecret>().Select(c => new SecretView(c.Name, "file", _loaded, c.ChainPem, "")),
        .. _roots.Values.OfType<RootSecret>().Select(r => new SecretView(r.Name, "file", _loaded, "", r.Pem)),
    ];

    private CertificateSecret? LoadCertificate(string name)
    {
        // There is no other source: what resources would ask a control plane for is read from files, too.
        var (chain, key) = DiscoveredSecrets.Wire(name) switch
        {
            "default" => (Path.Combine(directory, "cert-chain.pem"), Path.Combine(directory, "key.pem")),
            _ when name.StartsWith("file-cert:", StringComparison.Ordinal) && name.Split('~') is [var first, var second] => (first["file-cert:".Length..],
                second),
            _ => ("", ""),
        };
        return File.Exists(chain) && File.Exists(key) ? CertificateSecret.Load(name, File.ReadAllText(chain), File.ReadAllText(key)) : null;
    }

    private RootSecret? LoadRoots(string name)
    {
        var file = DiscoveredSecrets.Wire(name) switch
        {
            "ROOTCA" => Path.Combine(directory, "root-cert.pem"),
            _ when name.StartsWith("file-root:", StringComparison.Ordinal) => SystemRoots.FileOf(name["file-root:".Length..]),
            _ => "",
        };
        return File.Exists(file) ? RootSecret.Load(name, File.ReadAllText(file)) : null;
    }
}
