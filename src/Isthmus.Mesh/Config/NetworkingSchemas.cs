using static Isthmus.Mesh.Config.Schema;

namespace Isthmus.Mesh.Config;

/// <summary>The specs of networking.istio.io (Istio API reference, "Traffic Management").</summary>
internal static class NetworkingSchemas
{
    private static readonly Schema Port = Object(("number", Unsigned), ("name", Text), ("protocol", Text), ("targetPort", Idle(Unsigned)));

    private static readonly Schema ServerPort = Object(("number", Unsigned), ("name", Text), ("protocol", Text), ("targetPort", Unsigned))
        .Requiring("number", "protocol", "name");

    private static readonly Schema EntryPort = Object(("number", PortNumber), ("name", Text.AtMost(256)), ("protocol", Text.AtMost(256)),
        ("targetPort", PortNumber)).Requiring("number", "name");

    private static readonly Schema StringMatch = Object(("exact", Text), ("prefix", Text), ("regex", Text)).Choosing("exact", "prefix", "regex");

    private static readonly Schema Destination = Object(("host", Text), ("subset", Text), ("port", Object(("number", Unsigned)))).Requiring("host");

    private static readonly Schema HeaderOperations = Object(("set", TextMap), ("add", TextMap), ("remove", Texts));

    private static readonly Schema Headers = Object(("request", HeaderOperations), ("response", HeaderOperations));

    private static readonly Schema WeightedDestination = Object(("destination", Destination), ("weight", Integer), ("headers", Headers))
        .Requiring("destination");

    private static readonly Schema Percent = Object(("value", Number));

    private static readonly Schema ServerTls = Object(
        ("httpsRedirect", Flag),
        ("mode", OneOf("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL")),
        ("serverCertificate", Text), ("privateKey", Text), ("caCertificates", Text), ("caCrl", Text), ("credentialName", Text),
        ("credentialNames", Texts.Between(1, 2)), ("caCertCredentialName", Text),
        ("tlsCertificates", List(Object(("serverCertificate", Text), ("privateKey", Text),
            ("caCertificates", Refused(Text, "the certificates of a server share the CAs of its clients", "set tls.caCertificates")))).Between(1, 2)),
        ("insecureSkipVerify",
            Refused(Flag.OrNull(), "a client whose certificate does not verify would be let in with the name in it",
                "use OPTIONAL_MUTUAL to let clients without a certificate in")),
        ("subjectAltNames", Texts), ("verifyCertificateSpki", Texts), ("verifyCertificateHash", Texts),
        ("minProtocolVersion", OneOf("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")),
        ("maxProtocolVersion", OneOf("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")),
        ("cipherSuites", Texts))
        .With(SchemaRule.AtMostOne("credentialName", "credentialNames"), SchemaRule.AtMostOne("credentialNames", "tlsCertificates"));

    public static readonly ObjectSchema Gateway = Object(
        ("selector", TextMap),
        ("servers", List(Object(
            ("bind", Text), ("defaultEndpoint", Idle(Text)), ("hosts", Texts), ("name", Idle(Text)), ("port", ServerPort), ("tls", ServerTls))
            .Requiring("port", "hosts"))));

    private static readonly Schema HttpMatch = Object(
        ("name", Text), ("uri", StringMatch), ("ignoreUriCase", Flag), ("scheme", StringMatch), ("method", StringMatch), ("authority", StringMatch),
        ("headers", Map(StringMatch)), ("withoutHeaders", Map(StringMatch)), ("queryParams", Map(StringMatch)),
        ("port", Unsigned), ("sourceLabels", TextMap), ("sourceNamespace", Text), ("gateways", Texts), ("statPrefix", Idle(Text)));

    private static readonly Schema Fault = Object(
        ("delay", Object(("fixedDelay", Duration), ("exponentialDelay", Duration), ("percent", Integer),
            ("percentage", Percent)).Choosing("fixedDelay", "exponentialDelay")),
        ("abort", Object(("httpStatus", Integer), ("grpcStatus", Text), ("http2Error", Text),
            ("percentage", Percent)).Choosing("httpStatus", "grpcStatus", "http2Error")));

    private static readonly Schema Cors = Object(
        ("allowOrigin", Texts), ("allowOrigins", List(StringMatch)), ("allowMethods", Texts), ("allowHeaders", Texts),
        ("exposeHeaders", Texts), ("maxAge", Duration), ("allowCredentials", Flag.OrNull()),
        ("unmatchedPreflights", OneOf("UNSPECIFIED", "FORWARD", "IGNORE")));

    internal static readonly Schema Retries = Object(
        ("attempts", Integer), ("perTryTimeout", Duration), ("retryOn", Text), ("retryRemoteLocalities", Flag.OrNull()), ("backoff", Duration),
            ("retryIgnorePreviousHosts", Flag.OrNull()));

    private static readonly Schema HttpRoute = Object(
        ("name", Text), ("match", List(HttpMatch)), ("route", List(WeightedDestination)),
        ("redirect", Object(("uri", Text), ("authority", Text), ("scheme", Text), ("port", Unsigned),
            ("derivePort", OneOf("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")), ("redirectCode", Unsigned),
            ("prefixRewrite", Text)).Choosing("port", "derivePort")),
        ("directResponse", Object(("status", Unsigned), ("body", Object(("string", Text),
            ("bytes", Text with { Format = "byte" })).Choosing("string", "bytes"))).Requiring("status")),
        ("rewrite", Object(("uri", Text), ("authority", Text), ("uriRegexRewrite", Object(("match", Text), ("rewrite", Text))))),
        ("timeout", Duration),
        ("retries", Retries),
        ("fault", Fault), ("mirror", Destination), ("mirrorPercent", Unsigned.OrNull()), ("mirrorPercentage", Percent), ("mirror_percent", Unsigned.OrNull()),
        ("mirrors", List(Object(("destination", Destination), ("percentage", Percent)).Requiring("destination"))),
        ("corsPolicy", Cors), ("headers", Headers), ("delegate", Object(("name", Text), ("namespace", Text))));

    private static Schema L4Route(bool tls) => Object(
        ("match", List(Object(
            [("destinationSubnets", Texts), ("port", Unsigned), ("sourceLabels", TextMap), ("sourceNamespace", Text), ("gateways", Texts),
                .. tls ? (IEnumerable<(string, Schema)>)[("sniHosts", Texts)] : [("sourceSubnet", Text)]])
            .Requiring(tls ? ["sniHosts"] : []))),
        ("route", List(Object(("destination", Destination), ("weight", Integer)).Requiring("destination")))).Requiring(tls ? ["match"] : []);

    public static readonly ObjectSchema VirtualService = Object(
        ("hosts", Texts), ("gateways", Texts), ("exportTo", Texts),
        ("http", List(HttpRoute)), ("tls", List(L4Route(true))), ("tcp", List(L4Route(false))));

    internal static readonly Schema LocalityLb = Object(
        ("enabled", Flag.OrNull()),
        ("distribute", List(Object(("from", Text), ("to", Map(Unsigned))))),
        ("failover", List(Object(("from", Text), ("to", Text)))),
        ("failoverPriority", Texts));

    internal static readonly Schema ZoneAwareLb = Object(
        ("enabled", Flag.OrNull()), ("failover", List(Object(("from", Text), ("to", Text)))), ("failoverPriority", Texts),
            ("minClusterSize", Unsigned.AtLeast(1).OrNull()));

    internal static readonly ObjectSchema ConnectionPool = Object(
        ("tcp", Object(("maxConnections", Integer), ("connectTimeout", Duration), ("maxConnectionDuration", Duration), ("idleTimeout", DurationOrZero),
            ("tcpKeepalive", Object(("probes", Unsigned), ("time", Duration), ("interval", Duration))))),
        ("http", Object(("http1MaxPendingRequests", Integer), ("http2MaxRequests", Integer), ("maxRequestsPerConnection", Integer), ("maxRetries", Integer),
            ("idleTimeout", Duration), ("h2UpgradePolicy", OneOf("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")), ("useClientProtocol", Flag),
            ("maxConcurrentStreams", Integer),
            ("http2KeepAlive", Object(("interval", Duration), ("timeout", Duration))))));

    internal static readonly ObjectSchema OutlierDetection = Object(
        ("consecutiveErrors", Integer), ("splitExternalLocalOriginErrors", Flag), ("consecutiveLocalOriginFailures", Unsigned.OrNull()),
            ("consecutiveGatewayErrors", Unsigned.OrNull()),
        ("consecutive5xxErrors", Unsigned.OrNull()), ("interval", Duration), ("baseEjectionTime", Duration), ("maxEjectionPercent", Integer),
            ("minHealthPercent", Integer),
        ("outlierDetectionHttpErrorCodes", Idle(List(Count.Between(100, 599)))));

    /// <summary>What an application speaks does not depend on its callers.</summary>
    private static readonly Schema InboundPool = Object(
        [.. ConnectionPool.Fields.Select(field => (field.Key, field.Key == "http" ? Inbound((ObjectSchema)field.Value) : field.Value))]);

    private static Schema Inbound(ObjectSchema http) => Object(
        [.. http.Fields.Select(field => (field.Key, field.Key is "h2UpgradePolicy" or "useClientProtocol" or "maxRetries" ? Idle(field.Value) : field.Value))]);

    private static readonly (string, Schema)[] PolicyFields =
    [
        ("loadBalancer", Object(
            ("simple", OneOf("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST")),
            ("consistentHash", Object(
                ("httpHeaderName", Text), ("httpCookie", Object(("name", Text), ("path", Text), ("ttl", DurationOrZero),
                    ("attributes", List(Object(("name", Text), ("value", Text)).Requiring("name")))).Requiring("name")), ("useSourceIp", Flag),
                ("httpQueryParameterName", Text), ("minimumRingSize", Count),
                ("ringHash", Object(("minimumRingSize", Count))), ("maglev", Object(("tableSize", Count))))
                .Choosing("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName").Choosing("ringHash", "maglev")),
            ("localityLbSetting", LocalityLb), ("zoneAwareLbSetting", ZoneAwareLb), ("warmupDurationSecs", Duration),
            ("warmup", Object(("duration", Duration), ("minimumPercent", Number.Between(0, 100).OrNull()),
                ("aggression", Number.AtLeast(0).OrNull())).Requiring("duration"))).Choosing("simple", "consistentHash")),
        ("connectionPool", ConnectionPool),
        ("outlierDetection", OutlierDetection),
        ("tls", Object(
            ("mode", OneOf("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")), ("clientCertificate", Text), ("privateKey", Text), ("caCertificates", Text),
            ("caCrl", Text),
            ("credentialName", Text), ("subjectAltNames", Texts), ("sni", Text), ("insecureSkipVerify", Flag.OrNull()))),
        ("tunnel", Object(("protocol", Text), ("targetHost", Text), ("targetPort", Unsigned)).Requiring("targetHost", "targetPort")),
        ("proxyProtocol", Object(("version", OneOf("V1", "V2")))),
        ("retryBudget", Object(("percent", Number.Between(0, 100).OrNull()), ("minRetryConcurrency", Unsigned), ("budgetInterval", DurationOrZero))),
    ];

    private static readonly Schema Policy = Object(
        [.. PolicyFields, ("portLevelSettings", List(Object([("port", Object(("number", Unsigned))), .. PolicyFields])).AtMost(4096))]);

    public static readonly ObjectSchema DestinationRule = Object(
        ("host", Text), ("trafficPolicy", Policy), ("exportTo", Texts), ("workloadSelector", Object(("matchLabels", SecuritySchemas.SelectedLabels))),
        ("subsets", List(Object(("name", Text), ("labels", TextMap), ("trafficPolicy", Policy)).Requiring("name")))).Requiring("host");

    private static readonly (string, Schema)[] EndpointFields =
    [
        ("address", Text.AtMost(256).With(SchemaRule.WholePath, SchemaRule.NoDirectory)), ("ports", Map(PortNumber).AtMost(128).With(SchemaRule.PortNames)),
            ("labels", TextMap.AtMost(256)),
        ("network", Text.AtMost(2048)), ("locality", Text.AtMost(2048)), ("weight", Unsigned), ("serviceAccount", Text.AtMost(253)),
    ];

    private static readonly ObjectSchema Template = Object(EndpointFields).With(SchemaRule.SocketWithoutPorts);

    public static readonly ObjectSchema WorkloadEntry = Template.With(SchemaRule.AtLeastOne("address", "network"));

    public static readonly ObjectSchema ServiceEntry = Object(
        ("hosts", List(Text.With(SchemaRule.NotEverything)).Between(1, 256)), ("addresses", List(Text.AtMost(64)).AtMost(256)),
        ("ports", (List(EntryPort) with { Most = 256, Key = "name" }).With(SchemaRule.DistinctNumbers)), ("location", OneOf("MESH_EXTERNAL", "MESH_INTERNAL")),
        ("resolution", OneOf("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")), ("endpoints", List(WorkloadEntry).AtMost(4096)),
        ("workloadSelector", Object(("labels", SelectorLabels.AtMost(256)))), ("exportTo", Texts), ("subjectAltNames", Texts)).Requiring("hosts")
        .With(SchemaRule.AtMostOne("workloadSelector", "endpoints"), KindRules.RangesAreKnown, KindRules.NoneHasNoEndpoints, KindRules.OneHostToResolve);

    public static readonly ObjectSchema Sidecar = Object(
        ("workloadSelector", Object(("labels", SelectorLabels.AtMost(256)))),
        ("ingress",
            List(Object(("port", Port), ("bind", Text), ("captureMode", OneOf("DEFAULT", "IPTABLES", "NONE")), ("defaultEndpoint", Text), ("tls", ServerTls),
            ("connectionPool", InboundPool)).Requiring("port"))),
        ("inboundConnectionPool", InboundPool),
        ("egress",
            List(Object(("port", Object(("number", Unsigned), ("name", Text), ("protocol", Text), ("targetPort", Idle(Unsigned)))), ("bind", Text),
                ("captureMode", OneOf("DEFAULT", "IPTABLES", "NONE")), ("hosts", Texts))
                .Requiring("hosts"))),
        ("outboundTrafficPolicy", Object(("mode", OneOf("REGISTRY_ONLY", "ALLOW_ANY")), ("egressProxy", Destination))));

    public static readonly ObjectSchema EnvoyFilter = Object(
        ("workloadSelector", Object(("labels", SelectorLabels.AtMost(256)))),
            ("targetRefs", List(Object(SecuritySchemas.TargetRefFields).Requiring("kind", "name")).AtMost(16)), ("priority", Integer),
        ("configPatches", List(Object(
            ("applyTo",
                OneOf("INVALID", "LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER", "ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE", "CLUSTER",
                    "EXTENSION_CONFIG",
                "BOOTSTRAP", "LISTENER_FILTER")),
            // A part of a match that API servers drop would widen the patch.
            ("match", Strict(
                ("context", OneOf("ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT")),
                ("proxy", Strict(("proxyVersion", Text), ("metadata", TextMap))),
                ("listener", Strict(
                    ("name", Text), ("portNumber", Unsigned), ("portName", Refused(Text, "Istio does not match listeners by it", "use portNumber")),
                    ("listenerFilter", Text),
                    ("filterChain", Strict(
                        ("name", Text), ("sni", Text), ("transportProtocol", Text), ("applicationProtocols", Text), ("destinationPort", Unsigned),
                        ("filter", Strict(("name", Text), ("subFilter", Strict(("name", Text))))))))),
                ("routeConfiguration", Strict(
                    ("name", Text), ("portNumber", Unsigned), ("portName", Text), ("gateway", Text),
                    ("vhost",
                        Strict(("name", Text), ("domainName", Text),
                            ("route", Strict(("name", Text), ("action", OneOf("ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE")))))))),
                ("cluster", Strict(("name", Text), ("portNumber", Unsigned), ("service", Text), ("subset", Text))),
                ("waypoint", Refused(Object(("filter", Object(("name", Text), ("subFilter", Object(("name", Text))))), ("portNumber", PortNumber),
                    ("route", Object(("name", Text)))), "there are no waypoints", "remove the patch")))
                .Choosing("listener", "routeConfiguration", "cluster", "waypoint").With(KindRules.WaypointMatch)),
            ("patch", Object(
                ("operation", OneOf("INVALID", "MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE", "MERGE_AND_REPLACE_LIST")),
                ("filterClass", Idle(OneOf("UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"))), ("value", Anything)))))))
        .With(SchemaRule.AtMostOne("workloadSelector", "targetRefs"));

    private static readonly ObjectSchema Probe = Object(
        ("exec", Object(("command", List(Text.AtLeast(1)))).Requiring("command")),
        ("grpc", Object(("port", PortNumber), ("service", Text))),
        ("httpGet", Object(
            ("host", Text), ("httpHeaders", List(Object(("name", Text.Matching("[-_A-Za-z0-9]+")), ("value", Text)))), ("path", Text), ("port", PortNumber),
                ("scheme", Text.With(SchemaRule.HttpScheme)))
            .Requiring("port")),
        ("tcpSocket", Object(("host", Text), ("port", PortNumber)).Requiring("port")),
        ("failureThreshold", Integer.AtLeast(0)), ("initialDelaySeconds", Integer.AtLeast(0)), ("periodSeconds", Integer.AtLeast(0)),
        ("successThreshold", Integer.AtLeast(0)), ("timeoutSeconds", Integer.AtLeast(0))).Choosing("httpGet", "tcpSocket", "exec", "grpc");

    public static readonly ObjectSchema WorkloadGroup = Object(
        ("metadata", Object(("labels", TextMap.AtMost(256)), ("annotations", TextMap.AtMost(256)))), ("template", Template),
            ("probe", Probe)).Requiring("template");
}
