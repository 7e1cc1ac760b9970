namespace Isthmus.ControlPlane.Derive;

/// <summary>What a batch changed, by what has to be made again for it.</summary>
public sealed class MeshChanges
{
    /// <summary>Hosts whose definition changed.</summary>
    public HashSet<string> Services { get; } = new(StringComparer.Ordinal);

    /// <summary>Hosts whose endpoints changed.</summary>
    public HashSet<string> Endpoints { get; } = new(StringComparer.Ordinal);

    /// <summary>The entries of networks changed: every host's endpoints may.</summary>
    public bool Gateways { get; set; }

    /// <summary>Mesh settings or Istio's resources changed.</summary>
    public bool Config { get; set; }

    /// <summary>What a proxy's own scope is found by (its Pod, Node, Namespace) changed.</summary>
    public bool Scopes { get; set; }

    public bool IsEmpty => Services.Count == 0 && Endpoints.Count == 0 && !Gateways && !Config && !Scopes;

    /// <summary>Nothing but endpoints, which wait for nobody.</summary>
    public bool IsEndpointsOnly => Services.Count == 0 && !Config && !Scopes && (Endpoints.Count > 0 || Gateways);

    public void Add(MeshChanges other)
    {
        Services.UnionWith(other.Services);
        Endpoints.UnionWith(other.Endpoints);
        Gateways |= other.Gateways;
        Config |= other.Config;
        Scopes |= other.Scopes;
    }
}
