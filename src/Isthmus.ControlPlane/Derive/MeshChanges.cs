using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Derive;

/// <summary>The changes of a batch, grouped by what has to be rebuilt.</summary>
public sealed class MeshChanges
{
    /// <summary>Hosts whose definition changed.</summary>
    public HashSet<string> Services { get; } = new(StringComparer.Ordinal);

    /// <summary>Hosts whose endpoints changed.</summary>
    public HashSet<string> Endpoints { get; } = new(StringComparer.Ordinal);

    /// <summary>The hosts of VirtualServices that changed, as those name them.</summary>
    public HashSet<string> Routed { get; } = new(StringComparer.Ordinal);

    /// <summary>Network gateways changed, which may affect the endpoints of every host.</summary>
    public bool Gateways { get; set; }

    /// <summary>Mesh settings changed, or resources of Istio that may concern any host or proxy.</summary>
    public bool Config { get; set; }

    /// <summary>Proxies whose scope may have changed.</summary>
    public ProxyChanges Proxies { get; } = new();

    public bool IsEmpty => Services.Count == 0 && Endpoints.Count == 0 && Routed.Count == 0 && !Gateways && !Config && Proxies.IsEmpty;

    /// <summary>Nothing but endpoints, which are pushed at once.</summary>
    public bool IsEndpointsOnly => Services.Count == 0 && Routed.Count == 0 && !Config && Proxies.IsEmpty && (Endpoints.Count > 0 || Gateways);

    public void Add(MeshChanges other)
    {
        Services.UnionWith(other.Services);
        Endpoints.UnionWith(other.Endpoints);
        Routed.UnionWith(other.Routed);
        Gateways |= other.Gateways;
        Config |= other.Config;
        Proxies.Add(other.Proxies);
    }
}

/// <summary>Changes of the objects that determine a proxy's scope: a proxy is affected if one of them is its own.</summary>
public sealed class ProxyChanges
{
    /// <summary>Every proxy is affected.</summary>
    public bool All { get; set; }

    /// <summary>Pods, by name: each is the Pod of at most one proxy.</summary>
    public HashSet<ObjectKey> Pods { get; } = [];

    public HashSet<ObjectKey> Nodes { get; } = [];

    /// <summary>Namespaces of one cluster: their Services or certificates changed.</summary>
    public HashSet<(string Cluster, string Namespace)> Places { get; } = [];

    /// <summary>Namespaces of the whole mesh: their policies changed.</summary>
    public HashSet<string> Namespaces { get; } = new(StringComparer.Ordinal);

    public bool IsEmpty => !All && Pods.Count == 0 && Nodes.Count == 0 && Places.Count == 0 && Namespaces.Count == 0;

    public void Add(ProxyChanges other)
    {
        All |= other.All;
        Pods.UnionWith(other.Pods);
        Nodes.UnionWith(other.Nodes);
        Places.UnionWith(other.Places);
        Namespaces.UnionWith(other.Namespaces);
    }
}
