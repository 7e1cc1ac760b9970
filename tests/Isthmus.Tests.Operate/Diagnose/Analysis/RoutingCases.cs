using Isthmus.Testing;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

internal static class RoutingCases
{
    /// <summary>A workload whose port passes bytes on, also those of TLS.</summary>
    private static readonly string OfBytes = Web.Replace("{name: http, port: 80}", "{name: tcp, port: 80}", StringComparison.Ordinal);

    private const string ToWeb = "hosts: [web], http: [{route: [{destination: {host: web} }] }]";

    private static readonly string Other = Join(Service("shop", "other", "app: other", "{name: http, port: 80}, {name: http-admin, port: 9000}"),
        Pod("shop", "other-1", "app: other"));

    private static string Allocated(string addresses) =>
        LongLines.Joined($$"""
            {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: db, namespace: shop}, \
            spec: {hosts: [db.example], ports: [{number: 3306, name: tcp, protocol: TCP}], resolution: NONE}, status: {addresses: {{addresses}} } }
            """);

    private const string A = "match: [{uri: {prefix: /a} }], route: [{destination: {host: web} }]";

    private const string Capture =
        """{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: '{defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true"} } }'} }""";

    private const string NoCapture = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: 'trustDomain: td1'} }";

    private static string Known(string protocol, string name = "db") => Istio("ServiceEntry", "shop", name,
        $$"""hosts: [{{name}}.example], ports: [{number: 3306, name: port, protocol: {{protocol}} }], resolution: DNS""");

    private static string Rule(string policy, string name = "rule") => Istio("DestinationRule", "shop", name,
        $$"""host: {{(name == "rule" ? "web" : "'*.mesh.example'")}}, trafficPolicy: { {{policy}} }""");

    private const string ToSubset = "hosts: [web], http: [{route: [{destination: {host: web, subset: v1} }] }]";

    private static readonly string Wide = Istio("VirtualService", "ops", "wide",
        "hosts: ['*.example'], http: [{route: [{destination: {host: web.shop.svc.cluster.local} }] }]");

    private static readonly string Front = Join(Istio("DestinationRule", "shop", "rule", "host: web, subsets: [{name: v1, labels: {version: v1} }]"),
        Istio("VirtualService", "shop", "front", "gateways: [front], hosts: [web.example], http: [{route: [{destination: {host: web} }] }]"),
        Istio("Gateway", "shop", "front", "selector: {app: web}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [web.example]}]"));

    /// <summary>It speaks TLS, and has no sidecar.</summary>
    internal static readonly string Sealed = Join(Service("shop", "sealed", "app: sealed", "{name: https, port: 443}"),
        Bare("shop", "sealed-1", "app: sealed, sidecar.istio.io/inject: 'false'"));

    private const string ToSealed = "http: [{route: [{destination: {host: sealed, port: {number: 443} } }] }]", Origination =
        "host: sealed, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: system} }";

    private static string PassedTo(string host, int port) =>
        $"tls: [{{match: [{{sniHosts: [sealed.shop.svc.cluster.local]}}], route: [{{destination: {{host: {host}, port: {{number: {port}}} }} }}] }}]";

    internal static AnalyzerCase[] All { get; } =
    [
        new("ISM1510", "c1 VirtualService shop/front spec.http[0].route[0].destination.host",
            Join(Web, Sealed, Front.Replace("{host: web}", "{host: sealed}", StringComparison.Ordinal)),
            Join(Web, Sealed, Front.Replace("{host: web}", "{host: sealed}", StringComparison.Ordinal), Istio("DestinationRule", "shop", "sealed",
                Origination)),
            "leads to port 443 of Service shop/sealed, which declares HTTPS, and nothing begins TLS there"),
        new("ISM1510", "c1 VirtualService shop/route spec.http[0].route[0].destination.port.number",
            Join(Web, Sealed, Istio("VirtualService", "shop", "route", $"hosts: [web], {ToSealed}")),
            Join(Web, Sealed, Istio("VirtualService", "shop", "route", $"hosts: [web], {ToSealed}"), Istio("DestinationRule", "shop", "sealed", Origination)),
            "requests are sent in plain text"),
        new("ISM1510", "c1 VirtualService shop/route spec.tls[0].route[0].destination.port.number",
            Join(Web, Sealed, Istio("VirtualService", "shop", "route", $"hosts: [sealed.shop.svc.cluster.local], {PassedTo("web", 80)}")),
            Join(Web, Sealed, Istio("VirtualService", "shop", "route", $"hosts: [sealed.shop.svc.cluster.local], {PassedTo("sealed", 443)}")),
            "leads to port 80 of Service shop/web, which declares HTTP, and a tls route passes TLS on without ending it"),
        Host("IST0101", "spec.http[0].route[0].destination.host", "hosts: [web], http: [{route: [{destination: {host: wev} }] }]", ToWeb,
            "\"wev.shop.svc.cluster.local\""),
        Host("IST0101", "spec.http[0].mirror.host", "hosts: [web], http: [{route: [{destination: {host: web} }], mirror: {host: gone} }]",
            "hosts: [web], http: [{route: [{destination: {host: web} }], mirror: {host: other, port: {number: 80} } }]", "no cluster has it"),
        Host("IST0101", "spec.http[0].route[0].destination.port.number", "hosts: [web], http: [{route: [{destination: {host: web, port: {number: 81} } }] }]",
            "hosts: [web], http: [{route: [{destination: {host: web, port: {number: 80} } }] }]", "it has 80"),
        Host("IST0101", "spec.tcp[0].route[0].destination.host", "hosts: [web], tcp: [{route: [{destination: {host: gone} }] }]",
            "hosts: [web], tcp: [{match: [{port: 9000}], route: [{destination: {host: web} }] }]", ""),
        Host("IST0101", "spec.http[0].route[0].destination.subset", "hosts: [web], http: [{route: [{destination: {host: web, subset: v3} }] }]",
            "hosts: [web], http: [{route: [{destination: {host: web, subset: v1} }] }]", "web.shop.svc.cluster.local+v3"),
        new("IST0101", "c1 VirtualService shop/route spec.gateways[0]", Join(Web, Istio("VirtualService", "shop", "route", $"gateways: [front], {ToWeb}")),
            Join(Web, Istio("VirtualService", "shop", "route", $"gateways: [mesh], {ToWeb}")), "\"shop/front\""),
        new("IST0101", "c1 VirtualService ops/route spec.hosts[0]",
            Join(Web, Istio("VirtualService", "ops", "route", "hosts: [web], http: [{route: [{destination: {host: web.shop.svc.cluster.local} }] }]")),
            Join(Web,
                Istio("VirtualService", "ops", "route",
                    "hosts: [web.shop.svc.cluster.local, made.up.example], http: [{route: [{destination: {host: web.shop.svc.cluster.local} }] }]")),
            "\"web.ops.svc.cluster.local\""),
        // Only callers may leave out the end of a name.
        new("IST0101", "c1 VirtualService ops/route spec.hosts[0]",
            Join(Web, Istio("VirtualService", "ops", "route", "hosts: [web.shop], http: [{route: [{destination: {host: web.shop.svc.cluster.local} }] }]")),
            Join(Web, Istio("VirtualService", "ops", "route",
                "hosts: [web.shop.svc.cluster.local], http: [{route: [{destination: {host: web.shop.svc.cluster.local} }] }]")),
            "a name with a dot is taken as it is written", Remedy: "write the host as web.shop.svc.cluster.local"),
        new("IST0174", "c1 DestinationRule shop/rule spec.host", Join(Web, Istio("DestinationRule", "shop", "rule", "host: wev")),
            Join(Web, Istio("DestinationRule", "shop", "rule", "host: web"), Istio("DestinationRule", "shop", "all", "host: '*.local'")), "no effect"),
        new("IST0112", "c1 VirtualService shop/route spec.http[0].route[0].destination",
            Join(Web, Other, Service("shop", "entry", "app: web", "{name: http, port: 8080}"),
                Istio("VirtualService", "shop", "route", "hosts: [entry], http: [{route: [{destination: {host: other} }] }]")),
            Join(Web, Other, Istio("VirtualService", "shop", "route", "hosts: [web], http: [{route: [{destination: {host: other} }] }]")), "8080"),
        new("IST0112", "c1 VirtualService shop/route spec.http[0].route[0].destination",
            Join(Web, Other, Istio("VirtualService", "shop", "route", "hosts: [made.up.example], http: [{route: [{destination: {host: other} }] }]")),
            Join(Web, Other,
                Istio("VirtualService", "shop", "route", "hosts: [made.up.example], http: [{route: [{destination: {host: other, port: {number: 80} } }] }]")),
            "nothing says at which one"),
        new("IST0101", "c1 VirtualService shop/route spec.exportTo[1]", Join(Web, Istio("VirtualService", "shop", "route", $"exportTo: [., shpo], {ToWeb}")),
            Join(Web, Istio("VirtualService", "shop", "route", $"exportTo: [., shop], {ToWeb}")), "\"shpo\""),
        new("IST0109", "c1 VirtualService shop/two spec.hosts",
            Join(Web, Istio("VirtualService", "shop", "one", ToWeb), Istio("VirtualService", "shop", "two", ToWeb, "2026-01-02T00:00:00Z")),
            Join(Web, Namespace("ops"), Istio("VirtualService", "shop", "one", $"exportTo: [.], {ToWeb}"),
                Istio("VirtualService", "shop", "two", $"exportTo: [ops], {ToWeb}")),
            "only the oldest, shop/one"),
        new("IST0109", "c1 VirtualService shop/two spec.hosts",
            Join(Web, Istio("VirtualService", "shop", "one", ToWeb), Istio("VirtualService", "shop", "two", $"exportTo: [.], {ToWeb}", "2026-01-02T00:00:00Z")),
            Join(Web, Istio("VirtualService", "shop", "one", $"exportTo: ['~'], {ToWeb}"), Istio("VirtualService", "shop", "two", ToWeb)),
            "shop/one, shop/two"),
        new("IST0109", "c1 VirtualService ops/wide spec.hosts",
            Join(Web, Wide,
                Istio("VirtualService", "shop", "narrow", "exportTo: [.], hosts: ['*.a.example'], http: [{route: [{destination: {host: web} }] }]")),
            Join(Web, Wide, Istio("VirtualService", "shop", "narrow", "hosts: ['*.a.example'], http: [{route: [{destination: {host: web} }] }]")),
            "shop/narrow routes *.a.example in the namespaces that it is exported to"),
        new("IST0165", "c1 VirtualService shop/route spec.gateways[0]",
            Join(Web, Istio("VirtualService", "shop", "route", $"gateways: [edge/front~istio-autogenerated-k8s-gateway~http], {ToWeb}")),
            Join(Web, Istio("VirtualService", "shop", "route", ToWeb)), "nothing binds to it"),
        new("IST0140", "c1 VirtualService shop/front spec.http[0].route[0].destination", Join(Web, Front, Istio("VirtualService", "shop", "route", ToSubset)),
            Join(Web, Front, Istio("VirtualService", "shop", "route", ToWeb)), "the routes of VirtualService shop/route are for callers in the mesh only"),
        new("IST0002", "c1 Sidecar shop/own spec.outboundTrafficPolicy.egressProxy",
            Join(Web, Istio("Sidecar", "shop", "own", "egress: [{hosts: ['./*']}], outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: web} }")),
            Join(Web, Istio("Sidecar", "shop", "own", "egress: [{hosts: ['./*']}], outboundTrafficPolicy: {mode: ALLOW_ANY}")), "is deprecated"),
        // One that is not valid: its other route leads nowhere all the same.
        Host("IST0101", "spec.http[1].route[0].destination.host",
            "hosts: [web], http: [{match: [{uri: {prefix: /a} }] }, {route: [{destination: {host: gone} }] }]", ToWeb, "gone"),
        new("IST0177", "c1 ServiceEntry ops/api spec.ports[0].protocol",
            Join(Web, Istio("ServiceEntry", "shop", "api", "hosts: [api.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS"),
                Istio("ServiceEntry", "ops", "api", "hosts: [api.example], ports: [{number: 443, name: http, protocol: HTTP}], resolution: DNS")),
            Join(Web,
                Istio("ServiceEntry", "shop", "api", "exportTo: [.], hosts: [api.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS"),
                Istio("ServiceEntry", "ops", "api",
                    "exportTo: [.], hosts: [other.example], ports: [{number: 443, name: http, protocol: HTTP}], resolution: DNS")),
            "ServiceEntry shop/api Tls"),
        new("IST0173", "c1 DestinationRule shop/rule spec.subsets[0].labels",
            Join(Web, Service("shop", "idle", "app: idle"),
                Istio("DestinationRule", "shop", "rule", "host: idle, subsets: [{name: v1, labels: {version: v1} }]")),
            Join(Web, Istio("DestinationRule", "shop", "rule", "host: web, subsets: [{name: v1, labels: {version: v1} }]")), "selects no workload"),
        new("IST0128", "c1 DestinationRule shop/rule spec.trafficPolicy.tls", Join(Web, Rule("tls: {mode: SIMPLE}")),
            Join(OfBytes, Rule("tls: {mode: SIMPLE, caCertificates: /etc/ca.pem}"), Rule("tls: {mode: ISTIO_MUTUAL}", "mesh")),
            "with the roots of their system"),
        new("IST0128", "c1 DestinationRule shop/rule spec.trafficPolicy.tls", Join(Web, Rule("tls: {mode: SIMPLE, credentialName: ca}")),
            Join(Web, Rule("tls: {mode: DISABLE}")), "only gateways get"),
        new("IST0129", "c1 DestinationRule shop/rule spec.trafficPolicy.portLevelSettings[0].tls",
            Join(Web, Rule("portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE} }]")),
            Join(OfBytes, Rule("portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, caCertificates: /etc/ca.pem} }]")),
            "port 80: no caCertificates"),
        // TLS that only the application could end, at a port whose sidecar reads requests.
        new("IST0113", "c1 DestinationRule shop/rule spec.trafficPolicy.tls.mode",
            Join(Web, Istio("DestinationRule", "shop", "rule", "host: web, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: system} }")),
            Join(Web, Service("shop", "safe", "app: web", "{name: https, port: 8443}"),
                Istio("DestinationRule", "shop", "rule", "host: web, trafficPolicy: {tls: {mode: ISTIO_MUTUAL} }")),
            "begin TLS at port 80, which declares HTTP", "remove tls from the rule, or set the mode to ISTIO_MUTUAL"),
        new("IST0113", "c1 DestinationRule istio-system/all spec.trafficPolicy.tls.mode",
            Join(Web, Istio("DestinationRule", "istio-system", "all", "host: '*.local', trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /c, "
                + "privateKey: /k, caCertificates: /ca} }")),
            Join(Web, Istio("DestinationRule", "istio-system", "all", "host: '*.local', trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /c, "
                + "privateKey: /k, caCertificates: /ca} }"),
                Istio("DestinationRule", "shop", "rule", "host: web, trafficPolicy: {tls: {mode: ISTIO_MUTUAL} }")),
            "callers of web.shop.svc.cluster.local begin TLS"),
        new("IST0134", "c1 ServiceEntry shop/db spec.addresses", Join(Web, NoCapture, Known("TCP")),
            Join(Web, Capture, Known("TCP"), Known("TLS", "tls")), "does not switch on DNS capture"),
        // It was allocated, but nobody learns it.
        new("IST0134", "c1 ServiceEntry shop/db spec.addresses", Join(Web, NoCapture, Allocated("[{host: db.example, value: 240.240.0.1}]")),
            Join(Web, Known("TCP")), "do not use the address"),
        new("IST0134", "c1 ServiceEntry shop/db spec.addresses", Join(Web, Capture, Allocated("[]")),
            Join(Web, Capture, Allocated("[{host: db.example, value: 240.240.0.1}]")), "whatever its address"),
        new("IST0130", "c1 VirtualService shop/route spec.http[1]",
            Route("{route: [{destination: {host: web} }] }, {match: [{uri: {prefix: /a} }], route: [{destination: {host: web} }] }"),
            Route("{match: [{uri: {prefix: /a} }], route: [{destination: {host: web} }] }, {route: [{destination: {host: web} }] }"), "takes everything"),
        new("IST0131", "c1 VirtualService shop/route spec.http[2].match[0]",
            Route("{match: [{uri: {prefix: /a} }], route: [{destination: {host: web} }] }, {match: [{method: {exact: GET} }], route: [{destination: {host: "
            + "web} }] }, {match: [{uri: {exact: /a/b}, method: {exact: POST} }], route: [{destination: {host: web} }] }"),
            Route("{match: [{uri: {prefix: /a}, headers: {x: {exact: one} } }], route: [{destination: {host: web} }] }, {match: [{uri: {exact: /a/b} }], "
                + "route: [{destination: {host: web} }] }"), "spec.http[0] takes all that it matches, and spec.http[2] is never used"),
        new("IST0130", "c1 VirtualService shop/route spec.http[1]", Route($"{{ {A} }}, {{ {A} }}"),
            Route($"{{ {A} }}, {{ {A.Replace("/a", "/b", StringComparison.Ordinal)} }}"), "spec.http[0] takes all"),
        new("IST0131", "c1 VirtualService shop/route spec.http[0].match[1]",
            Route("{match: [{uri: {prefix: /a} }, {uri: {prefix: /a/b}, method: {exact: GET} }], route: [{destination: {host: web} }] }"),
            Route("{match: [{uri: {prefix: /} }, {uri: {exact: /a/b}, method: {exact: GET} }], route: [{destination: {host: web} }] }"),
                "match[0] of the same route"),
        new("IST0131", "c1 VirtualService shop/route spec.http[1].match[0]",
            Route(
                "{match: [{uri: {prefix: /a} }], route: [{destination: {host: web} }] }, {match: [{uri: {prefix: /a/b} }, {uri: {prefix: /c} }], route: "
                    + "[{destination: {host: web} }] }"),
            Route(
                "{match: [{uri: {prefix: /a/b} }], route: [{destination: {host: web} }] }, {match: [{uri: {prefix: /a} }, {uri: {prefix: /c} }], route: "
                    + "[{destination: {host: web} }] }"),
            "spec.http[0]"),
        // Of a port of TCP, proxies copy the bytes.
        new("ISM1427", "c1 VirtualService shop/route spec.http[0].fault", Route(Aborts), Route("{route: [{destination: {host: web} }] }"),
            "aborts 100 % of the calls to web.shop.svc.cluster.local"),
        new("ISM1427", "c1 VirtualService shop/route spec.http[1].fault",
            Route(
                "{match: [{uri: {prefix: /a} }], route: [{destination: {host: web} }] }, {fault: {delay: {fixedDelay: 3s, percentage: {value: 100} } }, route: "
                    + "[{destination: {host: web} }] }"),
            Route("{fault: {delay: {fixedDelay: 3s, percentage: {value: 0} } }, route: [{destination: {host: web} }] }"),
            "delays 100 % of the calls to web.shop.svc.cluster.local by 3 s"),
        new("ISM1427", "c1 VirtualService shop/route spec.http[0].fault",
            Route(
                "{match: [{uri: {prefix: /a} }], fault: {delay: {fixedDelay: 0.2s, percentage: {value: 0.5} }, abort: {httpStatus: 404, percentage: {value: "
                    + "12.5} } }, route: [{destination: {host: web} }] }"),
            Route("{fault: {abort: {httpStatus: 503, percentage: {value: 0} } }, route: [{destination: {host: web} }] }"),
            "delays 0.5 % of the calls to web.shop.svc.cluster.local by 200 ms and aborts 12.5 % of them with status 404, if they match the route"),
        new("IST0173", "c1 DestinationRule shop/rule spec.subsets[0].labels",
            Join(Web, Istio("DestinationRule", "shop", "rule", "host: web, subsets: [{name: v2, labels: {version: v2} }]"),
                Istio("VirtualService", "shop", "route", "hosts: [web], http: [{route: [{destination: {host: web, subset: v2} }] }]")),
            Join(Web, Deployment("shop", "web-v2", "app: web, version: v2", replicas: 0),
                Istio("DestinationRule", "shop", "rule",
                    "host: web, subsets: [{name: v2, labels: {version: v2} }, {name: near, labels: {topology.istio.io/cluster: c1} }]"),
                Istio("VirtualService", "shop", "route", "hosts: [web], http: [{route: [{destination: {host: web, subset: v2} }] }]")),
            "requests that are routed to it get 503"),
        new("IST0113", "c1 DestinationRule shop/rule spec.trafficPolicy.tls.mode",
            Join(Web, Istio("DestinationRule", "shop", "rule", "host: web, trafficPolicy: {tls: {mode: DISABLE} }"),
                Istio("PeerAuthentication", "istio-system", "default", "mtls: {mode: STRICT}")),
            Join(Web, Istio("DestinationRule", "shop", "rule", "host: web, trafficPolicy: {tls: {mode: DISABLE} }"),
                Istio("PeerAuthentication", "istio-system", "default", "mtls: {mode: STRICT}"),
                Istio("PeerAuthentication", "shop", "default", "mtls: {mode: PERMISSIVE}")),
            "STRICT"),
        new("IST0134", "c1 ServiceEntry shop/db spec.addresses",
            Join(Web, Istio("ServiceEntry", "shop", "db", "hosts: [db.example], ports: [{number: 3306, name: tcp, protocol: TCP}], resolution: NONE")),
            Join(Web, Capture, Istio("ServiceEntry", "shop", "db", "hosts: [db.example], ports: [{number: 3306, name: tcp, protocol: TCP}], resolution: "
                + "DNS"), Istio("ServiceEntry", "shop", "known", "hosts: [dc.example], addresses: [203.0.113.0/24], ports: [{number: 3306, name: tcp, "
                + "protocol: TCP}], resolution: NONE")), "3306"),
        new("ISM1419", "c1 ServiceEntry shop/entry spec.hosts[0]", Join(Web, Entry("web.shop.svc.cluster.local")), Join(Web, Entry("web.example")),
            "Service shop/web in c1"),
        new("ISM1441", "c1 ServiceEntry ops/entry spec.hosts[0]", Join(Web, Entry("web.shop.svc.cluster.local", "ops")), Join(Web, Entry("web.example", "ops")),
            "web.shop.svc.cluster.local is the host of Service shop/web in c1"),
        new("ISM1441", "c1 ServiceEntry ops/entry spec.hosts[0]", Join(Web, Entry("web.shop", "ops")), Join(Web, Entry("web.example", "ops")),
            "web.shop is the host of Service shop/web in c1"),
        new("ISM1441", "c1 ServiceEntry ops/entry spec.hosts[0]", Join(Web, Entry("'*.shop.svc.cluster.local'", "ops")),
            Join(Web, Entry("own.ops.svc.cluster.local", "ops")), "is a name of namespace shop"),
        new("ISM1441", "c1 ServiceEntry ops/entry spec.hosts[0]", Join(Root, Entry("web.shop.svc.cluster.local", "ops"), MeshText.Next, Web),
            Join(Web, Entry("none.shop.svc.cluster.local", "istio-system")), "is the host of Service shop/web in c2"),
        new("ISM1441", "c1 ServiceEntry ops/newer spec.hosts[0]", Join(Web, Entry("api.example"), Newer("api.example", "ops")),
            Join(Web, Entry("api.example"), Newer("api.example", "shop")), "is the host of the older ServiceEntry shop/entry"),
        new("ISM1440", "c1 ServiceEntry ops/entry spec.addresses[0]", Join(Web, Entry("db.example", "ops", "addresses: [10.0.0.1], ")),
            Join(Web, Entry("db.example", "ops", "addresses: [10.0.0.2], ")), "10.0.0.1 is the address of Service shop/web in c1"),
        new("ISM1440", "c1 ServiceEntry ops/entry spec.addresses[0]",
            Join(Web, Pod("shop", "db-0", "app: db", status: "podIP: 10.244.0.9"), Entry("db.example", "ops", "addresses: [10.244.0.9/32], ")),
            Join(Web, Pod("shop", "db-0", "app: db", status: "podIP: 10.244.0.9"), Entry("db.example", "shop", "addresses: [10.244.0.9], ")),
            "Pod shop/db-0 in c1"),
        new("ISM1442", "c1 VirtualService ops/route spec.hosts[0]",
            Join(Owned, Web,
                Istio("VirtualService", "ops", "route",
                    "hosts: [web.shop.svc.cluster.local], http: [{route: [{destination: {host: web.shop.svc.cluster.local} }] }]")),
            Join(Web,
                Istio("VirtualService", "ops", "route",
                    "hosts: [web.shop.svc.cluster.local], http: [{route: [{destination: {host: web.shop.svc.cluster.local} }] }]")),
            "belongs to namespace shop, which does not let ops configure it"),
        new("ISM1442", "c1 DestinationRule ops/rule spec.host", Join(Owned, Web, Istio("DestinationRule", "ops", "rule", "host: web.shop.svc.cluster.local")),
            Join(Owned, Web, Istio("DestinationRule", "shop", "rule", "host: web"),
                Istio("DestinationRule", "istio-system", "rule", "host: web.shop.svc.cluster.local")),
            "has no effect on the host"),
        new("ISM1442", "c1 DestinationRule ops/rule spec.host", Join(Owned, Web, Istio("DestinationRule", "ops", "rule", "host: '*.local'")),
            Join(Owned, Root,
                Service("shop", "web", "app: web")
                    .Replace("{name: web,", "{name: web, annotations: {networking.isthmus.internal/host-grants: 'ops, dev'},", StringComparison.Ordinal),
                Pod("shop", "web-1", "app: web"), Istio("DestinationRule", "ops", "rule", "host: web.shop.svc.cluster.local")),
            "covers hosts of all namespaces"),
        new("ISM1442", "c1 DestinationRule ops/rule spec.host",
            Join(Owned, Web, Entry("api.example"), Istio("DestinationRule", "ops", "rule", "host: api.example")),
            Join(Owned, Web, Entry("api.example", "ops"), Istio("DestinationRule", "ops", "rule", "host: api.example")),
            "api.example belongs to namespace shop"),
        new("IST0002", "c1 VirtualService shop/route spec.http[0].mirrorPercent",
            Route("{route: [{destination: {host: web} }], mirror: {host: web}, mirrorPercent: 10}"),
            Route("{route: [{destination: {host: web} }], mirror: {host: web}, mirrorPercentage: {value: 10} }")),
        new("IST0106", "c1 VirtualService shop/route spec.http[0].match[0].headers[@request.auth.claims]",
            Route("{match: [{headers: {\"@request.auth.claims\": {exact: admin} } }], route: [{destination: {host: web} }] }"),
            Route("{match: [{headers: {x-role: {exact: admin} } }], route: [{destination: {host: web} }] }"), "names no claim of a token"),
        new("IST0133", "c1 VirtualService shop/route spec.http[0].route",
            Route("{route: [{destination: {host: web}, weight: 1}, {destination: {host: web}, weight: 1}] }"),
            Route("{route: [{destination: {host: web}, weight: 50}, {destination: {host: web}, weight: 50}] }"), "!= 100"),
        new("IST0133", "c1 VirtualService shop/route spec.http[0].match[0].uri.exact",
            Route("{match: [{uri: {exact: \"/a?b=c\"} }], route: [{destination: {host: web} }] }"),
            Route("{match: [{uri: {exact: /a}, queryParams: {b: {exact: c} } }], route: [{destination: {host: web} }] }"),
            "the query is not a part of the path"),
        new("IST0133", "c1 VirtualService shop/route spec.http[0].match[0].method.exact",
            Route("{match: [{method: {exact: get} }], route: [{destination: {host: web} }] }"),
            Route("{match: [{method: {exact: GET} }], route: [{destination: {host: web} }] }"), "matches no request of method GET"),
        new("IST0133", "c1 VirtualService shop/route spec.http[0].corsPolicy.allowOrigins[0].exact",
            Route("{corsPolicy: {allowOrigins: [{exact: shop.example} ] }, route: [{destination: {host: web} }] }"),
            Route("{corsPolicy: {allowOrigins: [{exact: \"https://shop.example:8443\"}, {exact: \"*\"} ] }, route: [{destination: {host: web} }] }"),
            "browsers send the scheme as well"),
        new("IST0133", "c1 VirtualService shop/route spec.http[0].corsPolicy.allowOrigins[0].exact",
            Route("{corsPolicy: {allowOrigins: [{exact: \"https://shop.example/\"} ] }, route: [{destination: {host: web} }] }"),
            Route("{corsPolicy: {allowOrigins: [{prefix: \"https://shop.example/\"} ] }, route: [{destination: {host: web} }] }"), "origins have no path"),
        new("ISM1410", "c1 DestinationRule shop/newer spec.trafficPolicy", Join(Web, Rules("trafficPolicy: {connectionPool: {tcp: {maxConnections: 1} } }")),
            Join(Web, Rules("subsets: [{name: v1, labels: {version: v1} }]"))),
    ];

    private static AnalyzerCase Host(string code, string path, string bad, string good, string says)
    {
        var subset = Istio("DestinationRule", "shop", "rule", "host: web, subsets: [{name: v1, labels: {version: v1} }]");
        return new(code, $"c1 VirtualService shop/route {path}", Join(Web, Other, subset, Istio("VirtualService", "shop", "route", bad)),
            Join(Web, Other, subset, Istio("VirtualService", "shop", "route", good)), says);
    }

    private const string Aborts = "{fault: {abort: {httpStatus: 503, percentage: {value: 100} } }, route: [{destination: {host: web} }] }";

    private static string Route(string http) => Join(Web, Istio("VirtualService", "shop", "route", $"hosts: [web], http: [{http}]"));

    private const string Owned =
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: 'hostOwnership: NAMESPACE'} }";

    private static string Newer(string host, string ns) =>
        Istio("ServiceEntry", ns, "newer",
            $"hosts: [{host}], ports: [{{number: 80, name: http, protocol: HTTP}}], resolution: STATIC, endpoints: [{{address: 203.0.113.9}}]",
            "2026-02-01T00:00:00Z");

    private static string Entry(string host, string ns = "shop", string more = "") =>
        Istio("ServiceEntry", ns, "entry",
            $"hosts: [{host}], {more}ports: [{{number: 80, name: http, protocol: HTTP}}], resolution: STATIC, endpoints: [{{address: 203.0.113.9}}]");

    private static string Rules(string newer) => Join(
        Istio("DestinationRule", "shop", "older", "host: web, trafficPolicy: {connectionPool: {tcp: {maxConnections: 9} } }"),
        Istio("DestinationRule", "shop", "newer", $"host: web, {newer}", "2026-01-02T00:00:00Z"));
}
