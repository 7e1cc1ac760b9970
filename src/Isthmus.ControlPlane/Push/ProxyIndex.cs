using Isthmus.ControlPlane.Derive;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Push;

/// <summary>The connected proxies by the objects that determine their scopes, so that a change costs only the proxies that
/// it affects.</summary>
internal sealed class ProxyIndex
{
    private readonly Dictionary<ProxyFeed, ObjectKey?> _nodes = [];
    private readonly Dictionary<ObjectKey, HashSet<ProxyFeed>> _byPod = [];
    private readonly Dictionary<ObjectKey, HashSet<ProxyFeed>> _byNode = [];
    private readonly Dictionary<(string Cluster, string Namespace), HashSet<ProxyFeed>> _byPlace = [];
    private readonly Dictionary<string, HashSet<ProxyFeed>> _byNamespace = new(StringComparer.Ordinal);

    public IReadOnlyCollection<ProxyFeed> All => _nodes.Keys;

    public bool Contains(ProxyFeed proxy) => _nodes.ContainsKey(proxy);

    public void Add(ProxyFeed proxy)
    {
        if (!_nodes.TryAdd(proxy, null)) return;
        var identity = proxy.Proxy;
        Put(_byPod, PodOf(identity), proxy);
        Put(_byPlace, (identity.Cluster, identity.Namespace), proxy);
        Put(_byNamespace, identity.Namespace, proxy);
    }

    public void Remove(ProxyFeed proxy)
    {
        if (!_nodes.Remove(proxy, out var node)) return;
        var identity = proxy.Proxy;
        Take(_byPod, PodOf(identity), proxy);
        Take(_byPlace, (identity.Cluster, identity.Namespace), proxy);
        Take(_byNamespace, identity.Namespace, proxy);
        if (node is { } known) Take(_byNode, known, proxy);
    }

    /// <summary>The Node that the proxy takes its locality from.</summary>
    public void Watch(ProxyFeed proxy, ObjectKey node)
    {
        if (_nodes[proxy] is { } known)
        {
            if (known == node) return;
            Take(_byNode, known, proxy);
        }
        _nodes[proxy] = node;
        Put(_byNode, node, proxy);
    }

    /// <summary>The proxies whose scope may differ after a change.</summary>
    public IReadOnlyCollection<ProxyFeed> Concerned(ProxyChanges changes)
    {
        if (changes.All) return All;
        var found = new HashSet<ProxyFeed>();
        Collect(_byPod, changes.Pods, found);
        Collect(_byNode, changes.Nodes, found);
        Collect(_byPlace, changes.Places, found);
        Collect(_byNamespace, changes.Namespaces, found);
        return found;
    }

    private static ObjectKey PodOf(ProxyIdentity identity) => new(identity.Cluster, identity.Namespace, identity.Name);

    private static void Collect<TKey>(Dictionary<TKey, HashSet<ProxyFeed>> index, HashSet<TKey> keys, HashSet<ProxyFeed> found) where TKey : notnull
    {
        foreach (var key in keys)
        {
            if (index.TryGetValue(key, out var proxies)) found.UnionWith(proxies);
        }
    }

    private static void Put<TKey>(Dictionary<TKey, HashSet<ProxyFeed>> index, TKey key, ProxyFeed proxy) where TKey : notnull =>
        (index.TryGetValue(key, out var proxies) ? proxies : index[key] = []).Add(proxy);

    private static void Take<TKey>(Dictionary<TKey, HashSet<ProxyFeed>> index, TKey key, ProxyFeed proxy) where TKey : notnull
    {
        if (index.TryGetValue(key, out var proxies) && proxies.Remove(proxy) && proxies.Count == 0) index.Remove(key);
    }
}
