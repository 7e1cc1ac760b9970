using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Derive;

/// <summary>The changes of a batch, grouped by what has to be rebuilt.</summary>
public sealed class MeshChanges
{
    /// <summary>Hosts whose definition changed.</summary>
    public HashSet<string> Services { get; } = new(StringComparer.Ordinal);

    /// <summary>Hosts whose endpoints changed.</summary>
    public HashSet<string> Endpoints { get; } = new(StringComparer.Ordinal);

    /// <summary>The hosts of routes for sidecars that changed, as those name them.</summary>
    public HashSet<string> Routed { get; } = new(StringComparer.Ordinal);

    /// <summary>The Gateways whose routes of VirtualServices or Ingress objects changed.</summary>
    public HashSet<string> RoutedGateways { get; } = new(StringComparer.Ordinal);

    /// <summary>The hosts at Gateways whose routes of the Gateway API changed.</summary>
    public HashSet<GatewayHost> RoutedHosts { get; } = [];

    /// <summary>Network gateways changed, which may affect the endpoints of every host.</summary>
    public bool Gateways { get; set; }

    /// <summary>Mesh settings changed, or resources of Istio that may concern any host or proxy.</summary>
    public bool Config { get; set; }

    /// <summary>Proxies whose scope may have changed.</summary>
    public ProxyChanges Proxies { get; } = new();

    public bool IsEmpty => Services.Count == 0 && Endpoints.Count == 0 && !HasRoutes && !Gateways && !Config && Proxies.IsEmpty;

    /// <summary>Routes changed.</summary>
    public bool HasRoutes => Routed.Count > 0 || RoutedGateways.Count > 0 || RoutedHosts.Count > 0;

    /// <summary>Nothing but routes changed: neither the scopes of proxies, nor hosts.</summary>
    public bool IsRoutesOnly => HasRoutes && Services.Count == 0 && Endpoints.Count == 0 && !Gateways && !Config && Proxies.IsEmpty;

    /// <summary>Nothing but endpoints, which are pushed at once.</summary>
    public bool IsEndpointsOnly => Services.Count == 0 && !HasRoutes && !Config && Proxies.IsEmpty && (Endpoints.Count > 0 || Gateways);

    public void Add(MeshChanges other)
    {
        Services.UnionWith(other.Services);
        Endpoints.UnionWith(other.Endpoints);
        Routed.UnionWith(other.Routed);
        RoutedGateways.UnionWith(other.RoutedGateways);
        RoutedHosts.UnionWith(other.RoutedHosts);
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
