using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.HttpFilters.Composites;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Upstreams;
using Type = System.Type;

namespace Isthmus.Wire;

/// <summary>
/// The full names of message types that are packed as Any. Asking a descriptor for its name builds the descriptors of its file and of all its
/// imports, and compiles some 600 methods that they need: a fifth of the CPU time of a proxy's start. So the names are listed here, and the
/// methods that <see cref="Any"/> has for this are not used.
/// </summary>
public static class TypeNames
{
    private static readonly Dictionary<Type, string> Known = new()
    {
        [typeof(DownstreamTlsContext)] = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        [typeof(UpstreamTlsContext)] = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        [typeof(FileAccessLog)] = "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        [typeof(StdoutAccessLog)] = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        [typeof(StderrAccessLog)] = "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
        [typeof(OpenTelemetryAccessLogConfig)] = "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
        [typeof(HttpGrpcAccessLogConfig)] = "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        [typeof(TcpGrpcAccessLogConfig)] = "envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
        [typeof(ExpressionFilter)] = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        [typeof(TcpProxy)] = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        [typeof(HttpConnectionManager)] = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        [typeof(Envoy.NetworkFilters.RBAC)] = "envoy.extensions.filters.network.rbac.v3.RBAC",
        [typeof(Envoy.HttpFilters.RBAC)] = "envoy.extensions.filters.http.rbac.v3.RBAC",
        [typeof(Envoy.Upstreams.HttpProtocolOptions)] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        [typeof(HTTPFault)] = "envoy.extensions.filters.http.fault.v3.HTTPFault",
        [typeof(Cors)] = "envoy.extensions.filters.http.cors.v3.Cors",
        [typeof(CorsPolicy)] = "envoy.extensions.filters.http.cors.v3.CorsPolicy",
        [typeof(StatefulSession)] = "envoy.extensions.filters.http.stateful_session.v3.StatefulSession",
        [typeof(StatefulSessionPerRoute)] = "envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute",
        [typeof(CookieBasedSessionState)] = "envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState",
        [typeof(HeaderBasedSessionState)] = "envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState",
        [typeof(Router)] = "envoy.extensions.filters.http.router.v3.Router",
        [typeof(SniCluster)] = "envoy.extensions.filters.network.sni_cluster.v3.SniCluster",
        [typeof(Envoy.Clusters.DnsCluster)] = "envoy.extensions.clusters.dns.v3.DnsCluster",
        [typeof(Envoy.Clusters.ClusterConfig)] = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
        [typeof(Istio.TcpClusterRewrite)] = "istio.envoy.config.filter.network.tcp_cluster_rewrite.v2alpha1.TcpClusterRewrite",
        [typeof(Istio.Alpn.FilterConfig)] = "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
        [typeof(Istio.MetadataExchange)] = "envoy.tcp.metadataexchange.config.MetadataExchange",
        [typeof(Istio.Peers.Config)] = "io.istio.http.peer_metadata.Config",
        [typeof(StringValue)] = "google.protobuf.StringValue",
        [typeof(Envoy.Udpa.TypedStruct)] = "udpa.type.v1.TypedStruct",
        [typeof(Envoy.XdsTypes.TypedStruct)] = "xds.type.v3.TypedStruct",
        [typeof(Envoy.Routes.FilterConfig)] = "envoy.config.route.v3.FilterConfig",
        [typeof(Envoy.Retries.PreviousPrioritiesConfig)] = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        [typeof(Envoy.Retries.PreviousHostsPredicate)] = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
        [typeof(Envoy.NetworkFilters.ExtAuthz)] = "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
        [typeof(Envoy.HttpFilters.ExtAuthz)] = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        [typeof(ExtAuthzPerRoute)] = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
        [typeof(ExtensionWithMatcher)] = "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
        [typeof(ExtensionWithMatcherPerRoute)] = "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute",
        [typeof(Composite)] = "envoy.extensions.filters.http.composite.v3.Composite",
        [typeof(ExecuteFilterAction)] = "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction",
        [typeof(LocalRateLimit)] = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        [typeof(Envoy.NetworkFilters.LocalLimits.LocalRateLimit)] = "envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit",
        [typeof(Envoy.HttpFilters.RateLimit)] = "envoy.extensions.filters.http.ratelimit.v3.RateLimit",
        [typeof(RateLimitPerRoute)] = "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
        [typeof(Envoy.Trace.ZipkinConfig)] = "envoy.config.trace.v3.ZipkinConfig",
        [typeof(Envoy.Trace.OpenTelemetryConfig)] = "envoy.config.trace.v3.OpenTelemetryConfig",
        [typeof(Address)] = "envoy.config.core.v3.Address",
        [typeof(Http11ProxyUpstreamTransport)] = "envoy.extensions.transport_sockets.http_11_proxy.v3.Http11ProxyUpstreamTransport",
        [typeof(InternalUpstreamTransport)] = "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
        [typeof(ProxyProtocolUpstreamTransport)] = "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
        [typeof(Envoy.ListenerFilters.ProxyProtocol)] = "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
        [typeof(QuicDownstreamTransport)] = "envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport",
        [typeof(RawBuffer)] = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
        [typeof(Envoy.HttpFilters.Wasm)] = "envoy.extensions.filters.http.wasm.v3.Wasm",
        [typeof(Envoy.NetworkFilters.Wasm)] = "envoy.extensions.filters.network.wasm.v3.Wasm",
        [typeof(Discovery.BootstrapPatch)] = "isthmus.discovery.v1.BootstrapPatch",
        [typeof(Envoy.TypedExtensionConfig)] = "envoy.config.core.v3.TypedExtensionConfig",
        [typeof(Envoy.HttpFilters.GrpcStats.FilterConfig)] = "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
        [typeof(Istio.Stats.PluginConfig)] = "stats.PluginConfig",
        [typeof(Envoy.HttpFilters.DynamicForwardProxy.FilterConfig)] = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
        [typeof(Envoy.HttpFilters.HeaderMutations.HeaderMutation)] = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        [typeof(Envoy.HttpFilters.HeaderMutations.HeaderMutationPerRoute)] = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
        [typeof(Envoy.FilterStates.Config)] = "envoy.extensions.filters.http.set_filter_state.v3.Config",
        [typeof(Envoy.HttpFilters.CdnLoops.CdnLoopConfig)] = "envoy.extensions.filters.http.cdn_loop.v3.CdnLoopConfig",
        [typeof(GrpcWeb)] = "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
        [typeof(Envoy.Trace.DynatraceResourceDetectorConfig)] = "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.DynatraceResourceDetectorConfig",
        [typeof(Envoy.Trace.EnvironmentResourceDetectorConfig)] =
            "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig",
        [typeof(UriTemplateMatchConfig)] = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        [typeof(UuidRequestIdConfig)] = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
        [typeof(Envoy.ListenerFilters.TlsInspector)] = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        [typeof(Envoy.ListenerFilters.HttpInspector)] = "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
        [typeof(Envoy.ListenerFilters.OriginalDst)] = "envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
        [typeof(Envoy.UdpFilters.UdpProxyConfig)] = "envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig",
        [typeof(Envoy.UdpFilters.Route)] = "envoy.extensions.filters.udp.udp_proxy.v3.Route",
        [typeof(Envoy.MatchInputs.SourcePortInput)] = "envoy.extensions.matching.common_inputs.network.v3.SourcePortInput",
        [typeof(MongoProxy)] = "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy",
        [typeof(JwtAuthentication)] = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        [typeof(Istio.Authn.FilterConfig)] = "istio.envoy.config.filter.http.authn.v2alpha1.FilterConfig",
    };

    /// <summary>The types whose names are listed (a test compares them with their descriptors).</summary>
    public static IReadOnlyDictionary<Type, string> Written => Known;

    /// <summary>Reads the message if it is a <typeparamref name="T"/>; of its type URL, only what follows the last slash counts.</summary>
    /// <param name="any">The packed message.</param>
    /// <param name="message">Only if the result is true.</param>
    /// <exception cref="InvalidProtocolBufferException">Its bytes are malformed.</exception>
    public static bool TryRead<T>(this Any any, out T message) where T : class, IMessage<T>, new()
    {
        message = null!;
        if (!any.TypeUrl.AsSpan(any.TypeUrl.LastIndexOf('/') + 1).SequenceEqual(Name<T>.Text)) return false;
        message = new();
        message.MergeFrom(any.Value);
        return true;
    }

    /// <summary>The message with its type.</summary>
    public static Any Pack(IMessage message) => new() { TypeUrl = $"type.googleapis.com/{Of(message)}", Value = message.ToByteString() };

    /// <summary>The full name of the type.</summary>
    public static string Of<T>() where T : IMessage<T>, new() => Name<T>.Text;

    private static string Of(IMessage message) => Known.TryGetValue(message.GetType(), out var name) ? name : message.Descriptor.FullName;

    private static class Name<T> where T : IMessage<T>, new()
    {
        public static readonly string Text = Of(new T());
    }
}
