using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Settings that are valid, and for something that is not there: a port, a host, a protocol, a try.</summary>
internal static class UnmetSettingCases
{
    private static readonly string Led = Join(MeshText.Root, Namespace("shop"), Service("shop", "web", "app: web", "{name: http, port: 80, targetPort: 8080}"),
        Pod("shop", "web-1", "app: web"));

    private static readonly string Bytes = Join(MeshText.Root, Namespace("shop"), Service("shop", "db", "app: db", "{name: tcp-sql, port: 5432}"),
        Pod("shop", "db-1", "app: db"));

    private static readonly string Both = Join(Bytes, Service("shop", "admin", "app: db", "{name: http, port: 80, targetPort: 8080}"));

    internal static AnalyzerCase[] All { get; } =
    [
        new("ISM1484", "c1 DestinationRule shop/web spec.trafficPolicy.portLevelSettings[0].port.number", Join(Led, Level(8080)), Join(Led, Level(80)),
            "8080 is the port of the workloads to which port 80 of web.shop.svc.cluster.local leads"),
        new("ISM1484", "c1 DestinationRule shop/web spec.trafficPolicy.portLevelSettings[0].port.number", Join(Led, Level(81)), Join(Led, Level(80)),
            "has no port 81, so these settings have no effect: it has 80"),
        new("ISM1484", "c1 DestinationRule shop/web spec.subsets[0].trafficPolicy.portLevelSettings[0].port.number",
            Join(Led, Istio("DestinationRule", "shop", "web",
            $"host: web, subsets: [{{name: all, labels: {{app: web}}, trafficPolicy: {{ {Ports(8080)} }} }}]")),
            Join(Led, Istio("DestinationRule", "shop", "web", $"host: web, subsets: [{{name: all, labels: {{app: web}}, trafficPolicy: {{ {Ports(80)} }} }}]")),
            "leads: settings are for ports of Services"),
        new("ISM1485", "c1 Sidecar shop/own spec.egress[0].hosts[1]", Join(Led, Sees("istio-system/*", "./wbe.shop.svc.cluster.local")),
            Join(Led, Sees("istio-system/*", "./web.shop.svc.cluster.local")), "no cluster has wbe.shop.svc.cluster.local"),
        new("ISM1485", "c1 Sidecar shop/own spec.egress[0].hosts[0]", Join(Led, Sees("*/web")), Join(Led, Sees("*/web.shop.svc.cluster.local")),
            "no cluster has web as a Service"),
        new("ISM1485", "c1 Sidecar shop/own spec.egress[0].hosts[0]", Join(Led, Namespace("ops"), Pod("ops", "a",
            "app: a"), Sees("ops/web.shop.svc.cluster.local")),
            Join(Led, Namespace("ops"), Pod("ops", "a", "app: a"), Sees("shop/web.shop.svc.cluster.local")), "is in namespace shop, not in ops"),
        new("ISM1485", "c1 Sidecar shop/own spec.egress[0].hosts[0]", Join(Led, Sees("ops/*")), Join(Led, Sees("./*", "~ops/*")),
            "namespace ops has no Services"),
        new("ISM1485", "c1 Sidecar shop/own spec.egress[0].hosts[0]",
            Join(Led, Istio("Sidecar", "shop", "own", "egress: [{port: {number: 9090}, hosts: ['./*']}, {hosts: ['./*']}]")),
            Join(Led, Istio("Sidecar", "shop", "own", "egress: [{port: {number: 80}, hosts: ['./*']}, {hosts: ['./*']}]")),
            "has port 9090"),
        new("ISM1485", "c1 Sidecar shop/own spec.egress[0].hosts[0]", Join(Led, Sees("*/*.made.example")),
            Join(Led, Sees("*/*.made.example"), Istio("VirtualService", "shop", "made", $"hosts: [a.made.example], http: [{{ {ToWeb} }}]")),
            "no cluster has *.made.example"),
        new("ISM1485", "c1 Sidecar shop/own spec.ingress[0].port.number", Join(Led, Takes(80)), Join(Led, Takes(8080)), "leads to port 8080 of the workloads"),
        new("ISM1553", "c1 AuthorizationPolicy shop/web spec.rules[0].to[0].operation.hosts",
            Join(Web.Replace("port: 80", "port: 5000", StringComparison.Ordinal), Policy("web", To("hosts: [web.shop]"))),
            Join(Web.Replace("port: 80", "port: 5000", StringComparison.Ordinal), Policy("web", To("hosts: [web.shop, 'web.shop:*', other.example]"))),
            "web.shop:5000. So the rule matches none of these calls"),
        new("ISM1553", "c1 AuthorizationPolicy shop/web spec.rules[0].to[0].operation.notHosts",
            Join(Web.Replace("port: 80", "port: 5000", StringComparison.Ordinal), Policy("web", $"action: DENY, {To("notHosts: [web]")}")),
            Join(Web, Policy("web", $"action: DENY, {To("notHosts: [web]")}")), "web:5000. So the rule excepts none of these calls"),
        new("ISM1435", "c1 AuthorizationPolicy shop/web spec.rules[0].to[0].operation.ports", Join(Led, Policy("web", $"action: DENY, {To("ports: ['80']")}")),
            Join(Led, Policy("web", $"action: DENY, {To("ports: ['8080']")}")), "there, this matches no call"),
        new("ISM1435", "c1 AuthorizationPolicy shop/web spec.rules[0].to[0].operation.notPorts", Join(Led, Policy("web", To("notPorts: ['80']"))),
            Join(Led, Policy("web", To("notPorts: ['8080']"))), "excepts no call"),
        new("ISM1435", "c1 AuthorizationPolicy shop/web spec.rules[0].when[0].values",
            Join(Led, Policy("web", "rules: [{when: [{key: destination.port, values: ['80']}] }]")),
            Join(Led, Policy("web", "rules: [{when: [{key: destination.port, values: ['8080']}] }]")), "port 80 is that of Service shop/web"),
        new("ISM1486", "c1 AuthorizationPolicy shop/web spec.rules[0].to[0].operation.methods", Join(Bytes, Policy("web",
            $"action: DENY, {To("methods: [POST]")}")),
            Join(Both, Policy("web", $"action: DENY, {To("methods: [POST], ports: ['8080']")}")), "denies every connection there"),
        new("ISM1486", "c1 AuthorizationPolicy shop/web spec.rules[0].from[0].source.notRequestPrincipals",
            Join(Bytes, Policy("web", "action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*'], namespaces: [shop]} }]}]")),
            Join(Bytes, Policy("web", "action: DENY, rules: [{from: [{source: {namespaces: [shop]} }]}]")), "that the rest of it matches"),
        new("ISM1486", "c1 AuthorizationPolicy shop/web spec.rules[0].to[0].operation.methods", Join(Bytes, Policy("web", To("methods: [GET]"))),
            Join(Bytes, Policy("web", To("methods: [GET]")), Policy("other", To("ports: ['5432']"))), "the rule allows none of them, and no other rule does"),
        new("ISM1486", "c1 AuthorizationPolicy shop/web spec.rules[0].to[0].operation.paths", Join(Both, Policy("web", To("paths: [/a]"))),
            Join(Both, Policy("web", $"{To("paths: [/a]")[..^1]}, {{from: [{{source: {{namespaces: [shop]}} }}] }}]")), "5432 (TCP) of Service shop/db"),
        new("ISM1487", "c1 AuthorizationPolicy istio-system/allow metadata.namespace",
            Join(Led, Deployment("kube-system", "dns", "app: dns"), Istio("AuthorizationPolicy", "istio-system", "allow",
            "rules: [{from: [{source: {namespaces: [shop]} }]}]")),
            Join(Led, Istio("AuthorizationPolicy", "shop", "allow", "rules: [{from: [{source: {namespaces: [shop]} }]}]")),
            "applies to all workloads of namespace shop: calls there fail unless some ALLOW policy permits them"),
        new("ISM1487", "c1 AuthorizationPolicy istio-system/none metadata.namespace", Join(Led, Istio("AuthorizationPolicy", "istio-system", "none", "")),
            Join(Led, Istio("AuthorizationPolicy", "shop", "allow", "rules: [{from: [{source: {namespaces: [shop]} }]}]")),
            "none permits any call to Service shop/web in c1, so that all of them fail", "create an ALLOW policy for the callers of Service shop/web in c1"),
        new("ISM1487", "c1 AuthorizationPolicy istio-system/none metadata.namespace",
            Join(Led, Istio("AuthorizationPolicy", "istio-system", "none", "action: DENY, rules: [{}]")),
            Led, "it denies all calls, such as those to Service shop/web in c1"),
        new("ISM1488", "c1 VirtualService shop/web spec.gateways", Join(Led, Front, AtGateways("shop/front")), Join(Led, Front, AtGateways("shop/front, mesh")),
            "sidecars that call web.shop.svc.cluster.local do not follow these routes"),
        new("ISM1488", "c1 VirtualService shop/web spec.gateways", Join(Led, Front, AtGateways("shop/front")),
            Join(Led, Front, AtGateways("shop/front"),
                Istio("VirtualService", "shop", "all", $"hosts: ['*.shop.svc.cluster.local'], http: [{{ {ToWeb} }}]")), "go straight to its endpoints"),
        new("ISM1489", "c1 VirtualService shop/web spec.http[0].redirect", Join(Led, Routes(Redirects("", "uri: /login"))),
            Join(Led, Routes($"{{match: [{{uri: {{exact: /login}} }}], {ToWeb}}}, {Redirects("", "uri: /login")}")),
            "redirects to /login, which the route takes as well"),
        new("ISM1489", "c1 VirtualService shop/web spec.http[0].redirect", Join(Led, Routes(Redirects("match: [{uri: {prefix: /a} }], ",
            "prefixRewrite: /a/b"))),
            Join(Led, Routes(Redirects("match: [{uri: {prefix: /a} }], ", "prefixRewrite: /b"))), "redirects to /a/b…"),
        new("ISM1489", "c1 VirtualService shop/web spec.http[0].redirect", Join(Led, Routes(Redirects("", "authority: web.shop.svc.cluster.local"))),
            Join(Led, Routes(Redirects("", "authority: web.example.com"))), "changes neither path nor host"),
        new("ISM1489", "c1 VirtualService shop/web spec.http[0].redirect", Join(Led, Doors, Secured("")),
            Join(Led, Doors, Secured("match: [{scheme: {exact: http} }], ")),
            "redirects what comes by HTTPS to HTTPS again"),
        new("ISM1489", "c1 VirtualService shop/web spec.http[0].redirect", Join(Led, Doors, Secured("match: [{uri: {prefix: /} }], ")),
            Join(Led, Doors, Secured("match: [{headers: {x-forwarded-proto: {exact: http} } }], ")), "by HTTPS to HTTPS again: clients"),
        new("ISM1489", "c1 VirtualService shop/web spec.http[1].redirect",
            Join(Led, Doors, Named("shop.example.com", $"{{match: [{{uri: {{exact: /live}} }}], {ToWeb}}}, {Redirects("", "scheme: https")}")),
            Join(Led, Doors, Named("shop.example.com", $"{{match: [{{port: 443}}], {ToWeb}}}, {Redirects("", "scheme: https")}")),
            "redirects what comes by HTTPS to HTTPS again"),
        new("ISM1489", "c1 VirtualService shop/web spec.http[1].redirect",
            Join(Led, Doors, Named("example.com, www.example.com", $"{{match: [{{uri: {{exact: /live}} }}], {ToWeb}}}, {ToWww}")),
            Join(Led, Doors, Named("example.com, www.example.com", $"{{match: [{{authority: {{exact: www.example.com}} }}], {ToWeb}}}, {ToWww}")),
            "changes neither path nor host"),
        new("ISM1489", "c1 VirtualService shop/web spec.http[0].redirect", Join(Led, Doors, Named("www.example.com", ToWww)),
            Join(Led, Doors, Named("'*.example.com'", ToWww)), "host, scheme or port: clients"),
        new("ISM1489", "c1 HTTPRoute shop/web spec.rules[0].filters", Join(Led, ApiFront, ApiRedirect("{type: PathPrefix, value: /}", "/home")),
            Join(Led, ApiFront, ApiRedirect("{type: Exact, value: /}", "/home")), "redirects to /home, which the route takes as well"),
        new("ISM1490", "c1 VirtualService shop/web spec.http[0].timeout",
            Join(Led, Routes($"{{timeout: 3s, retries: {{attempts: 2, perTryTimeout: 2s}}, {ToWeb}}}")),
            Join(Led, Routes($"{{timeout: 6s, retries: {{attempts: 2, perTryTimeout: 2s}}, {ToWeb}}}")), "3s is for all 3 tries of a request together"),
        new("ISM1490", "c1 VirtualService shop/web spec.http[0].timeout",
            Join(Led, Routes($"{{timeout: 1s, retries: {{attempts: 2, perTryTimeout: 2s}}, {ToWeb}}}")),
            Join(Led, Routes($"{{timeout: 1s, retries: {{attempts: 2, perTryTimeout: 300ms}}, {ToWeb}}}")), "what times out is never tried again"),
        new("ISM1491", "c1 DestinationRule shop/web spec.trafficPolicy.connectionPool",
            Join(Led, Limits("connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1} }")),
            Join(Led, Limits("connectionPool: {tcp: {maxConnections: 100}, http: {http1MaxPendingRequests: 10} }")),
            "one connection (tcp.maxConnections) and one waiting request"),
        new("IST0133", "c1 DestinationRule shop/web spec.trafficPolicy.connectionPool.tcp.connectTimeout",
            Join(Led, Limits("connectionPool: {tcp: {connectTimeout: 5ms} }")), Join(Led, Limits("connectionPool: {tcp: {connectTimeout: 1s} }")),
            "such calls fail with 503 (UF)"),
        new("ISM1492", "c1 DestinationRule shop/web spec.trafficPolicy.outlierDetection.maxEjectionPercent",
            Join(Led, Limits("outlierDetection: {maxEjectionPercent: 100}")),
            Join(Led, Limits("outlierDetection: {maxEjectionPercent: 100, minHealthPercent: 10}")), "has one only, Pod shop/web-1"),
        new("IST0133", "c1 VirtualService shop/web spec.http[0].retries.retryOn",
            Join(Led, Routes($"{{retries: {{attempts: 2, retryOn: retriable-status-codes}}, {ToWeb}}}")),
            Join(Led, Routes($"{{retries: {{attempts: 2, retryOn: 'retriable-status-codes,503'}}, {ToWeb}}}")), "names no status code"),
        new("ISM1493", "c1 VirtualService shop/web spec.http[0].retries.retryOn",
            Join(Led, Routes($"{{retries: {{attempts: 2, retryOn: 'cancelled,unavailable'}}, {ToWeb}}}")),
            Join(Led, Routes($"{{retries: {{attempts: 2, retryOn: 'cancelled,5xx'}}, {ToWeb}}}")), "is for statuses of gRPC"),
        new("ISM1499", "c1 DestinationRule shop/secure spec.trafficPolicy.tls.mode", Join(Led, Outside, Tls("")), Join(Led, Outside), "TLS within TLS"),
        new("ISM1500", "c1 DestinationRule shop/web spec.trafficPolicy.portLevelSettings[0]", Join(Led, Limits($"{Simple}, {Ports(80)}")),
            Join(Led, Limits($"{Simple}, {Ports(80)[..^3]}, {Simple} }}]")).Replace("name: http, port", "name: tcp, port", StringComparison.Ordinal),
            "its tls (SIMPLE) does not count there"),
        new("ISM1501", "c1 HTTPRoute ops/web spec.parentRefs[0].namespace", Join(Led, Namespace("ops"), Pod("ops", "a", "app: a"), Consumer("ops")),
            Join(Led, Consumer("shop")), "it applies to callers in ops only"),
        new("ISM1502", "c2 Deployment shop/web spec.template.metadata.labels[security.istio.io/tlsMode]",
            Join(Led, Next, Far, Deployment("shop", "web", "app: web, security.istio.io/tlsMode: disabled"),
                Pod("shop", "web-2", "app: web, security.istio.io/tlsMode: disabled")),
            Join(Led, Next, Far, Deployment("shop", "web", "app: web"), Pod("shop", "web-2", "app: web")), "get no endpoint of it"),
        new("ISM1503", "c1 VirtualService shop/web spec.http[0].match[0].port", Join(Led, Routes($"{{match: [{{port: 8080}}], {ToWeb}}}, {{ {ToWeb} }}")),
            Join(Led, Routes($"{{match: [{{port: 80}}], {ToWeb}}}, {{ {ToWeb} }}")), "arrive at 80: it matches none"),
        new("ISM1504", "c2 Deployment shop/web spec.template.metadata.labels", Join(Led, Next, Lone, Pod("shop", "web-2", "app: web")),
            Join(Led, Next, Lone, Pod("shop", "web-2", "app: web"), Service("shop", "web", "app: web")), "c2 has no such Service"),
        new("ISM1505", "c1 Gateway istio-system/cross spec.servers[0].hosts", Join(Led, Crossing("*.prod.svc.cluster.local")),
            Join(Led, Crossing("*.local")), "such as for web.shop.svc.cluster.local, fail"),
        new("ISM1495", "c1 VirtualService shop/part spec.http[0].match[0].uri", Join(Led, Leaves, Part("/status")), Join(Led, Leaves, Part("/api/status")),
            "is prefix /status, which is not within spec.http[0].match of VirtualService shop/web (prefix /api), which leaves requests to this delegate: the "
                + "route is left out"),
        new("ISM1497", "c1 StatefulSet shop/db spec.serviceName", Join(Led, Stateful("db-headless")), Join(Led, Stateful("web")),
            "names Service shop/db-headless, which does not exist in c1"),
        new("ISM1498", "c1 AuthorizationPolicy shop/web spec.rules[0].from[0].source.requestPrincipals",
            Join(Led, Tokens, Policy("web", From("https://issuer.example.com/ann"))), Join(Led, Tokens, Policy("web", From("https://issuer.example.com//ann"))),
            "is of no issuer whose tokens the workloads take (https://issuer.example.com/)"),
        new("IST0133", "c1 VirtualService shop/web spec.http[0].retries.attempts", Join(Led, Routes($"{{retries: {{retryOn: 5xx}}, {ToWeb}}}")),
            Join(Led, Routes($"{{retries: {{attempts: 1, retryOn: 5xx}}, {ToWeb}}}")), "nothing is tried again"),
    ];

    private static string Lone => Join(MeshText.Root, Namespace("shop"), Deployment("shop", "web", "app: web"));

    private static string Crossing(string hosts) => Join(Pod("istio-system", "east", "istio: east"), Istio("Gateway", "istio-system", "cross",
        $"selector: {{istio: east}}, servers: [{{port: {{number: 15443, name: tls, protocol: TLS}}, tls: {{mode: AUTO_PASSTHROUGH}}, hosts: ['{hosts}']}}]"));

    private static string Leaves => Istio("VirtualService", "shop", "web",
        "hosts: [web], http: [{match: [{uri: {prefix: /api} }], delegate: {name: part} }, {route: [{destination: {host: web} }] }]");

    private static string Part(string prefix) =>
        Istio("VirtualService", "shop", "part", $"http: [{{match: [{{uri: {{prefix: {prefix}}} }}], {ToWeb}}}]");

    private static string Stateful(string service) => Deployment("shop", "db", "app: db").Replace("kind: Deployment",
            "kind: StatefulSet", StringComparison.Ordinal)
        .Replace("spec: {replicas: 1,", $"spec: {{replicas: 1, serviceName: {service},", StringComparison.Ordinal);

    private static string Tokens => Istio("RequestAuthentication", "shop", "tokens",
            "jwtRules: [{issuer: 'https://issuer.example.com/', jwks: '{\"keys\": []}'}]");

    private static string From(string principal) => $"rules: [{{from: [{{source: {{requestPrincipals: ['{principal}']}} }}] }}]";

    private const string Simple = "tls: {mode: SIMPLE, caCertificates: system}";

    private static string Outside => Istio("ServiceEntry", "shop", "secure",
            "hosts: [secure.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: "
        + "443, name: https, protocol: HTTPS}]");

    private static string Tls(string more) =>
        Istio("DestinationRule", "shop", "secure", $"host: secure.example.com, trafficPolicy: {{ {Simple}{more} }}");

    private static string Consumer(string ns) => "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: web, namespace: " + ns
        + "}, spec: {parentRefs: [{group: '', kind: Service, name: web, namespace: shop, port: 80}], rules: [{filters: [{type: URLRewrite, urlRewrite: {hostname: "
        + "a.example} }]}] } }";

    private static string Far => Led.Replace("network1", "network2", StringComparison.Ordinal);

    private const string ToWeb = "route: [{destination: {host: web} }]";

    private static string Ports(int port) => $"portLevelSettings: [{{port: {{number: {port}}}, loadBalancer: {{simple: RANDOM}} }}]";

    private static string Level(int port) => Limits(Ports(port));

    private static string Limits(string policy) => Istio("DestinationRule", "shop", "web", $"host: web, trafficPolicy: {{ {policy} }}");

    private static string Sees(params string[] hosts) =>
        Istio("Sidecar", "shop", "own", $"egress: [{{hosts: [{string.Join(", ", hosts.Select(host => $"'{host}'"))}]}}]");

    private static string Takes(int port) =>
        Istio("Sidecar", "shop", "own", $"ingress: [{{port: {{number: {port}, protocol: HTTP, name: http}}, defaultEndpoint: '127.0.0.1:8080'}}]");

    private static string Policy(string name, string spec) => Istio("AuthorizationPolicy", "shop", name, spec);

    private static string To(string operation) => $"rules: [{{to: [{{operation: {{ {operation} }} }}] }}]";

    private static string Routes(string http) => Istio("VirtualService", "shop", "web", $"hosts: [web], http: [{http}]");

    private static string Redirects(string match, string redirect) => $"{{ {match}redirect: {{ {redirect} }} }}";

    private static string Gateway => Join(Workload("shop", "gw-1", "istio: gw", "containers: [{name: istio-proxy, args: [proxy, router]}]"),
        Service("shop", "gw", "istio: gw", "{name: http, port: 80}, {name: https, port: 443}"));

    private static string Front => Join(Gateway,
        Istio("Gateway", "shop", "front", "selector: {istio: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]"));

    private static string Doors => Join(Gateway, Istio("Gateway", "shop", "front",
        "selector: {istio: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}, {port: {number: 443, name: https, protocol: HTTPS}, "
            + "hosts: ['*'], tls: {mode: SIMPLE, credentialName: front} }]"));

    private static string AtGateways(string gateways) =>
        Istio("VirtualService", "shop", "web", $"hosts: [web], gateways: [{gateways}], http: [{{ {ToWeb} }}]");

    private static string Named(string hosts, string http) =>
        Istio("VirtualService", "shop", "web", $"hosts: [{hosts}], gateways: [front], http: [{http}]");

    private static string ToWww => Redirects("", "authority: www.example.com");

    private static string Secured(string match) =>
        Istio("VirtualService", "shop", "web",
            $"hosts: [shop.example.com], gateways: [front], http: [{{ {match}redirect: {{scheme: https}} }}, {{ {ToWeb} }}]");

    private static string ApiFront => Join(
        "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: istio}, spec: {controllerName: istio.io/gateway-controller}}",
        "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: shop}, spec: {gatewayClassName: istio, "
            + "listeners: [{name: http, port: 80, protocol: HTTP}]} }");

    private static string ApiRedirect(string path, string to) =>
        $"{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: web, namespace: shop}}, spec: {{parentRefs: [{{name: front}}], rules: "
            + $"[{{matches: [{{path: {path} }}], filters: [{{type: RequestRedirect, requestRedirect: {{path: {{type: ReplaceFullPath, replaceFullPath: {to} }} "
            + "} }] }] } }";
}
