using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.Graph.Derive;

/// <summary>The changes of a batch, grouped by what has to be rebuilt.</summary>
public sealed class MeshChanges
{
    /// <summary>Hosts whose definition changed.</summary>
    public HashSet<string> Services { get; } = new(StringComparer.Ordinal);

    /// <summary>Hosts whose endpoints changed.</summary>
    public HashSet<string> Endpoints { get; } = new(StringComparer.Ordinal);

    /// <summary>Hosts whose endpoints changed, and are part of listeners and names of sidecars.</summary>
    public HashSet<string> Listed { get; } = new(StringComparer.Ordinal);

    /// <summary>The namespaces and hosts, which may be wildcards, of DestinationRules that changed.</summary>
    public HashSet<RuleKey> Rules { get; } = [];

    /// <summary>The hosts of routes for sidecars that changed, as those name them.</summary>
    public HashSet<string> Routed { get; } = new(StringComparer.Ordinal);

    /// <summary>The Gateways whose routes of VirtualServices or Ingress objects changed.</summary>
    public HashSet<string> RoutedGateways { get; } = new(StringComparer.Ordinal);

    /// <summary>The hosts at Gateways whose routes of the Gateway API changed.</summary>
    public HashSet<GatewayHost> RoutedHosts { get; } = [];

    /// <summary>What scopes of proxies are resolved from: only those that read some of it can be others now.</summary>
    public HashSet<MeshRead> Reads { get; } = [];

    /// <summary>Network gateways changed, which is counted; <see cref="Endpoints"/> has the hosts that this concerns.</summary>
    public bool Networks { get; set; }

    /// <summary>MeshConfig changed, which may affect every host and proxy.</summary>
    public bool Settings { get; set; }

    public bool IsEmpty => IsOf(endpoints: false, routes: false);

    /// <summary>Routes changed.</summary>
    public bool HasRoutes => Routed.Count > 0 || RoutedGateways.Count > 0 || RoutedHosts.Count > 0;

    /// <summary>Objects changed that say how traffic is handled.</summary>
    public bool HasConfig => Settings || HasRoutes || Rules.Count > 0 || Reads.Any(read => IsConfig(read.Part));

    /// <summary>What is known of the workloads of proxies changed.</summary>
    public bool HasProxies => Reads.Any(read => !IsConfig(read.Part) && read.Part != MeshPart.Services);

    /// <summary>Nothing but routes changed: neither the scopes of proxies, nor hosts.</summary>
    public bool IsRoutesOnly => HasRoutes && IsOf(endpoints: false, routes: true);

    /// <summary>Nothing but endpoints, which are pushed at once.</summary>
    public bool IsEndpointsOnly => Endpoints.Count > 0 && IsOf(endpoints: true, routes: false);

    public void Add(MeshChanges other)
    {
        Services.UnionWith(other.Services);
        Endpoints.UnionWith(other.Endpoints);
        Listed.UnionWith(other.Listed);
        Rules.UnionWith(other.Rules);
        Routed.UnionWith(other.Routed);
        RoutedGateways.UnionWith(other.RoutedGateways);
        RoutedHosts.UnionWith(other.RoutedHosts);
        Reads.UnionWith(other.Reads);
        Networks |= other.Networks;
        Settings |= other.Settings;
    }

    internal void Read<TKey>(MeshPart part, IEnumerable<TKey> keys) where TKey : notnull
    {
        foreach (var key in keys) Reads.Add(new(part, key));
    }

    /// <summary>There are no other changes than these.</summary>
    private bool IsOf(bool endpoints, bool routes) => Services.Count == 0 && Listed.Count == 0 && Rules.Count == 0 && Reads.Count == 0 && !Settings
        && (routes || !HasRoutes) && (endpoints || Endpoints.Count == 0);

    private static bool IsConfig(MeshPart part) => part is MeshPart.Rules or MeshPart.Peers or MeshPart.Authorizations or MeshPart.Tokens or MeshPart.Sidecars
        or MeshPart.Filters or MeshPart.Plugins or MeshPart.Telemetries or MeshPart.Gateways or MeshPart.CallerTraits;
}
