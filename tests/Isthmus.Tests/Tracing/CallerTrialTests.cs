using System.Net;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Faults of callers: addresses that their Pods have for names, what they send, and what their proxies ask for (tests/operator-faults.tsv).</summary>
public sealed class CallerTrialTests
{
    private const string Weightless = "networking.isthmus.internal/gateway-weight";

    [Fact]
    public void A_stale_address_in_hostAliases_is_where_the_call_goes_and_why_it_fails()
    {
        var scenario = new TraceScenario { Call = new("connect to 10.96.9.9:9000", false, 0, 5000, "10.96.9.9:9000", "UF", "no answer within 5 s", []) };
        scenario.One = Aliased(scenario.One, "10.96.9.9");
        var walk = new AddressWalk(scenario.Facts("tcp://orders:9000"), new Random(1));
        scenario.Complete(walk.Again());
        Assert.Equal("10.96.9.9:9000", walk.Called!.To.ToString());
        AssertCause(walk.Trace, "ISM2140", "Pod shop/buyer in c1", "spec.hostAliases[0]",
            "gives orders the address 10.96.9.9, to which the application connects; in the mesh, the name is of Service shop/orders in c1, at 10.96.0.5");
        Assert.Equal("remove orders from hostAliases of the Pod's template, or write 10.96.0.5 there", walk.Trace.Failure!.Problem!.Remedy);
    }

    /// <summary>What keeps the caller from starting is told as it is of Pods that are called.</summary>
    [Theory]
    [InlineData("state: {running: {startedAt: '2026-05-31T23:00:00Z'}}", "Pod shop/buyer in c1", "spec.initContainers[0]",
        "wait-for-db runs since 2026-05-31 23:00:00Z and has not ended, and the containers after it wait for that: Pod buyer is not ready, so that it makes no "
            + "calls", "logs buyer -c wait-for-db")]
    [InlineData("restartCount: 3, lastState: {terminated: {exitCode: 3}}, state: {waiting: {reason: CrashLoopBackOff}}", "Pod shop/buyer in c1", "status",
        "is not ready, so that it makes no calls: container wait-for-db exits with code 3 again and again (CrashLoopBackOff)",
        "logs buyer -c wait-for-db --previous")]
    [InlineData("state: {waiting: {reason: ImagePullBackOff, message: no such image}}", "Pod shop/buyer in c1", "status",
        "is not ready, so that it makes no calls: container wait-for-db waits: ImagePullBackOff no such image", "describe pod buyer")]
    public void What_keeps_the_caller_from_starting_is_named(string state, string owner, string path, string says, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("initContainers: [{name: istio-init,", "initContainers: [{name: wait-for-db}, {name: istio-init,",
            StringComparison.Ordinal).Replace("status: {phase: Running, podIP: 10.1.0.2}",
            $"status: {{phase: Pending, podIP: 10.1.0.2, initContainerStatuses: [{{name: wait-for-db, {state}}}]}}", StringComparison.Ordinal);
        var trace = scenario.Walk();
        AssertCause(trace, "ISM2001", owner, path, says);
        Assert.Contains(remedy, trace.Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_proxy_of_the_caller_that_lacks_memory_is_told_with_its_limit()
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("labels: {app: buyer}}", "labels: {app: buyer}, annotations: {sidecar.istio.io/proxyMemoryLimit: 8Mi}}",
            StringComparison.Ordinal).Replace("{name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c1}]}]",
            "{name: istio-proxy, resources: {limits: {memory: 8Mi}}}]", StringComparison.Ordinal).Replace("status: {phase: Running, podIP: 10.1.0.2}",
            "status: {phase: Running, podIP: 10.1.0.2, containerStatuses: [{name: istio-proxy, state: {terminated: {exitCode: 137, reason: OOMKilled}}}]}",
            StringComparison.Ordinal);
        var walk = new AddressWalk(scenario.Facts(), new Random(1));
        walk.Facts.Silent[new("c1", "shop", "buyer")] = "connection refused";
        scenario.Complete(walk.Again());
        AssertCause(walk.Trace, "ISM2002", "Pod shop/buyer in c1", "metadata.annotations[sidecar.istio.io/proxyMemoryLimit]",
            "is 8Mi, and container istio-proxy needed more, so that it was killed (OOMKilled, exit code 137): the Pod is not ready, and its proxy does not "
                + "respond");
    }

    /// <summary>Requests are routed by the host that they name, wherever they go.</summary>
    [Theory]
    [InlineData("10.96.9.9", HopStatus.Warning)]
    [InlineData("10.96.0.5", HopStatus.Ok)]
    public void A_stale_address_that_does_no_harm_is_a_warning(string address, HopStatus status)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.One = Aliased(scenario.One, address);
        var trace = scenario.Walk();
        Assert.True(trace.Succeeds);
        Assert.Equal(status, trace.Hops.Single(hop => hop.Name == "name").Status);
    }

    [Fact]
    public void The_only_gateway_of_a_network_that_is_taken_out_is_named()
    {
        var scenario = WithoutEndpoints();
        scenario.Two = scenario.Two.Replace("labels: {topology.istio.io/network: n2}}, spec: {selector",
            $"labels: {{topology.istio.io/network: n2}}, annotations: {{{Weightless}: '0'}}}}, spec: {{selector", StringComparison.Ordinal);
        AssertCause(scenario.Walk(), "ISM2141", "Service istio-system/east in c2", $"metadata.annotations[{Weightless}]", "takes the gateway out");
        Assert.Equal($"kubectl --context=c2 -n istio-system annotate service east {Weightless}-", scenario.Walk().Failure!.Problem!.Remedy);
    }

    [Theory]
    [InlineData("", "{name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: n1}", "spec.containers[istio-proxy].env[ISTIO_META_REQUESTED_NETWORK_VIEW]")]
    [InlineData(", annotations: {proxy.istio.io/config: '{proxyMetadata: {ISTIO_META_REQUESTED_NETWORK_VIEW: n1}}'}",
        "{name: PROXY_CONFIG, value: '{\"proxyMetadata\": {\"ISTIO_META_REQUESTED_NETWORK_VIEW\": \"n1\"}}'}", "metadata.annotations[proxy.istio.io/config]")]
    public void A_caller_whose_proxy_asks_for_other_networks_only_is_named(string annotations, string variable, string path)
    {
        var scenario = WithoutEndpoints();
        scenario.One = scenario.One.Replace("value: c1}]}], initContainers", $"value: c1}}, {variable}]}}], initContainers", StringComparison.Ordinal)
            .Replace("labels: {app: buyer}}", $"labels: {{app: buyer}}{annotations}}}", StringComparison.Ordinal);
        AssertCause(scenario.Walk(), "ISM2142", "Pod shop/buyer in c1", path,
            "for endpoints in n1 only (ISTIO_META_REQUESTED_NETWORK_VIEW), and not for those in n2");
    }

    [Fact]
    public void A_Host_header_of_no_host_is_why_a_call_does_not_get_to_another_cluster()
    {
        var scenario = new TraceScenario { Sent = SentRequest.Parse("", ["Host: backend"], "", "") };
        scenario.One = scenario.One.Replace("labels: {app: orders, version: v1}}, spec: {containers", "labels: {app: other}}, spec: {containers",
            StringComparison.Ordinal);
        AssertCause(scenario.Walk(), "ISM2143", "host backend", "", "to 10.96.0.5:80, which leads to Pods of c1 only");
        Assert.StartsWith("send the host that is called, orders", scenario.Walk().Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_ClusterIP_of_another_cluster_leads_nowhere()
    {
        var scenario = new TraceScenario();
        scenario.Two = scenario.Two.Replace("clusterIP: 10.96.0.5", "clusterIP: 10.96.7.7", StringComparison.Ordinal);
        AssertCause(scenario.Walk("10.96.7.7:80"), "ISM2144", "Service shop/orders in c2", "spec.clusterIP",
            "is 10.96.7.7, and a ClusterIP leads to Pods only within its own cluster, while the caller is in c1");
        Assert.Equal("call orders.shop:80 by its name", scenario.Walk("10.96.7.7:80").Failure!.Problem!.Remedy);
    }

    /// <summary>Neither the owner of the host nor that of the caller has written the route.</summary>
    [Theory]
    [InlineData("team-b", 404)]
    [InlineData("shop", 404)]
    [InlineData("team-b", 503)]
    [InlineData("shop", 503)]
    public void A_VirtualService_of_a_third_namespace_is_named_where_a_call_fails_as_it_leads(string ns, int status)
    {
        var scenario = new TraceScenario
        {
            Call = status == 404 ? new("GET /", true, 404, 3, "10.1.0.5:8080", "-", "", []) : new("GET /", false, 503, 3, "", "UH", "", []),
        };
        scenario.Client = scenario.Client.Replace("namespaces/shop/virtual-service", $"namespaces/{ns}/virtual-service", StringComparison.Ordinal);
        if (status == 503)
            scenario.Client = scenario.Client
                .Replace($"outbound|80||{TraceScenario.Fqdn}", "outbound|80||ledger.team-b.svc.cluster.local", StringComparison.Ordinal)
                .Replace("\"lb_endpoints\": [", "\"ignored\": [", StringComparison.Ordinal);
        scenario.One += $"\n---\n{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: orders, namespace: {ns}}}, spec: {{hosts: "
            + "[orders.shop.svc.cluster.local], http: [{route: [{destination: {host: ledger.team-b.svc.cluster.local}}]}]}}";
        var trace = scenario.Walk("http://orders");
        var problem = status == 404 ? trace.Hops.Single(hop => hop.Name == "route").Problem : trace.Failure?.Problem;
        Assert.Equal(status == 503 || ns == "team-b", problem is not null);
        if (problem is null) return;
        Assert.Equal(ns == "team-b", problem.Message.Contains(status == 404 ? "to which a VirtualService of namespace team-b leads calls of orders.shop"
            : "; VirtualService team-b/orders of another namespace leads calls of orders.shop there", StringComparison.Ordinal));
        Assert.Equal(ns == "team-b", problem.Remedy.Contains("exportTo: [.]", StringComparison.Ordinal));
    }

    /// <summary>As it was right where all containers of an application shared one address.</summary>
    [Theory]
    [InlineData("[]", HopStatus.Failed, "is what localhost means in a Pod: the Pod itself, and none of its containers listens on port 80")]
    [InlineData("[\"0.0.0.0:80\"]", HopStatus.Ok, "")]
    public void A_call_of_localhost_stays_in_the_Pod(string listening, HopStatus expected, string says)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("\"listening\": []", $"\"listening\": {listening}", StringComparison.Ordinal)
            .Replace("\"host\": \"orders\"", "\"host\": \"localhost\"", StringComparison.Ordinal).Replace("10.96.0.5\"], \"by", "127.0.0.1\"], \"by", StringComparison.Ordinal);
        var trace = scenario.Walk("http://localhost:80/hello");
        var hop = trace.Hops[^1];
        Assert.Equal(("application", expected), (hop.Name, hop.Status));
        if (says.Length == 0) return;
        Assert.Equal(("ISM2176", "Pod shop/buyer in c1"), (hop.Problem!.Code, hop.Problem.Object));
        Assert.StartsWith(says, hop.Problem.Message, StringComparison.Ordinal);
        Assert.StartsWith("call a Service by its name: orders:80", hop.Problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_ServiceEntry_of_another_cluster_is_named()
    {
        var scenario = new TraceScenario();
        scenario.Two += "\n---\n{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: partner, namespace: shop}, spec: {hosts: "
            + "[partner.internal], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 10.9.9.9}]}}";
        AssertCause(scenario.Walk("partner.internal"), "ISM2145", "ServiceEntry shop/partner in c2", "", "has partner.internal, and is in c2");
    }

    [Theory]
    [InlineData("{name: orders}, spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}]}, {match: [{uri: {prefix: /api}}], rewrite: {uri: /}, "
        + "route: [{destination: {host: orders}}]}]}", "spec.http[1]", "spec.http[0] comes first and has no match", "move it before spec.http[0]")]
    [InlineData("{name: orders}, spec: {hosts: ['*.shop.svc.cluster.local'], http: [{route: [{destination: {host: ledger}}]}]}", "spec.hosts",
        "calls of it go to ledger.shop.svc.cluster.local, and the answer is 404", "name only the hosts that are meant")]
    [InlineData("{name: orders}, spec: {hosts: [orders], http: [{match: [{uri: {prefix: /api}}], rewrite: {uri: /}, route: [{destination: {host: orders}}]}, "
        + "{route: [{destination: {host: orders}}]}]}", "", "", "")]
    public void A_route_that_does_not_do_what_was_meant_is_told_where_the_path_is_unknown(string routes, string path, string says, string remedy)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 404, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.One += $"\n---\n{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {routes.Replace("{name: orders}",
            "{name: orders, namespace: shop}", StringComparison.Ordinal)}}}";
        var problem = scenario.Walk("orders/api/list").Hops.Single(hop => hop.Name == "route").Problem;
        if (path.Length == 0) Assert.Null(problem);
        else Assert.Equal(("ISM2158", "VirtualService shop/orders in c1", path), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains(says, problem?.Message ?? "", StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem?.Remedy ?? "", StringComparison.Ordinal);
    }

    /// <summary>A destination that was copied from elsewhere.</summary>
    [Fact]
    public void A_route_to_another_host_that_answers_404_is_told()
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 404, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.One += "\n---\n{apiVersion: v1, kind: Service, metadata: {name: ledger, namespace: shop}, spec: {clusterIP: 10.96.0.6, "
            + "selector: {app: orders}, ports: [{name: http, port: 80, targetPort: 8080}]}}\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, "
            + "namespace: shop}, spec: {hosts: [ledger], http: [{route: [{destination: {host: orders}}]}]}}";
        scenario.Client = scenario.Client.Replace("\"domains\": [\"orders\"", "\"domains\": [\"ledger\"", StringComparison.Ordinal)
            .Replace("\"host\": \"orders\"", "\"host\": \"ledger\"", StringComparison.Ordinal);
        var problem = scenario.Walk("ledger").Hops.Single(hop => hop.Name == "route").Problem;
        Assert.Equal(("ISM2158", "VirtualService shop/orders in c1"), (problem?.Code, problem?.Object));
        Assert.StartsWith($"leads calls of ledger.shop.svc.cluster.local to {TraceScenario.Fqdn}, and the application there answers 404", problem!.Message,
            StringComparison.Ordinal);
    }

    /// <summary>Browsers keep answers from pages whose origin is not permitted.</summary>
    [Theory]
    [InlineData("https://app.example.com", "{exact: https://www.example.com}", true)]
    [InlineData("https://www.example.com", "{exact: https://www.example.com}", false)]
    [InlineData("https://app.example.com", "{regex: 'https://.*\\.example\\.com'}", false)]
    [InlineData("", "{exact: https://www.example.com}", false)]
    public void An_origin_that_corsPolicy_lacks_is_told(string origin, string allowed, bool isTold)
    {
        var scenario = new TraceScenario
        {
            Call = new("OPTIONS /", true, 200, 3, "10.1.0.5:8080", "-", "", []),
            Sent = SentRequest.Parse("OPTIONS", origin.Length > 0 ? [$"Origin: {origin}"] : [], "", ""),
        };
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + $"http: [{{corsPolicy: {{allowOrigins: [{allowed}]}}, route: [{{destination: {{host: orders}}}}]}}]}}}}";
        var trace = scenario.Walk();
        var problem = trace.Hops.Single(hop => hop.Name == "route").Problem;
        Assert.True(trace.Succeeds);
        Assert.Equal(isTold ? ("ISM2173", "VirtualService shop/orders in c1", "spec.http[0].corsPolicy.allowOrigins") : (null, null, null),
            (problem?.Code, problem?.Object, problem?.Path));
        if (isTold) Assert.Equal($"add {origin} there", problem!.Remedy);
    }

    [Theory]
    [InlineData("DISABLE", "PeerAuthentication shop/plain in c1 lets it come in plain text only", "set mtls.mode to PERMISSIVE or STRICT")]
    [InlineData("PERMISSIVE", "since it comes in plain text", "let the call use mutual TLS of the mesh")]
    [InlineData("STRICT", "allows this call as it is written now, and the proxy of Pod shop/orders-a in c1 does not", "isthmus proxy-status --context=c1")]
    public void What_keeps_identities_from_a_policy_is_named(string mode, string says, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: plain, namespace: shop}, spec: {mtls: {mode: "
            + $"{mode}}}}}}}\n---\n{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: friends, namespace: shop}}, "
            + "spec: {rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/buyer]}}]}]}}";
        var facts = scenario.Facts();
        var callee = facts.Home.Pods.Single(pod => pod.Metadata.Name == "orders-a");
        var problem = new PolicyCauses(facts).Denied(new(facts.Home, callee, IPEndPoint.Parse("10.1.0.5:8080")), "",
            new(mode == "STRICT" ? "spiffe://cluster.local/ns/shop/sa/buyer" : "", null, IPEndPoint.Parse("10.1.0.2:4000"), IPEndPoint.Parse("10.1.0.5:8080"),
                "", null));
        Assert.Equal(("ISM2064", "AuthorizationPolicy shop/friends in c1"), (problem.Code, problem.Object));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_VirtualService_for_a_name_that_is_not_completed_is_told_where_the_path_is_unknown()
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 404, 3, "10.1.0.5:8080", "-", "", []) };
        scenario.Client = scenario.Client.Replace("/virtual-service/orders", "", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: front}, spec: {hosts: "
            + "[orders.shop], http: [{rewrite: {uri: /api}, route: [{destination: {host: orders.shop.svc.cluster.local}}]}]}}";
        var problem = scenario.Walk().Hops.Single(hop => hop.Name == "route").Problem!;
        Assert.Equal(("ISM2146", "VirtualService front/orders in c1", "spec.hosts[0]", $"write {TraceScenario.Fqdn}"),
            (problem.Code, problem.Object, problem.Path, problem.Remedy));
    }

    /// <summary>What clients send for a name with a dot at its end has the dot, too.</summary>
    [Theory]
    [InlineData("\"" + TraceScenario.Fqdn + "\"", true)]
    [InlineData("\"" + TraceScenario.Fqdn + "\", \"" + TraceScenario.Fqdn + ".\"", false)]
    public void A_name_with_a_dot_at_its_end_is_sent_with_it(string domains, bool isPassedOn)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace($"\"orders.shop\", \"{TraceScenario.Fqdn}\"", $"\"orders.shop\", {domains}", StringComparison.Ordinal);
        var trace = scenario.Walk($"http://{TraceScenario.Fqdn}./");
        Assert.Equal(isPassedOn, trace.Hops.Single(hop => hop.Name == "route").Summary.Contains("allow_any", StringComparison.Ordinal));
    }

    private static string Aliased(string objects, string address) => objects.Replace("value: c1}]}], initContainers",
        $"value: c1}}]}}], hostAliases: [{{ip: {address}, hostnames: [orders]}}], initContainers", StringComparison.Ordinal);

    /// <summary>The caller's proxy has the host, and none of its endpoints.</summary>
    private static TraceScenario WithoutEndpoints()
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("\"lb_endpoints\": [", "\"ignored\": [", StringComparison.Ordinal);
        return scenario;
    }

    private static void AssertCause(CallTrace trace, string code, string owner, string path, string says)
    {
        var problem = trace.Failure?.Problem;
        Assert.NotNull(problem);
        Assert.Equal((code, owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }
}
