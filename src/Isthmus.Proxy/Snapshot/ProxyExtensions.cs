using Isthmus.Proxy.Filters;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Istio;

namespace Isthmus.Proxy.Snapshot;

/// <summary>The extensions of this proxy: what its decoders take, and nothing else.</summary>
internal static class ProxyExtensions
{
    /// <summary>The filter of clusters by which connections are introduced to servers.</summary>
    public const string ClientExchange = "istio.metadata_exchange";

    /// <summary>For the node's list, in Envoy's categories.</summary>
    public static IEnumerable<Extension> All =>
    [
        .. HttpFilters.Kinds.Extensions, .. NetworkFilters.Kinds.Extensions, .. ListenerFilters.Kinds.Extensions, .. UdpFilters.Kinds.Extensions,
        new()
        {
            Name = "envoy.transport_sockets.internal_upstream", Category = "envoy.transport_sockets.upstream",
            TypeUrls = { TypeNames.Of<InternalUpstreamTransport>() },
        },
        new() { Name = ClientExchange, Category = "envoy.filters.upstream_network", TypeUrls = { TypeNames.Of<MetadataExchange>() } },
    ];
}
