using Isthmus.Testing;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>What has no effect, or the wrong one, without any object being invalid.</summary>
internal static class SilentFaultCases
{
    private const string Root80 = "hosts: [web], http: [{match: [{uri: {prefix: /a} }], delegate: {name: part} }, {route: [{destination: {host: web} }] }]";

    private const string Http = "{name: http, port: 80, targetPort: 8080}";

    private static readonly string Rerouted = Join(MeshText.Root, Namespace("shop"), Service("shop", "web", "app: web", Http),
        Pod("shop", "web-1", "app: web"));

    internal static AnalyzerCase[] All { get; } =
    [
        new("ISM1431", "c1 VirtualService shop/web spec.http[0].delegate",
            Join(Web, Istio("VirtualService", "shop", "web", Root80), Istio("VirtualService", "shop", "parts", Part)),
            Join(Web, Istio("VirtualService", "shop", "web", Root80), Istio("VirtualService", "shop", "part", Part)),
            "VirtualService shop/part does not exist"),
        new("ISM1431", "c1 VirtualService shop/web spec.http[0].delegate",
            Join(Web, Istio("VirtualService", "shop", "web", Root80), Istio("VirtualService", "shop", "part", $"hosts: [part.example], {Part}")),
            Join(Web, Istio("VirtualService", "shop", "web", Root80), Istio("VirtualService", "shop", "part", Part)), "is no delegate"),
        new("ISM1432", "c1 Namespace shop metadata.labels[istio.io/rev]",
            Join(MeshText.Root, Istiod, Injector("canary"), Namespace("shop", "istio.io/rev: canray")),
            Join(MeshText.Root, Istiod, Injector("canary"), Namespace("shop", "istio.io/rev: canary")),
            "asks for revision canray, which no control plane of c1 serves"),
        new("ISM1432", "c1 Pod shop/web-1 metadata.labels[istio.io/rev]",
            Join(MeshText.Root, Istiod, Injector("canary"), Namespace("shop", "istio-injection: disabled"), Bare("shop", "web-1", "istio.io/rev: old")),
            Join(MeshText.Root, Istiod, Injector("canary"), Namespace("shop"), Pod("shop", "web-1", "istio.io/rev: old")), "it has no sidecar"),
        new("ISM1433", "c1 Job shop/import spec.template", Join(Web, Job("running: {}", "terminated: {exitCode: 0}")),
            Join(Web, Job("running: {}", "running: {}")), "the Job never completes"),
        new("ISM1434", "c1 Pod shop/web-1 spec.containers[0].readinessProbe.httpGet", Join(Rerouted, Probed("/healthz", ""), Strict("STRICT")),
            Join(Rerouted, Probed("/app-health/app/readyz", ""), Strict("STRICT")), "checks port 8080 without mutual TLS"),
        new("ISM1434", "c1 Pod shop/web-1 spec.containers[0].readinessProbe.httpGet",
            Join(Rerouted, Probed("/healthz", "traffic.sidecar.istio.io/includeInboundPorts: '8080'"), Strict("STRICT")),
            Join(Rerouted, Probed("/healthz", "traffic.sidecar.istio.io/excludeInboundPorts: '8080'"), Strict("STRICT")), "always fails"),
        // What is excluded counts only where no ports are included, and an empty list includes none.
        new("ISM1434", "c1 Pod shop/web-1 spec.containers[0].readinessProbe.httpGet",
            Join(Rerouted, Probed("/healthz", "traffic.sidecar.istio.io/includeInboundPorts: '8080', traffic.sidecar.istio.io/excludeInboundPorts: '8080'"),
                Strict("STRICT")),
            Join(Rerouted, Probed("/healthz", "traffic.sidecar.istio.io/includeInboundPorts: ''"), Strict("STRICT")), "the proxy demands there (STRICT)"),
        new("ISM1557", "c1 APIService v1.shop spec.service", Join(Rerouted, Strict("STRICT"), Api), Join(Rerouted, Strict("PERMISSIVE"), Api),
            "calls port 80 of Service shop/web without mutual TLS, which the proxy of Pod shop/web-1 demands there", Remedy: "portLevelMtls"),
        new("ISM1557", "c1 APIService v1.shop spec.service",
            Join(Rerouted, Strict("STRICT"), Probed("/app-health/app/readyz", "traffic.sidecar.istio.io/excludeInboundPorts: '9090'"), Api),
            Join(MeshText.Root, Namespace("shop"), Service("shop", "web", "app: web", Http), Strict("STRICT"),
                Probed("/app-health/app/readyz", "traffic.sidecar.istio.io/excludeInboundPorts: '8080'"), Api), "every call fails"),
        new("ISM1557", "c1 ValidatingWebhookConfiguration checks webhooks[1].clientConfig.service", Join(Rerouted, Strict("STRICT"), Checks),
            Join(Rerouted, Strict("STRICT"), Level(8080), Checks), "calls port 80 of Service shop/web"),
        new("ISM1436", "c1 VirtualService shop/web spec.http", Join(Bytes("tcp"), Istio("VirtualService", "shop", "web", Aborts)),
            Join(Bytes("http"), Istio("VirtualService", "shop", "web", Aborts)), "80 (TCP)"),
        new("ISM1436", "c1 VirtualService shop/web spec.http", Join(Bytes("tls"), Istio("VirtualService", "shop", "web", Aborts)),
            Join(Bytes("tcp-a"), Bytes("web").Replace("name: web", "name: other", StringComparison.Ordinal),
                Istio("VirtualService", "shop", "web", Aborts.Replace("hosts: [web]", "hosts: [other]", StringComparison.Ordinal))),
            "80 (TLS)"),
        new("ISM1436", "c1 VirtualService shop/web spec.http[0].match[0].port", Join(Both, Istio("VirtualService", "shop", "web", OfPort("http", 81))),
            Join(Both, Istio("VirtualService", "shop", "web", OfPort("http", 80))), "is 81, which declares TCP for web"),
        new("ISM1542", "c1 VirtualService shop/web spec.tcp[0]", Join(Bytes("http"), Istio("VirtualService", "shop", "web", OfPort("tcp"))),
            Join(Bytes("tcp"), Istio("VirtualService", "shop", "web", OfPort("tcp"))), "port 80 (HTTP) declares HTTP", Remedy: "write an http route"),
        new("ISM1542", "c1 VirtualService shop/web spec.tcp[0]", Join(Both, Istio("VirtualService", "shop", "web", OfPort("tcp", 80))),
            Join(Both, Istio("VirtualService", "shop", "web", OfPort("tcp"))), "a tcp route is for connections"),
        new("ISM1542", "c1 VirtualService shop/web spec.tls[0]",
            Join(Bytes("http"), Istio("VirtualService", "shop", "web", OfPort("tls").Replace("[{route", "[{match: [{sniHosts: [web]}], route",
                StringComparison.Ordinal))),
            Join(Bytes("web"), Istio("VirtualService", "shop", "web", OfPort("tcp"))), "a tls route is for connections", Remedy: "appProtocol: tls"),
        new("ISM1437", "c1 DestinationRule shop/web spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to[north/b/*]",
            Join(Placed, Shares("north/a/*", "north/b/*")), Join(Placed, Shares("north/a/*", "north/*")), "its share of 100 % goes to the others"),
        new("ISM1437", "c1 DestinationRule shop/web spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].from",
            Join(Placed, Shares("south/*", "north/*")), Join(Placed, Shares("*", "north/a")), "no caller is there"),
        new("ISM1437", "c1 DestinationRule shop/web spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0].to", Join(Placed, Fails("north", "west")),
            Join(Placed, Entry("west/c"), Fails("north", "west")), "nothing to fail over to"),
        new("ISM1437", "c1 DestinationRule shop/web spec.subsets[0].trafficPolicy.loadBalancer.localityLbSetting.failover[0].from",
            Join(Web, Node(""),
                Istio("DestinationRule", "shop", "web",
                    "host: web, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {localityLbSetting: {failover: [{from: north, to: "
                        + "west}]} } } }]")),
            Join(Web, Node("")), "north is the locality of nothing"),
        new("ISM1482", "c1 DestinationRule shop/web spec.trafficPolicy.loadBalancer.localityLbSetting.failover",
            Join(Placed, Entry("west/c"), Fails("north", "west").Replace(", outlierDetection: {consecutive5xxErrors: 5}", "", StringComparison.Ordinal)),
            Join(Placed, Entry("west/c"), Fails("north", "west")), "has no effect without outlierDetection"),
        // A subset adds detection to the failover of its rule; the policy of a port takes the place of all that the rule says.
        new("ISM1482", "c1 DestinationRule shop/web spec.trafficPolicy.loadBalancer.localityLbSetting.failover",
            Join(Placed, Entry("west/c"), Undetected($"trafficPolicy: {{ {Failover} }}, subsets: [{{name: v1, labels: {{version: v1}} }}]")),
            Join(Placed, Entry("west/c"), Undetected($"trafficPolicy: {{ {Failover} }}, subsets: [{{name: v1, labels: {{version: v1}}, trafficPolicy: "
                + $"{{ {Detection} }} }}]")), "go to all localities alike"),
        new("ISM1482", "c1 DestinationRule shop/web spec.trafficPolicy.portLevelSettings[0].loadBalancer.localityLbSetting.failover",
            Join(Placed, Entry("west/c"), Undetected($"trafficPolicy: {{ {Detection}, portLevelSettings: [{{port: {{number: 80}}, {Failover} }}] }}")),
            Join(Placed, Entry("west/c"), Undetected($"trafficPolicy: {{portLevelSettings: [{{port: {{number: 80}}, {Failover}, {Detection} }}] }}")),
            "has no effect without outlierDetection"),
        new("ISM1438", "c1 EnvoyFilter shop/web spec.configPatches[0].match.context", Join(Web, Patch("GATEWAY", "")), Join(Web, Patch("SIDECAR_INBOUND", "")),
            "are no gateways"),
        new("ISM1438", "c1 EnvoyFilter shop/web spec.configPatches[0].match.listener.portNumber", Join(Web, Patch("SIDECAR_OUTBOUND", "portNumber: 8123, ")),
            Join(Web, Patch("SIDECAR_OUTBOUND", "portNumber: 80, ")), "has port 8123"),
        new("ISM1438", "c1 EnvoyFilter shop/web spec.configPatches[0].match.listener.filterChain.filter.subFilter.name",
            Join(Web, Patch("SIDECAR_INBOUND", "", "envoy.filters.http.roter")), Join(Web, Patch("SIDECAR_INBOUND", "", "envoy.filters.http.router")),
            "no proxy has the HTTP filter envoy.filters.http.roter"),
        new("ISM1438", "c1 EnvoyFilter shop/web spec.configPatches[0].match.listener.filterChain.filter.subFilter.name",
            Join(Web, Patch("SIDECAR_INBOUND", "", "plugin")),
            Join(Web, Patch("SIDECAR_INBOUND", "", "istio.stats")), "no proxy has the HTTP filter plugin"),
        new("ISM1438", "c1 EnvoyFilter shop/web spec.configPatches[0].match.cluster.service", Join(Web, ClusterPatch("wbe")), Join(Web, ClusterPatch("web")),
            "as a Service or ServiceEntry"),
        new("ISM1438", "c1 EnvoyFilter shop/web spec.configPatches[0].match.routeConfiguration.gateway", Join(Web, RoutePatch("shop/front")),
            Join(Web, Workload("shop", "gw-1", "istio: gw", "containers: [{name: istio-proxy, args: [proxy, router]}]"),
                Service("shop", "gw", "istio: gw", "{name: http, port: 80}"),
                Istio("Gateway", "shop", "front", "selector: {istio: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]"),
                RoutePatch("shop/front")),
            "there is no Gateway shop/front"),
        new("ISM1478", "c1 DestinationRule shop/web spec.trafficPolicy.tunnel", Join(Bytes("http"), Tunneled("tunnel: {targetHost: a.example, targetPort: 443}")),
            Join(Bytes("tcp"), Tunneled("tunnel: {targetHost: a.example, targetPort: 443}")), "declares HTTP at 80 (HTTP)"),
        new("ISM1478", "c1 DestinationRule shop/web spec.trafficPolicy.portLevelSettings[0].tunnel",
            Join(Bytes("http"), Tunneled("portLevelSettings: [{port: {number: 80}, tunnel: {targetHost: a.example, targetPort: 443} }]")),
            Join(Bytes("http"), Tunneled("tunnel: {targetHost: a.example, targetPort: 443}"), Istio("VirtualService", "shop", "ways",
                "hosts: [a.example], tcp: [{route: [{destination: {host: web.shop.svc.cluster.local, port: {number: 80} } }] }]")),
            "only connections of TCP and TLS"),
        new("ISM1479", "c1 AuthorizationPolicy shop/gw spec.selector", Join(Web, Passing("AUTO_PASSTHROUGH"), OfGateway(Callers)),
            Join(Web, Passing("PASSTHROUGH"), OfGateway(Callers), Istio("AuthorizationPolicy", "shop", "all", Callers)),
            "so that calls of other networks fail: Pod shop/gw-1 passes connections"),
        // What a gateway does know means the same there.
        new("ISM1479", "c1 AuthorizationPolicy shop/gw spec.selector", Join(Web, Passing("AUTO_PASSTHROUGH"), OfGateway($"action: DENY, {Callers}")),
            Join(Web, Passing("AUTO_PASSTHROUGH"), OfGateway("action: DENY, rules: [{from: [{source: {ipBlocks: [10.9.0.0/16]} }]}]")),
            "matches nobody there by source.namespace"),
        new("ISM1479", "c1 AuthorizationPolicy shop/gw spec.selector", Join(Web, PassingApi("gw-2", "Same"), PolicyOfPassing),
            Join(Web, PassingApi("gw-2", "Same"), SetOfPassing, PolicyOfPassing), "Pod shop/gw-2 passes connections"),
        new("ISM1479", "c1 AuthorizationPolicy shop/gw spec.selector", Join(Web, PassingApi("gw-3", "None"), SetOfPassing, PolicyOfPassing),
            Join(Web, PassingApi("gw-3", "All"), SetOfPassing, PolicyOfPassing), "Pod shop/gw-3 passes connections"),
        new("ISM1435", "c1 PeerAuthentication shop/web spec.portLevelMtls[80]", Join(Rerouted, Level(80)), Join(Rerouted, Level(8080)),
            "leads to port 8080 of the workloads"),
    ];

    private const string Aborts =
        "hosts: [web], http: [{fault: {abort: {httpStatus: 500, percentage: {value: 100} } }, route: [{destination: {host: web} }] }]";

    private static string Placed => Join(Web, Node("topology.kubernetes.io/region: north, topology.kubernetes.io/zone: a"));

    private static string Bytes(string port) =>
        Join(MeshText.Root, Namespace("shop"), Service("shop", "web", "app: web", $"{{name: {port}, port: 80}}"), Pod("shop", "web-1", "app: web"));

    private static string Both => Join(MeshText.Root, Namespace("shop"), Service("shop", "web", "app: web",
        "{name: http, port: 80}, {name: tcp, port: 81}"), Pod("shop", "web-1", "app: web"));

    private static string OfPort(string kind, int port = 0) =>
        $"hosts: [web], {kind}: [{{{(port > 0 ? $"match: [{{port: {port}}}], " : "")}route: [{{destination: {{host: web}} }}] }}]";

    private static string Tunneled(string policy) => Istio("DestinationRule", "shop", "web", $"host: web, trafficPolicy: {{ {policy} }}");

    private const string Callers = "rules: [{from: [{source: {namespaces: [shop]} }]}]";

    private static string OfGateway(string policy) =>
        Istio("AuthorizationPolicy", "shop", "gw", $"selector: {{matchLabels: {{istio: gw}} }}, {policy}");

    private static string Passing(string mode) => Join(Workload("shop", "gw-1", "istio: gw", "containers: [{name: istio-proxy, args: [proxy, router]}]"),
        Deployment("shop", "gw", "istio: gw", "containers: [{name: istio-proxy, args: [proxy, router]}]"),
        Service("shop", "gw", "istio: gw", "{name: tls, port: 15443}"), Istio("Gateway", "shop", "cross",
            $"selector: {{istio: gw}}, servers: [{{port: {{number: 15443, name: tls, protocol: TLS}}, tls: {{mode: {mode}}}, hosts: ['*.local']}}]"));

    private static string PassingApi(string pod, string allowed) => Join(
        Workload("shop", pod, "gateway.networking.k8s.io/gateway-name: gw", "containers: [{name: istio-proxy, args: [proxy, router]}]"),
        "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, namespace: shop, labels: {topology.istio.io/network: n1} }, spec: "
            + "{gatewayClassName: istio-east-west, allowedListeners: {namespaces: {from: " + allowed
            + "} }, listeners: [{name: tls, port: 15443, protocol: TLS, tls: {mode: Passthrough} }] } }");

    private static string SetOfPassing =>
        "{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: gw, namespace: shop}, spec: {parentRef: {name: gw}, listeners: "
            + "[{name: web, port: 80, protocol: HTTP}] } }";

    private static string PolicyOfPassing =>
        Istio("AuthorizationPolicy", "shop", "gw", $"selector: {{matchLabels: {{gateway.networking.k8s.io/gateway-name: gw}} }}, {Callers}");

    private static string Node(string labels) => $"{{apiVersion: v1, kind: Node, metadata: {{name: node, labels: {{ {labels} }} }} }}";

    private static string Entry(string locality) => Istio("WorkloadEntry", "shop", "vm", $"address: 10.9.9.9, locality: {locality}");

    private static string Shares(string from, string to) =>
        Istio("DestinationRule", "shop", "web",
            $"host: web, trafficPolicy: {{loadBalancer: {{localityLbSetting: {{distribute: [{{from: '{from}', to: {{'{to}': 100}} }}]}} }} }}");

    private const string Failover = "loadBalancer: {localityLbSetting: {failover: [{from: north, to: west}]} }",
        Detection = "outlierDetection: {consecutive5xxErrors: 5}";

    private static string Undetected(string spec) => Istio("DestinationRule", "shop", "web", $"host: web, {spec}");

    private static string Fails(string from, string to) =>
        Istio("DestinationRule", "shop", "web",
            $"host: web, trafficPolicy: {{loadBalancer: {{localityLbSetting: {{failover: [{{from: {from}, to: {to}}}]}} }}, outlierDetection: "
                + $"{{consecutive5xxErrors: 5}} }}");

    private static string Patch(string context, string listener, string before = "envoy.filters.http.router") => Istio("EnvoyFilter", "shop", "web",
        $"workloadSelector: {{labels: {{app: web}} }}, configPatches: [{{applyTo: HTTP_FILTER, match: {{context: {context}, listener: {{ "
            + $"{listener}filterChain: {{filter: {{name: envoy.filters.network.http_connection_manager, subFilter: {{name: {before}}} }} }} }} }}, "
        + "patch: {operation: INSERT_BEFORE, value: {name: envoy.filters.http.cors, typed_config: {'@type': "
        + "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors} } } }]");

    private static string ClusterPatch(string service) => Istio("EnvoyFilter", "shop", "web",
        $"configPatches: [{{applyTo: CLUSTER, match: {{context: SIDECAR_OUTBOUND, cluster: {{service: {service}.shop.svc.cluster.local}} }}, patch: "
            + $"{{operation: MERGE, value: {{connect_timeout: 1s}} }} }}]");

    private static string RoutePatch(string gateway) => Istio("EnvoyFilter", "shop", "web",
        $"configPatches: [{{applyTo: VIRTUAL_HOST, match: {{context: ANY, routeConfiguration: {{gateway: {gateway}}} }}, patch: {{operation: MERGE, value: "
            + $"{{include_request_attempt_count: true}} }} }}]");

    private const string Part = "http: [{route: [{destination: {host: web} }] }]";

    private const string Istiod =
        "{apiVersion: v1, kind: Service, metadata: {name: istiod, namespace: istio-system}, spec: {clusterIP: 10.0.0.9, ports: [{name: https, port: 443}] } }";

    private static string Injector(string revision) =>
        LongLines.Joined($$"""
            {apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: injector}, \
            webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {namespace: istio-system, name: istiod} }, \
            namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [{{revision}}] }] } }] }
            """);

    private static string Job(string proxy, string app) =>
        Pod("shop", "import-x", "job: import", status: $"containerStatuses: [{{name: istio-proxy, state: {{ {proxy} }} }}, {{name: app, state: {{ {app} }} }}]")
        .Replace("namespace: shop,", "namespace: shop, ownerReferences: [{apiVersion: batch/v1, kind: Job, name: import, uid: a}],", StringComparison.Ordinal);

    private static string Probed(string path, string annotations) =>
        Workload("shop", "web-1", "app: web",
            $"containers: [{{name: app, image: app, readinessProbe: {{httpGet: {{path: {path}, port: 8080}} }} }}, {{name: istio-proxy, image: proxy}}]")
            .Replace("namespace: shop,", $"namespace: shop, annotations: {{ {annotations} }},", StringComparison.Ordinal);

    private static string Strict(string mode) => Istio("PeerAuthentication", "shop", "all", $"mtls: {{mode: {mode}}}");

    private static string Level(int port) =>
        Istio("PeerAuthentication", "shop", "web",
            $"selector: {{matchLabels: {{app: web}} }}, mtls: {{mode: STRICT}}, portLevelMtls: {{ '{port}': {{mode: DISABLE}} }}");

    private const string Api = "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.shop}, "
        + "spec: {group: shop, version: v1, service: {namespace: shop, name: web, port: 80} } }";

    private const string Checks = "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: checks}, "
        + "webhooks: [{name: a.shop.example, clientConfig: {url: 'https://shop.example'} }, "
        + "{name: b.shop.example, clientConfig: {service: {namespace: shop, name: web, port: 80} } }]}";
}
