using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

internal static class PolicyCases
{
    private const string Mesh = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: 'trustDomain: td1'} }";

    private const string Inserting =
        "applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager} } } }, "
            + "patch: {operation: INSERT_FIRST, value: {name: own, typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault} } }";
    private const string Removing =
        "applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, "
            + "subFilter: {name: own} } } } }, patch: {operation: REMOVE}";

    internal static AnalyzerCase[] All { get; } =
    [
        Callers("IST0101", "spec.rules[0].from[0].source.namespaces", "namespaces: [shpo]", "namespaces: [shop, 'sh*']", "\"shpo\""),
        Callers("IST0101", "spec.rules[0].from[0].source.namespaces", "namespaces: ['sh*', 'ops-*']", "namespaces: ['sh*', '*op', '*']",
            "\"ops-*\": no cluster has one that it covers"),
        Callers("IST0101", "spec.rules[0].from[0].source.namespaces", "namespaces: ['s*x']", "namespaces: ['s*p', '*ho*']", "\"s*x\""),
        Callers("IST0101", "spec.rules[0].from[0].source.notNamespaces", "notNamespaces: [shop, gone]", "notNamespaces: [shop]",
            "\"gone\": no cluster has it, so it excepts no caller from what the policy allows"),
        new("IST0101", "c1 AuthorizationPolicy shop/policy spec.rules[0].when[0].notValues",
            Join(Web, Istio("AuthorizationPolicy", "shop", "policy", "action: DENY, rules: [{when: [{key: source.namespace, notValues: ['ops-*']}]}]")),
            Join(Web, Istio("AuthorizationPolicy", "shop", "policy", "action: DENY, rules: [{when: [{key: source.namespace, notValues: ['s*']}]}]")),
            "no cluster has one that it covers, so it excepts no caller from what the policy denies"),
        new("IST0127", "c1 AuthorizationPolicy ops/all",
            Join(Web, Namespace("ops"), Istio("AuthorizationPolicy", "ops", "all", "rules: [{to: [{operation: {methods: [GET]} }] }]")),
            Join(Web, Namespace("ops"), Bare("ops", "job", "app: job, sidecar.istio.io/inject: 'false'"),
                Istio("AuthorizationPolicy", "ops", "all", "rules: [{to: [{operation: {methods: [GET]} }] }]")),
            "has no workloads"),
        Callers("ISM1415", "spec.rules[0].from[0].source.principals", "principals: [td2/ns/shop/sa/default]",
            "principals: [td1/ns/shop/sa/default, cluster.local/ns/shop/sa/default, '*/sa/any']", "trust domain td2"),
        Callers("ISM1415", "spec.rules[0].from[1].source.principals", "namespaces: [shop] } }, {source: {principals: [td1/ns/gone/sa/default]",
            "namespaces: [shop] } }, {source: {principals: [td1/ns/shop/sa/default]", "namespace gone"),
        Callers("ISM1415", "spec.rules[0].from[0].source.serviceAccounts", "serviceAccounts: [shop/defalt]", "serviceAccounts: [shop/default]",
            "service account defalt"),
        Paths("BASE", "action: DENY, rules: [{to: [{operation: {paths: [/admin] } }] }]", "paths",
            "//admin, /%2Fadmin, /x/..;/admin, … pass \"/admin\": pathNormalization BASE"),
        Paths("DECODE_AND_MERGE_SLASHES", "action: DENY, rules: [{to: [{operation: {paths: ['/admin*'] } }] }]", "paths", "/x/..;/admin pass"),
        Paths("NONE", "action: ALLOW, rules: [{to: [{operation: {notPaths: ['*/admin', '/admin/{**}'] } }] }]", "notPaths", "/%2Fadmin"),
        Stars("spec.rules[0].when[0].values", "when: [{key: 'request.headers[x-tenant]', values: ['*red*']}]",
            "when: [{key: 'request.headers[x-tenant]', values: ['*red', 'red*', '*']}]",
            "\"*red*\" matches what ends with \"red*\""),
        Stars("spec.rules[0].when[0].notValues", "when: [{key: 'request.headers[x-tenant]', notValues: ['r*d*']}]",
            "when: [{key: 'request.headers[x-tenant]', notValues: ['r*']}]", "\"r*d*\" matches what begins with \"r*d\""),
        Stars("spec.rules[0].to[0].operation.paths", "to: [{operation: {paths: ['/a/*/b']} }]", "to: [{operation: {paths: ['/a/{*}/b']} }]",
            "\"/a/*/b\" matches this text only"),
        Stars("spec.rules[0].from[0].source.notPrincipals", "from: [{source: {notPrincipals: ['*/ns/shop/*']} }]",
            "from: [{source: {notPrincipals: ['*/sa/default']} }]", "\"*/ns/shop/*\" matches what ends with \"/ns/shop/*\""),
        // In namespaces, every one is a wildcard, and brackets around a value of metadata are no part of it.
        Stars("spec.rules[0].from[0].source.principals", "from: [{source: {principals: ['td1/ns/*/sa/default']} }]",
            "from: [{source: {namespaces: ['s*p', '*ho*', '*']} }]", "matches this text only"),
        Stars("spec.rules[0].when[0].values", "when: [{key: 'experimental.envoy.filters.a.b[c]', values: ['[*red*]']}]",
            "when: [{key: 'experimental.envoy.filters.a.b[c]', values: ['[red*]', '[*red]', '[*]']}]",
            "\"[*red*]\" matches what ends with \"red*\""),
        Stars("spec.rules[0].when[0].values", "when: [{key: 'request.auth.claims[groups]', values: ['[red*]']}]",
            "when: [{key: 'request.auth.claims[groups]', values: ['red*']}]", "\"[red*]\" matches this text only"),
        Selector("AuthorizationPolicy", "spec.selector", "action: DENY, rules: [{to: [{operation: {methods: [PUT]} }] }], selector: {matchLabels: {app: $} }"),
        Selector("RequestAuthentication", "spec.selector", "jwtRules: [{issuer: me, jwks: '{\"keys\":[]}'}], selector: {matchLabels: {app: $} }"),
        Selector("PeerAuthentication", "spec.selector", "mtls: {mode: STRICT}, selector: {matchLabels: {app: $} }"),
        Selector("EnvoyFilter", "spec.workloadSelector", $$"""configPatches: [{ {{Inserting}} }], workloadSelector: {labels: {app: $} }"""),
        // Objects in the root namespace are for the whole mesh, but name Gateways of that namespace.
        new("IST0127", "c1 AuthorizationPolicy istio-system/own spec.selector",
            Join(Web, Istio("AuthorizationPolicy", "istio-system", "own", "action: DENY, selector: {matchLabels: {app: wev} }")),
            Join(Web, Istio("AuthorizationPolicy", "istio-system", "own", "action: DENY, selector: {matchLabels: {app: web} }")),
            "no workload of the mesh has the labels app=wev"),
        new("IST0127", "c1 AuthorizationPolicy istio-system/own spec.targetRefs",
            Join(Web, GatewayPod("shop", "door"), Targeting("AuthorizationPolicy", "istio-system", "own", "action: DENY", "door")),
            Join(Web, GatewayPod("shop", "door"), Targeting("AuthorizationPolicy", "shop", "own", "action: DENY", "door")),
            "no workload of namespace istio-system has the labels gateway.networking.k8s.io/gateway-name=door"),
        new("IST0101", "c1 Telemetry istio-system/own spec.targetRefs",
            Join(Web, GatewayPod("shop", "door"), Targeting("Telemetry", "istio-system", "own", Metrics, "door")),
            Join(Web, GatewayPod("shop", "door"), Targeting("Telemetry", "shop", "own", Metrics, "door")),
            "no workload of namespace istio-system has these labels"),
        // One Gateway does not excuse that another is missing.
        new("IST0101", "c1 Telemetry shop/own spec.targetRefs",
            Join(Web, GatewayPod("shop", "door"), Targeting("Telemetry", "shop", "own", Metrics, "door", "gone")),
            Join(Web, GatewayPod("shop", "door"), GatewayPod("shop", "gone"), Targeting("Telemetry", "shop", "own", Metrics, "door", "gone")),
            "\"gateway.networking.k8s.io/gateway-name=gone\": no workload of namespace shop"),
        new("IST0159", "c1 Telemetry shop/own spec.targetRefs",
            Join(Web, GatewayPod("shop", "door"), Targeting("Telemetry", "shop", "own", Metrics, "door"), Telemetry("other", "app: door")),
            Join(Web, GatewayPod("shop", "door"), Targeting("Telemetry", "shop", "own", Metrics, "door"), Telemetry("other", "app: web")),
            "Telemetry shop/other"),
        new("IST0175", "c1 Deployment istio-system/istiod spec.template.spec.containers[0].env", Join(Web, Fetching, Istiod("")),
            Join(Web, Fetching, Istiod("env: [{name: BLOCKED_CIDRS_IN_JWKS_URIS, value: 10.0.0.0/8}]")), "where keys are: shop/fetching"),
        new("IST0119", "c1 Service shop/web spec.ports[0]",
            Join(Root, Namespace("shop"), Service("shop", "web", "app: web", "{name: tcp-web, port: 80}"), Pod("shop", "web-1", "app: web"), Tokens()),
            Join(Root, Namespace("shop"), Service("shop", "web", "app: web", "{name: tcp-web, port: 81}, {name: http, port: 80}"),
                Pod("shop", "web-1", "app: web"), Tokens()),
            "RequestAuthentication shop/tokens"),
        new("IST0101", "c1 Sidecar shop/own spec.workloadSelector", Join(Web, Sidecar("own", "app: wev")), Join(Web, Sidecar("own", "app: web")),
            "\"app=wev\""),
        new("IST0101", "c1 Telemetry shop/own spec.selector", Join(Web, Telemetry("own", "app: wev")), Join(Web, Telemetry("own", "app: web")), "\"app=wev\""),
        new("IST0167", "c1 Sidecar shop/own", Join(Root, Namespace("shop", "istio.io/dataplane-mode: ambient"), Sidecar("own", "")),
            Join(Root, Namespace("shop"), Sidecar("own", "")), "namespace shop is in ambient mode"),
        new("IST0167", "c1 Sidecar shop/own spec.workloadSelector",
            Join(Root, Namespace("shop", "istio.io/dataplane-mode: ambient"), Captured, Sidecar("own", "app: job")),
            Join(Root, Namespace("shop"), Captured, Pod("shop", "job-2", "app: job"), Sidecar("own", "app: job")),
            "the workloads that it selects are in ambient mode"),
        new("IST0002", "c1 Telemetry shop/own spec.tracing[0].providers[0].name",
            Join(Web, Tracing("lightstep: {service: collector, port: 4317, accessToken: a}"),
                Istio("Telemetry", "shop", "own", "tracing: [{providers: [{name: traces}] }]")),
            Join(Web, Tracing("zipkin: {service: web.shop.svc.cluster.local, port: 80}"),
                Istio("Telemetry", "shop", "own", "tracing: [{providers: [{name: traces}] }]")),
            "\"traces\" is of Lightstep"),
        new("IST0110", "c1 Sidecar shop/own spec.workloadSelector", Join(Web, Sidecar("own", "app: web"), Sidecar("other", "version: v1")),
            Join(Web, Pod("shop", "api", "app: api"), Sidecar("own", "app: web"), Sidecar("other", "app: api")), "Sidecar shop/other"),
        new("IST0111", "c1 Sidecar shop/own", Join(Web, Sidecar("own", ""), Sidecar("other", "")), Join(Web, Sidecar("own", ""), Sidecar("other", "app: web")),
            "Sidecar shop/other"),
        new("IST0159", "c1 Telemetry shop/own spec.selector", Join(Web, Telemetry("own", "app: web"), Telemetry("other", "version: v1")),
            Join(Web, Pod("shop", "api", "app: api"), Telemetry("own", "app: web"), Telemetry("other", "app: api")), "Telemetry shop/other"),
        new("IST0160", "c1 Telemetry shop/own", Join(Web, Telemetry("own", ""), Telemetry("other", "")),
            Join(Web, Telemetry("own", ""), Telemetry("other", "app: web")), "Telemetry shop/other"),
        new("IST0157", "c1 Telemetry shop/own spec.accessLogging[0]",
            Join(Web, Mesh, Istio("Telemetry", "shop", "own", "accessLogging: [{filter: {expression: 'response.code >= 500'} }]")),
            Join(Web, Mesh, Istio("Telemetry", "istio-system", "all", "accessLogging: [{providers: [{name: envoy}] }]"),
                Istio("Telemetry", "shop", "own", "accessLogging: [{filter: {expression: 'response.code >= 500'} }]")),
            "nothing is reported"),
        new("IST0151", "c1 EnvoyFilter shop/early spec.configPatches[0].patch.operation",
            Join(Web, Filter("early", Removing, ""), Filter("late", Inserting, "2")), Join(Web, Filter("early", Inserting, ""), Last), "EnvoyFilter shop/late"),
        // Without a priority, the age of other EnvoyFilters decides.
        new("IST0151", "c1 EnvoyFilter shop/late spec.configPatches[0].patch.operation",
            Join(Web, Filter("early", Inserting, ""), Filter("late", Removing, "2")),
            Join(Web, Filter("early", Inserting, ""), Istio("EnvoyFilter", "ops", "elsewhere", $$"""configPatches: [{ {{Removing}} }]"""), Last),
            "without a priority on the age of EnvoyFilter shop/early, which also changes a HTTP_FILTER"),
        // Stored ones, which admission would refuse.
        Idle("IST0152", "applyTo: CLUSTER, patch: {operation: REPLACE, value: {name: a} }"),
        Idle("IST0153", "applyTo: ROUTE_CONFIGURATION, patch: {operation: ADD, value: {name: a} }"),
        Idle("IST0153", "applyTo: HTTP_ROUTE, patch: {operation: ADD, value: {name: a, typed_config: {} } }",
            "has no effect on HTTP_ROUTE: spec.configPatches[0].patch.value.typed_config"),
        Idle("IST0154", "applyTo: HTTP_ROUTE, match: {listener: {filterChain: {sni: a.example} } }, patch: {operation: REMOVE}",
            "has no effect on HTTP_ROUTE: spec.configPatches[0].match.listener"),
        Idle("IST0154", "applyTo: ROUTE_CONFIGURATION, patch: {operation: REMOVE}"),
        new("IST0155", "c1 EnvoyFilter shop/early spec.configPatches[0].patch.operation",
            Join(Web, Filter("early", Removing.Replace("match: {", "match: {proxy: {proxyVersion: '^1.*'}, ", StringComparison.Ordinal), ""),
                Filter("late", Inserting, "2")),
            Join(Web, Filter("early", Inserting, "")), "EnvoyFilter shop/late"),
    ];

    private static AnalyzerCase Idle(string code, string patch, string says = "has no effect on") => new(code,
        "c1 EnvoyFilter shop/own spec.configPatches[0].patch.operation", Join(Web, Istio("EnvoyFilter", "shop", "own", $$"""configPatches: [{ {{patch}} }]""")),
        Join(Web, Istio("EnvoyFilter", "shop", "own", $$"""configPatches: [{ {{Inserting}} }]""")), says);

    private static string Captured =>
        Bare("shop", "job-1", "app: job, sidecar.istio.io/inject: 'false'")
            .Replace("namespace: shop,", "namespace: shop, annotations: {ambient.istio.io/redirection: enabled},", StringComparison.Ordinal);

    private static string Tracing(string provider) =>
        $$"""{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: 'extensionProviders: [{name: traces, {{provider}} }]'} }""";

    private static AnalyzerCase Callers(string code, string path, string bad, string good, string says) =>
        new(code, $"c1 AuthorizationPolicy shop/policy {path}", Join(Web, Mesh, Policy(bad)), Join(Web, Mesh, Policy(good)), says);

    private static AnalyzerCase Stars(string path, string bad, string good, string says) => new("ISM1476", $"c1 AuthorizationPolicy shop/policy {path}",
        Join(Web, Istio("AuthorizationPolicy", "shop", "policy", $"rules: [{{{bad}}}]")),
        Join(Web, Istio("AuthorizationPolicy", "shop", "policy", $"rules: [{{{good}}}]")), says);

    private static AnalyzerCase Paths(string normalization, string policy, string field, string says) =>
        new("ISM1429", $"c1 AuthorizationPolicy shop/policy spec.rules[0].to[0].operation.{field}",
            Join(Web, Normalizing(normalization), Istio("AuthorizationPolicy", "shop", "policy", policy)),
            Join(Web, Normalizing(normalization),
                Istio("AuthorizationPolicy", "shop", "policy",
                    policy.Contains("DENY", StringComparison.Ordinal)
                        ? policy.Replace("DENY", "ALLOW", StringComparison.Ordinal)
                        : policy.Replace("notPaths", "paths", StringComparison.Ordinal))),
            says);

    private static string Normalizing(string name) =>
        $$"""{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: 'pathNormalization: {normalization: {{name}} }'} }""";

    private static string Policy(string source) => Istio("AuthorizationPolicy", "shop", "policy", $$"""rules: [{from: [{source: { {{source}} } }] }]""");

    private static AnalyzerCase Selector(string kind, string path, string spec) => new("IST0127", $"c1 {kind} shop/own {path}",
        Join(Web, Istio(kind, "shop", "own", spec.Replace("$", "wev", StringComparison.Ordinal))),
        Join(Web, Istio(kind, "shop", "own", spec.Replace("$", "web", StringComparison.Ordinal))), "app=wev");

    private static string Fetching => Istio("RequestAuthentication", "shop", "fetching", "jwtRules: [{issuer: me, jwksUri: 'https://issuer.example/keys'}]");

    private static string Istiod(string env) =>
        Deployment("istio-system", "istiod", "app: istiod", $"containers: [{{name: discovery, image: proxy{(env.Length > 0 ? ", " : "")}{env}}}]");

    private static string Tokens() =>
        Istio("RequestAuthentication", "shop", "tokens", "jwtRules: [{issuer: me, jwks: '{\"keys\":[]}'}], selector: {matchLabels: {app: web} }");

    private static string Sidecar(string name, string labels) =>
        Istio("Sidecar", "shop", name, $"egress: [{{hosts: ['./*']}}]{(labels.Length > 0 ? $", workloadSelector: {{labels: {{ {labels} }} }}" : "")}");

    private const string Metrics = "metrics: [{providers: [{name: prometheus}] }]";

    private static string Targeting(string kind, string ns, string name, string spec, params string[] gateways) => Istio(kind, ns, name,
        $"{spec}, targetRefs: [{string.Join(", ", gateways.Select(gateway => $"{{group: gateway.networking.k8s.io, kind: Gateway, name: {gateway}}}"))}]");

    private static string GatewayPod(string ns, string gateway) =>
        Pod(ns, $"{gateway}-1", $"app: {gateway}, gateway.networking.k8s.io/gateway-name: {gateway}");

    private static string Telemetry(string name, string labels) =>
        Istio("Telemetry", "shop", name,
            $"{Metrics}{(labels.Length > 0 ? $", selector: {{matchLabels: {{ {labels} }} }}" : "")}");

    private static string Last => Istio("EnvoyFilter", "shop", "late", $$"""priority: 10, configPatches: [{ {{Removing}} }]""");

    private static string Filter(string name, string patch, string day) =>
        Istio("EnvoyFilter", "shop", name, $$"""configPatches: [{ {{patch}} }]""", $"2026-01-0{(day.Length > 0 ? day : "1")}T00:00:00Z");
}
