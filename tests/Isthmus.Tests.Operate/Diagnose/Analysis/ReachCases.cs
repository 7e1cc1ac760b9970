using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Calls that objects keep from workloads although both are there: by a gateway, by a proxy, or by what callers see.</summary>
internal static class ReachCases
{
    private static readonly string Plane = Workload("istio-system", "istiod-1", "app: istiod", "containers: [{name: discovery}]");

    /// <summary>Callers in one network, and what they call in another, behind a gateway.</summary>
    private static readonly string Near = Join(Root, Plane, Settings("trustDomain: cluster.local"), Namespace("shop"), Namespace("ops"),
        Service("shop", "web", "app: web"), Pod("ops", "caller", "app: caller"));

    private static readonly string Far = Join(Root.Replace("network1", "network2", StringComparison.Ordinal), Plane, Namespace("shop"),
        Service("shop", "web", "app: web"), Pod("shop", "web-1", "app: web"),
        Workload("istio-system", "east-1", "istio: east", "containers: [{name: istio-proxy, args: [proxy, router]}]"),
        Service("istio-system", "east", "istio: east", "{name: tls, port: 15443}"), Istio("Gateway", "istio-system", "cross",
            "selector: {istio: east}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]"));

    private static readonly string FarAlike = Join(Far, Settings("trustDomain: cluster.local"));

    /// <summary>The same with a gateway of the Gateway API.</summary>
    private static readonly string FarOfApi = Far[..Far.LastIndexOf('\n')].Replace("istio: east",
            "gateway.networking.k8s.io/gateway-name: east", StringComparison.Ordinal)
        + "\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: east, namespace: istio-system, labels: {topology.istio.io/network: "
        + "network2}}, spec: {gatewayClassName: istio-east-west, listeners: [{name: cross, port: 15443, protocol: TLS, tls: {mode: Passthrough}}]}}";

    private static readonly string FarOfApiAlike = Join(FarOfApi, Settings("trustDomain: cluster.local"));

    private static readonly string Legacy = Join(Far, Service("shop", "legacy", "app: web"));

    private static readonly string Callers = Join(Web, Namespace("ops"), Pod("ops", "caller", "app: caller"));

    /// <summary>An egress gateway, and a host outside.</summary>
    private static string Leaving => Join(Web, Workload("istio-system", "out-1", "istio: out", "containers: [{name: istio-proxy, args: [proxy, router]}]"),
        Service("istio-system", "out", "istio: out", "{name: http, port: 80}"),
        Istio("ServiceEntry", "shop", "bank", "hosts: [bank.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS"));

    private static string Onward => Istio("Gateway", "istio-system", "out",
        "selector: {istio: out}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [bank.example]}]");

    private const string On = ", {match: [{gateways: [istio-system/out]}], route: [{destination: {host: bank.example} }]}";

    /// <summary>The way of sidecars to the gateway.</summary>
    private static string Out(string more = "") => Istio("VirtualService", "shop", "out", "hosts: [bank.example], gateways: [mesh, istio-system/out], "
        + "http: [{match: [{gateways: [mesh]}], route: [{destination: {host: out.istio-system.svc.cluster.local} }]}" + more + "]");

    private static readonly string Gates = Join(Web, Workload("istio-system", "gw-1", "istio: gw", "containers: [{name: istio-proxy, args: [proxy, router]}]"),
        Service("istio-system", "gw", "istio: gw", "{name: https, port: 443}"));

    /// <summary>An entry for Pods, which only the other cluster has.</summary>
    private static string EntryOfPods => Istio("ServiceEntry", "shop", "legacy", "hosts: [legacy.internal], location: MESH_INTERNAL, resolution: STATIC, "
        + "ports: [{number: 80, name: http, protocol: HTTP}], workloadSelector: {labels: {app: web} }");

    internal static AnalyzerCase[] All { get; } =
    [
        new("ISM1546", "c1 VirtualService shop/out spec.http[0].route[0].destination.host", Join(Leaving, Out(On)),
            Join(Leaving, Out(On), Onward), "for which no Gateway has a server with that host", Remedy: "create a Gateway that selects the gateway"),
        new("ISM1546", "c1 VirtualService shop/out spec.http[0].route[0].destination.host", Join(Leaving, Onward, Out()),
            Join(Leaving, Onward, Out(On)), "no VirtualService routes bank.example on from there", Remedy: "add istio-system/out to gateways"),
        new("ISM1548", "c1 ServiceEntry shop/legacy spec.hosts[0]", Two(Join(Near, EntryOfPods), Far), Two(Join(Near, EntryOfPods),
            Join(Far.Replace("'*.local'", "'*.local', legacy.internal", StringComparison.Ordinal), EntryOfPods)),
            "c2 has no ServiceEntry of legacy.internal, and has no Gateway that passes legacy.internal on",
            Remedy: "apply the ServiceEntry in c2 as well, and add legacy.internal to spec.servers[*].hosts of Gateway istio-system/cross there"),
        new("ISM1548", "c1 ServiceEntry shop/legacy spec.hosts[0]", Two(Join(Near, EntryOfPods), Join(Far, EntryOfPods)), Two(Join(Near, EntryOfPods),
            Join(Far.Replace("network2", "network1", StringComparison.Ordinal), EntryOfPods)), "c2 has no Gateway that passes",
            Remedy: "add legacy.internal to spec"),
        new("ISM1531", "c2 Service istio-system/east metadata.annotations[networking.isthmus.internal/gateway-weight]", Two(Near, Weighed("0")),
            Two(Near, Weighed("1")), "is 0, which takes the gateway out, and network2 has no other one in use", Remedy: "annotate service east"),
        new("ISM1532", "c1 Pod ops/viewer spec.containers[istio-proxy].env[ISTIO_META_REQUESTED_NETWORK_VIEW]", Two(Join(Near, Viewer("network1")), Far),
            Two(Join(Near, Viewer("'network1,network2'")), Far), "it gets none in network2"),
        new("ISM1532", "c2 Pod istio-system/east-1 spec.containers[istio-proxy].env[ISTIO_META_REQUESTED_NETWORK_VIEW]", Two(Near, FarViewing("network1")),
            Two(Near, FarViewing("network2")), "it gets none in network2, the network that it is in",
            Remedy: "set ISTIO_META_REQUESTED_NETWORK_VIEW to network2 in the Pod's template"),
        new("ISM1534", "c1 Service shop/legacy spec.externalName", Two(Join(Near, Alias("legacy.corp.example")), Legacy),
            Two(Join(Near, Service("shop", "legacy", "app: web")), Legacy), "is legacy.corp.example, and in c2 the Service has Pods, such as Pod shop/web-1",
            Remedy: "kubectl --context=c1 -n shop delete service legacy && kubectl --context=c1 apply -f - <<< '{"),
        // Whoever writes a host of the mesh means that one.
        new("ISM1534", "c1 Service shop/legacy spec.externalName", Two(Join(Near, Alias("legacy.corp.example")), Legacy),
            Two(Join(Near, Alias("web.shop.svc.cluster.local")), Legacy), "reach none of these"),
        new("ISM1513", "c1 DestinationRule shop/web spec.trafficPolicy.tls.mode", Two(Join(Near, Tls("DISABLE")), FarAlike),
            Two(Join(Near, Tls("ISTIO_MUTUAL")), FarAlike),
            "is DISABLE, and the workloads of web.shop.svc.cluster.local, such as Pod shop/web-1 in c2, are in other networks than callers such as Pod "
                + "ops/caller"),
        // What is in the callers' network, too, they call without a gateway.
        new("ISM1513", "c1 DestinationRule shop/web spec.trafficPolicy.portLevelSettings[0].tls.mode",
            Two(Join(Near, PortTls("DISABLE")), FarAlike), Two(Join(Near, PortTls("DISABLE"), Pod("shop", "web-9", "app: web")), FarAlike), "is DISABLE"),
        // For callers of its own namespace only, where nobody calls.
        new("ISM1513", "c1 DestinationRule shop/web spec.trafficPolicy.tls.mode", Two(Join(Near, Tls("DISABLE")), FarAlike),
            Two(Join(Near, Tls("DISABLE").Replace("spec: {", "spec: { exportTo: ['.'],", StringComparison.Ordinal)), FarAlike),
            "pass mutual TLS of the mesh only"),
        new("ISM1513", "c1 DestinationRule shop/web spec.trafficPolicy.tls.mode", Two(Join(Near, Tls("DISABLE")), FarOfApiAlike),
            Two(Join(Near, Tls("ISTIO_MUTUAL")), FarOfApiAlike), "gateways between networks pass mutual TLS"),
        new("ISM1513", "c1 DestinationRule istio-system/all spec.trafficPolicy.tls.mode", Two(Join(Near, AllTls("*.local", "DISABLE")), FarAlike),
            Two(Join(Near, AllTls("*.local", "ISTIO_MUTUAL")), FarAlike), "is DISABLE for *.local, and the workloads of web.shop.svc.cluster.local"),
        new("ISM1513", "c1 DestinationRule istio-system/all spec.trafficPolicy.tls.mode",
            Two(Join(Near, AllTls("*.shop.svc.cluster.local", "DISABLE")), FarAlike),
            Two(Join(Near, AllTls("*.shop.svc.cluster.local", "DISABLE"), Tls("ISTIO_MUTUAL")), FarAlike), "is DISABLE for *.shop.svc.cluster.local"),
        new("ISM1515", "c1 VirtualService shop/web spec.http[0].route[0].destination.subset", Join(Callers, Subset("exportTo: ['.'], "), Route("")),
            Join(Callers, Subset("exportTo: ['.', ops], "), Route("")), "exported to . only: callers in namespace ops, to whom the route applies, get 503"),
        new("ISM1515", "c1 VirtualService shop/web spec.http[0].route[0].destination.subset", Join(Callers, Subset("exportTo: ['.'], "), Route("")),
            Join(Callers, Subset("exportTo: ['.'], "), Route("exportTo: ['.'], ")), "DestinationRule shop/web defines"),
        new("ISM1515", "c1 VirtualService shop/web spec.http[0].route[0].destination.subset", Join(Callers, Subset("exportTo: ['.'], "), Route("")),
            Join(Callers, Subset("exportTo: ['.'], "), Route("").Replace("{route:", "{match: [{sourceNamespace: shop}], route:", StringComparison.Ordinal)),
            "is v1 of web.shop.svc.cluster.local"),
        new("ISM1515", "c1 VirtualService shop/web spec.http[0].route[0].destination.subset", Two(Join(Near, Ready("exportTo: ['.'], "), Route("")),
                Join(FarAlike, Ready("exportTo: ['.'], "))),
            Two(Join(Near, Ready(""), Route("")), Join(FarAlike, Ready(""))), "get 503",
            Remedy: "; in c2, for its gateway: add istio-system to it, or remove it"),
        new("ISM1421", "c2 DestinationRule shop/web spec.exportTo", Two(Join(Near, Ready(""), Route("")), Join(FarAlike, Ready("exportTo: ['.'], "))),
            Two(Join(Near, Ready(""), Route("")), Join(FarAlike, Ready("exportTo: ['.', istio-system], "))),
            "is ., without istio-system: the gateway of c2, Pod istio-system/east-1, does not know the subset v1"),
        new("ISM1421", "c2 DestinationRule shop/web spec.exportTo", Two(Join(Near, Ready(""), Route("")), Join(FarOwn, Ready(""))),
            Two(Join(Near, Ready(""), Route("")), Join(FarOwn, Ready("exportTo: ['*'], "))),
            "is not set, and ConfigMap istio-system/istio in c2 sets ., without istio-system"),
        new("ISM1421", "c2 DestinationRule ops/web metadata.namespace", Two(Join(Near, Ready(""), Route("")), Join(FarAlike, InOps)),
            Two(Join(Near, Ready(""), Route("")), Join(FarAlike, Ready(""))), "is ops, so that the rule is for callers there alone"),
        new("ISM1516", "c1 VirtualService shop/web spec.http", Join(Gates, Server("PASSTHROUGH"), AtServer("http: [{route: [{destination: {host: web} }] }]")),
            Join(Gates, RoutingCases.Sealed, Server("PASSTHROUGH"),
                AtServer("tls: [{match: [{sniHosts: [web.example.com]}], route: [{destination: {host: sealed} }] }]")),
            "server 0 of Gateway istio-system/front passes TLS on without looking inside (mode PASSTHROUGH), and follows tls routes only"),
        new("ISM1516", "c1 VirtualService shop/web spec.http", Join(Gates, Server("PASSTHROUGH"), AtServer("http: [{route: [{destination: {host: web} }] }]")),
            Join(Gates, Server("SIMPLE, credentialName: front"), AtServer("http: [{route: [{destination: {host: web} }] }]")),
            "has no effect"),
        // No word of a port of requests: nobody follows the route.
        new("ISM1536", "c1 VirtualService shop/web spec.tls", Join(Gates, Server("SIMPLE, credentialName: front"),
                AtServer("tls: [{match: [{sniHosts: [web.example.com]}], route: [{destination: {host: web, port: {number: 80} } }] }]")),
            Join(Gates, Server("SIMPLE, credentialName: front"), AtServer("http: [{route: [{destination: {host: web} }] }]")),
            "has no effect: server 0 of Gateway istio-system/front ends TLS (mode SIMPLE), and sees requests, and follows http routes only",
            Remedy: "write http routes, or let the server pass TLS on (tls.mode: PASSTHROUGH)"),
        new("ISM1536", "c1 VirtualService shop/web spec.tcp", Join(Gates, Server("SIMPLE, credentialName: front").Replace(", protocol: HTTPS}, tls: {mode: "
                + "SIMPLE, credentialName: front}", ", protocol: HTTP}", StringComparison.Ordinal), AtServer("tcp: [{route: [{destination: {host: web} }] }]")),
            Join(Gates, Server("SIMPLE, credentialName: front"), AtServer("http: [{route: [{destination: {host: web} }] }]")),
            "has protocol HTTP, and sees requests", Remedy: "write http routes, or give the server the protocol TCP"),
        new("ISM1517", "c1 Pod shop/web-1 metadata.annotations[traffic.sidecar.istio.io/excludeInboundPorts]", Join(Callers, Excluded("80")),
            Join(Callers, Excluded("9090")), "keeps port 80 from the proxy, to which port 80 of Service shop/web leads"),
        new("ISM1517", "c1 Pod shop/web-1 metadata.annotations[traffic.sidecar.istio.io/excludeInboundPorts]", Join(Callers, Excluded("80")),
            Join(Callers, Excluded("80"), Tls("DISABLE")), "which nothing ends"),
        new("ISM1517", "c1 Pod shop/web-1 metadata.annotations[traffic.sidecar.istio.io/excludeInboundPorts]", Join(Callers, Excluded("80")),
            Join(Callers, Excluded("80").Replace("traffic.", "prometheus.io/port: '80', traffic.", StringComparison.Ordinal)), "callers with a proxy"),
        new("ISM1517", "c1 Pod shop/web-1 metadata.annotations[traffic.sidecar.istio.io/includeInboundPorts]", Join(Callers, Included("9090")),
            Join(Callers, Included("9090,80")), "is 9090, and keeps port 80 from the proxy, to which port 80 of Service shop/web leads"),
        new("ISM1517", "c1 Pod shop/web-1 metadata.annotations[traffic.sidecar.istio.io/includeInboundPorts]", Join(Callers, Included("")),
            Join(Callers, Included("*")), "is empty, and keeps port 80 from the proxy"),
        new("ISM1517", "c1 Pod shop/web-1 metadata.annotations[traffic.sidecar.istio.io/includeInboundPorts]", Join(Led8080, Included("80")),
            Join(Led8080, Included("8080")), "keeps port 8080 from the proxy, to which port 80 of Service shop/web leads"),
        new("ISM1518", "c1 Sidecar shop/own spec.ingress[0].defaultEndpoint", Join(Root, Namespace("shop"), Declaring(8080), Leads(80)),
            Join(Root, Namespace("shop"), Declaring(8080), Leads(8080)), "leads to port 80, which no container of Pod shop/web-1 declares: they have 8080"),
        // Containers need not declare their ports.
        new("ISM1518", "c1 Sidecar shop/own spec.ingress[0].defaultEndpoint", Join(Root, Namespace("shop"), Declaring(8080), Leads(80)),
            Join(Root, Namespace("shop"), Pod("shop", "web-1", "app: web"), Leads(80)), "leads to port 80"),
        new("ISM1519", "c2 Namespace shop metadata.labels", Two(Near, Join(Far, Settings(Selecting))),
            Two(Near, Join(Far, Settings(Selecting)).Replace("name: shop, labels: { ", "name: shop, labels: { mesh: main, ", StringComparison.Ordinal)),
            "its gateway knows no Service there, and refuses calls from other networks, such as those of Pod ops/caller in c1 for shop/web"),
        new("ISM1519", "c2 Namespace shop metadata.labels", Two(Near, Join(FarOfApi, Settings(Selecting))),
            Two(Near, Join(FarOfApi, Settings(Selecting)).Replace("name: shop, labels: { ", "name: shop, labels: { mesh: main, ", StringComparison.Ordinal)),
            "its gateway knows no Service there, and refuses calls from other networks"),
        new("ISM1519", "c2 Service shop/web metadata.annotations[networking.istio.io/exportTo]", Two(Near, Exported("shop,ops")),
            Two(Near, Exported("shop,ops,istio-system")), "is shop,ops, without istio-system, the namespace of Pod istio-system/east-1"),
        new("ISM1519", "c2 Service shop/web metadata.annotations[networking.istio.io/exportTo]", Two(Near, Exported("shop,ops")),
            Two(Near, Exported(".")), "does not know the Service"),
        new("ISM1005", "c2 Service istio-system/east", Two(Near, Gated("")), Two(Near, Gated(OnLoad)),
            "spec.type is ClusterIP, so it has no external address", "-n istio-system patch service east -p '{\"spec\":{\"type\":\"LoadBalancer\"}}'"),
        new("ISM1006", "c2 Deployment istio-system/east", Two(Near, Gated(OnLoad, 0)), Two(Near, Gated(OnLoad, 1)),
            "spec.replicas is 0, so Service istio-system/east has no Pods", "kubectl --context=c2 -n istio-system scale deployment east --replicas=1"),
        new("ISM1007", "c2 Service istio-system/east", Two(Near, Gated(OnLoad).Replace("port: 15443}]", "port: 15444}]", StringComparison.Ordinal)),
            Two(Near, Gated(OnLoad)), "has no port 15443", "add the port"),
        new("ISM1015", "c2 Service istio-system/east", Two(Near, Hidden), Two(Near, Gated(OnLoad)), "no Gateway exposes its services to other networks",
            "kubectl --context=c2 apply -n istio-system -f samples/multicluster/expose-services.yaml"),
        new("ISM1015", "c2 Gateway istio-system/cross spec.servers[0].tls.mode",
            Two(Near, Gated(OnLoad).Replace("mode: AUTO_PASSTHROUGH", "mode: PASSTHROUGH", StringComparison.Ordinal)), Two(Near, Gated(OnLoad)),
            "is PASSTHROUGH, and no Gateway exposes services of c2", "set spec.servers[0].tls.mode of Gateway istio-system/cross to AUTO_PASSTHROUGH"),
        new("ISM1556", "c2 Pod istio-system/app-1 metadata.labels[istio]", Two(Near, Join(Gated(OnLoad), Bare("istio-system", "app-1", "istio: east"))),
            Two(Near, Join(Gated(OnLoad), Bare("istio-system", "app-1", "istio: other"))),
            "has istio=east, by which Service istio-system/east selects it beside its gateway, Pod istio-system/east-1: the Pod is no gateway",
            "remove the label from the Pod's template"),
        new("ISM1556", "c1 Pod istio-system/app-1 metadata.labels[istio]",
            Join(Gates, Server("SIMPLE, credentialName: front"), Sidecar("istio: gw")), Join(Gates, Server("SIMPLE, credentialName: front")),
            "by which Service istio-system/gw selects it beside its gateway, Pod istio-system/gw-1"),
        new("ISM1520", "c1 Service istio-system/east spec.selector", Entrance("istio: in"), Entrance("istio: east"),
            "is istio=in, and selects Pod istio-system/in-1, which no Gateway with tls.mode AUTO_PASSTHROUGH selects, while Pod istio-system/east-1 serves",
            "--type=json -p '[{\"op\":\"replace\",\"path\":\"/spec/selector\",\"value\":{\"istio\":\"east\"}}]'"),
        new("ISM1541", "c1 ConfigMap istio-system/istio data.mesh.enableAutoMtls",
            Two(Near.Replace("trustDomain: cluster.local", "enableAutoMtls: false", StringComparison.Ordinal), Far), Two(Near, Far),
            "is false, so that proxies of network1 send plain text, and c2 is in network2", "set it to true"),
    ];

    /// <summary>Meshes in which nothing is to be found, although something of them looks like it.</summary>
    internal static (string Code, string Mesh)[] Fine { get; } =
    [
        // One network has no gateway in between.
        ("ISM1513", Two(Join(Near, Tls("DISABLE")), FarAlike.Replace("network2", "network1", StringComparison.Ordinal))),
        // Nothing passes calls on, so that this is not what is wrong.
        ("ISM1513", Two(Join(Near, Tls("DISABLE")), FarOfApiAlike.Replace("port: 15443, protocol", "port: 443, protocol", StringComparison.Ordinal))),
        ("ISM1513", Two(Join(Near, Tls("DISABLE")), FarAlike.Replace("AUTO_PASSTHROUGH", "PASSTHROUGH", StringComparison.Ordinal))),
        // The rule of the caller's own namespace counts.
        ("ISM1513", Two(Join(Near, Tls("DISABLE"), Tls("ISTIO_MUTUAL").Replace("namespace: shop", "namespace: ops", StringComparison.Ordinal)), FarAlike)),
        // A Sidecar says which hosts a namespace calls.
        ("ISM1515", Join(Callers, Subset("exportTo: ['.'], "), Route(""), Istio("Sidecar", "ops", "own", "egress: [{hosts: ['istio-system/*']}]"))),
        ("ISM1516", Join(Gates, Server("PASSTHROUGH"), AtServer("http: [{route: [{destination: {host: web} }] }]")
            .Replace("istio-system/front]", "istio-system/front, mesh]", StringComparison.Ordinal))),
        // Callers without a proxy get through, and so does what is called in plain text.
        ("ISM1517", Join(Root, Namespace("shop"), Service("shop", "web", "app: web"), Excluded("80"), Bare("shop", "caller", "app: caller"))),
        ("ISM1517", Join(Callers, Excluded("80"), Istio("PeerAuthentication", "shop", "plain", "mtls: {mode: DISABLE}"))),
        // Who leaves the namespace out as well does not call it, and what has no proxy is no endpoint of others.
        ("ISM1519", Two(Near.Replace("trustDomain: cluster.local", Selecting, StringComparison.Ordinal), Join(Far, Settings(Selecting)))),
        ("ISM1519", Two(Near, Join(Far, Settings(Selecting)).Replace("{name: app, image: app}, {name: istio-proxy, image: proxy}", "{name: app, image: app}",
            StringComparison.Ordinal))),
        // All calls are mutual TLS by a rule, or in one network.
        ("ISM1541", Two(Join(Near.Replace("trustDomain: cluster.local", "enableAutoMtls: false", StringComparison.Ordinal),
            Istio("DestinationRule", "istio-system", "all", "host: '*.local', trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}")), Far)),
        ("ISM1541", Two(Near.Replace("trustDomain: cluster.local", "enableAutoMtls: false", StringComparison.Ordinal),
            Far.Replace("network2", "network1", StringComparison.Ordinal))),
        // No other network, one that is told by meshNetworks, and a load balancer that files know nothing of.
        ("ISM1005", Gated("")),
        ("ISM1005", Two(Join(Near, "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: 'trustDomain: a', "
            + "meshNetworks: 'networks: {network2: {endpoints: [{fromRegistry: c2}], gateways: [{address: 192.0.2.9, port: 15443}]}}'} }"), Gated(""))),
        ("ISM1005", Two(Near, Gated("type: LoadBalancer, "))),
        ("ISM1006", Gated(OnLoad, 0)),
        ("ISM1015", Hidden),
        // It is not ready, or the Service is for metrics of both.
        ("ISM1556", Join(Gates, Server("SIMPLE, credentialName: front"), Bare("istio-system", "app-1", "istio: gw", "reason: none"))),
        ("ISM1556", Join(Gates, Sidecar("istio: gw"))),
        // Its settings were not read.
        ("ISM1519", Two(Near, Far)),
    ];

    private const string Selecting = "discoverySelectors: [{matchLabels: {mesh: main} }]";

    private static string Alias(string of) => "{apiVersion: v1, kind: Service, metadata: {name: legacy, namespace: shop}, "
        + $"spec: {{type: ExternalName, externalName: {of}, ports: [{{name: http, port: 80}}]}}}}";

    private static string Weighed(string weight) => Far.Replace("metadata: {name: east, namespace: istio-system }",
        "metadata: {name: east, namespace: istio-system, labels: {topology.istio.io/network: network2}, annotations: "
            + $"{{networking.isthmus.internal/gateway-weight: '{weight}'}} }}", StringComparison.Ordinal)
        .Replace("selector: { istio: east }", "externalIPs: [10.0.0.9], selector: { istio: east }", StringComparison.Ordinal);

    private static string Viewer(string networks) => Workload("ops", "viewer", "app: viewer",
        "containers: [{name: app, image: app}, {name: istio-proxy, image: "
        + $"proxy, env: [{{name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: {networks}}}]}}]");

    private static string FarViewing(string networks) => Far.Replace("args: [proxy, router]",
        $"args: [proxy, router], env: [{{name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: {networks}}}]", StringComparison.Ordinal);

    private static string Two(string one, string two) => $"{one}\n{Next}\n{two}";

    private static string Settings(string mesh) =>
        $"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: istio, namespace: istio-system}}, data: {{mesh: '{mesh}'}} }}";

    private static string Tls(string mode) =>
        Istio("DestinationRule", "shop", "web", $"host: web.shop.svc.cluster.local, trafficPolicy: {{tls: {{mode: {mode}}} }}");

    private static string AllTls(string host, string mode) =>
        Istio("DestinationRule", "istio-system", "all", $"host: '{host}', trafficPolicy: {{tls: {{mode: {mode}}} }}");

    private static string PortTls(string mode) => Istio("DestinationRule", "shop", "web",
        $"host: web.shop.svc.cluster.local, trafficPolicy: {{portLevelSettings: [{{port: {{number: 80}}, tls: {{mode: {mode}}} }}] }}");

    private static string Subset(string more) => Istio("DestinationRule", "shop", "web", $"host: web, {more}subsets: [{{name: v1, labels: {{version: v1}} }}]");

    /// <summary>A subset of Pods that are there.</summary>
    private static string Ready(string more) =>
        Istio("DestinationRule", "shop", "web", $"host: web.shop.svc.cluster.local, {more}subsets: [{{name: v1, labels: {{app: web}} }}]");

    private static string Entrance(string selector) => Join(
        FarAlike.Replace("metadata: {name: east, namespace: istio-system }, spec: {clusterIP: 10.0.0.1, selector: { istio: east }",
            "metadata: {name: east, namespace: istio-system, labels: {topology.istio.io/network: network2} }, spec: {clusterIP: 10.0.0.1, "
                + $"selector: {{ {selector} }}", StringComparison.Ordinal),
        Workload("istio-system", "in-1", "istio: in", "containers: [{name: istio-proxy, args: [proxy, router]}]"),
        Service("istio-system", "in", "istio: in", "{name: https, port: 443}"));

    private static string Sidecar(string labels) =>
        Workload("istio-system", "app-1", labels, "containers: [{name: app, image: app}, {name: istio-proxy, image: proxy, args: [proxy, sidecar]}]");

    private const string OnLoad = "externalIPs: [192.0.2.1], ";

    internal static string Entered(string spec) => Two(Near, Gated(spec));

    /// <summary>The far cluster, whose gateway has the label of its network.</summary>
    private static string Gated(string spec, int replicas = 1) => Join(
        Without(Labelled(spec), replicas > 0 ? "no such line" : "{name: east-1,"),
        Deployment("istio-system", "east", "istio: east", "containers: [{name: istio-proxy, args: [proxy, router]}]", replicas: replicas));

    private static string Labelled(string spec) => FarAlike.Replace("metadata: {name: east, namespace: istio-system }, spec: {",
        $"metadata: {{name: east, namespace: istio-system, labels: {{topology.istio.io/network: network2}} }}, spec: {{{spec}", StringComparison.Ordinal);

    private static string Hidden => Without(Gated(OnLoad), "kind: Gateway");

    private static string Without(string mesh, string part) =>
        string.Join('\n', mesh.Split('\n').Where(line => !line.Contains(part, StringComparison.Ordinal)));

    private static string InOps => Ready("").Replace("namespace: shop,", "namespace: ops,", StringComparison.Ordinal);

    private static string FarOwn => Join(Far, Settings("defaultDestinationRuleExportTo: [\".\"]"));

    private static string Route(string more) =>
        Istio("VirtualService", "shop", "web", $"hosts: [web], {more}http: [{{route: [{{destination: {{host: web, subset: v1}} }}] }}]");

    private static string Server(string tls) => Istio("Gateway", "istio-system", "front",
        $"selector: {{istio: gw}}, servers: [{{port: {{number: 443, name: tls, protocol: HTTPS}}, tls: {{mode: {tls}}}, hosts: [web.example.com]}}]");

    private static string AtServer(string routes) =>
        Istio("VirtualService", "shop", "web", $"hosts: [web.example.com], gateways: [istio-system/front], {routes}");

    private static string Excluded(string ports) => Pod("shop", "web-1", "app: web, version: v1").Replace("namespace: shop,",
        $"namespace: shop, annotations: {{traffic.sidecar.istio.io/excludeInboundPorts: '{ports}'}},", StringComparison.Ordinal);

    private static string Led8080 => Join(Root, Namespace("shop"), Service("shop", "web", "app: web", "{name: http, port: 80, targetPort: 8080}"),
        Namespace("ops"), Pod("ops", "caller", "app: caller"));

    private static string Included(string ports) => Excluded(ports).Replace("excludeInbound", "includeInbound", StringComparison.Ordinal);

    private static string Declaring(int port) => Workload("shop", "web-1", "app: web",
        $"containers: [{{name: app, ports: [{{containerPort: {port}}}]}}, {{name: istio-proxy, ports: [{{containerPort: 15090}}]}}]");

    private static string Leads(int port) =>
        Istio("Sidecar", "shop", "own", $"ingress: [{{port: {{number: 9000, protocol: HTTP, name: http}}, defaultEndpoint: '127.0.0.1:{port}'}}]");

    private static string Exported(string to) => FarAlike.Replace("kind: Service, metadata: {name: web, namespace: shop }",
        $"kind: Service, metadata: {{name: web, namespace: shop, annotations: {{networking.istio.io/exportTo: '{to}'}} }}", StringComparison.Ordinal);
}
