using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Meshes that look odd and are healthy: nobody is warned of anything.</summary>
public sealed class HealthyMeshTests
{
    private static readonly string Istiod = Workload("istio-system", "istiod-1", "app: istiod", "containers: [{name: discovery}]");

    private static readonly string Ingress = Join(Workload("istio-system", "gw-1", "istio: ingress", "containers: [{name: istio-proxy}]"),
        Service("istio-system", "gw", "istio: ingress", "{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}"));

    /// <summary>The gateway of a cluster that others call by names of the zone global.</summary>
    private static readonly string Entry = Join(Workload("istio-system", "entry-1", "istio: entry", "containers: [{name: istio-proxy}]"),
        Service("istio-system", "entry", "istio: entry", "{name: tls, port: 15443, targetPort: 15443}"),
        Istio("Gateway", "istio-system", "entry",
            "selector: {istio: entry}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.global']}]"));

    public static TheoryData<string> Names() => [.. Meshes().Select(mesh => mesh.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Nobody_is_warned_of_an_odd_but_healthy_mesh(string name) => Assert.Empty(Warnings(Analyze(Meshes().Single(mesh => mesh.Name == name).Text)));

    private static IEnumerable<(string Name, string Text)> Meshes() =>
    [
        ("a Service whose Pods are in the other cluster only", Clusters(
            Join(Root, Istiod, Namespace("shop"), Service("shop", "web", "app: web"), Pod("shop", "caller", "app: caller")),
            Join(Root, Namespace("shop"), Service("shop", "web", "app: web"), Pod("shop", "web-1", "app: web")))),
        ("objects for the whole mesh in a root namespace of its own", Join(Web, Istiod, Namespace("policies"),
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: 'rootNamespace: policies'} }",
            Istio("AuthorizationPolicy", "policies", "web", "selector: {matchLabels: {app: web} }, rules: [{}]"),
            Istio("AuthorizationPolicy", "policies", "all", "rules: [{}]"), Istio("PeerAuthentication", "policies", "default", "mtls: {mode: STRICT}"),
            Istio("Sidecar", "policies", "default", "egress: [{hosts: ['*/*']}]"))),
        ("a route of the Gateway API whose requests go out in TLS", Join(Web,
            Istio("ServiceEntry", "shop", "secure", "hosts: [secure.example.com], location: MESH_EXTERNAL, resolution: DNS, "
                + "ports: [{number: 443, name: https, protocol: HTTPS}]"),
            Istio("DestinationRule", "shop", "secure", "host: secure.example.com, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: system} }"),
            "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: web, namespace: shop}, spec: {parentRefs: [{group: '', "
                + "kind: Service, name: web, port: 80}], rules: [{backendRefs: [{group: networking.istio.io, kind: Hostname, name: secure.example.com, "
                + "port: 443}]}]} }")),
        ("routes to ports that declare what the routes send, or nothing", Join(Web.Replace("{name: http, port: 80}",
            "{name: odd, port: 80}, {name: https, port: 443}, {name: http, port: 81}", StringComparison.Ordinal),
            Istio("DestinationRule", "shop", "web", "host: web.shop.svc.cluster.local, trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: "
                + "{mode: SIMPLE, caCertificates: system} }, {port: {number: 81}, connectionPool: {http: {h2UpgradePolicy: UPGRADE} } }]}"),
            ApiObject("Gateway", "front", "gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}, {name: tls, port: 443, protocol: TLS, "
                + "tls: {mode: Passthrough} }]"),
            ApiObject("HTTPRoute", "web", "parentRefs: [{name: front}], rules: [{backendRefs: [{name: web, port: 443}]}]"),
            ApiObject("GRPCRoute", "calls", "hostnames: [calls.example], parentRefs: [{name: front}], rules: [{backendRefs: [{name: web, port: 80}]}, "
                + "{matches: [{method: {service: a.B} }], backendRefs: [{name: web, port: 81}]}]"),
            ApiObject("TLSRoute", "raw", "hostnames: [raw.example], parentRefs: [{name: front}], rules: [{backendRefs: [{name: web, port: 80}]}]"))),
        ("a Gateway whose namespace redirects, and lets other namespaces have https only", Join(Web, Namespace("other"), Service("other", "web", "app: web"),
            Pod("other", "web-2", "app: web"),
            ApiObject("Gateway", "front", "gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}, {name: alt, port: 81, protocol: HTTP, "
                + "allowedRoutes: {namespaces: {from: All} } }]"),
            ApiObject("HTTPRoute", "redirect", "parentRefs: [{name: front, sectionName: http}], rules: [{filters: [{type: RequestRedirect, requestRedirect: "
                + "{scheme: https} }]}]"),
            ApiObject("HTTPRoute", "web", "hostnames: [web.example], parentRefs: [{name: front, namespace: shop}], rules: [{backendRefs: [{name: web, "
                + "port: 80}]}]")
                .Replace("namespace: shop}, spec", "namespace: other}, spec", StringComparison.Ordinal))),
        ("workloads without sidecars in a cluster that lacks their Service",
            Clusters(Web, Join(Root, Namespace("shop", "istio-injection: disabled"), Deployment("shop", "web", "app: web"),
                Bare("shop", "web-2", "app: web")))),
        ("a Deployment that is scaled to zero in a cluster that lacks its Service",
            Clusters(Web, Join(Root, Namespace("shop"), Deployment("shop", "web", "app: web", replicas: 0)))),
        ("Pods that a ServiceEntry selects in a cluster that lacks their Service",
            Clusters(Web, Join(Root, Namespace("shop"), Pod("shop", "web-2", "app: web"), Istio("ServiceEntry", "shop", "web",
                "hosts: [web.example], location: MESH_INTERNAL, ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, workloadSelector: "
                    + "{labels: {app: web} }")))),
        ("a gateway in a cluster that lacks the Service of that in another",
            Clusters(Join(Web, Workload("shop", "gw-1", "istio: gw", "containers: [{name: istio-proxy, args: [proxy, router]}]"),
                Service("shop", "gw", "istio: gw")),
                Join(Web, Workload("shop", "gw-2", "istio: gw", "containers: [{name: istio-proxy, args: [proxy, router]}]")))),
        ("an export of a Service that only the other cluster has",
            Clusters(Join(Web, Export("web"), Export("api")), Join(Web, Service("shop", "api", "app: web"), Export("web"), Export("api")))),
        ("a Service that is local to its cluster", Clusters(Join(Web, Local), Join(Root, Local, Namespace("shop"), Pod("shop", "web-2", "app: web")))),
        ("Services that clusters share only if they are exported", Clusters(
            Join(Web, Istiod, Deployment("istio-system", "istiod", "app: istiod",
                "containers: [{name: discovery, env: [{name: ENABLE_MCS_SERVICE_DISCOVERY, value: 'true'}]}]")
                .Replace("namespace: istio-system }", "namespace: istio-system, labels: {app: istiod} }", StringComparison.Ordinal)),
            Join(Root, Namespace("shop"), Pod("shop", "web-2", "app: web")))),
        ("a Deployment outside of the mesh that says so, in another network",
            Clusters(Web, Join(Root.Replace("network1", "network2", StringComparison.Ordinal), Namespace("shop"), Service("shop", "web", "app: web"),
                Pod("shop", "web-2", "app: web"), Deployment("shop", "old", "app: web, sidecar.istio.io/inject: 'false', security.istio.io/tlsMode: disabled"),
                Bare("shop", "old-1", "app: web, sidecar.istio.io/inject: 'false', security.istio.io/tlsMode: disabled")))),
        ("a canary that is scaled to zero, with a subset and a weight of 0", Join(Web, Deployment("shop", "web-v2", "app: web, version: v2", replicas: 0),
            Istio("DestinationRule", "shop", "web", "host: web, subsets: [{name: v1, labels: {version: v1} }, {name: v2, labels: {version: v2} }]"),
            Istio("VirtualService", "shop", "web",
                "hosts: [web], http: [{route: [{destination: {host: web, subset: v1}, weight: 100}, {destination: {host: web, subset: v2}, weight: 0}] }]"))),
        ("a primary whose policies are for a remote cluster", Clusters(
            Join(Root, Istiod, Namespace("shop"),
                Istio("AuthorizationPolicy", "shop", "policy",
                    "selector: {matchLabels: {app: web} }, rules: [{from: [{source: {principals: [cluster.local/ns/ops/sa/robot]} }] }]"),
                Istio("PeerAuthentication", "shop", "web", "selector: {matchLabels: {app: web} }, mtls: {mode: STRICT}")),
            Join(Root, Namespace("shop"), Namespace("ops"), Pod("shop", "web-1", "app: web"),
                Pod("ops", "robot-1", "app: robot", "serviceAccountName: robot")))),
        ("two teams that share a Gateway's port for every host", Join(Web, Ingress,
            Istio("Gateway", "shop", "one", "selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]"),
            Istio("Gateway", "shop", "two", "selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]"),
            Istio("VirtualService", "shop", "one",
                "gateways: [one], hosts: ['*'], http: [{match: [{uri: {prefix: /one} }], route: [{destination: {host: web} }] }]"),
            Istio("VirtualService", "shop", "two",
                "gateways: [two], hosts: ['*'], http: [{match: [{uri: {prefix: /two} }], route: [{destination: {host: web} }] }]"))),
        ("objects of the Gateway API for another controller", GatewayApiCases.Foreign),
        ("delegates, and a route without a match last",
            Join(Web, Ingress,
                Istio("Gateway", "shop", "front",
                    "selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [web.example]}]"),
            Istio("VirtualService", "shop", "root",
                "gateways: [front], hosts: [web.example], http: [{match: [{uri: {prefix: /a} }], delegate: {name: part} }, {match: [{uri: {prefix: /a/b} }], "
                    + "route: [{destination: {host: web} }] }, {route: [{destination: {host: web} }] }]"),
            Istio("VirtualService", "shop", "part", "http: [{route: [{destination: {host: web} }] }]"))),
        ("a headless Service beside another of the same Pods",
            Join(Web, Deployment("shop", "web", "app: web, version: v1"),
                Service("shop", "web-peers", "app: web", "{name: http, port: 80}").Replace("10.0.0.1", "None", StringComparison.Ordinal))),
        ("Pods that are left out of the mesh, completed, or of the host's network",
            Join(Root, Namespace("shop"), Bare("shop", "legacy", "app: legacy, sidecar.istio.io/inject: 'false'"),
                Bare("shop", "job", "app: job").Replace("Running", "Succeeded", StringComparison.Ordinal),
            Workload("shop", "agent", "app: agent", "hostNetwork: true, containers: [{name: app}]"), Namespace("tools", "istio-injection: disabled"),
            Bare("tools", "t", "app: t"), Namespace("plain", ""), Bare("plain", "p", "app: p"))),
        ("routes of a gateway for a host that a wildcard within a name has for sidecars", Join(Web, Ingress,
            Istio("Gateway", "shop", "front", "selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]"),
            Istio("VirtualService", "shop", "all", "hosts: ['*eb.shop.svc.cluster.local'], http: [{timeout: 3s, route: [{destination: {host: web} }] }]"),
            Istio("VirtualService", "shop", "outside", "gateways: [front], hosts: [web.shop.svc.cluster.local], "
                + "http: [{route: [{destination: {host: web} }] }]"),
            Istio("VirtualService", "shop", "made", "hosts: ['*-made.example'], http: [{route: [{destination: {host: web} }] }]"),
            Istio("Sidecar", "shop", "default", "egress: [{hosts: [./web.shop.svc.cluster.local, ./own-made.example, './*wn-made.example']}]"))),
        ("external services: one wildcard, one behind DNS, TLS origination, a workload outside", Join(Web,
            Istio("ServiceEntry", "shop", "wild", "hosts: ['*.example'], ports: [{number: 443, name: tls, protocol: TLS}], resolution: NONE"),
            Istio("ServiceEntry", "shop", "api", "hosts: [api.example], ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}], resolution: DNS"),
            Istio("DestinationRule", "shop", "api", "host: api.example, trafficPolicy: {tls: {mode: SIMPLE} }"),
            Istio("ServiceEntry", "shop", "vm",
                "hosts: [vm.example], location: MESH_INTERNAL, ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, workloadSelector: "
                    + "{labels: {app: vm} }"),
            Istio("WorkloadEntry", "shop", "vm-1", "address: 203.0.113.7, labels: {app: vm}, serviceAccount: vm"),
            Istio("AuthorizationPolicy", "shop", "vm",
                "selector: {matchLabels: {app: vm} }, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/vm]} }] }]"))),
        ("a mesh that is being moved to mutual TLS",
            Join(Web, Bare("shop", "old", "app: old, sidecar.istio.io/inject: 'false'"), Service("shop", "old", "app: old"),
                Istio("PeerAuthentication", "istio-system", "default", "mtls: {mode: STRICT}"),
            Istio("DestinationRule", "shop", "old", "host: old, trafficPolicy: {tls: {mode: DISABLE} }"),
            Istio("PeerAuthentication", "shop", "web",
                "selector: {matchLabels: {app: web} }, mtls: {mode: STRICT}, portLevelMtls: {'80': {mode: PERMISSIVE} }"))),
        ("a route per cluster, and a cluster of another kind beside the mesh", Clusters(
            Join(Web, Istiod, Istio("VirtualService", "shop", "route", "hosts: [web], http: [{route: [{destination: {host: web} }] }]")),
            Join(Web, Istiod, Istio("VirtualService", "shop", "route", "hosts: [web], http: [{route: [{destination: {host: web} }] }]")),
            Join(Namespace("apps", ""), Bare("apps", "a", "app: a"), Service("apps", "a", "app: a", "{port: 80}")))),
        ("clusters that are joined by names, each with a Service and a route of its own", Clusters(
            Join(Web, Istiod, Entry, Istio("VirtualService", "shop", "route", "hosts: [web], http: [{route: [{destination: {host: web} }] }]")),
            Join(Web.Replace("port: 80}", "port: 81}", StringComparison.Ordinal), Istiod, Entry,
                Istio("VirtualService", "shop", "route", "hosts: [web], http: [{timeout: 3s, route: [{destination: {host: web} }] }]")))),
        ("one VirtualService for sidecars and one for a gateway, with the same host",
            Join(Web, Ingress,
                Istio("Gateway", "shop", "front",
                    "selector: {istio: ingress}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [web.shop.svc.cluster.local]}]"),
            Istio("VirtualService", "shop", "inside", "hosts: [web], http: [{route: [{destination: {host: web} }] }]"),
            Istio("VirtualService", "shop", "outside", "gateways: [front], hosts: [web], http: [{route: [{destination: {host: web} }] }]"))),
    ];

    private const string Local = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: \"serviceSettings: "
        + "[{settings: {clusterLocal: true}, hosts: ['*.shop.svc.cluster.local']}]\"} }";

    private static string ApiObject(string kind, string name, string spec) =>
        $$"""{apiVersion: gateway.networking.k8s.io/v1, kind: {{kind}}, metadata: {name: {{name}}, namespace: shop}, spec: { {{spec}} } }""";

    private static string Export(string name) =>
        $"{{apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceExport, metadata: {{name: {name}, namespace: shop}} }}";

    private static string Clusters(params string[] clusters) => string.Join($"\n{Next}\n", clusters);
}
