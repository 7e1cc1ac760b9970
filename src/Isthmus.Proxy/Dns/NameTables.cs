using System.Collections.Frozen;
using System.Net;
using System.Net.Sockets;
using Isthmus.Wire.Istio;

namespace Isthmus.Proxy.Dns;

/// <summary>The addresses of one name, by family.</summary>
internal sealed record NameAddresses(IPAddress[] V4, IPAddress[] V6)
{
    public IPAddress[] Of(AddressFamily family) => family == AddressFamily.InterNetwork ? V4 : V6;
}

/// <summary>The names that a sidecar answers itself: the control plane's table plus the short forms that applications of
/// this namespace can use.</summary>
internal sealed class NameTables
{
    private readonly FrozenDictionary<string, NameAddresses>.AlternateLookup<ReadOnlySpan<char>> _names;
    private readonly string _search;

    private NameTables(FrozenDictionary<string, NameAddresses> names, string search)
    {
        _names = names.GetAlternateLookup<ReadOnlySpan<char>>();
        _search = search;
    }

    /// <param name="proxyNamespace">Bare names are those of this namespace.</param>
    /// <param name="domain">The proxy's domain, <c>NAMESPACE.svc.SUFFIX</c>.</param>
    /// <param name="search">resolv.conf's search domains; names below the first are answered at once.</param>
    public static NameTables Build(NameTable table, string proxyNamespace, string domain, IReadOnlyList<string> search)
    {
        var names = new Dictionary<string, NameAddresses>(StringComparer.OrdinalIgnoreCase);
        foreach (var (host, info) in table.Table)
        {
            var addresses = Addresses(info.Ips);
            foreach (var name in Expand(host.TrimEnd('.'), info, proxyNamespace, domain))
                // An explicit name wins over the short form of another.
                if (!names.ContainsKey(name) || DnsEquals(name, host)) names[name] = addresses;
        }
        return new(names.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase), search.Count > 0 ? "." + search[0] : "");
    }

    /// <summary>Every name with its addresses.</summary>
    public IEnumerable<KeyValuePair<string, NameAddresses>> All => _names.Dictionary;

    /// <summary>Finds a name, or the part before the first search domain (resolvers append it before they try the name
    /// alone), or the longest wildcard above.</summary>
    /// <param name="target">Length of the part before the search domain when that part matches, to be returned as a CNAME;
    /// else zero.</param>
    public NameAddresses? Find(ReadOnlySpan<char> name, out int target)
    {
        target = 0;
        if (_names.TryGetValue(name, out var found)) return found;
        if (_search.Length > 0 && name.EndsWith(_search, StringComparison.OrdinalIgnoreCase) && _names.TryGetValue(name[..^_search.Length], out found))
        {
            target = name.Length - _search.Length;
            return found;
        }
        Span<char> wildcard = stackalloc char[Wire.Dns.DnsName.MaxText + 2];
        wildcard[0] = '*';
        wildcard[1] = '.';
        for (var rest = name; rest.IndexOf('.') is var dot and >= 0;)
        {
            rest = rest[(dot + 1)..];
            rest.CopyTo(wildcard[2..]);
            if (_names.TryGetValue(wildcard[..(rest.Length + 2)], out found)) return found;
        }
        return null;
    }

    private static IEnumerable<string> Expand(string host, NameTable.Types.NameInfo info, string proxyNamespace, string domain)
    {
        yield return host;
        var suffix = domain.IndexOf(".svc.", StringComparison.Ordinal) is var at and >= 0 ? domain[(at + 1)..] : domain;
        if (info.Registry != "Kubernetes" || info.Shortname.Length == 0 || !Wire.Dns.DnsName.IsWithin(host, suffix)
            || host.EndsWith(".clusterset.local", StringComparison.OrdinalIgnoreCase)) yield break;
        // A Pod of a headless service has labels before the short name: keep them.
        var tail = $".{info.Namespace}.{suffix}";
        var first = host.EndsWith(tail, StringComparison.OrdinalIgnoreCase) ? host[..^tail.Length] : info.Shortname;
        yield return $"{first}.{info.Namespace}";
        yield return $"{first}.{info.Namespace}.svc";
        if (info.Namespace == proxyNamespace) yield return first;
    }

    private static NameAddresses Addresses(IEnumerable<string> texts)
    {
        var all = texts.Select(t => IPAddress.TryParse(t, out var address) ? address : null).OfType<IPAddress>().ToArray();
        return new([.. all.Where(a => a.AddressFamily == AddressFamily.InterNetwork)], [.. all.Where(a => a.AddressFamily == AddressFamily.InterNetworkV6)]);
    }

    private static bool DnsEquals(string a, string b) => Wire.Dns.DnsName.Same(a, b.TrimEnd('.'));
}
