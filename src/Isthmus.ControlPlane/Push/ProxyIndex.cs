using System.Collections.Immutable;
using Isthmus.Mesh.Resolve;

namespace Isthmus.ControlPlane.Push;

/// <summary>The connected proxies by what their scopes were resolved from, so that a change costs only the proxies that it affects.</summary>
internal sealed class ProxyIndex
{
    private readonly Dictionary<ProxyFeed, IReadOnlySet<MeshRead>> _reads = [];
    private readonly Dictionary<MeshRead, HashSet<ProxyFeed>> _readers = [];

    public IReadOnlyCollection<ProxyFeed> All => _reads.Keys;

    public bool Contains(ProxyFeed proxy) => _reads.ContainsKey(proxy);

    public void Add(ProxyFeed proxy) => _reads.TryAdd(proxy, ImmutableHashSet<MeshRead>.Empty);

    public void Remove(ProxyFeed proxy)
    {
        if (!_reads.Remove(proxy, out var reads)) return;
        foreach (var read in reads) Forget(proxy, read);
    }

    /// <summary>What the proxy's scope was resolved from this time.</summary>
    public void Watch(ProxyFeed proxy, IReadOnlySet<MeshRead> reads)
    {
        var before = _reads[proxy];
        if (reads.SetEquals(before)) return;
        foreach (var read in before) if (!reads.Contains(read)) Forget(proxy, read);
        foreach (var read in reads) (_readers.TryGetValue(read, out var proxies) ? proxies : _readers[read] = []).Add(proxy);
        _reads[proxy] = reads;
    }

    /// <summary>The proxies whose scope may differ after a change.</summary>
    public IReadOnlyCollection<ProxyFeed> Concerned(IEnumerable<MeshRead> changed)
    {
        var found = new HashSet<ProxyFeed>();
        foreach (var read in changed)
        {
            if (_readers.TryGetValue(read, out var proxies)) found.UnionWith(proxies);
        }
        return found;
    }

    private void Forget(ProxyFeed proxy, MeshRead read)
    {
        if (_readers.TryGetValue(read, out var proxies) && proxies.Remove(proxy) && proxies.Count == 0) _readers.Remove(read);
    }
}
