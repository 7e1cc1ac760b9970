using Isthmus.Testing;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Objects of the Gateway API that do not do what they say.</summary>
internal static class GatewayApiCases
{
    private const string Group = "gateway.networking.k8s.io", Http = "{name: http, port: 80, protocol: HTTP}",
        Shop = "{name: shop, port: 80, protocol: HTTP, hostname: shop.example}", Raw = "{name: raw, port: 81, protocol: TCP}";

    private const string To = "parentRefs: [{name: front}], rules: [{backendRefs: [{name: web, port: 80}] }]";

    private static readonly string Fronted = Join(Web, Namespace("other"), Service("other", "web", "app: web"), Bare("other", "w",
        "app: web, sidecar.istio.io/inject: 'false'"));

    private static readonly string Good = Join(Fronted, Gateway(Http), Route(To));

    private static string Told(string value) => Deployment("istio-system", "istiod", "app: istiod",
        $"containers: [{{name: discovery, env: [{{name: PILOT_ENABLE_GATEWAY_API, value: {value} }}] }}]")
        .Replace("name: istiod,", "name: istiod, labels: {app: istiod},", StringComparison.Ordinal);

    internal static AnalyzerCase[] All { get; } =
    [
        new("ISM1549", "c1 Deployment istio-system/istiod spec.template.spec.containers[*].env[PILOT_ENABLE_GATEWAY_API]", Join(Good, Told("'false'")),
            Join(Good, Told("'true'")), "and there is Gateway shop/front", Remedy: "deployment/istiod PILOT_ENABLE_GATEWAY_API-"),
        // References
        new("IST0101", "c1 HTTPRoute shop/route spec.parentRefs[0].name", Join(Fronted, Gateway(Http), Route(To.Replace("front", "font",
            StringComparison.Ordinal))), Good, "Gateway not found"),
        new("IST0101", "c1 HTTPRoute shop/route spec.parentRefs[0].name", Join(Fronted, Istio("Gateway", "shop", "front",
                "selector: {app: web}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]"), Route(To)), Good,
            "is a Gateway of Istio (networking.istio.io), and HTTPRoutes attach to those of gateway.networking.k8s.io only"),
        new("IST0101", "c1 HTTPRoute shop/route spec.parentRefs[0].name", Join(Fronted, Gateway(Http), Route(Parent("kind: Service, group: '', name: wev"))),
            Join(Fronted, Route(Parent("kind: Service, group: '', name: web"))), "Service shop/wev does not exist"),
        new("IST0101", "c1 HTTPRoute shop/route spec.parentRefs[0].port", Join(Fronted, Route(Parent("kind: Service, group: '', name: web, port: 81"))),
            Join(Fronted, Route(Parent("kind: Service, group: '', name: web, port: 80"))), "has no port 81"),
        new("IST0101", "c1 HTTPRoute shop/route spec.rules[0].backendRefs[0]", Join(Fronted, Gateway(Http), Route(Backend("name: wev, port: 80"))), Good,
            "Service shop/wev does not exist"),
        new("IST0101", "c1 HTTPRoute shop/route spec.rules[0].backendRefs[0].port", Join(Fronted, Gateway(Http), Route(Backend("name: web, port: 81"))), Good,
            "has no port 81", "write a port of Service web: 80"),
        new("IST0101", "c1 HTTPRoute shop/route spec.rules[0].filters[0].requestMirror.backendRef", Join(Fronted, Gateway(Http), Mirrored("wev")),
            Join(Fronted, Gateway(Http), Mirrored("web")), "wev does not exist: copies of requests are lost"),
        new("IST0101", "c1 TCPRoute shop/raw spec.rules[0].backendRefs[0]", Join(Fronted, Gateway(Raw), Api("TCPRoute", "shop", "raw",
            To.Replace("name: web", "name: wev", StringComparison.Ordinal))), Join(Fronted, Gateway(Raw), Api("TCPRoute", "shop", "raw", To)),
            "connections that it would get, end"),
        new("ISM1483", "c1 HTTPRoute shop/route spec.rules[0]", Join(Fronted, Gateway(Http), Route(To), Route(To, "before")),
            Join(Fronted, Gateway(Http), Route(To.Replace("[{backendRefs", "[{matches: [{path: {value: /cart} }], backendRefs", StringComparison.Ordinal)),
                Route(To, "before")), "HTTPRoute shop/before, which comes first by name, since both are of one age, has the same matches"),
        new("ISM1483", "c1 HTTPRoute shop/before spec.rules[0]", Join(Fronted, Gateway(Http), Aged(Route(To), 1), Aged(Route(To, "before"), 2)),
            Join(Fronted, Gateway(Http), Route(To)), "HTTPRoute shop/route, which is older, has the same matches"),
        new("IST0101", "c1 ListenerSet shop/more spec.parentRef.name", Join(Fronted, Gateway(Http), Route(To), Set("font", Shop)), Good,
            "Gateway not found: \"shop/font\""),
        new("IST0101", "c1 ListenerSet shop/more spec.parentRef.kind", Join(Good, Set("more, kind: ListenerSet", Shop)), Good,
            "Referenced ListenerSet cannot take listeners: \"shop/more\""),
        new("IST0101", "c1 GRPCRoute shop/calls spec.parentRefs[0].kind", Join(Good, Api("GRPCRoute", "shop", "calls", Imported)), Good,
            "Referenced ServiceImport cannot have routes: \"shop/web\""),
        new("IST0101", "c1 HTTPRoute shop/route spec.parentRefs[0].group", Join(Fronted, Route(Parent("kind: Service, name: web"))),
            Join(Fronted, Route(Parent("kind: Service, group: '', name: web"))), "that of all parents without a group, has no such kind"),
        new("IST0101", "c1 HTTPRoute shop/route spec.parentRefs[0].group", Join(Fronted, Route(Parent("kind: Service, group: core, name: web"))),
            Join(Fronted, Route(Parent("kind: Service, group: '', name: web"))),
            "group \"core\" has no such kind: the route does not apply to Service shop/web"),
        new("IST0171", "c1 HTTPRoute shop/route spec.rules[0].backendRefs[0].group", Join(Fronted, Gateway(Http),
            Route(Backend("group: net.gke.io, kind: ServiceImport, name: web, port: 80"))), Good, "net.gke.io/ServiceImport are not supported"),
        new("IST0101", "c1 HTTPRoute shop/route spec.rules[0].backendRefs[0]", Join(Fronted, Gateway(Http),
            Route(Backend("group: multicluster.x-k8s.io, kind: ServiceImport, name: web, port: 80"))), Join(Fronted, Gateway(Http),
            Route(Backend("group: multicluster.x-k8s.io, kind: ServiceImport, name: web, port: 80")), Exported), "no cluster exports the Service"),
        new("IST0101", "c1 Gateway.gateway.networking.k8s.io shop/front spec.gatewayClassName", Join(Fronted, Gateway(Http, "gatewayClassName: istioo"),
            Route(To)), Good, "istioo"),
        new("IST0101", "c1 Gateway.gateway.networking.k8s.io shop/front spec.infrastructure.parametersRef",
            Join(Fronted, Gateway(Http, "gatewayClassName: istio, infrastructure: {parametersRef: {group: '', kind: ConfigMap, name: settings} }"), Route(To)),
            Join(Fronted, Gateway(Http, "gatewayClassName: istio, infrastructure: {parametersRef: {group: '', kind: ConfigMap, name: settings} }"), Route(To),
                Map("settings", "deployment: 'spec: {}'")), "shop/settings does not exist"),
        new("IST0101", "c1 BackendTLSPolicy shop/tls spec.validation.caCertificateRefs", Join(Good, Policy("web")), Good, "does not exist, or has no ca.crt"),
        new("IST0101", "c1 BackendTLSPolicy shop/tls spec.validation.caCertificateRefs",
            Join(Good, Policy("web", "{group: certificates.k8s.io, kind: ClusterTrustBundle, name: ca}")), Good,
            "ClusterTrustBundle ca does not exist, or has no spec.trustBundle"),
        new("IST0101", "c1 HTTPRoute ops/route spec.rules[0].backendRefs[0].namespace", Join(Fronted, Namespace("ops"), Consumer("name: web, port: 80")),
            Join(Fronted, Namespace("ops"), Consumer("name: web, namespace: shop, port: 80")), "ops/web"),
        new("IST0101", "c1 BackendTLSPolicy shop/tls spec.targetRefs[0].name", Join(Good, Policy("wev")), Good, "shop/wev"),
        new("IST0101", "c1 BackendTLSPolicy shop/tls spec.targetRefs[0].sectionName", Join(Good, Policy("web, sectionName: '80'")), Good,
            "has no port named \"80\""),
        new("IST0101", "c1 XBackendTrafficPolicy shop/again spec.targetRefs[0].name", Join(Good, Traffic("{group: '', kind: Service, name: wev}")),
            Join(Good, Traffic("{group: '', kind: Service, name: web}")), "shop/wev"),
        new("IST0101", "c1 XBackendTrafficPolicy shop/again spec.targetRefs[0].kind",
            Join(Good, Traffic("{group: example.com, kind: Thing, name: web}")), Good, "cannot have a policy"),
        new("IST0171", "c1 XBackendTrafficPolicy shop/again spec.sessionPersistence",
            Join(Good, Traffic("{group: '', kind: Service, name: web}", "sessionPersistence: {absoluteTimeout: 1m}")), Good, "absoluteTimeout"),
        new("ISM1470", "c1 HTTPRoute shop/route spec.rules[0].backendRefs[0]", Join(Fronted, Gateway(Http),
            Route(Backend("name: web, namespace: other, port: 80"))),
            Join(Fronted, Gateway(Http), Route(Backend("name: web, namespace: other, port: 80")), Grant("HTTPRoute", "Service")), "no ReferenceGrant of other"),
        new("ISM1470", "c1 HTTPRoute shop/route spec.rules[0].backendRefs[0]", Join(Fronted, Gateway(Http),
            Route(Backend("name: web, namespace: other, port: 80")), Grant("HTTPRoute", "Service").Replace("namespace: other", "namespace: shop",
                StringComparison.Ordinal)),
            Join(Fronted, Gateway(Http), Route(Backend("name: web, namespace: other, port: 80")), Grant("HTTPRoute", "Service")),
            "permits it; ReferenceGrant shop/grant is in namespace shop, and counts for objects there only"),
        new("ISM1470", "c1 HTTPRoute shop/route spec.rules[0].backendRefs[0]", Join(Fronted, Gateway(Http),
            Route(Backend("name: web, namespace: other, port: 80")), Grant("GRPCRoute", "Service")),
            Join(Fronted, Gateway(Http), Route(Backend("name: web, namespace: other, port: 80")), Grant("HTTPRoute", "Service")),
            "ReferenceGrant other/grant permits it to the kind GRPCRoute only, and this is of kind HTTPRoute"),
        new("ISM1470", "c1 Gateway.gateway.networking.k8s.io shop/front spec.listeners[0].tls.certificateRefs[0]", Join(Fronted, Gateway(Https("other")),
            Route(To), Grant("Gateway", "Service")), Join(Fronted, Gateway(Https("other")), Route(To), Grant("Gateway", "Secret")),
            "permits references to the kind Service only, and this one is to Secret"),
        new("ISM1470", "c1 Gateway.gateway.networking.k8s.io shop/front spec.listeners[0].tls.certificateRefs[0]", Join(Fronted, Gateway(Https("other")),
            Route(To)),
            Join(Fronted, Gateway(Https("other")), Route(To), Grant("Gateway", "Secret")), "no ReferenceGrant in namespace other"),
        // Listeners
        new("ISM1471", "c1 Gateway.gateway.networking.k8s.io shop/front spec.listeners[1].hostname", Join(Fronted,
            Gateway($"{Http}, {Http.Replace("name: http", "name: again", StringComparison.Ordinal)}, {Shop}"), Route(To)), Good, "HostnameConflict"),
        new("ISM1471", "c1 ListenerSet shop/more spec.listeners[0].protocol", Join(Fronted, Gateway(Http, Open), Route(To), Set("front",
            "{name: raw, port: 80, protocol: TCP}")),
            Join(Fronted, Gateway(Http, Open), Route(To), Set("front", Shop),
                Route("parentRefs: [{kind: ListenerSet, name: more}], rules: [{backendRefs: [{name: web, port: 80}] }]", "second")), "http of Gateway"),
        new("ISM1472", "c1 Gateway.gateway.networking.k8s.io shop/front spec.listeners[1]", Join(Fronted, Gateway($"{Http}, {Shop}"),
            Route(To.Replace("name: front", "name: front, sectionName: http", StringComparison.Ordinal))), Good,
            "listener shop (port 80, hostname shop.example): requests get 404"),
        new("IST0171", "c1 ListenerSet shop/more spec.parentRef", Join(Fronted, Gateway(Http), Route(To), Set("front", Shop)), Good, "NotAllowed"),
        new("IST0171", "c1 Gateway.gateway.networking.k8s.io shop/front spec.listeners[1]", Join(Fronted,
            Gateway($"{Http}, {{name: odd, port: 81, protocol: HTTPX}}"), Route(To)), Good, "UnsupportedProtocol",
            Remedy: "write protocol HTTP, HTTPS, TLS, TCP or UDP"),
        new("IST0171", "c1 Gateway.gateway.networking.k8s.io shop/front spec.listeners[0].allowedRoutes.kinds",
            Join(Fronted, Gateway("{name: http, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: HTTPRoute}, {kind: TCPRoute}] } }"), Route(To)),
                Good, "InvalidRouteKinds", Remedy: "leave HTTPRoute and GRPCRoute in allowedRoutes.kinds"),
        // Routes
        new("ISM1473", "c1 HTTPRoute shop/route spec.parentRefs[0].sectionName", Join(Fronted, Gateway(Http),
            Route(Parent("name: front, sectionName: https"))), Good, "NoMatchingParent"),
        new("ISM1473", "c1 HTTPRoute shop/route spec.parentRefs[0].port", Join(Fronted, Gateway(Http), Route(Parent("name: front, port: 81"))), Good,
            "http (HTTP 80)"),
        new("ISM1473", "c1 HTTPRoute shop/route spec.hostnames", Join(Fronted, Gateway(Shop), Route($"hostnames: [other.example], {To}")), Join(Fronted,
            Gateway(Shop), Route($"hostnames: [shop.example], {To}")), "other.example"),
        new("ISM1473", "c1 HTTPRoute other/route spec.parentRefs[0]", Join(Good, Route(Parent("name: front, namespace: shop"), ns: "other")),
            Join(Fronted, Gateway(Http.Replace("}", ", allowedRoutes: {namespaces: {from: All} } }", StringComparison.Ordinal)),
                Route(Parent("name: front, namespace: shop"), ns: "other")), "NotAllowedByListeners"),
        new("ISM1473", "c1 TCPRoute shop/raw spec.parentRefs[0]", Join(Good, Api("TCPRoute", "shop", "raw", To)), Good, "takes routes of kind TCPRoute"),
        new("ISM1473", "c1 HTTPRoute shop/lost spec.parentRefs", Join(Good, Route("rules: []", "lost")), Good, "it applies nowhere"),
        new("IST0171", "c1 HTTPRoute shop/route spec.rules", Join(Fronted, Gateway(Http),
            Route(To.Replace("[{backendRefs",
                "[{matches: [{path: {type: RegularExpression, value: '('} }], backendRefs: [{name: web, port: 80}] }, {backendRefs",
                StringComparison.Ordinal))), Good, "PartiallyInvalid"),
        new("IST0171", "c1 UDPRoute shop/dns spec.parentRefs[0]", Join(Good, Api("UDPRoute", "shop", "dns", Parent("kind: Service, group: '', name: web"))),
            Good, "UDPRoutes apply at Gateways"),
        new("ISM1511", "c1 Gateway.gateway.networking.k8s.io shop/front spec.listeners[1].allowedRoutes.namespaces",
            Join(Fronted, Gateway($"{Anyone}, {Alt}"), Route(Parent("name: front, namespace: shop"), ns: "other"),
                Route($"hostnames: [own.example], {To}", "own")),
            Join(Fronted, Gateway($"{Anyone}, {Alt}"), Route(Parent("name: front, namespace: shop, sectionName: http"), ns: "other"),
                Route($"hostnames: [own.example], {To}", "own")),
            "no routes of namespace other, where HTTPRoute other/route is, which is attached to listener http only: calls of * at listener alt (port 81)"),
        // What backends declare
        new("ISM1510", "c1 TLSRoute shop/raw spec.rules[0].backendRefs[0].port", Join(Fronted, Gateway(Passing), Api("TLSRoute", "shop", "raw", Named)),
            Join(Fronted.Replace("{name: http, port: 80}", "{name: tls, port: 80}", StringComparison.Ordinal), Gateway(Passing),
                Api("TLSRoute", "shop", "raw", Named)),
            "is 80 of Service shop/web, which declares HTTP, and listener raw of shop/front passes TLS on without ending it"),
        new("ISM1510", "c1 HTTPRoute shop/route spec.rules[0].backendRefs[0].port", Join(Encrypted, Gateway(Http), Route(To)),
            Join(Encrypted, Gateway(Http), Route(To), Istio("DestinationRule", "shop", "web",
                "host: web.shop.svc.cluster.local, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: system} }")),
            "which declares HTTPS, and nothing begins TLS there"),
        new("ISM1510", "c1 GRPCRoute shop/calls spec.rules[0].backendRefs[0].port", Join(Fronted, Gateway(Http), Api("GRPCRoute", "shop", "calls", To)),
            Join(Fronted.Replace("{name: http, port: 80}", "{name: grpc, port: 80}", StringComparison.Ordinal), Gateway(Http),
                Api("GRPCRoute", "shop", "calls", To)),
            "which declares HTTP, and it is called with HTTP/1.1, over which gRPC does not work"),
        // Istio's own kinds, for the same Pods
        new("ISM1474", "c1 Gateway shop/own spec.servers[0].hosts[0]", Join(Good, Istio("Gateway", "shop", "own",
            $"selector: {{ {Group}/gateway-name: front}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*.example'] }}]"), Served,
            Istio("VirtualService", "shop", "own", "gateways: [own], hosts: [shop.example], http: [{route: [{destination: {host: web} }] }]")),
            Join(Fronted, Gateway(Shop), Route(To), Served, Istio("Gateway", "shop", "own",
                $"selector: {{ {Group}/gateway-name: front}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [own.example] }}]")),
            "VirtualService shop/own"),
        new("IST0166", "c1 AuthorizationPolicy shop/own spec.selector",
            Join(Good, Served, Istio("AuthorizationPolicy", "shop", "own",
            $"action: DENY, selector: {{matchLabels: {{ {Group}/gateway-name: front}} }}, {Put}")),
            Join(Good, Served, Istio("AuthorizationPolicy", "shop", "own",
                $"action: DENY, targetRefs: [{{group: {Group}, kind: Gateway, name: front}}], {Put}"),
                Istio("AuthorizationPolicy", "shop", "web", $"action: DENY, selector: {{matchLabels: {{app: web}} }}, {Put}")),
            "selects the Pods of Gateway front"),
        // Each of several Gateways counts by itself.
        new("IST0127", "c1 AuthorizationPolicy shop/own spec.targetRefs",
            Join(Good, Served, Istio("AuthorizationPolicy", "shop", "own",
            $"action: DENY, targetRefs: [{{group: {Group}, kind: Gateway, name: front}}, {{group: {Group}, kind: Gateway, name: back}}], {Put}")),
            Join(Good, Served, Istio("AuthorizationPolicy", "shop", "own",
                $"action: DENY, targetRefs: [{{group: {Group}, kind: Gateway, name: front}}, {{group: {Group}, kind: Gateway, name: front}}], {Put}")),
            $"{Group}/gateway-name=back"),
        // Definitions
        new("IST0176", $"c1 CustomResourceDefinition tlsroutes.{Group} metadata.annotations[{Group}/bundle-version]",
            Join(Good, Definition("tlsroutes", "v1.4.1", "v1alpha2")),
            Join(Good, Definition("tlsroutes", "v1.5.0", "v1"), Definition("grpcroutes", "v1.4.1", "v1"), Definition("udproutes", "v1.0.0", "v1alpha2")),
                "serves v1alpha2: API servers refuse a TLSRoute of version v1"),
        new("ISM1506", $"c1 CustomResourceDefinition httproutes.{Group} metadata.annotations[{Group}/bundle-version]",
            Join(Good, Definition("httproutes", "v1.9.0", "v1")), Join(Good, Definition("httproutes", "v1.7.0", "v1")), "is 'v1.9.0'"),
        new("ISM1506", $"c1 CustomResourceDefinition gateways.{Group} metadata.annotations[{Group}/bundle-version]",
            Join(Good, Definition("gateways", "''", "v1")), Join(Good, Definition("gateways", "v1.6.1", "v1")), "is missing"),
        // What a control plane has written
        new("IST0171", "c1 Gateway.gateway.networking.k8s.io shop/front status.conditions", Join(Fronted, Route(To), Gateway(Http).Replace("spec:",
            "status: {conditions: [{type: Programmed, status: 'False', reason: AddressNotAssigned, message: no address}] }, spec:", StringComparison.Ordinal)),
            Join(Fronted, Route(To), Gateway(Http).Replace("spec:",
                "status: {conditions: [{type: Programmed, status: 'False', reason: Pending, message: no, observedGeneration: 1}] }, spec:",
                StringComparison.Ordinal).Replace("name: front,", "name: front, generation: 2,", StringComparison.Ordinal)), "AddressNotAssigned",
            Remedy: "kubectl --context=c1 -n shop describe service -l gateway.networking.k8s.io/gateway-name=front"),
        new("IST0171", "c1 Service shop/web status.conditions", Join(Web.Replace("name: web, namespace: shop }", "name: web, namespace: shop }, " + Unbound,
            StringComparison.Ordinal)), Web, "NoWaypoint", Remedy: "remove the label istio.io/use-waypoint"),
    ];

    /// <summary>Of another controller: its objects are left alone, whatever is wrong with them.</summary>
    internal static readonly string Foreign = Join(Fronted, Api("GatewayClass", "", "theirs", "controllerName: example.com/theirs"),
        Gateway($"{Http}, {Http}", "gatewayClassName: theirs").Replace("spec:",
            "status: {conditions: [{type: Programmed, status: 'False', reason: Invalid, message: m}] }, spec:", StringComparison.Ordinal),
            Route(Backend("name: wev, port: 80")));

    private const string Unbound = "status: {conditions: [{type: istio.io/WaypointBound, status: 'False', reason: NoWaypoint, message: m}] }";

    private const string Open = "gatewayClassName: istio, allowedListeners: {namespaces: {from: Same} }";

    private const string Imported = "parentRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: web}], "
        + "rules: [{backendRefs: [{name: web, port: 80}] }]";

    private const string Exported = "{apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceExport, metadata: {name: web, namespace: shop} }";

    private const string Put = "rules: [{to: [{operation: {methods: [PUT]} }] }]";

    private const string Anyone = "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All} } }",
        Alt = "{name: alt, port: 81, protocol: HTTP}", Passing = "{name: raw, port: 443, protocol: TLS, tls: {mode: Passthrough} }",
        Named = "hostnames: [web.example], " + To;

    private static string Encrypted => Fronted.Replace("{name: http, port: 80}", "{name: https, port: 80}", StringComparison.Ordinal);

    private static string Definition(string plural, string release, string version) =>
        LongLines.Joined($$"""
            {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, \
            metadata: {name: {{plural}}.{{Group}}, annotations: { {{Group}}/bundle-version: {{release}} } }, \
            spec: {versions: [{name: {{version}}, served: true}] } }
            """);

    private static string Served => Workload("shop", "front-istio-1", $"{Group}/gateway-name: front", "containers: [{name: istio-proxy, image: proxy}]");

    internal static string Gateway(string listeners, string more = "gatewayClassName: istio") => Api("Gateway", "shop", "front",
        $"{more}, listeners: [{listeners}]");

    internal static string Https(string ns) => $$"""{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: front, namespace: {{ns}}}] } }""";

    internal static string Route(string spec, string name = "route", string ns = "shop") => Api("HTTPRoute", ns, name, spec);

    private static string Mirrored(string service) => Route(To.Replace("[{backendRefs",
        $"[{{filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: {service}, port: 80}} }} }}], backendRefs", StringComparison.Ordinal));

    private static string Consumer(string backend) => Api("HTTPRoute", "ops", "route",
        $$"""parentRefs: [{group: '', kind: Service, name: web, namespace: shop}], rules: [{backendRefs: [{ {{backend}} }] }]""");

    private static string Parent(string parent) => $$"""parentRefs: [{ {{parent}} }], rules: [{backendRefs: [{name: web, port: 80}] }]""";

    private static string Backend(string backend) => $$"""parentRefs: [{name: front}], rules: [{backendRefs: [{ {{backend}} }] }]""";

    private static string Set(string gateway, string listeners) => Api("ListenerSet", "shop", "more",
        $$"""parentRef: {name: {{gateway}} }, listeners: [{{listeners}}]""");

    private static string Map(string name, string data) =>
        $$"""{apiVersion: v1, kind: ConfigMap, metadata: {name: {{name}}, namespace: shop}, data: { {{data}} } }""";

    private static string Policy(string service, string ca = "{group: '', kind: ConfigMap, name: ca}") => Api("BackendTLSPolicy", "shop", "tls",
        $"targetRefs: [{{group: '', kind: Service, name: {service} }}], "
        + "validation: {hostname: web.example, caCertificateRefs: [" + ca + "] }");

    private static string Traffic(string target, string spec = "retryConstraint: {}") =>
        $$"""{apiVersion: gateway.networking.x-k8s.io/v1alpha1, kind: XBackendTrafficPolicy, metadata: {name: again, namespace: shop}, spec: {targetRefs: [{{target}}], {{spec}} } }""";

    private static string Grant(string from, string to) =>
        Api("ReferenceGrant", "other", "grant", $$"""from: [{group: {{Group}}, kind: {{from}}, namespace: shop}], to: [{group: '', kind: {{to}} }]""");

    private static string Aged(string route, int day) => route.Replace("2026-01-01T", $"2026-01-0{day}T", StringComparison.Ordinal);

    private static string Api(string kind, string ns, string name, string spec)
    {
        var meta = $"name: {name}, {(ns.Length > 0 ? $"namespace: {ns}, " : "")}creationTimestamp: '2026-01-01T00:00:00Z'";
        return $$"""{apiVersion: {{Group}}/v1, kind: {{kind}}, metadata: { {{meta}} }, spec: { {{spec}} } }""";
    }
}
