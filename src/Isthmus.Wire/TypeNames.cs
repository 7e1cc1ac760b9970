using Google.Protobuf;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Upstreams;

namespace Isthmus.Wire;

/// <summary>
/// The full names of message types. Asking a descriptor for its name builds the descriptors of its file and of all its imports,
/// 140 ms of CPU time for the types of a proxy's start (measured), so their names are listed here.
/// </summary>
public static class TypeNames
{
    private static readonly Dictionary<Type, string> Known = new()
    {
        [typeof(DownstreamTlsContext)] = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        [typeof(UpstreamTlsContext)] = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        [typeof(FileAccessLog)] = "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        [typeof(TcpProxy)] = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        [typeof(HttpConnectionManager)] = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        [typeof(Envoy.NetworkFilters.RBAC)] = "envoy.extensions.filters.network.rbac.v3.RBAC",
        [typeof(Envoy.HttpFilters.RBAC)] = "envoy.extensions.filters.http.rbac.v3.RBAC",
        [typeof(Envoy.Upstreams.HttpProtocolOptions)] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        [typeof(HTTPFault)] = "envoy.extensions.filters.http.fault.v3.HTTPFault",
        [typeof(Cors)] = "envoy.extensions.filters.http.cors.v3.Cors",
        [typeof(CorsPolicy)] = "envoy.extensions.filters.http.cors.v3.CorsPolicy",
        [typeof(Router)] = "envoy.extensions.filters.http.router.v3.Router",
        [typeof(SniCluster)] = "envoy.extensions.filters.network.sni_cluster.v3.SniCluster",
        [typeof(Istio.TcpClusterRewrite)] = "istio.envoy.config.filter.network.tcp_cluster_rewrite.v2alpha1.TcpClusterRewrite",
        [typeof(Istio.Alpn.FilterConfig)] = "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
        [typeof(Istio.MetadataExchange)] = "envoy.tcp.metadataexchange.config.MetadataExchange",
    };

    /// <summary>The types whose names are listed (a test compares them with their descriptors).</summary>
    public static IReadOnlyDictionary<Type, string> Written => Known;

    /// <summary>Whether an Any of this type URL holds a <typeparamref name="T"/>; only what follows the last slash counts.</summary>
    public static bool IsNamedBy<T>(string typeUrl) where T : IMessage<T>, new() =>
        typeUrl.AsSpan(typeUrl.LastIndexOf('/') + 1).SequenceEqual(Cache<T>.Name);

    private static class Cache<T> where T : IMessage<T>, new()
    {
        public static readonly string Name = Known.TryGetValue(typeof(T), out var name) ? name : new T().Descriptor.FullName;
    }
}
