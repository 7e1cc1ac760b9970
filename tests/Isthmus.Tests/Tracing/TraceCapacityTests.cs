using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>While one part of a service answers, calls get through: what is wrong with the other part is named all the same, by
/// <c>trace</c> and by <c>verify</c>.</summary>
public sealed class TraceCapacityTests
{
    private const string Ready = "conditions: [{type: Ready, status: \"True\"}]";

    /// <summary>The fault in c2, and the code and object of the warning; whether the objects alone show it, as <c>verify</c> reads
    /// them.</summary>
    public static TheoryData<string, string, string, bool> Faults => new()
    {
        { "crash loop", "ISM2047", "Pod shop/orders-b in c2", true },
        { "no sidecar", "ISM2051", "Pod shop/orders-b in c2", true },
        { "selector that matches nothing", "ISM2049", "Service shop/orders in c2", true },
        { "wrong label", "ISM2080", "Deployment shop/orders-v2 in c2", true },
        { "admission refuses the Pods", "ISM2048", "Deployment shop/orders in c2", true },
        { "another port number", "ISM2030", "Service shop/orders in c2", false },
        { "not watched", "ISM1021", "control plane of c1", false },
        { "selector of the gateway's Service", "ISM2049", "Service istio-system/east in c2", false },
        { "gateway without an address", "ISM1005", "Service istio-system/east in c2", false },
        { "no reason in sight", "ISM2083", "Service shop/orders in c2", false },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void The_part_that_gets_no_calls_is_named_while_the_other_answers(string fault, string code, string @object, bool isVerified)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        Inject(scenario, fault);
        var trace = scenario.Walk();
        Assert.True(trace.Succeeds, trace.Failure?.Problem?.ToString());
        var warning = Assert.Single(trace.Hops, hop => hop is { Name: "capacity", Status: HopStatus.Warning }).Problem!;
        Assert.Equal((code, @object), (warning.Code, warning.Object));
        Assert.NotEmpty(warning.Remedy);
        var text = TraceText.Write(trace, details: false);
        Assert.Contains($"{code} {@object}", text);
        Assert.EndsWith("✔ The call gets through. 1 warning: see above.\n", text);
        if (isVerified)
            Assert.Equal((code, @object),
                Assert.Single(Verified(scenario), check => check.Problem is not null).Problem is { } told ? (told.Code, told.Object) : default);
    }

    /// <summary>The Deployment was applied to a namespace with a similar name, or the namespace has another name in the other cluster.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("\n---\n{apiVersion: v1, kind: Service, metadata: {name: adrift, namespace: shops}, spec: {selector: {app: adrift}, ports: [{port: 80}]}}")]
    public void A_workload_in_another_namespace_than_its_Service_is_named(string there)
    {
        var scenario = new TraceScenario();
        scenario.One += """

            ---
            {apiVersion: v1, kind: Service, metadata: {name: adrift, namespace: shop}, spec: {selector: {app: adrift}, ports: [{name: http, port: 80}]}}
            """;
        scenario.Two += """

            ---
            {apiVersion: apps/v1, kind: Deployment, metadata: {name: adrift, namespace: shops},
             spec: {replicas: 1, selector: {matchLabels: {app: adrift}}, template: {metadata: {labels: {app: adrift}}}}}
            """ + there;
        var facts = scenario.Facts("adrift");
        var service = facts.Host("adrift.shop")!.Services[0];
        var problem = new TraceCauses(facts, new(facts)).Availability.Empty(service, 80);
        Assert.Equal(("ISM2049", "Service shop/adrift in c1", "move the Deployment to namespace shop, or the Service to shops"),
            (problem.Code, problem.Object, problem.Remedy));
        Assert.Equal("app=adrift matches no Pod of namespace shop, and Deployment shops/adrift in c2, whose Pods have these labels, is in another namespace",
            problem.Message);
    }

    /// <summary>A port of UDP is not one that is missing: while other clusters answer, and where its Pods are the only ready ones.</summary>
    [Fact]
    public void A_port_that_is_of_UDP_in_one_cluster_is_named_as_that()
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.Two = scenario.Two.Replace("{name: http, port: 80, ", "{name: http, port: 80, protocol: UDP, ", StringComparison.Ordinal);
        var warning = Assert.Single(scenario.Walk().Hops, hop => hop is { Name: "capacity", Status: HopStatus.Warning }).Problem!;
        Assert.Equal(("is UDP at port 80, so the Service takes no TCP connections there, and its Pods get none of these calls", "set it to TCP"),
            (warning.Message, warning.Remedy));
        scenario.One = Without(scenario.One, "kind: Pod, metadata: {name: orders-a");
        var facts = scenario.Facts();
        var only = new TraceCauses(facts, new(facts)).Endpoints.NoEndpoints(facts.Host(TraceScenario.Fqdn), 80, "", $"outbound|80||{TraceScenario.Fqdn}");
        Assert.Equal(("ISM2030", "Service shop/orders in c2", "spec.ports[http].protocol", "set it to TCP"), (only.Code, only.Object, only.Path, only.Remedy));
        Assert.StartsWith("is UDP at port 80, so the Service takes no TCP connections there. Its Pods are the only ones", only.Message,
            StringComparison.Ordinal);
    }

    /// <summary>Who asks after the fact learns of it; what was long ago explains nothing.</summary>
    [Theory]
    [InlineData(27, 42, "its limits have refused 27 calls of this caller, the last one 42 s ago")]
    [InlineData(1, 300, "its limits have refused 1 call of this caller, the last one 5 min ago")]
    [InlineData(27, 3600, null)]
    public void Calls_that_a_pool_refused_a_while_ago_are_told(long count, long secondsAgo, string? says)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.Client = scenario.Client.Replace("\"listening\": []",
            $"\"listening\": [], \"refusals\": [{{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\", \"count\": {count}, \"seconds_ago\": {secondsAgo}}}]",
            StringComparison.Ordinal);
        var trace = scenario.Walk();
        Assert.True(trace.Succeeds);
        var warnings = trace.Hops.Where(hop => hop.Name == "pool").ToList();
        Assert.Equal(says is null ? 0 : 1, warnings.Count);
        if (says is null) return;
        Assert.Equal((HopStatus.Warning, "ISM2097", "spec.trafficPolicy.connectionPool"),
            (warnings[0].Status, warnings[0].Problem!.Code, warnings[0].Problem!.Path));
        Assert.StartsWith(says, warnings[0].Problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>The proxy of the callee has limits of its own.</summary>
    [Theory]
    [InlineData("inboundConnectionPool: {http: {http2MaxRequests: 1}}", "Sidecar shop/limits in c1", "spec.inboundConnectionPool")]
    [InlineData("ingress: [{port: {number: 8080, protocol: HTTP, name: http}, connectionPool: {http: {http2MaxRequests: 1}}}]", "Sidecar shop/limits in c1",
        "spec.ingress[0].connectionPool")]
    [InlineData("egress: [{hosts: ['*/*']}]", "Pod shop/orders-a in c1", "spec.trafficPolicy.connectionPool")]
    public void Calls_that_the_callee_refused_a_while_ago_are_told(string spec, string owner, string path)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: limits, namespace: shop}, spec: "
            + $"{{workloadSelector: {{labels: {{app: orders}}}}, {spec}}}}}";
        scenario.Callee = scenario.Callee.Replace("\"listening\": [", "\"refusals\": [{\"cluster\": \"inbound|8080||\", \"count\": 4, \"seconds_ago\": 9}], "
            + "\"listening\": [", StringComparison.Ordinal);
        var trace = scenario.Walk();
        Assert.True(trace.Succeeds);
        var problem = Assert.Single(trace.Hops, hop => hop.Name == "pool").Problem!;
        Assert.Equal(("ISM2097", owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith("its limits have refused 4 calls, the last one 9 s ago", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Endpoints_that_are_all_usable_are_not_all_Pods_of_the_service()
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        Inject(scenario, "crash loop");
        Assert.Equal("1 of 1 is usable; 1 more Pod is not ready", Assert.Single(scenario.Walk().Hops, hop => hop.Name == "endpoints").Summary);
        Assert.Equal("2 of 2 are usable", Assert.Single(new TraceScenario().Walk().Hops, hop => hop.Name == "endpoints").Summary);
    }

    [Fact]
    public void A_lost_part_is_not_the_cause_of_a_call_that_fails_elsewhere()
    {
        var scenario = new TraceScenario();
        Inject(scenario, "not watched");
        scenario.Callee = scenario.Callee.Replace("0.0.0.0:8080\"", "127.0.0.1:8080\"", StringComparison.Ordinal);
        Assert.Equal("ISM2071", scenario.Walk().Failure?.Problem?.Code);
    }

    /// <summary>Meshes that look odd and are in order.</summary>
    [Theory]
    [InlineData("two parts")]
    [InlineData("a Service that only gives callers the name")]
    [InlineData("scaled to zero in one cluster")]
    [InlineData("local to each cluster")]
    [InlineData("no sidecars at all")]
    [InlineData("a workload of its own beside it")]
    public void Nothing_is_lost_in_meshes_in_order(string mesh)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        switch (mesh)
        {
            case "a Service that only gives callers the name": (scenario.Client, scenario.Two) = (scenario.ClientOfOne,
                Without(Without(scenario.Two, "kind: Pod, metadata: {name: orders-b"), "kind: Deployment, metadata: {name: orders,")); break;
            case "scaled to zero in one cluster": (scenario.Client, scenario.Two) = (scenario.ClientOfOne,
                Without(scenario.Two, "kind: Pod, metadata: {name: orders-b")
                    .Replace("name: orders, namespace: shop}, spec: {replicas: 1", "name: orders, namespace: shop}, spec: {replicas: 0",
                        StringComparison.Ordinal)); break;
            case "local to each cluster":
                scenario.Client = scenario.ClientOfOne;
                scenario.One += "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: '{serviceSettings: "
                    + "[{settings: {clusterLocal: true}, hosts: [\"*.shop.svc.cluster.local\"]}]}'}}";
                break;
            case "a workload of its own beside it": scenario.Two += "\n---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: orders-report, namespace: "
                + "shop}, spec: {replicas: 1, template: {metadata: {labels: {app: report}}}}}"; break;
            case "no sidecars at all":
                scenario.One = scenario.One.Replace("{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy}",
                    "{name: web, ports: [{containerPort: 8080}]}", StringComparison.Ordinal);
                scenario.Two = scenario.Two.Replace(
                    "{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c2}]}",
                    "{name: web, ports: [{containerPort: 8080}]}", StringComparison.Ordinal);
                Assert.DoesNotContain(Verified(scenario), check => check.Problem is not null);
                return;
        }
        Assert.DoesNotContain(scenario.Walk().Hops, hop => hop.Status != HopStatus.Ok);
        Assert.DoesNotContain(Verified(scenario), check => check.Problem is not null);
    }

    [Theory]
    [InlineData("pods is forbidden", 403,
        "use a user who may read the objects of all namespaces; 'kubectl --context=c1 auth can-i --list' tells what this one may do")]
    [InlineData("connection refused", 0, "verify again once its API server answers")]
    public void Workloads_that_nobody_can_list_are_not_called_in_order(string error, int status, string remedy)
    {
        var check = Assert.Single(WorkloadVerification.Run([ClusterObjects.Unreadable("c1", error, status)]));
        Assert.Equal(("ISM1035", "not known", remedy), (check.Problem?.Code, check.Found, check.Problem?.Remedy));
        Assert.DoesNotContain(Verified(new TraceScenario()), mended => mended.Problem is not null);
    }

    private static void Inject(TraceScenario s, string fault)
    {
        if (fault is not ("wrong label" or "selector of the gateway's Service" or "gateway without an address")) s.Client = s.ClientOfOne;
        switch (fault)
        {
            case "crash loop":
                s.Two = s.Two.Replace("status: {phase: Running, podIP: 10.1.0.5, " + Ready + "}",
                    "status: {phase: Running, podIP: 10.1.0.5, conditions: [{type: Ready, status: \"False\"}], containerStatuses: [{name: web, ready: false, "
                        + "restartCount: 4, state: {waiting: {reason: CrashLoopBackOff, message: back-off 40s restarting failed container}}}]}",
                    StringComparison.Ordinal);
                break;
            case "no sidecar": s.Two = s.Two.Replace(
                "{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c2}]}",
                "{name: web, ports: [{containerPort: 8080}]}", StringComparison.Ordinal); break;
            case "selector that matches nothing": s.Two = s.Two.Replace("selector: {app: orders}", "selector: {app: oders}", StringComparison.Ordinal); break;
            case "wrong label": s.Two += "\n---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: orders-v2, namespace: shop}, spec: {replicas: 1, "
                + "template: {metadata: {labels: {app: ordres, version: v2}}}}}"; break;
            case "admission refuses the Pods":
                s.Two = Without(s.Two, "kind: Pod, metadata: {name: orders-b")
                    .Replace("labels: {app: orders, version: v1}}}}}",
                        "labels: {app: orders, version: v1}}}}, status: {conditions: [{type: ReplicaFailure, status: \"True\", message: exceeded quota}]}}",
                        StringComparison.Ordinal);
                break;
            case "another port number": s.Two = s.Two.Replace("{name: http, port: 80, targetPort: 8080}", "{name: http, port: 81, targetPort: 8080}",
                StringComparison.Ordinal); break;
            case "not watched": s.Watched = []; break;
            case "selector of the gateway's Service":
                s.Client = s.ClientOfOne;
                s.Two = s.Two.Replace("spec: {selector: {istio: eastwest}, ports", "spec: {selector: {istio: eastwset}, ports", StringComparison.Ordinal);
                break;
            case "gateway without an address":
                s.Client = s.ClientOfOne;
                s.Two = s.Two.Replace("{loadBalancer: {ingress: [{ip: 172.18.2.1}]}}", "{}", StringComparison.Ordinal);
                break;
        }
    }

    private static List<Check> Verified(TraceScenario scenario) => [.. WorkloadVerification.Run([Objects("c1", scenario.One), Objects("c2", scenario.Two)])];

    private static ClusterObjects Objects(string context, string yaml) => ClusterObjects.From(context, YamlText.ParseAll(yaml, context).OfType<JsonObject>());

    private static string Without(string yaml, string begin) =>
        string.Join("\n---\n", yaml.Split("---").Where(document => !document.Contains(begin, StringComparison.Ordinal)).Select(document => document.Trim()));
}
