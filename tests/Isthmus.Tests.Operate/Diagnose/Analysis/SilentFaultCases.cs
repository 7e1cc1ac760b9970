using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>What has no effect, or the wrong one, without any object being invalid.</summary>
internal static class SilentFaultCases
{
    private const string Root80 = "hosts: [web], http: [{match: [{uri: {prefix: /a} }], delegate: {name: part} }, {route: [{destination: {host: web} }] }]";

    private const string Http = "{name: http, port: 80, targetPort: 8080}";

    private static readonly string Rerouted = Join(MeshText.Root, Namespace("shop"), Service("shop", "web", "app: web", Http), Pod("shop", "web-1", "app: web"));

    internal static AnalyzerCase[] All { get; } =
    [
        new("ISM1431", "c1 VirtualService shop/web spec.http[0].delegate", Join(Web, Istio("VirtualService", "shop", "web", Root80), Istio("VirtualService", "shop", "parts", Part)),
            Join(Web, Istio("VirtualService", "shop", "web", Root80), Istio("VirtualService", "shop", "part", Part)), "VirtualService shop/part does not exist"),
        new("ISM1431", "c1 VirtualService shop/web spec.http[0].delegate", Join(Web, Istio("VirtualService", "shop", "web", Root80), Istio("VirtualService", "shop", "part", $"hosts: [part.example], {Part}")),
            Join(Web, Istio("VirtualService", "shop", "web", Root80), Istio("VirtualService", "shop", "part", Part)), "is no delegate"),
        new("ISM1432", "c1 Namespace shop metadata.labels[istio.io/rev]", Join(MeshText.Root, Istiod, Injector("canary"), Namespace("shop", "istio.io/rev: canray")),
            Join(MeshText.Root, Istiod, Injector("canary"), Namespace("shop", "istio.io/rev: canary")), "asks for revision canray, which no control plane of c1 serves"),
        new("ISM1432", "c1 Pod shop/web-1 metadata.labels[istio.io/rev]", Join(MeshText.Root, Istiod, Injector("canary"), Namespace("shop", "istio-injection: disabled"), Bare("shop", "web-1", "istio.io/rev: old")),
            Join(MeshText.Root, Istiod, Injector("canary"), Namespace("shop"), Pod("shop", "web-1", "istio.io/rev: old")), "it has no sidecar"),
        new("ISM1433", "c1 Job shop/import spec.template", Join(Web, Job("running: {}", "terminated: {exitCode: 0}")), Join(Web, Job("running: {}", "running: {}")), "the Job never completes"),
        new("ISM1434", "c1 Pod shop/web-1 spec.containers[0].readinessProbe.httpGet", Join(Rerouted, Probed("/healthz", ""), Strict("STRICT")),
            Join(Rerouted, Probed("/app-health/app/readyz", ""), Strict("STRICT")), "checks port 8080 without mutual TLS"),
        new("ISM1434", "c1 Pod shop/web-1 spec.containers[0].readinessProbe.httpGet", Join(Rerouted, Probed("/healthz", "traffic.sidecar.istio.io/includeInboundPorts: '8080'"), Strict("STRICT")),
            Join(Rerouted, Probed("/healthz", "traffic.sidecar.istio.io/excludeInboundPorts: '8080'"), Strict("STRICT")), "always fails"),
        new("ISM1435", "c1 PeerAuthentication shop/web spec.portLevelMtls[80]", Join(Rerouted, Level(80)), Join(Rerouted, Level(8080)), "leads to port 8080 of the workloads"),
    ];

    private const string Part = "http: [{route: [{destination: {host: web} }] }]";

    private const string Istiod = "{apiVersion: v1, kind: Service, metadata: {name: istiod, namespace: istio-system}, spec: {clusterIP: 10.0.0.9, ports: [{name: https, port: 443}] } }";

    private static string Injector(string revision) =>
        $$"""{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: injector}, webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {service: {namespace: istio-system, name: istiod} }, namespaceSelector: {matchExpressions: [{key: istio.io/rev, operator: In, values: [{{revision}}] }] } }] }""";

    private static string Job(string proxy, string app) => Pod("shop", "import-x", "job: import", status: $"containerStatuses: [{{name: istio-proxy, state: {{ {proxy} }} }}, {{name: app, state: {{ {app} }} }}]")
        .Replace("namespace: shop,", "namespace: shop, ownerReferences: [{apiVersion: batch/v1, kind: Job, name: import, uid: a}],", StringComparison.Ordinal);

    private static string Probed(string path, string annotations) =>
        Workload("shop", "web-1", "app: web", $"containers: [{{name: app, image: app, readinessProbe: {{httpGet: {{path: {path}, port: 8080}} }} }}, {{name: istio-proxy, image: proxy}}]")
            .Replace("namespace: shop,", $"namespace: shop, annotations: {{ {annotations} }},", StringComparison.Ordinal);

    private static string Strict(string mode) => Istio("PeerAuthentication", "shop", "all", $"mtls: {{mode: {mode}}}");

    private static string Level(int port) => Istio("PeerAuthentication", "shop", "web", $"selector: {{matchLabels: {{app: web}} }}, mtls: {{mode: STRICT}}, portLevelMtls: {{ '{port}': {{mode: DISABLE}} }}");
}
