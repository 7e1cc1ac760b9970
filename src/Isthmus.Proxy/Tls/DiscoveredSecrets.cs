using System.Collections.Concurrent;
using Isthmus.Core.Problems;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Tls;

/// <summary>Certificates and roots from the control plane: <c>kubernetes://NAME</c>, and whatever else a control plane names with a scheme
/// (<c>kubernetes-gateway://NAMESPACE/NAME</c>, <c>configmap://…</c>, <c>clustertrustbundle://…</c>) or says to fetch from itself. The last good
/// one stays when its Secret is deleted, for as long as a listener or a cluster names it.</summary>
internal sealed class DiscoveredSecrets(TimeProvider time)
{
    private const string Unlike = "ads:";   // before names that could be those of other sources

    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, bool> _absent = new(StringComparer.Ordinal);

    private sealed record Entry(string Version, CertificateSecret? Certificate, RootSecret? Roots, DateTimeOffset Updated);

    /// <summary>Raised after a secret was added, changed or reported missing.</summary>
    public event Action<string>? Changed;

    /// <summary>Whether the control plane provides the secret of that name.</summary>
    public static bool Has(string name) =>
        name.StartsWith(Unlike, StringComparison.Ordinal)
            || (name.Contains("://", StringComparison.Ordinal) && !name.StartsWith("file-", StringComparison.Ordinal) && !IdentityNames.Has(name));

    /// <summary>The name in this process of what the control plane calls <paramref name="name"/>.</summary>
    public static string Local(string name) => Has(name) ? name : Unlike + name;

    /// <summary>The control plane's name for it.</summary>
    public static string Wire(string local) => local.StartsWith(Unlike, StringComparison.Ordinal) ? local[Unlike.Length..] : local;

    public CertificateSecret? FindCertificate(string name) => _entries.GetValueOrDefault(name)?.Certificate;

    public RootSecret? FindRoots(string name) => _entries.GetValueOrDefault(name)?.Roots;

    public bool IsAbsent(string name) => _absent.ContainsKey(name);

    /// <summary>The control plane has no usable secret of that name. The last good one stays.</summary>
    public void MarkAbsent(string name)
    {
        var local = Local(name);
        if (_absent.TryAdd(local, true)) Changed?.Invoke(local);
    }

    /// <summary>Forgets all others: what has the name of one later is another one.</summary>
    public void Keep(IReadOnlyCollection<string> locals)
    {
        var wanted = locals.ToHashSet(StringComparer.Ordinal);
        foreach (var name in _entries.Keys.Where(name => !wanted.Contains(name))) _entries.TryRemove(name, out _);
        foreach (var name in _absent.Keys.Where(name => !wanted.Contains(name))) _absent.TryRemove(name, out _);
    }

    /// <exception cref="ProblemException">It cannot be used.</exception>
    public void Put(string version, Secret secret)
    {
        var name = Local(secret.Name);
        _entries[name] = secret.TypeCase switch
        {
            Secret.TypeOneofCase.TlsCertificate => new(
                version, CertificateSecret.Load(secret.Name, Text(secret.TlsCertificate.CertificateChain), Text(secret.TlsCertificate.PrivateKey)), null,
                time.GetUtcNow()),
            Secret.TypeOneofCase.ValidationContext => new(version, null,
                RootSecret.Load(secret.Name, Text(secret.ValidationContext.TrustedCa), hasRevocations: secret.ValidationContext.Crl is not null),
                time.GetUtcNow()),
            _ => throw new ProblemException($"secret {secret.Name}", $"secrets of kind {secret.TypeCase} are not supported"),
        };
        _absent.TryRemove(name, out _);
        Changed?.Invoke(name);
    }

    public IEnumerable<SecretView> View() =>
        _entries.Select(e => new SecretView(Wire(e.Key), e.Value.Version, e.Value.Updated, e.Value.Certificate?.ChainPem ?? "", e.Value.Roots?.Pem ?? ""));

    /// <summary>How long each certificate is valid, by the control plane's names. It measures CAs itself.</summary>
    public IEnumerable<(string Name, SecretLife Life)> Lives() =>
        from entry in _entries
        where entry.Value.Certificate is not null
        select (Wire(entry.Key), entry.Value.Certificate!.Life);

    private static string Text(DataSource? source) => source?.SpecifierCase switch
    {
        DataSource.SpecifierOneofCase.InlineBytes => source.InlineBytes.ToStringUtf8(),
        DataSource.SpecifierOneofCase.InlineString => source.InlineString,
        _ => "",
    };
}
