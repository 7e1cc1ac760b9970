using static Isthmus.Mesh.Config.Schema;

namespace Isthmus.Mesh.Config;

/// <summary>The settings of the mesh: MeshConfig with its defaultConfig (istio.mesh.v1alpha1), and the kind ProxyConfig.</summary>
internal static class MeshSchemas
{
    private const string OwnAuthority = "the control plane is the only certificate authority";

    private static readonly Schema TlsLimits = Strict(
        ("minProtocolVersion", Text), ("cipherSuites", Texts),
        ("ecdhCurves", Refused(Texts, "key exchange groups cannot be chosen", "remove the field; proxies use those of OpenSSL")));

    private static readonly Schema Keepalive = Object(("probes", Unsigned), ("time", Duration), ("interval", Duration));

    private static readonly Schema Selector = Strict(
        ("matchLabels", TextMap),
        ("matchExpressions", List(Strict(("key", Text), ("operator", OneOf("In", "NotIn", "Exists", "DoesNotExist")), ("values", Texts)))));

    private static readonly Schema Topology = Strict(
        ("numTrustedProxies", Unsigned),
        ("forwardClientCertDetails", OneOf("UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY")),
        ("proxyProtocol", Strict()));

    private static readonly Schema Switch = Strict(("disabled", Flag));

    private static readonly Schema Headers = Strict(
        ("forwardedClientCert", OneOf("UNDEFINED", "SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY")),
        ("setCurrentClientCertDetails", Strict(("subject", Flag), ("cert", Flag), ("dns", Flag), ("uri", Flag),
            ("chain", Refused(Flag, "proxies keep the certificate of a client, and not the chain that it sent", "set cert instead")))),
        ("xForwardedHost", Idle(Strict(("enabled", Flag)))), ("xForwardedPort", Idle(Strict(("enabled", Flag)))),
        ("requestId", Switch), ("attemptCount", Switch), ("envoyDebugHeaders", Switch), ("server", Strict(("disabled", Flag), ("value", Text))),
        ("metadataExchangeHeaders", Strict(("mode", OneOf("UNDEFINED", "IN_MESH")))),
        ("preserveHttp1HeaderCase",
            Refused(Flag, "proxies send the names of header fields in lower case", "let applications compare names of header fields without case")));

    /// <summary>Buffers and windows of proxies are bounded, and do not grow by settings.</summary>
    private static readonly Schema Connections = Strict(
        ("profile", OneOf("SIDECAR", "EDGE")), ("httpIdleTimeout", Duration), ("httpMaxConnectionDuration", Duration), ("httpMaxStreamDuration", Duration),
        ("httpStreamIdleTimeout", Duration),
        ("httpRequestTimeout", Duration), ("httpRequestHeadersTimeout", Duration), ("httpMaxConcurrentStreams", Unsigned), ("httpMergeSlashes", Flag),
        ("globalDownstreamConnectionLimit", Unsigned),
        ("httpHeadersWithUnderscoresAction",
            OneOf("HEADERS_WITH_UNDERSCORES_UNSPECIFIED", "HEADERS_WITH_UNDERSCORES_ALLOW", "HEADERS_WITH_UNDERSCORES_REJECT_REQUEST",
                "HEADERS_WITH_UNDERSCORES_DROP_HEADER")),
        ("httpPathWithEscapedSlashesAction",
            OneOf("PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED", "KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD")),
        ("httpDrainTimeout", Idle(Duration)), ("listenerConnectionLimit", Idle(Unsigned)), ("listenerPerConnectionBufferLimitBytes", Idle(Unsigned)),
        ("clusterPerConnectionBufferLimitBytes", Idle(Unsigned)),
        ("http2InitialStreamWindowSize", Idle(Unsigned)), ("http2InitialConnectionWindowSize", Idle(Unsigned)));

    private static readonly Schema CheckedBody = Strict(("maxRequestBytes", Unsigned), ("allowPartialMessage", Flag), ("packAsBytes", Flag));

    private static readonly Schema Fields = List(Strict(("name", Text), ("value", Text),
        ("envName", Refused(Text, "proxies do not read header fields from their environment", "write the value"))));

    /// <summary>Of the providers, external authorizers, collectors of traces, access logs and Prometheus have an effect.</summary>
    private static readonly Schema Provider = Strict(
        ("name", Text),
        ("envoyExtAuthzHttp", Strict(
            ("service", Text), ("port", Unsigned), ("timeout", Duration), ("failOpen", Flag), ("clearRouteCache", Flag), ("statusOnError", Text),
            ("includeRequestBodyInCheck", CheckedBody),
            ("pathPrefix", Text), ("includeHeadersInCheck", Texts), ("includeRequestHeadersInCheck", Texts), ("includeAdditionalHeadersInCheck", TextMap),
            ("headersToUpstreamOnAllow", Texts),
            ("headersToDownstreamOnDeny", Texts), ("headersToDownstreamOnAllow", Texts))),
        ("envoyExtAuthzGrpc", Strict(
            ("service", Text), ("port", Unsigned), ("timeout", Duration), ("failOpen", Flag), ("clearRouteCache", Flag), ("statusOnError", Text),
            ("includeRequestBodyInCheck", CheckedBody))),
        ("zipkin", Strict(
            ("service", Text), ("port", Unsigned), ("maxTagLength", Unsigned), ("enable64bitTraceId", Flag), ("path", Text),
            ("traceContextOption", OneOf("USE_B3", "USE_B3_WITH_W3C_PROPAGATION")), ("timeout", Duration), ("headers", Fields))),
        ("opentelemetry", Strict(
            ("service", Text), ("port", Unsigned), ("maxTagLength", Unsigned),
            ("http", Strict(("path", Text), ("timeout", Duration), ("headers", Fields))), ("grpc", Strict(("timeout", Duration), ("initialMetadata", Fields))),
            ("resourceDetectors", Strict(("environment", Object()), ("dynatrace", Object()))),
            ("serviceAttributeEnrichment", OneOf("ISTIO_CANONICAL", "OTEL_SEMANTIC_CONVENTIONS")), ("dynatraceSampler", Idle(Anything)))),
        ("envoyFileAccessLog", Strict(("path", Text), ("logFormat", Strict(("text", Text), ("labels", Map(Anything)))), ("omitEmptyValues", Idle(Flag)))),
        ("lightstep", Idle(Anything)), ("datadog", Idle(Anything)), ("stackdriver", Idle(Anything)), ("opencensus", Idle(Anything)),
        ("skywalking", Idle(Anything)),
        ("prometheus", Strict()),
        ("envoyHttpAls", Strict(
            ("service", Text), ("port", Unsigned), ("logName", Text), ("filterStateObjectsToLog", Idle(Texts)),
            ("additionalRequestHeadersToLog", Texts), ("additionalResponseHeadersToLog", Texts), ("additionalResponseTrailersToLog", Texts))),
        ("envoyTcpAls", Strict(("service", Text), ("port", Unsigned), ("logName", Text), ("filterStateObjectsToLog", Idle(Texts)))),
        ("envoyOtelAls", Strict(("service", Text), ("port", Unsigned), ("logName", Text), ("logFormat", Strict(("text", Text), ("labels", TextMap))))),
        ("sds", Idle(Anything)));

    private static readonly Schema Tracing = Object(
        ("sampling", Number), ("maxPathTagLength", Unsigned), ("zipkin", Object(("address", Text))), ("customTags", TelemetrySchemas.Tags),
        ("tlsSettings", Idle(Anything)), ("lightstep", Idle(Anything)), ("datadog", Idle(Anything)), ("stackdriver", Idle(Anything)),
        ("openCensusAgent", Idle(Anything)), ("enableIstioTags", Idle(Flag)));

    /// <summary>Only Istio's ambient mode heeds it if it does not apply to sidecars.</summary>
    private static readonly Schema EntryVisibility = Object(
        ("applyToSidecars",
            Refused(Flag, "who sees a ServiceEntry is not decided by the labels of its namespace",
                "set exportTo in ServiceEntries, or defaultServiceExportTo")),
        ("defaultVisibility", Idle(Text)), ("policies", Idle(List(Anything))));

    /// <summary>MeshNetworks, which is a document of its own.</summary>
    public static readonly ObjectSchema Networks = Object(("networks", Map(Object(
        ("endpoints", List(Object(("fromCidr", Text), ("fromRegistry", Text)))),
        ("gateways", List(Object(("address", Text), ("registryServiceName", Text), ("port", Unsigned), ("locality", Idle(Text)))))))));

    /// <summary>ProxyConfig, as the field <c>defaultConfig</c> and as the annotation <c>proxy.istio.io/config</c>.</summary>
    public static readonly ObjectSchema DefaultConfig = Object(
        ("concurrency", Unsigned), ("discoveryAddress", Text), ("drainDuration", Duration), ("gatewayTopology", Topology),
        ("holdApplicationUntilProxyStarts", Flag), ("interceptionMode", OneOf("REDIRECT", "NONE")), ("meshId", Text),
        ("proxyMetadata", TextMap), ("statusPort", Unsigned), ("terminationDrainDuration", Duration),
        ("caCertificatesPem", Refused(Texts, OwnAuthority, "add roots to the Secret cacerts")),
        ("privateKeyProvider", Refused(Anything, "private keys stay in the memory of the proxy", "remove the field")),
        ("proxyHeaders", Headers), ("connectionSettings", Connections),
        ("availabilityZone", Idle(Text)), ("binaryPath", Text), ("configPath", Text), ("connectTimeout", Idle(Duration)),
        ("controlPlaneAuthPolicy", Idle(Text)),
        ("customConfigFile", Idle(Text)), ("discoveryRefreshDelay", Idle(Duration)), ("envoyAccessLogService", Idle(Anything)),
        ("envoyMetricsService", Idle(Anything)),
        ("envoyMetricsServiceAddress", Idle(Text)), ("extraStatTags", Idle(Texts)), ("fileFlushInterval", Idle(Duration)),
        ("fileFlushMinSizeKb", Idle(Unsigned)),
        ("image", Idle(Object(("imageType", Text)))), ("parentShutdownDuration", Idle(Duration)), ("proxyAdminPort", Idle(Unsigned)),
        ("proxyBootstrapTemplatePath", Idle(Text)),
        ("proxyStatsMatcher", Object(("inclusionPrefixes", Texts), ("inclusionRegexps", Texts), ("inclusionSuffixes", Texts))),
        ("readinessProbe", Idle(Anything)), ("runtimeValues", Idle(TextMap)), ("sds", Idle(Anything)), ("serviceCluster", Idle(Text)),
        ("statNameLength", Idle(Unsigned)),
        ("statsCompression", Flag), ("statsdUdpAddress", Idle(Text)), ("tracing", Tracing), ("tracingServiceName", Idle(Text)), ("zipkinAddress", Idle(Text)));

    public static readonly ObjectSchema ProxyConfig = Object(
        ("selector", Object(("matchLabels", SecuritySchemas.SelectedLabels))), ("concurrency", Integer.AtLeast(0).OrNull()),
            ("environmentVariables", Map(Text.AtMost(2048))), ("image", Idle(Object(("imageType", Text)))));

    public static readonly ObjectSchema MeshConfig = Object(
        ("accessLogEncoding", OneOf("TEXT", "JSON")), ("accessLogFile", Text), ("accessLogFormat", Text), ("connectTimeout", Duration),
        ("defaultConfig", DefaultConfig),
        ("defaultDestinationRuleExportTo", Texts), ("defaultHttpRetryPolicy", NetworkingSchemas.Retries), ("defaultServiceExportTo", Texts),
        ("defaultTrafficPolicy", Object(("connectionPool", NetworkingSchemas.ConnectionPool), ("outlierDetection", NetworkingSchemas.OutlierDetection))),
        ("defaultVirtualServiceExportTo", Texts),
        ("disableEnvoyListenerLog", Flag), ("discoverySelectors", List(Selector)), ("dnsRefreshRate", Duration), ("enableAutoMtls", Flag),
        ("enablePrometheusMerge", Flag), ("extensionProviders", List(Provider)),
        ("h2UpgradePolicy", OneOf("DO_NOT_UPGRADE", "UPGRADE")), ("inboundTrafficPolicy", Object(("mode", OneOf("PASSTHROUGH", "LOCALHOST")))),
        ("hostOwnership", OneOf("ANY", "NAMESPACE")), ("localityLbSetting", NetworkingSchemas.LocalityLb),
        ("zoneAwareLbSetting", NetworkingSchemas.ZoneAwareLb), ("meshMTLS", TlsLimits),
        ("outboundTrafficPolicy", Object(("mode", OneOf("REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS")), ("tls", Idle(Anything)))),
        ("pathNormalization", Object(("normalization", OneOf("DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES", "STRICT")))),
        ("protocolDetectionTimeout", Duration), ("rootNamespace", Text),
        ("serviceSettings", List(Object(("settings", Object(("clusterLocal", Flag))), ("hosts", Texts)))),
        ("tcpKeepalive", Keepalive), ("tlsDefaults", TlsLimits), ("trustDomain", Text), ("trustDomainAliases", Texts),
        ("ca", Refused(Anything, OwnAuthority, "put the CA's certificate and key into the Secret cacerts")),
        ("caCertificates", Refused(List(Anything), OwnAuthority, "add roots to the Secret cacerts")),
        ("certificates", Refused(List(Anything), OwnAuthority, "create certificates for other servers yourself")),
        ("configSources", Refused(List(Anything), "resources are read from the API server of the configuration cluster only", "apply them there")),
        ("proxyHttpPort", Refused(Unsigned, "sidecars have no port for HTTP proxy requests", "remove the field; traffic is captured")),
        ("defaultInboundHttpRetryPolicy", Idle(Anything)), ("serviceEntryVisibility", EntryVisibility),
        ("hboneIdleTimeout", Idle(Duration)), ("verifyCertificateAtClient", Idle(Flag)),
        ("defaultProviders", Object(("tracing", Texts), ("metrics", Texts), ("accessLogging", Texts))), ("enableEnvoyAccessLogService", Idle(Flag)),
        ("enableTracing", Flag),
        ("inboundClusterStatName", Idle(Text)), ("outboundClusterStatName", Idle(Text)),
        ("ingressClass", Text), ("ingressControllerMode", OneOf("UNSPECIFIED", "OFF", "DEFAULT", "STRICT")), ("ingressService", Text),
        ("ingressSelector", Text),
        ("proxyInboundListenPort", Idle(Unsigned)), ("proxyListenPort", Idle(Unsigned)), ("serviceScopeConfigs", Idle(List(Anything))),
        ("thriftConfig", Idle(Anything)),
        ("disableMixerHttpReports", Idle(Flag)), ("disablePolicyChecks", Idle(Flag)), ("enableClientSidePolicyCheck", Idle(Flag)),
        ("mixerCheckServer", Idle(Text)),
        ("mixerReportServer", Idle(Text)), ("policyCheckFailOpen", Idle(Flag)), ("reportBatchMaxEntries", Idle(Unsigned)),
        ("reportBatchMaxTime", Idle(Duration)), ("sdsUdsPath", Idle(Text)));
}
