using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>Filters that Istio adds to Envoy.</summary>
[Flags]
public enum IstioFilters
{
    None = 0,

    /// <summary>HTTP: exchanges metadata of peers in header fields.</summary>
    PeerMetadata = 1,

    /// <summary>HTTP: tells a server of the mesh by ALPN which version of HTTP follows.</summary>
    Alpn = 2,

    /// <summary>HTTP: the standard metrics.</summary>
    HttpMetrics = 4,

    /// <summary>TCP: the standard metrics.</summary>
    TcpMetrics = 8,

    /// <summary>TCP: speaks <c>istio-peer-exchange</c> with clients.</summary>
    ServerExchange = 16,

    /// <summary>TCP: speaks <c>istio-peer-exchange</c> with servers.</summary>
    ClientExchange = 32,

    /// <summary>TCP: rewrites the cluster that the SNI names.</summary>
    ClusterRewrite = 64,

    All = PeerMetadata | Alpn | HttpMetrics | TcpMetrics | ServerExchange | ClientExchange | ClusterRewrite,
}

/// <summary>An extension that a proxy says it has: an entry of <c>node.extensions</c>.</summary>
/// <param name="Types">The names of the messages that configure it; older proxies list none.</param>
public readonly record struct ProxyExtension(string Name, string Category, ValueList<string> Types);

/// <summary>What a proxy is made of, as it says itself: few values, for proxies with equal ones share resources.</summary>
/// <param name="IsEnvoy">It is an Envoy: of Istio, or as its project builds it.</param>
/// <param name="Declares">It has listed its extensions. Who lists none gets what all proxies of Istio 1.1 and later know.</param>
/// <param name="Filters">The filters of Istio that it knows.</param>
public sealed record ProxySoftware(bool IsEnvoy, bool Declares, IstioFilters Filters)
{
    /// <summary>A client that tells nothing of itself.</summary>
    public static readonly ProxySoftware Unknown = new(false, false, IstioFilters.All) { ComposesFilters = true, HasTunnels = true, HasIstioStrings = true };

    /// <summary>It is an Envoy of release 1.38 or later, which has other fields for what it warns of in their older ones.</summary>
    public bool IsRecent { get; init; }

    /// <summary>It is an Envoy of release 1.34 or later: its policies name the source of the metadata that they match, and it may warn of those that do not.
    /// </summary>
    public bool NamesMetadataSources { get; init; }

    /// <summary>It has listed the filter of Wasm, and a machine for it.</summary>
    public bool RunsWasm { get; init; }

    /// <summary>It can run filters that only a route configures: it has listed <c>envoy.filters.http.composite</c> and the filter around it, or nothing.
    /// </summary>
    public bool ComposesFilters { get; init; }

    /// <summary>It has listed the transport of HTTP/3 for its clients.</summary>
    public bool HasQuic { get; init; }

    /// <summary>It can pass connections on within itself, which tunnels need: it has listed the transport for that, or nothing.</summary>
    public bool HasTunnels { get; init; }

    /// <summary>It has listed the kind of text that Istio adds to Envoy for the state of connections, or nothing.</summary>
    public bool HasIstioStrings { get; init; }

    private const string Http = "envoy.filters.http";
    private const string Network = "envoy.filters.network";
    private const string Upstream = "envoy.filters.upstream_network";
    private const string Exchange = "envoy.tcp.metadataexchange.config.MetadataExchange";

    private static readonly Version Recent = new(1, 38);
    private static readonly Version NamingSources = new(1, 34);

    /// <summary>By category: the message that configures the filter, and the name under which proxies list it that list no messages.</summary>
    private static readonly (string Category, string Type, string Name, IstioFilters Filter)[] Known =
    [
        (Http, "io.istio.http.peer_metadata.Config", "envoy.filters.http.peer_metadata", IstioFilters.PeerMetadata),
        (Http, "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig", "istio.alpn", IstioFilters.Alpn),
        (Http, "stats.PluginConfig", "envoy.filters.http.istio_stats", IstioFilters.HttpMetrics),
        (Network, "stats.PluginConfig", "envoy.filters.network.istio_stats", IstioFilters.TcpMetrics),
        (Network, Exchange, "envoy.filters.network.metadata_exchange", IstioFilters.ServerExchange),
        (Upstream, Exchange, "envoy.filters.network.upstream.metadata_exchange", IstioFilters.ClientExchange),
        (Network, "istio.envoy.config.filter.network.tcp_cluster_rewrite.v2alpha1.TcpClusterRewrite", "envoy.filters.network.tcp_cluster_rewrite",
            IstioFilters.ClusterRewrite),
    ];

    /// <param name="agent">The <c>user_agent_name</c> of its node.</param>
    /// <param name="extensions">Those that are not disabled.</param>
    /// <param name="version">Its <c>user_agent_build_version</c>; null if unknown.</param>
    public static ProxySoftware Of(string agent, IEnumerable<ProxyExtension> extensions, Version? version = null)
    {
        var (filters, declares, hasFilter, hasMachine, hasQuic) = (IstioFilters.None, false, false, false, false);
        var (hasComposite, hasDelegate, hasTunnels, hasStrings) = (false, false, false, false);
        foreach (var extension in extensions)
        {
            declares = true;
            hasFilter |= extension is { Category: Http, Name: "envoy.filters.http.wasm" };
            hasComposite |= extension is { Category: Http, Name: "envoy.filters.http.composite" };
            hasDelegate |= extension is { Category: Http, Name: "envoy.filters.http.match_delegate" };
            hasQuic |= extension is { Category: "envoy.transport_sockets.downstream", Name: "envoy.transport_sockets.quic" };
            hasTunnels |= extension is { Category: "envoy.transport_sockets.upstream", Name: "envoy.transport_sockets.internal_upstream" };
            hasStrings |= extension is { Category: "filter_state.object", Name: "istio.hashable_string" };
            hasMachine |= extension is { Category: "envoy.wasm.runtime", Name: "envoy.wasm.runtime.v8" };
            foreach (var known in Known)
            {
                if (known.Category == extension.Category && (known.Name == extension.Name || extension.Types.Contains(known.Type))) filters |= known.Filter;
            }
        }
        var isEnvoy = agent == "envoy";
        return (declares
            ? new(isEnvoy, true, filters)
            : Unknown with { IsEnvoy = isEnvoy }) with
            {
                IsRecent = isEnvoy && version >= Recent, NamesMetadataSources = isEnvoy && version >= NamingSources,
                RunsWasm = isEnvoy && hasFilter && hasMachine, HasQuic = isEnvoy && hasQuic,
                ComposesFilters = !declares || (hasComposite && hasDelegate), HasTunnels = !declares || hasTunnels,
                HasIstioStrings = !declares || hasStrings,
            };
    }

    public bool Has(IstioFilters filter) => (Filters & filter) == filter;
}
