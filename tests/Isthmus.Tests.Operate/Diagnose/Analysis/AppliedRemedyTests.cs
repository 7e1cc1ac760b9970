using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Remedies that depend on the case: a mesh with a problem, a part of the remedy, and the mesh as the remedy has it, in which nothing is
/// wrong.</summary>
public sealed class AppliedRemedyTests
{
    private const string Deny = "action: DENY, rules: [{to: [{operation: {methods: [PUT]} }] }]";

    private static readonly (string Code, string Remedy, string Bad, string Good)[] All =
    [
        ("IST0127", "did you mean app=web?", Join(Web, Denying("shop", "selector: {matchLabels: {app: wev} }")),
            Join(Web, Denying("shop", "selector: {matchLabels: {app: web} }"))),
        ("IST0127", "move the AuthorizationPolicy to namespace shop, where such workloads are",
            Join(Web, Namespace("ops"), Pod("ops", "job", "task: job"), Denying("ops", "selector: {matchLabels: {app: web} }")),
            Join(Web, Namespace("ops"), Pod("ops", "job", "task: job"), Denying("shop", "selector: {matchLabels: {app: web} }"))),
        ("IST0127", "move WorkloadEntry ops/vm to namespace shop, or the ServiceEntry to namespace ops", Join(Web, Namespace("ops"), Vm("ops"), Entry("shop")),
            Join(Web, Namespace("ops"), Vm("shop"), Entry("shop"))),
        // Another stage has such workloads: the policy waits for those of its own.
        ("IST0127", "correct the selector, or wait for the Pods",
            Join(Web, Namespace("prod"), Pod("prod", "api", "app: api"), Denying("prod", "selector: {matchLabels: {app: web} }")),
            Join(Web, Namespace("prod"), Pod("prod", "api", "app: api"), Pod("prod", "web", "app: web"),
                Denying("prod", "selector: {matchLabels: {app: web} }"))),
        ("IST0127", "move the AuthorizationPolicy to namespace shop, where Gateway door is", Join(Web, Door, Denying("istio-system", At("door"))),
            Join(Web, Door, Denying("shop", At("door")))),
        ("IST0127", "name a Gateway of namespace shop whose Pods run", Join(Web, Door, Denying("shop", At("dor"))),
            Join(Web, Door, Denying("shop", At("door")))),
        ("IST0127", "move it to the namespace of the workloads that it is for", Join(Web, Namespace("ops"), Denying("ops")), Join(Web, Namespace("ops"),
            Denying("shop"))),
        ("IST0101", "move the Telemetry to namespace shop, where Gateway door is", Join(Web, Door, Measuring("istio-system", "door")),
            Join(Web, Door, Measuring("shop", "door"))),
        ("IST0101", "name a Gateway of namespace shop whose Pods run", Join(Web, Door, Measuring("shop", "dor")), Join(Web, Door, Measuring("shop", "door"))),
        ("IST0113", "set the mode to ISTIO_MUTUAL, or", Join(Web, Rule("DISABLE"), Mtls("STRICT")), Join(Web, Rule("ISTIO_MUTUAL"), Mtls("STRICT"))),
        ("IST0113", "accept plain text (PERMISSIVE)", Join(Web, Rule("DISABLE"), Mtls("STRICT")), Join(Web, Rule("DISABLE"), Mtls("PERMISSIVE"))),
        ("IST0113", "set the mode to DISABLE, or", Join(Web, Rule("ISTIO_MUTUAL"), Mtls("DISABLE")), Join(Web, Rule("DISABLE"), Mtls("DISABLE"))),
        ("IST0113", "accept mutual TLS (PERMISSIVE)", Join(Web, Rule("ISTIO_MUTUAL"), Mtls("DISABLE")), Join(Web, Rule("ISTIO_MUTUAL"), Mtls("PERMISSIVE"))),
        ("IST0113", "or give its Pods a sidecar", Join(Web, Bare("shop", "web-2", "app: web"), Rule("ISTIO_MUTUAL")),
            Join(Web, Pod("shop", "web-2", "app: web"), Rule("ISTIO_MUTUAL"))),
        ("ISM1420", "use one of pages, or a number", Join(Web, Opened, Service("shop", "open", "app: open", "{name: http, port: 80, targetPort: portal}")),
            Join(Web, Opened, Service("shop", "open", "app: open", "{name: http, port: 80, targetPort: pages}"))),
    ];

    private static string Vm(string ns) => Istio("WorkloadEntry", ns, "vm", "address: 10.9.9.9, labels: {app: vm}");

    private static string Entry(string ns) => Istio("ServiceEntry", ns, "vm", "hosts: [vm.example], location: MESH_INTERNAL, resolution: STATIC, "
        + "ports: [{number: 80, name: http, protocol: HTTP}], workloadSelector: {labels: {app: vm} }");

    public static TheoryData<string, string> Names() => [.. All.Select(row => (row.Code, row.Remedy))];

    [Theory]
    [MemberData(nameof(Names))]
    public void The_remedy_ends_the_problem(string code, string remedy)
    {
        var row = All.Single(row => (row.Code, row.Remedy) == (code, remedy));
        var problem = Analyze(row.Bad).Select(finding => finding.Problem).FirstOrDefault(problem => problem.Code == code);
        Assert.Contains(remedy, problem?.Remedy ?? "", StringComparison.Ordinal);
        var mended = Analyze(row.Good);
        Assert.Empty(Warnings(mended));
        Assert.DoesNotContain(mended, finding => finding.Problem.Code == code);
    }

    [Theory]
    [InlineData("app: api", "staging")]
    [InlineData("task: job", "staging")]
    [InlineData("app: api", "")]
    public void No_policy_is_sent_to_one_of_several_namespaces_or_away_from_Pods_with_its_key(string own, string another)
    {
        var mesh = Join(Web, Namespace("prod"), Pod("prod", "one", own), Denying("prod", "selector: {matchLabels: {app: web} }"));
        if (another.Length > 0) mesh = Join(mesh, Namespace(another), Pod(another, "web", "app: web"));
        var problem = Analyze(mesh).Select(finding => finding.Problem).Single(problem => problem.Code == "IST0127");
        Assert.Equal("correct the selector, or wait for the Pods", problem.Remedy);
    }

    /// <summary>The proxy itself listens at its ports: a Service that leads there does not reach the application.</summary>
    [Fact]
    public void No_port_of_the_proxy_is_proposed()
    {
        var problem = Analyze(Join(Web, Opened.Replace("name: pages, containerPort: 8080", "name: http-envoy-prom, containerPort: 15090",
            StringComparison.Ordinal), Service("shop", "open", "app: open", "{name: http, port: 80, targetPort: portal}")))
            .Select(finding => finding.Problem).Single(problem => problem.Code == "ISM1420");
        Assert.Equal("use a number, or name the port of the container", problem.Remedy);
    }

    private static string Opened => Workload("shop", "open-1", "app: open",
        "containers: [{name: app, image: app, ports: [{name: pages, containerPort: 8080}]}, {name: istio-proxy, image: proxy}]");

    private static string Door => Workload("shop", "door-1", "gateway.networking.k8s.io/gateway-name: door",
        "containers: [{name: istio-proxy, image: proxy, args: [proxy, router]}]");

    private static string Denying(string ns, string to = "") => Istio("AuthorizationPolicy", ns, "own", $"{to}{(to.Length > 0 ? ", " : "")}{Deny}");

    private static string At(string gateway) => $"targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: {gateway}}}]";

    private static string Measuring(string ns, string gateway) =>
        Istio("Telemetry", ns, "own", $"{At(gateway)}, metrics: [{{providers: [{{name: prometheus}}]}}]");

    private static string Rule(string mode) => Istio("DestinationRule", "shop", "rule", $"host: web, trafficPolicy: {{tls: {{mode: {mode}}} }}");

    private static string Mtls(string mode) => Istio("PeerAuthentication", "shop", "default", $"mtls: {{mode: {mode}}}");
}
