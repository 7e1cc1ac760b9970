using Isthmus.Testing;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

internal static class MultiClusterCases
{
    private static readonly string ControlPlane = Workload("istio-system", "istiod-1", "app: istiod",
        "containers: [{name: discovery, env: [{name: CLUSTER_ID, value: cluster1}] }]");

    /// <summary>A cluster with a control plane of its own.</summary>
    private static readonly string Primary = Join(Web, ControlPlane);

    private static readonly string Remote = Web.Replace("name: istio-system,",
        "name: istio-system, annotations: {topology.istio.io/controlPlaneClusters: cluster1},", StringComparison.Ordinal);

    private const string Elsewheres =
        "{apiVersion: v1, kind: Namespace, metadata: {name: mesh-system, annotations: {topology.istio.io/controlPlaneClusters: cluster1} } }";

    /// <summary>The subset two has labels there that no Pod has.</summary>
    private static string Drifted => Istio("DestinationRule", "shop", "web",
            "host: web, subsets: [{name: one, labels: {app: web} }, {name: two, labels: {version: v9} }]");

    private static readonly string Elsewhere = Primary.Replace("network1", "network2", StringComparison.Ordinal);

    private static readonly string Strict = Istio("PeerAuthentication", "shop", "strict", "mtls: {mode: STRICT}, selector: {matchLabels: {app: api} }");

    private static readonly string Tokens = Istio("RequestAuthentication", "istio-system", "tokens", "jwtRules: [{issuer: 'https://issuer.example'}]");

    private const string Pay = "pay.pay.svc.cluster.local";

    /// <summary>Another application with the name of <see cref="Web"/>.</summary>
    private static string Bank => Web.Replace("app: web", "app: bank", StringComparison.Ordinal).Replace("image: app", "image: bank", StringComparison.Ordinal);

    private static string ToPay => Istio("VirtualService", "shop", "route", $"hosts: [web], http: [{{route: [{{destination: {{host: {Pay}}} }}] }}]");

    private static string Paid => Join(Primary, Namespace("pay"), Service("pay", "pay", "app: pay"), Pod("pay", "pay-1", "app: pay", status: ""));

    /// <summary>Another network, with a Pod and a gateway.</summary>
    private static string Far => Join(Elsewhere, Namespace("pay"), Service("pay", "pay", "app: pay"),
        Pod("pay", "pay-1", "app: pay").Replace("status: {phase: Running,", "status: {phase: Running, podIP: 10.1.9.9,", StringComparison.Ordinal),
        Service("istio-system", "in", "istio: in", "{name: http, port: 8080}").Replace("spec:", "status: {loadBalancer: {ingress: [{ip: 172.18.9.9}]} }, spec:",
            StringComparison.Ordinal));

    private static string Entry(string address, string resolution = "STATIC") => Istio("ServiceEntry", "shop", "pay",
        $"hosts: [pay.example], location: MESH_INTERNAL, resolution: {resolution}, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{address: {address}}}]");

    private static string Export(string name) =>
        $"{{apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceExport, metadata: {{name: {name}, namespace: shop}} }}";

    internal static AnalyzerCase[] All { get; } =
    [
        new("ISM1543", "c2 Service shop/web spec.selector", Two(Web, Bank), Two(Web,
                Bank.Replace("name: web, namespace: shop }", "name: bank, namespace: shop }", StringComparison.Ordinal)),
            "two applications (image bank here, app there) have one name", Remedy: "clusterLocal: true"),
        new("ISM1543", "c2 Service shop/web spec.selector", Two(Web, Bank),
            Two(Web, Web.Replace("selector: { app: web }", "selector: { app: web, version: v1 }", StringComparison.Ordinal)
                .Replace("image: app", "image: bank", StringComparison.Ordinal)), "each call goes to one or the other"),
        new("ISM1544", "c1 VirtualService shop/route spec.http[0].route[0].destination.host", Two(Join(Primary, ToPay), Paid),
            Two(Join(Primary, ToPay, Namespace("pay")), Paid), "c1 has no namespace pay: only c2 has the Service"),
        new("ISM1544", "c1 DestinationRule shop/pay spec.host", Two(Join(Primary, Istio("DestinationRule", "shop", "pay", $"host: {Pay}")), Paid),
            Two(Join(Primary, Istio("DestinationRule", "shop", "pay", "host: web.shop.svc.cluster.local")), Paid), "and all calls go there"),
        new("IST0101", "c1 ServiceEntry shop/pay spec.endpoints[0].address", Join(Primary, Entry(Pay, "DNS")),
            Two(Join(Primary, Namespace("pay"), Entry(Pay, "DNS")), Paid), "no cluster has the Service, nor c1 the namespace pay"),
        new("ISM1545", "c1 ServiceEntry shop/pay spec.endpoints[0].address", Two(Join(Primary, Entry("10.1.9.9")), Far),
            Two(Join(Primary, Entry("10.1.9.9, network: network2")), Far), "the address of Pod pay/pay-1 in c2: it is in network network2",
            Remedy: "call pay.pay.svc.cluster.local instead"),
        new("ISM1545", "c1 ServiceEntry shop/pay spec.endpoints[0].ports", Two(Join(Primary, Entry("172.18.9.9")), Far),
            Two(Join(Primary, Entry("172.18.9.9, ports: {http: 8080}")), Far), 
            "lead port 80 to 80 of 172.18.9.9, the address of Service istio-system/in in c2, which has no such port: it has 8080"),
        new("IST0170", "c2 Service shop/web spec.ports", Two(Web, Web.Replace("port: 80}", "port: 80}, {name: http-more, port: 81}", StringComparison.Ordinal)),
            Two(Web, Web), "port 81 of c2 does not exist in c1"),
        new("IST0170", "c2 Service shop/web spec.ports", Two(Web, Web.Replace("port: 80}", "port: 80, protocol: UDP}", StringComparison.Ordinal)),
            Two(Web, Web), "port 80 is UDP in c2 and TCP in c1: connections do not reach the Pods of c2"),
        // DNS has both.
        new("IST0170", "c2 Service shop/web spec.ports",
            Two(Web, Web.Replace("port: 80}", "port: 80}, {name: dns, port: 80, protocol: UDP}", StringComparison.Ordinal)), Two(Web, Web),
            "port 80 of c2 does not exist in c1"),
        new("IST0170", "c2 Service shop/web spec.clusterIP", Two(Web, Web.Replace("clusterIP: 10.0.0.1", "clusterIP: None", StringComparison.Ordinal)),
            Two(Web, Web), "headless in c2"),
        new("ISM1508", "c1 ServiceExport shop/wev metadata.name", Join(Web, Export("wev")), Join(Web, Export("web")), "no cluster has it"),
        new("ISM1416", "c2 Namespace shop metadata.labels", Two(Web, Join(Root, Namespace("shop", ""), Bare("shop", "web-2", "app: web"))),
            Two(Web, Join(Root, Namespace("shop"), Service("shop", "web", "app: web"), Pod("shop", "web-2", "app: web"))), "in c1"),
        new("ISM1418", "c2 Pod shop/web-2 status.containerStatuses",
            Two(Web,
                Join(Root, Namespace("shop"), Service("shop", "web", "app: web"),
                    Pod("shop", "web-2", "app: web", status: "containerStatuses: [{name: app, state: {waiting: {reason: CrashLoopBackOff} } }]"))),
            Two(Web, Web), "1 other Pod answers in its place"),
        new("ISM1414", "c2 Pod shop/web-2 metadata.labels[topology.istio.io/network]",
            Two(Web, Join(Root, Namespace("shop"), Pod("shop", "web-2", "topology.istio.io/network: netwrok1"))),
            Two(Web, Join(Root, Namespace("shop"), Pod("shop", "web-2", "topology.istio.io/network: network1"))), "\"netwrok1\""),
        new("ISM1481", "c2 Pod shop/web-2 metadata.labels[topology.istio.io/network]",
            Two(Web, Join(Root.Replace("network1", "network2", StringComparison.Ordinal), Namespace("shop"),
                Pod("shop", "web-2", "topology.istio.io/network: network1"))),
            Two(Web, Join(Root.Replace("network1", "network2", StringComparison.Ordinal), Namespace("shop"),
                Pod("shop", "web-2", "topology.istio.io/network: network2"))), "is network1, the network of c1, and c2 is in network2",
            Remedy: "remove the label from what the Pod is made from; or, where that does not have it, set values.global.network to network2"),
        // The injector gives the label that the installation says.
        new("ISM1481", "c2 Pod shop/web-2 metadata.labels[topology.istio.io/network]",
            Two(Web, Join(Root.Replace("network1", "network2", StringComparison.Ordinal), Namespace("shop"), Deployment("shop", "web", "app: web"),
                Pod("shop", "web-2", "app: web, topology.istio.io/network: network1"))),
            Two(Web, Join(Root.Replace("network1", "network2", StringComparison.Ordinal), Namespace("shop"),
                Pod("shop", "web-2", "topology.istio.io/network: network2"))), "is network1, the network of c1",
            Remedy: "the template of Deployment shop/web does not have it, so the injector gave it: set values.global.network to network2"),
        // A VM is where its entry says, and Pods of one ReplicaSet are one finding, which their Deployment does not repeat.
        new("ISM1481", "c2 Pod shop/web-2 metadata.labels[topology.istio.io/network]",
            Two(Web, Join(Root.Replace("network1", "network2", StringComparison.Ordinal), Namespace("shop"), Deployment("shop", "web", Astray),
                OfReplicaSet("web-2"), OfReplicaSet("web-3"))),
            Two(Web, Join(Root.Replace("network1", "network2", StringComparison.Ordinal), Namespace("shop"),
                Istio("WorkloadEntry", "shop", "vm", $"address: 10.9.9.9, labels: {{ {Astray} }}"))), "and all others through the gateway of network1",
            Remedy: "remove the label from the template of Deployment shop/web"),
        new("ISM1413", "c2 VirtualService shop/route spec", Two(Join(Primary, Route("web")), Join(Primary, Route("web.shop.svc.cluster.local, weight: 1"))),
            Two(Join(Primary, Route("web")), Join(Primary, Route("web.shop.svc.cluster.local"))), "VirtualService shop/route of c1"),
        new("ISM1525", "c2 VirtualService shop/route spec.hosts[0]", Two(Primary, Join(Primary, Route("web"))),
            Two(Join(Primary, Route("web.shop.svc.cluster.local")), Join(Primary, Route("web"))), "c1 has no VirtualService of it: calls of Pod shop/web-1"),
        new("ISM1525", "c1 DestinationRule shop/web spec.host",
            Two(Join(Primary, Ejecting("web")), Primary), Two(Join(Primary, Ejecting("web")), Join(Primary, Ejecting("other"))),
            "c2 has no DestinationRule of it"),
        // A name for routes alone has no Pods: who does not follow the routes gets no answer.
        new("ISM1525", "c1 VirtualService shop/route spec.hosts[0]", Two(Join(Primary, Name, RouteOfName), Join(Primary, Name)),
            Two(Join(Primary, Name, RouteOfName), Join(Primary, Name, RouteOfName)),
            "api.shop.svc.cluster.local has no Pods of its own, so that these calls fail", "apply VirtualService shop/route of c1 in c2 as well"),
        // Proxies of callees heed limits, too.
        new("ISM1525", "c1 DestinationRule shop/web spec.host",
            Two(Join(Primary, Limiting("web")), Primary), Two(Join(Primary, Limiting("web")), Join(Primary, Limiting("web"))),
            "objects of their own control plane; its connectionPool counts for them as well where they come to Pods in c1"),
        new("ISM1421", "c2 DestinationRule shop/web spec.subsets", Two(Join(Primary, Subsets("one", "two"), ToSubset("two")), Join(Elsewhere, Subsets("one"))),
            Two(Join(Primary, Subsets("one", "two"), ToSubset("two")), Join(Elsewhere, Subsets("one", "two"))), "VirtualService shop/route of c1"),
        new("ISM1421", "c2 DestinationRule shop/web spec.subsets[1].labels",
            Two(Join(Primary, Subsets("one", "two"), ToSubset("two")), Join(Elsewhere, Drifted)),
            Two(Join(Primary, Subsets("one", "two"), ToSubset("two")), Join(Elsewhere, Subsets("one", "two"))), "which no Pod has there"),
        new("ISM1496", "c2 PeerAuthentication shop/mtls spec.mtls.mode", Two(Join(Primary, Mtls("PERMISSIVE")), Join(Elsewhere, Mtls("DISABLE"))),
            Two(Join(Primary, Mtls("PERMISSIVE")), Join(Elsewhere, Mtls("PERMISSIVE"))), "is DISABLE for workloads of Service shop/web in c2"),
        new("ISM1422", "c2 AuthorizationPolicy shop/allow spec", Two(Join(Primary, Allow("GET")), Primary),
            Two(Join(Primary, Allow("GET")), Join(Primary, Allow("GET"))), "would select Pod shop/web-1: calls that end there are not subject to it"),
        new("ISM1422", "c1 AuthorizationPolicy shop/allow spec", Two(Primary, Join(Primary, Allow("GET"))),
            Two(Join(Primary, Allow("GET")), Join(Primary, Allow("GET").Replace("allow", "reads", StringComparison.Ordinal))), "does not exist in c1"),
        new("ISM1422", "c2 AuthorizationPolicy shop/allow spec", Two(Join(Primary, Allow("GET")), Join(Primary, Allow("POST"))),
            Two(Join(Primary, Allow("GET").Replace("name: allow,", "name: allow, annotations: {istio.io/dry-run: 'true'},", StringComparison.Ordinal)),
                Primary),
            "differs from that of c1"),
        new("ISM1422", "c2 PeerAuthentication shop/mtls spec", Two(Join(Primary, Mtls("STRICT")), Primary), Two(Join(Primary, Mtls("PERMISSIVE")), Primary),
            "does not exist in c2, where it would select Pod shop/web-1"),
        new("ISM1422", "c2 RequestAuthentication istio-system/tokens spec", Two(Join(Primary, Tokens), Primary), Two(Join(Primary, Tokens), Web),
            "would select Pod shop/web-1"),
        new("ISM1439", "c2 PeerAuthentication shop/default", Two(Primary, Join(Remote, Mtls("STRICT").Replace("name: mtls", "name: default",
            StringComparison.Ordinal))), Two(Join(Primary, Mtls("STRICT")), Remote), "c2 is a remote cluster"),
        // A control plane without Pods is one, and the namespace that says it may have another name.
        new("ISM1439", "c2 PeerAuthentication shop/mtls", Two(Primary, Join(Web, Elsewheres, Mtls("STRICT"))),
            Two(Join(Primary, Mtls("STRICT")), Join(Web, Elsewheres, Mtls("STRICT"), Deployment("istio-system", "istiod", "app: istiod", replicas: 0))),
            "c2 is a remote cluster"),
        // Objects apply only to clusters of their own control plane.
        new("IST0127", "c1 PeerAuthentication shop/strict spec.selector", Two(Join(Primary, Strict), Join(Primary, Pod("shop", "api-1", "app: api"))),
            Two(Join(Primary, Strict), Join(Web, Pod("shop", "api-1", "app: api"))), "c2 has such Pods"),
        new("ISM1415", "c1 AuthorizationPolicy shop/policy spec.rules[0].from[0].source.principals", Two(Join(Primary, Policy("gone")), Primary),
            Two(Join(Primary, Policy("caller")), Join(Primary, Policy("caller"), Pod("shop", "caller", "app: caller", "serviceAccountName: caller"))),
            "no cluster has the service account gone"),
        new("IST0126", "c1 ConfigMap istio-system/istio data[meshNetworks].networks.n2.endpoints",
            Join(Primary, Networks("cluster8").Replace("fromRegistry", "from_registry", StringComparison.Ordinal)),
            Join(Primary, Networks("cluster1").Replace("fromRegistry", "from_registry", StringComparison.Ordinal)), "cluster8"),
        new("IST0126", "c1 ConfigMap istio-system/istio data[meshNetworks].networks.n2.endpoints", Join(Primary, Networks("cluster9")),
            Join(Primary, Networks("cluster1")), "cluster9"),
        new("IST0101", "c1 VirtualService shop/route spec.http[0].route[0].destination.host", Two(Join(Primary, Route("api")), Primary),
            Two(Join(Primary, Route("api")), Join(Primary, Service("shop", "api", "app: api"), Pod("shop", "api-1", "app: api"))), "no cluster has it"),
    ];

    private const string Astray = "topology.istio.io/network: network1";

    private static string OfReplicaSet(string name) => Pod("shop", name, Astray).Replace("namespace: shop,",
        "namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: a, controller: true}],", StringComparison.Ordinal);

    private static string Two(string one, string two) => $"{one}\n{Next}\n{two}";

    private static string Ejecting(string name) =>
        Istio("DestinationRule", "shop", name, "host: web, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5}}");

    private static string Limiting(string name) =>
        Istio("DestinationRule", "shop", name, "host: web, trafficPolicy: {connectionPool: {tcp: {idleTimeout: 9s}}}");

    private static string Route(string destination)
    {
        var host = destination.Split(',')[0];
        var more = destination[host.Length..];
        return Istio("VirtualService", "shop", "route", $$"""hosts: [web], http: [{route: [{destination: {host: {{host}} }{{more}} }] }]""");
    }

    private static string Name => Service("shop", "api", "app: api");

    private static string RouteOfName => Route("web").Replace("hosts: [web]", "hosts: [api]", StringComparison.Ordinal);

    private static string ToSubset(string subset) =>
        Istio("VirtualService", "shop", "route", $$"""hosts: [web], http: [{route: [{destination: {host: web, subset: {{subset}} } }] }]""");

    private static string Subsets(params string[] names) =>
        Istio("DestinationRule", "shop", "web",
            $$"""host: web, subsets: [{{string.Join(", ", names.Select(name => $"{{name: {name}, labels: {{version: v1}} }}"))}}]""");

    private static string Policy(string account) =>
        Istio("AuthorizationPolicy", "shop", "policy", $$"""rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/{{account}}]} }] }]""");

    private static string Allow(string method) =>
        Istio("AuthorizationPolicy", "shop", "allow", $$"""selector: {matchLabels: {app: web} }, rules: [{to: [{operation: {methods: [{{method}}]} }] }]""");

    private static string Mtls(string mode) => Istio("PeerAuthentication", "shop", "mtls", $$"""mtls: {mode: {{mode}}}""");

    private static string Networks(string registry) =>
        LongLines.Joined($$"""
            {apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, \
            data: {mesh: 'trustDomain: cluster.local', \
            meshNetworks: '{networks: {n2: {endpoints: [{fromRegistry: {{registry}} }], gateways: [{address: 203.0.113.1, port: 15443}]} } }'} }
            """);
}
