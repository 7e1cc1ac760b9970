using System.Collections.Immutable;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>The shared parts that a proxy was last given, to detect whether it needs an update.</summary>
internal sealed class PublishedProxy(ResolvedProxy resolved, ScopeView view, InboundResources? inbound)
{
    public ResolvedProxy Resolved { get; } = resolved;
    public ScopeView View { get; } = view;
    public InboundResources? Inbound { get; set; } = inbound;
    /// <summary>The certificates of a gateway's servers, and those with which it calls other hosts. Null as long as it is unknown whether the gateway may
    /// have any.</summary>
    public ResourceSet? Secrets { get; set; }
    /// <summary>What <see cref="Secrets"/> were made of.</summary>
    public SecretInputs SecretsFrom { get; set; }
    /// <summary>The configuration of filters that the proxy discovers; null if it has had none.</summary>
    public ResourceSet? Extensions { get; set; }
    /// <summary>What EnvoyFilters change of its bootstrap; null if it is no Envoy.</summary>
    public ResourceSet? Bootstrap { get; set; }
    public GivenResources Given { get; set; }
    /// <summary>What the proxy was given for its earlier scope; default after its first offer for this one.</summary>
    public GivenResources Earlier { get; set; }
    public ImmutableDictionary<string, IXdsResources> Types { get; set; } = ImmutableDictionary<string, IXdsResources>.Empty;
}

/// <summary>What the certificates of a gateway depend on besides its servers.</summary>
/// <param name="Certificates">The version of those that are known.</param>
/// <param name="Access">Whether it may have them.</param>
/// <param name="Rules">The version of its DestinationRules.</param>
internal readonly record struct SecretInputs(long Certificates, SecretAccess? Access, long Rules);

/// <summary>What a proxy is given.</summary>
internal readonly record struct GivenResources(
    ResourceSet Clusters, ResourceSet Endpoints, ResourceSet Listeners, ResourceSet Routes, ResourceSet Names, InboundResources? Inbound, ResourceSet? Secrets)
{
    public ResourceSet? Extensions { get; init; }

    public ResourceSet? Bootstrap { get; init; }
}

/// <summary>The encoded inbound resources that sidecars with the same inbound scope share.</summary>
internal sealed record InboundResources(ResourceSet Clusters, ResourceSet Listeners)
{
    /// <summary>The endpoints of the workload's own host; empty unless the proxies need them.</summary>
    public ResourceSet Endpoints { get; init; } = ResourceSet.Empty;
}
