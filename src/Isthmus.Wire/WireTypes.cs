using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Isthmus.Wire;

/// <summary>Every message type this project knows, for reading and writing protojson with embedded Any values.</summary>
public static class WireTypes
{
    /// <summary>All files under Protos/ (a test compares them with the folder), and the well-known types.</summary>
    public static IReadOnlyList<FileDescriptor> Files { get; } =
    [
        Envoy.Dumps.AdminV3Reflection.Descriptor,
        Envoy.AccessLoggers.ConfigAccesslogV3Reflection.Descriptor,
        Envoy.Bootstraps.ConfigBootstrapV3Reflection.Descriptor,
        Envoy.Clusters.ConfigClusterV3Reflection.Descriptor,
        Envoy.Mutations.ConfigCommonMutationRulesV3Reflection.Descriptor,
        Envoy.ConfigCoreV3Reflection.Descriptor,
        Envoy.Endpoints.ConfigEndpointV3Reflection.Descriptor,
        Envoy.Listeners.ConfigListenerV3Reflection.Descriptor,
        Envoy.RateLimits.ConfigRatelimitV3Reflection.Descriptor,
        Envoy.Rbac.ConfigRbacV3Reflection.Descriptor,
        Envoy.Routes.ConfigRouteV3Reflection.Descriptor,
        Envoy.Trace.ConfigTraceV3Reflection.Descriptor,
        Envoy.AccessLoggers.DataAccesslogV3Reflection.Descriptor,
        Envoy.AccessLoggers.AccessLoggersFileV3Reflection.Descriptor,
        Envoy.AccessLoggers.AccessLoggersFiltersCelV3Reflection.Descriptor,
        Envoy.AccessLoggers.AccessLoggersGrpcV3Reflection.Descriptor,
        Envoy.AccessLoggers.AccessLoggersOpenTelemetryV3Reflection.Descriptor,
        Envoy.AccessLoggers.AccessLoggersStreamV3Reflection.Descriptor,
        Envoy.Bootstraps.BootstrapInternalListenerV3Reflection.Descriptor,
        Envoy.Clusters.ClustersCommonDnsV3Reflection.Descriptor,
        Envoy.Clusters.ClustersDnsV3Reflection.Descriptor,
        Envoy.Clusters.ClustersDynamicForwardProxyV3Reflection.Descriptor,
        Envoy.Clusters.CommonDynamicForwardProxyV3Reflection.Descriptor,
        Envoy.RateLimits.CommonRatelimitV3Reflection.Descriptor,
        Envoy.HttpFilters.Composites.CommonMatchingV3Reflection.Descriptor,
        Envoy.Faults.FiltersCommonFaultV3Reflection.Descriptor,
        Envoy.FilterStates.FiltersCommonSetFilterStateV3Reflection.Descriptor,
        Envoy.FilterStates.FiltersHttpSetFilterStateV3Reflection.Descriptor,
        Envoy.HttpFilters.Composites.FiltersHttpCompositeV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpCorsV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpStatefulSessionV3Reflection.Descriptor,
        Envoy.HttpFilters.HttpStatefulSessionCookieV3Reflection.Descriptor,
        Envoy.HttpFilters.HttpStatefulSessionHeaderV3Reflection.Descriptor,
        Envoy.Sessions.SessionCookieReflection.Descriptor,
        Envoy.HttpTypes.TypeHttpV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpExtAuthzV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpFaultV3Reflection.Descriptor,
        Envoy.HttpFilters.GrpcStats.FiltersHttpGrpcStatsV3Reflection.Descriptor,
        Envoy.HttpFilters.DynamicForwardProxy.FiltersHttpDynamicForwardProxyV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpGrpcWebV3Reflection.Descriptor,
        Envoy.HttpFilters.CdnLoops.FiltersHttpCdnLoopV3Reflection.Descriptor,
        Envoy.HttpFilters.HeaderMutations.FiltersHttpHeaderMutationV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpJwtAuthnV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpLocalRatelimitV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpRatelimitV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpRbacV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpRouterV3Reflection.Descriptor,
        Envoy.HttpFilters.FiltersHttpWasmV3Reflection.Descriptor,
        Envoy.ListenerFilters.FiltersListenerHttpInspectorV3Reflection.Descriptor,
        Envoy.ListenerFilters.FiltersListenerOriginalDstV3Reflection.Descriptor,
        Envoy.ListenerFilters.FiltersListenerProxyProtocolV3Reflection.Descriptor,
        Envoy.ListenerFilters.FiltersListenerTlsInspectorV3Reflection.Descriptor,
        Envoy.NetworkFilters.FiltersNetworkExtAuthzV3Reflection.Descriptor,
        Envoy.NetworkFilters.FiltersNetworkHttpConnectionManagerV3Reflection.Descriptor,
        Envoy.NetworkFilters.LocalLimits.FiltersNetworkLocalRatelimitV3Reflection.Descriptor,
        Envoy.NetworkFilters.FiltersNetworkMongoProxyV3Reflection.Descriptor,
        Envoy.NetworkFilters.FiltersNetworkRbacV3Reflection.Descriptor,
        Envoy.NetworkFilters.FiltersNetworkSniClusterV3Reflection.Descriptor,
        Envoy.NetworkFilters.FiltersNetworkTcpProxyV3Reflection.Descriptor,
        Envoy.NetworkFilters.FiltersNetworkWasmV3Reflection.Descriptor,
        Envoy.UdpFilters.FiltersUdpUdpProxyV3Reflection.Descriptor,
        Envoy.MatchInputs.MatchingCommonInputsNetworkV3Reflection.Descriptor,
        Envoy.PathMatchUriTemplateV3Reflection.Descriptor,
        Envoy.RequestIdUuidV3Reflection.Descriptor,
        Envoy.Retries.RetryHostPreviousHostsV3Reflection.Descriptor,
        Envoy.Retries.RetryPriorityPreviousPrioritiesV3Reflection.Descriptor,
        Envoy.Trace.TracersOpentelemetryResourceDetectorsV3Reflection.Descriptor,
        Envoy.TransportSocketsHttp11ProxyV3Reflection.Descriptor,
        Envoy.TransportSocketsInternalUpstreamV3Reflection.Descriptor,
        Envoy.TransportSocketsProxyProtocolV3Reflection.Descriptor,
        Envoy.TransportSocketsQuicV3Reflection.Descriptor,
        Envoy.TransportSocketsRawBufferV3Reflection.Descriptor,
        Envoy.TransportSocketsTlsV3Reflection.Descriptor,
        Envoy.Upstreams.UpstreamsHttpV3Reflection.Descriptor,
        Envoy.WasmPlugins.WasmV3Reflection.Descriptor,
        Envoy.AccessLoggers.ServiceAccesslogV3Reflection.Descriptor,
        Envoy.Auth.ServiceAuthV3Reflection.Descriptor,
        Envoy.ServiceDiscoveryV3Reflection.Descriptor,
        Envoy.RateLimits.ServiceRatelimitV3Reflection.Descriptor,
        Envoy.Dumps.ServiceStatusV3Reflection.Descriptor,
        Envoy.TypeMatcherV3Reflection.Descriptor,
        Envoy.TypeMetadataV3Reflection.Descriptor,
        Envoy.TypeTracingV3Reflection.Descriptor,
        Envoy.TypeV3Reflection.Descriptor,
        OpenTelemetry.LogsV1Reflection.Descriptor,
        OpenTelemetry.TraceV1Reflection.Descriptor,
        Reports.ReportsV1Reflection.Descriptor,
        Discovery.DiscoveryV1Reflection.Descriptor,
        Samples.EchoBasic.EchoBasicReflection.Descriptor,
        Samples.EchoAdvanced.EchoAdvancedReflection.Descriptor,
        Rpc.GoogleRpcReflection.Descriptor,
        Rpc.GrpcHealthReflection.Descriptor,
        Istio.Alpn.AlpnReflection.Descriptor,
        Istio.Authn.AuthenticationReflection.Descriptor,
        Istio.Authn.AuthnReflection.Descriptor,
        Istio.CaReflection.Descriptor,
        Istio.MetadataExchangeReflection.Descriptor,
        Istio.NdsReflection.Descriptor,
        Istio.Peers.PeerMetadataReflection.Descriptor,
        Istio.Stats.StatsReflection.Descriptor,
        Istio.TcpClusterRewriteReflection.Descriptor,
        Envoy.Udpa.UdpaTypeV1Reflection.Descriptor,
        Envoy.XdsCore.XdsCoreV3Reflection.Descriptor,
        Envoy.XdsMatchers.XdsTypeMatcherV3Reflection.Descriptor,
        Envoy.XdsTypes.XdsTypeV3Reflection.Descriptor,
        WrappersReflection.Descriptor,
        StructReflection.Descriptor,
        EmptyReflection.Descriptor,
    ];

    public static TypeRegistry Registry { get; } = TypeRegistry.FromFiles(Files);

    /// <summary>Reads protojson; an unknown field is an error.</summary>
    public static JsonParser Strict { get; } = new(JsonParser.Settings.Default.WithTypeRegistry(Registry));

    /// <summary>Reads protojson; unknown fields are skipped.</summary>
    public static JsonParser Lenient { get; } = new(JsonParser.Settings.Default.WithTypeRegistry(Registry).WithIgnoreUnknownFields(true));

    /// <summary>Writes protojson with proto (snake_case) names and without defaults, as Envoy's admin port does.</summary>
    public static JsonFormatter Json { get; } =
        new(JsonFormatter.Settings.Default.WithTypeRegistry(Registry).WithPreserveProtoFieldNames(true));
}
