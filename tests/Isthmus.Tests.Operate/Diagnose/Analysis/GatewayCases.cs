using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

internal static class GatewayCases
{
    private const string Secure = "port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: front}";

    private static readonly string Ingress = Join(Web,
        Workload("istio-system", "gw-1", "istio: ingress", "containers: [{name: istio-proxy, ports: [{containerPort: 8080, name: http}]}]"),
        Service("istio-system", "gw", "istio: ingress", "{name: http, port: 80, targetPort: 8080}, {name: https, port: 443}"));

    private static readonly string Labelled = Ingress.Replace("{name: gw, namespace: istio-system }",
        "{name: gw, namespace: istio-system, labels: {topology.istio.io/network: network1} }", StringComparison.Ordinal);

    private const string Other = "port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: other}";

    private const string Asking = "port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: MUTUAL, credentialName: asking}";

    private static readonly string Inner = Workload("istio-system", "inner-1", "istio: ingress, tier: inner", "containers: [{name: istio-proxy}]");

    private static readonly string Claims = Istio("VirtualService", "shop", "route",
        "gateways: [front], hosts: [web.example], http: [{match: [{headers: {'@request.auth.claims.group': {exact: admin} } }], route: [{destination: {host: "
            + "web} }] }]");

    private static readonly string Open = Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")));

    private static string AtDoor(string name, string prefix, string created = "2026-01-01T00:00:00Z") => Istio("VirtualService", "shop", name,
        $$"""hosts: [web.example], gateways: [front], http: [{match: [{uri: {prefix: {{prefix}} } }], route: [{destination: {host: web} }] }]""", created);

    internal static AnalyzerCase[] All { get; } =
    [
        new("IST0101", "c1 Gateway shop/front spec.selector", Join(Ingress, Gateway("front", "istio: ingres", Http("web.example"))),
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example"))), "no Pod has these labels"),
        new("IST0162", "c1 Gateway shop/front spec.servers[0].port.number",
            Join(Ingress, Gateway("front", "istio: ingress", "port: {number: 8081, name: http, protocol: HTTP}, hosts: [web.example]")),
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")),
                Gateway("direct", "istio: ingress", "port: {number: 8080, name: http, protocol: HTTP}, hosts: [web.example]")),
            "8081"),
        new("ISM1512", "c1 Gateway shop/front spec.servers[0].port.number",
            Join(Ingress, Gateway("front", "istio: ingress", "port: {number: 15090, name: http, protocol: HTTP}, hosts: [web.example]")),
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example"))), "leads to port 15090 of the Pods in c1, which need it"),
        new("ISM1550", "c1 VirtualService shop/hello spec.http[0]", Join(Open, AtDoor("all", "/h", "2025-12-01T00:00:00Z"), AtDoor("hello", "/hello")),
            Join(Open, AtDoor("all", "/h", "2026-02-01T00:00:00Z"), AtDoor("hello", "/hello")),
            "VirtualService shop/all is older, so that its routes are tried first, and its spec.http[0] (prefix /h) takes all that this route (prefix /hello)",
            Remedy: "write the routes of both into one VirtualService"),
        new("ISM1550", "c1 VirtualService shop/hello spec.http[0]", Join(Open, AtDoor("all", "/h"), AtDoor("hello", "/hello")),
            Join(Open, AtDoor("zero", "/h"), AtDoor("hello", "/hello")), "shop/all is of the same second and comes first by its name, so that"),
        // A route for everything is tried last, and of two the older one is the only one.
        new("ISM1550", "c1 VirtualService shop/hello spec.http[0]", Join(Open, AtDoor("all", "/", "2025-12-01T00:00:00Z"), AtDoor("hello", "/")),
            Join(Open, AtDoor("all", "/", "2025-12-01T00:00:00Z"), AtDoor("hello", "/hello")), "is never used for web.example at Gateway shop/front"),
        new("IST0132", "c1 VirtualService shop/route spec.gateways[0]",
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")), Bound("wev.example")),
            Join(Ingress, Gateway("front", "istio: ingress", Http("'shop/*.example'")), Bound("web.example")), "does not admit wev.example"),
        new("ISM1522", "c1 Gateway shop/raw spec.servers[0].port",
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")),
                Gateway("raw", "istio: ingress", "port: {number: 80, name: tcp, protocol: TCP}, hosts: ['*']")),
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example"))),
            "Gateway shop/front, which is older, has it for HTTP on the same Pods", Remedy: "use another port for one of the two"),
        new("ISM1522", "c1 Gateway shop/front spec.servers[0].port",
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")), Gateway("a-raw", "istio: ingress",
                "port: {number: 80, name: tcp, protocol: TCP}, hosts: ['*']"), Raw),
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example"))),
            "has it for TCP on the same Pods", Remedy: "correct port.protocol"),
        new("IST0145", "c1 Gateway shop/front spec.servers[0]",
            Join(Ingress, Gateway("front", "istio: ingress", $"{Secure}, hosts: [web.example]"),
                Gateway("other", "istio: ingress",
                    "port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: other}, hosts: [web.example]")),
            Join(Ingress, Gateway("front", "istio: ingress", $"{Secure}, hosts: [web.example]"),
                Gateway("other", "istio: ingress",
                    "port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: other}, hosts: [other.example]")),
            "one of them only"),
        new("IST0145", "c1 Gateway shop/other spec.servers[0]",
            Join(Ingress, Gateway("front", "istio: ingress", $"{Secure}, hosts: [web.example]"),
                Gateway("other", "istio: ingress, tier: inner", $"{Other}, hosts: [web.example]"), Inner),
            Join(Ingress, Gateway("front", "istio: ingress, tier: outer", $"{Secure}, hosts: [web.example]"),
                Gateway("other", "istio: ingress, tier: inner", $"{Other}, hosts: [web.example]"), Inner,
                Inner.Replace("inner", "outer", StringComparison.Ordinal)),
            "Gateway shop/front has the same Pods"),
        new("IST0138", "c1 Gateway shop/front spec.servers[0].tls.credentialName",
            Join(Ingress, Gateway("front", "istio: ingress", $"{Secure}, hosts: [web.example]"),
                Gateway("other", "istio: ingress, tier: inner", $"{Secure}, hosts: [other.example]"), Inner),
            Join(Ingress, Gateway("front", "istio: ingress, tier: outer", $"{Secure}, hosts: [web.example]"),
                Gateway("other", "istio: ingress, tier: inner", $"{Secure}, hosts: [other.example]"), Inner,
                Inner.Replace("inner", "outer", StringComparison.Ordinal)),
            "use the same certificate front"),
        // What is not valid has no effect, but what it refers to is checked as well.
        new("IST0101", "c1 Gateway shop/front spec.selector", Join(Ingress, Istio("Gateway", "shop", "front", "selector: {istio: ingres}")),
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example"))), "\"istio=ingres\": no Pod"),
        new("IST0132", "c1 VirtualService shop/route spec.gateways[0]",
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")),
                Istio("VirtualService", "shop", "route", "gateways: [front], hosts: [no.example]")),
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")), Bound("web.example")), "does not admit no.example"),
        new("IST0132", "c1 VirtualService shop/both spec.gateways[1]",
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")), Gateway("side", "istio: ingress", Http("side.example")),
                Both("web.example")),
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")), Gateway("side", "istio: ingress", Http("side.example")),
                Both("web.example, side.example")),
            "Gateway shop/side does not admit web.example"),
        new("IST0149", "c1 VirtualService shop/route spec.http[0].match[0].headers[@request.auth.claims.group]",
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")), Claims),
            Join(Ingress, Gateway("front", "istio: ingress", Http("web.example")), Claims,
                Istio("RequestAuthentication", "istio-system", "tokens",
                    "selector: {matchLabels: {istio: ingress} }, jwtRules: [{issuer: a, jwksUri: 'https://a.example/keys'}]")),
            "Gateway shop/front"),
        new("IST0138", "c1 Gateway shop/other spec.servers[0].tls.credentialName",
            Join(Ingress, Gateway("front", "istio: ingress", $"{Secure}, hosts: [web.example]"),
                Gateway("other", "istio: ingress", $"{Secure}, hosts: [other.example]")),
            Join(Ingress, Gateway("front", "istio: ingress", $"{Secure}, hosts: [web.example, other.example]")), "shop/front, shop/other"),
        new("ISM1535", "c1 Gateway shop/front spec.servers[0].tls.serverCertificate",
            Join(Mounting("/etc/other"), Gateway("front", "istio: ingress", $"{InFiles}, hosts: [web.example]")),
            Join(Mounting("/etc/door"), Gateway("front", "istio: ingress", $"{InFiles}, hosts: [web.example]")),
            "is /etc/door/tls.crt, and no volume is mounted there in the proxy of Pod istio-system/gw-1 in c1",
            Remedy: "write credentialName with a Secret of namespace istio-system instead of the files"),
        new("ISM1537", "c1 DestinationRule shop/web spec.trafficPolicy.proxyProtocol",
            Join(Web, Istio("DestinationRule", "shop", "web", "host: web.shop.svc.cluster.local, trafficPolicy: {proxyProtocol: {version: V2} }")),
            Join(Web, Namespace("raw", ""), Bare("raw", "raw-1", "app: raw"), Service("raw", "raw", "app: raw"),
                Istio("DestinationRule", "shop", "web", "host: raw.raw.svc.cluster.local, trafficPolicy: {proxyProtocol: {version: V2} }")),
            "the sidecar of Pod shop/web-1 in c1 does not read it", Remedy: "remove it"),
        new("ISM1537", "c1 Pod istio-system/gw-1 metadata.annotations[proxy.istio.io/config].gatewayTopology.proxyProtocol",
            Join(Waiting, Gateway("cross", "istio: ingress", Crossing)),
            Join(Waiting, Gateway("front", "istio: ingress", Http("web.example"))), "Gateway shop/cross opens it for calls of other networks"),
        // Connections that can be for both servers, which ask for different client certificates.
        new("ISM1428", "c1 Gateway shop/front spec.servers[0].tls",
            Join(Ingress, Gateway("front", "istio: ingress", $"{Secure}, hosts: ['*.example']"),
                Gateway("inner", "istio: ingress", $"{Asking}, hosts: ['shop/web.example']")),
            Join(Ingress, Gateway("front", "istio: ingress", $"{Secure}, hosts: ['*.example']"),
                Gateway("inner", "istio: ingress", $"{Other}, hosts: ['shop/web.example']")),
            "the hosts of one server cover"),
        new("ISM1428", "c1 Gateway shop/both spec.servers[1].tls",
            Join(Ingress,
                Gateway("both", "istio: ingress",
                    $"{Asking}, hosts: [web.example]}}, {{{Secure.Replace("name: https", "name: https-2", StringComparison.Ordinal)}, hosts: ['*']")),
            Join(Ingress,
                Gateway("both", "istio: ingress",
                    $"{Asking}, hosts: [web.example]}}, {{{Secure.Replace("name: https", "name: https-2", StringComparison.Ordinal)}, hosts: [other.example]")),
            "421"),
        new("ISM1428", "c1 Gateway shop/one spec.servers[0].tls",
            Join(Ingress,
                Gateway("one", "istio: ingress",
                    $"{Asking}, hosts: [one.example]}}, "
                        + $"{{{Asking.Replace("MUTUAL", "OPTIONAL_MUTUAL", StringComparison.Ordinal).Replace("name: https", "name: https-2", StringComparison.Ordinal)}, hosts: [two.example]")),
            Join(Ingress,
                Gateway("one", "istio: ingress",
                    $"{Asking}, hosts: [one.example]}}, {{{Asking.Replace("name: https", "name: https-2", StringComparison.Ordinal)}, hosts: [two.example]")),
            "both servers have the certificate asking"),
        new("ISM1417", "c1 Service istio-system/gw spec.selector",
            Labelled.Replace("selector: { istio: ingress }", "selector: { istio: ingres }", StringComparison.Ordinal), Labelled, "istio=ingres"),
    ];

    private static string Gateway(string name, string selector, string server) =>
        Istio("Gateway", "shop", name, $$"""selector: { {{selector}} }, servers: [{ {{server}} }]""");

    private const string InFiles = "port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, serverCertificate: /etc/door/tls.crt, privateKey: "
        + "/etc/door/tls.key}";

    /// <summary>The gateway, with a volume.</summary>
    private static string Mounting(string path) => Ingress.Replace("containers: [{name: istio-proxy, ",
        $"volumes: [{{name: door, secret: {{secretName: door}} }}], containers: [{{name: istio-proxy, volumeMounts: [{{name: door, mountPath: {path} }}], ",
        StringComparison.Ordinal);

    private const string Crossing = "port: {number: 443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']";

    /// <summary>The gateway, which waits for a header of the PROXY protocol.</summary>
    private static string Waiting => Ingress.Replace("{name: gw-1, ", "{name: gw-1, annotations: {proxy.istio.io/config: '{\"gatewayTopology\": "
        + "{\"proxyProtocol\": {}}}'}, ", StringComparison.Ordinal);

    private static string Raw => Istio("VirtualService", "shop", "raw",
        "gateways: [a-raw], hosts: ['*'], tcp: [{route: [{destination: {host: web, port: {number: 80}}}]}]");

    private static string Http(string host) => $$"""port: {number: 80, name: http, protocol: HTTP}, hosts: [{{host}}]""";

    private static string Both(string hosts) =>
        Istio("VirtualService", "shop", "both", $$"""gateways: [front, side], hosts: [{{hosts}}], http: [{route: [{destination: {host: web} }] }]""");

    private static string Bound(string host) =>
        Istio("VirtualService", "shop", "route", $$"""gateways: [front], hosts: [{{host}}], http: [{route: [{destination: {host: web} }] }]""");
}
