using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Judgement;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>The verdict on a call that fails uses what was found: it does not send people to their firewalls when the cause was
/// seen.</summary>
public sealed class TraceVerdictTests
{
    private const string Callee = "10.1.0.5:8080";

    /// <summary>The fault, and the code and object of the expected report.</summary>
    public static TheoryData<string, string, string, string> Faults => new()
    {
        { "half of the requests aborted", "ISM2026", "VirtualService shop/orders in c1", "50 %" },
        {
            "all requests aborted with a status below 500", "ISM2026", "VirtualService shop/orders in c1",
            "injects status 404 into 100 % of the requests, and a delay of 200 ms for 10 % of the requests"
        },
        { "slow application", "ISM2077", "Pod shop/orders-a in c1", "limit of the trace, not of the mesh" },
        { "slow, and nobody saw it", "ISM2077", "c1, n1: Pod shop/orders-a at 10.1.0.5:8080", "limit of the trace" },
        {
            "out of time, and nothing seen", "ISM2077", "c1, n1: Pod shop/orders-a at 10.1.0.5:8080",
            "either the application needs longer, or packets do not arrive"
        },
        {
            "out of time while it connects", "ISM2077", "c1, n1: Pod shop/orders-a at 10.1.0.5:8080",
            "either the application needs longer, or packets do not arrive"
        },
        { "limits of the connection pool", "ISM2079", "DestinationRule shop/orders in c1", "limits refuse the call" },
        { "tries that a timeout ends", "ISM2088", "VirtualService shop/orders in c1", "gives up after 2 s for all tries, of which each may take 2 s" },
        { "a timeout that cuts off a response", "ISM2088", "VirtualService shop/orders in c1", "gives up after 2 s, and the response of " },
        { "HTTP on a port named grpc", "ISM2074", "Service shop/orders in c1", "probably speaks HTTP/1.1" },
        { "long headers", "ISM2091", "Pod shop/orders-a in c1", "60 KiB of headers" },
        { "nothing accepts on a port named grpc", "ISM2074", "Pod shop/orders-a in c1", "could not hand the call" },
        { "ServiceEntry of the same host", "ISM2018", "ServiceEntry shop/mine in c1", "10.99.0.9" },
        { "DNS without Pods", "ISM2048", "Deployment kube-system/coredns in c1", "it is the DNS of c1" },
        { "a warning before a failure that nobody explains", "ISM2076", "cluster outbound|80||orders.shop.svc.cluster.local", "this may be why" },
        { "nothing to be seen", "ISM2076", "n2 through gateway 172.18.2.1:15443", "no proxy on the path saw the call" },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void The_verdict_names_what_was_found(string fault, string code, string @object, string message)
    {
        var scenario = new TraceScenario();
        var problem = scenario.Walk(Inject(scenario, fault)).Failure?.Problem;
        Assert.Equal((code, @object), (problem?.Code, problem?.Object));
        Assert.Contains(message, problem!.Message, StringComparison.Ordinal);
        if (code != "ISM2076") Assert.DoesNotContain("firewall", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Of two ways that fail, the one that the call took comes first.</summary>
    [Fact]
    public void The_cause_is_where_the_call_went()
    {
        var scenario = new TraceScenario
        {
            CalleeThere = TraceScenario.Stranger, Call = new("GET /", true, 503, 3, Callee, "-", "via_upstream", []),
            Sighted = [new(new("c1", "shop", "orders-a"), true, 2, null, 503, "-", "via_upstream", "", Callee, "", "", "")],
        };
        var trace = scenario.Walk();
        Assert.Equal(("call", "ISM2073", "Pod shop/orders-a in c1"),
            (trace.Failure?.Name, trace.Failure?.Problem?.Code, trace.Failure?.Problem?.Object));
        Assert.Contains(trace.Hops, hop => hop is { Status: HopStatus.Warning, Problem.Code: "ISM1010" });
    }

    /// <summary>Hosts that are taken out get calls all the same where no other is left.</summary>
    [Fact]
    public void A_call_that_an_ejected_endpoint_answers_gets_through()
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, Callee, "-", "via_upstream", []) };
        TraceWalkTests.Inject(scenario, "taken out for nobody knows what");
        var trace = scenario.Walk();
        Assert.Null(trace.Failure);
        Assert.Contains(trace.Hops, hop => hop is { Name: "endpoints", Status: HopStatus.Warning, Problem.Code: "ISM2040" });
    }

    [Theory]
    [InlineData(true, "outbound_.80_._.orders", "gateway Pod c1/p in c", "connected 10.1.0.5:8080 for outbound_.80_._.orders")]
    [InlineData(false, "", "callee's proxy, Pod c1/p in c", "connected 10.1.0.5:8080")]
    public void Each_proxy_of_a_connection_is_called_what_it_is(bool isGateway, string name, string where, string what)
    {
        var call = CallReading.Read(Wanted with { Kind = CallKinds.Tcp }, TraceScenario.Report("""{"says": "first", "received": 3}"""),
            [new(new("c", "c1", "p"), false, 2, null, 0, "-", "", "", Callee, "10.1.0.4:1", "", name)], _ => isGateway);
        var time = Assert.Single(call.Times);
        Assert.Equal((where, what), (time.Where, time.What));
    }

    /// <summary>A response with the flag DI is the application's: the delay was before it.</summary>
    [Theory]
    [InlineData(true, "✔ The call gets through. ")]
    [InlineData(false, "✔ The call would get through; it was not made. ")]
    public void A_delayed_call_gets_through_and_the_verdict_names_the_delay(bool isMade, string verdict)
    {
        var scenario = new TraceScenario();
        scenario.Client = WithFault(scenario.Client, """ "delay": {"fixed_delay": "3s", "percentage": {"numerator": 100}} """);
        if (isMade)
            scenario.Call = CallReading.Read(Wanted,
                TraceScenario.Report($$"""{"status": 200, "took_ms": 3005, "seen": {"flags": "DI", "details": "via_upstream", "upstream": "{{Callee}}"} }"""), [],
                static _ => false);
        var trace = scenario.Walk();
        Assert.Null(trace.Failure);
        Assert.Contains(trace.Hops, hop => hop is { Name: "route", Status: HopStatus.Warning, Problem: { Code: "ISM2092", Severity: Severity.Warning } });
        Assert.Contains($"{verdict}VirtualService shop/orders in c1 delays 100 % of the calls by 3 s. 1 warning: see above.",
            TraceText.Write(trace, details: false), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("DI", 200, true)]
    [InlineData("DI", 503, true)]
    [InlineData("-", 200, true)]
    [InlineData("", 404, true)]
    [InlineData("DI,UT", 504, false)]
    [InlineData("DI,FI", 503, false)]
    [InlineData("FI", 200, false)]
    public void Only_flags_of_failures_say_that_a_call_was_not_answered(string flags, int status, bool isAnswered) =>
        Assert.Equal(isAnswered, CallReading.Read(Wanted, TraceScenario.Report($$"""{"status": {{status}}, "seen": {"flags": "{{flags}}"} }"""), [],
            static _ => false).Answered);

    /// <summary>The proxy of a Pod in which nothing listens closes the connection, which alone says nothing.</summary>
    [Theory]
    [InlineData(5, false)]
    [InlineData(8080, true)]
    public void A_connection_that_is_closed_where_nothing_listens_failed(int listening, bool succeeds)
    {
        var scenario = new TraceScenario();
        scenario.Callee = scenario.Callee.Replace("0.0.0.0:8080", $"0.0.0.0:{listening}", StringComparison.Ordinal);
        scenario.Call = new("connect to orders:80", true, 0, 3, Callee, "-", "", []) { Says = "closed" };
        var trace = scenario.Walk();
        Assert.Equal(succeeds, trace.Succeeds);
        if (!succeeds) Assert.Equal("application", trace.Failure!.Name);
    }

    /// <summary>A proxy that had given up by itself was not cut off by the trace.</summary>
    [Theory]
    [InlineData("DC", true)]
    [InlineData("", true)]
    [InlineData("UF,URX", false)]
    [InlineData("DI,DC", true)]
    public void A_trace_gave_up_only_if_the_proxy_had_not(string flags, bool isOutOfTime) =>
        Assert.Equal(isOutOfTime,
            CallReading.Read(Wanted,
                TraceScenario.Report($$"""{"timed_out": true, "error": "no answer within 30 s", "seen": {"flags": "{{flags}}", "upstream": "{{Callee}}"} }"""),
                [], static _ => false).IsOutOfTime);

    /// <summary>A server that closes once its caller has ended is ordinary. A policy at an endpoint that did not get the call does not explain it.</summary>
    [Theory]
    [InlineData("10.1.0.5:8080", false, true)]
    [InlineData("172.18.2.1:15443", true, false)]
    public void Only_a_policy_where_the_call_went_makes_a_closed_connection_a_denial(string upstream, bool isFallbackDenied, bool isDenied)
    {
        var scenario = new TraceScenario();
        if (isFallbackDenied)
        {
            var client = JsonNode.Parse(scenario.Client)!;
            var localities = client["config_dump"]!["configs"]![1]!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"]!.AsArray();
            var denied = localities[0]!["lb_endpoints"]![0]!;
            localities[0]!["lb_endpoints"]!.AsArray().RemoveAt(0);
            localities.Add(new JsonObject { ["priority"] = 1, ["locality"] = new JsonObject(), ["lb_endpoints"] = new JsonArray(denied) });
            scenario.Client = client.ToJsonString();
        }
        scenario.Callee = scenario.Callee.Replace("\"http_filters\": [", """
            "http_filters": [{"name": "envoy.filters.http.rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "DENY", "policies": {"ns[shop]-policy[barred]-rule[0]": {"permissions": [{"any": true}], "principals": [{"any": true}]}}}}},
            """, StringComparison.Ordinal);
        scenario.Call = new("connect to orders:80", true, 0, 3, upstream, "-", "", []) { Says = "closed" };
        Assert.Equal(!isDenied, scenario.Walk().Succeeds);
    }

    [Theory]
    [InlineData("Pod shop/orders-a at 10.1.0.5:8080", "10.1.0.5:8080", true)]
    [InlineData("Pod shop/orders-a at 10.1.0.5:8080", "10.1.0.5:80", false)]
    [InlineData("Pod shop/orders-a at 110.1.0.5:80", "10.1.0.5:80", false)]
    [InlineData("n2 through gateway 172.18.2.1:15443 (2 of them)", "172.18.2.1:15443", true)]
    [InlineData("Pod shop/orders-a", "", false)]
    public void A_way_is_found_by_its_whole_address(string title, string address, bool isIt) => Assert.Equal(isIt, new Way(title, 100).Names(address));

    [Fact]
    public void The_verdict_tells_clusters_of_Envoy_from_those_of_Kubernetes() =>
        Assert.Contains("✘ The call fails at: cluster (Envoy's)\n",
            TraceText.Write(new("a.shop", "c1", "b", [new("cluster", 0, HopStatus.Failed, "does not exist", [])], [], null), details: false),
            StringComparison.Ordinal);

    /// <summary>A call that worked is never said to have failed: others do.</summary>
    [Theory]
    [InlineData(200, "50 %", "50 % of the calls fail, although the one that was made got through, at: endpoints")]
    [InlineData(200, "", "Some of the calls fail, although the one that was made got through, at: endpoints")]
    [InlineData(0, "50 %", "50 % of the calls fail at: endpoints")]
    [InlineData(503, "", "The call fails at: endpoints")]
    public void The_verdict_says_which_calls_fail(int status, string share, string verdict)
    {
        var call = status == 0 ? null : new MadeCall("GET /", true, status, 1, Callee, "-", "", []);
        var trace = new CallTrace("a.shop", "c1", "b", [new("cluster", 0, HopStatus.Ok, "v1", [new(HopFacts.ShareFact, "30 %")]),
            new("cluster", 0, HopStatus.Ok, "v2", share.Length > 0 ? [new(HopFacts.ShareFact, share)] : []), new("endpoints", 0, HopStatus.Failed, "none", []),
            new("call", 0, status == 503 ? HopStatus.Failed : HopStatus.Ok, "GET /", [])], [], call);
        Assert.Contains($"✘ {verdict}\n", TraceText.Write(trace, details: false), StringComparison.Ordinal);
        Assert.Equal(verdict, TraceText.Tree(trace)["verdict"]!.ToString());
    }

    private static WantedCall Wanted => new(IPEndPoint.Parse(Callee), "http", "orders", "/", "GET", SentRequest.Plain);

    private static string WithFault(string client, string fault) => client.Replace("\"http_filters\": [",
        $$"""
        "http_filters": [{"name": "envoy.filters.http.fault", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault", {{fault}} } },
        """, StringComparison.Ordinal);

    private static string Inject(TraceScenario s, string fault)
    {
        Sighting Seen(string flags, string failure = "", string details = "") =>
            new(new("c1", "shop", "orders-a"), true, 2, null, 503, flags, details, failure, Callee, "", "", "");
        switch (fault)
        {
            case "half of the requests aborted":
                s.Client = WithFault(s.Client, """ "abort": {"http_status": 503, "percentage": {"numerator": 50}} """);
                s.Call = new("GET /", false, 503, 1, "", "FI", "fault_filter_abort", []);
                break;
            case "all requests aborted with a status below 500":
                s.Client = WithFault(s.Client, """
                    "abort": {"http_status": 404, "percentage": {"numerator": 100}}, "delay": {"fixed_delay": "0.2s", "percentage": {"numerator": 10}}
                    """);
                s.Call = new("GET /", false, 404, 1, "", "FI", "fault_filter_abort", []);
                break;
            case "slow application":
                s.Call = new("GET /", false, 0, 5000, Callee, "DC", "no answer within 5 s", []) { IsOutOfTime = true };
                s.Sighted = [Seen("DC")];
                break;
            case "slow, and nobody saw it": s.Call = new("GET /", false, 0, 5000, Callee, "DC", "no answer within 5 s",
                []) { IsOutOfTime = true, IsConnected = true }; break;
            case "out of time while it connects": s.Call = new("GET /", false, 0, 5000, Callee, "DC", "no answer within 5 s", []) { IsOutOfTime = true }; break;
            case "out of time, and nothing seen":
                s.Client = s.ClientOfOne;
                s.Watched = [];
                s.Call = new("GET /", false, 0, 5000, "", "", "no answer within 5 s", []) { IsOutOfTime = true };
                break;
            case "limits of the connection pool":
                s.Client = s.Client.Replace("\"type\": \"EDS\"",
                    "\"type\": \"EDS\", \"metadata\": {\"filter_metadata\": {\"istio\": {\"config\": \"/apis/x/v1/namespaces/shop/destination-rule/orders\"}}}",
                    StringComparison.Ordinal);
                s.Call = new("GET /", false, 503, 1, "", "UO", "upstream_reset_before_response_started{overflow}", []);
                break;
            case "tries that a timeout ends":
                s.Client = s.Client.Replace("\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + "\"}",
                    "\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + "\", \"timeout\": \"2s\", \"retry_policy\": {\"retry_on\": \"5xx\", "
                        + "\"per_try_timeout\": \"2s\", \"num_retries\": 3}}", StringComparison.Ordinal);
                s.Call = new("GET /", false, 504, 2017, Callee, "UT", "upstream_response_timeout", []);
                break;
            case "a timeout that cuts off a response":
                s.Client = s.Client.Replace("\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + "\"}",
                    "\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + "\", \"timeout\": \"2s\"}", StringComparison.Ordinal);
                s.Call = new("GET /", false, 0, 2002, Callee, "UT", "upstream_reset_after_response_started{connection_termination}", []);
                s.Sighted = [Seen("DC", details: "downstream_remote_disconnect")];
                break;
            case "long headers":
                s.Call = new("GET /", false, 502, 1, Callee, "UPE", "http1.headers_too_large", []);
                s.Sighted = [Seen("UPE", details: "upstream_reset_before_response_started{http1.headers_too_large}")];
                break;
            case "HTTP on a port named grpc" or "nothing accepts on a port named grpc":
                (s.One, s.Two) = (s.One.Replace("{name: http, port: 80", "{name: grpc-web2, port: 80", StringComparison.Ordinal),
                    s.Two.Replace("{name: http, port: 80", "{name: grpc-web2, port: 80", StringComparison.Ordinal));
                s.Call = new("GET /", false, 503, 1, Callee, "-", "via_upstream", []);
                s.Sighted = [fault.StartsWith("HTTP", StringComparison.Ordinal) ? Seen("UC") : Seen("UF", "Connection refused")];
                break;
            case "ServiceEntry of the same host":
                s.One += "\n---\n{apiVersion: networking.istio.io/v1beta1, kind: ServiceEntry, metadata: {name: mine, namespace: shop}, spec: {hosts: "
                    + "[orders.shop.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], "
                    + "endpoints: [{address: 10.99.0.9}]}}";
                s.Client = s.ClientOfOne.Replace("\"address\": \"10.1.0.5\"", "\"address\": \"10.99.0.9\"", StringComparison.Ordinal)
                    .Replace("orders;shop;orders;v1;c1", ";;;;c1", StringComparison.Ordinal);
                s.Call = new("GET /", false, 503, 3, "10.99.0.9:8080", "UF", "delayed connect error: Connection refused", []);
                break;
            case "DNS without Pods":
                s.Client = s.Client.Replace("\"host\": \"orders\"", "\"host\": \"example.com\"", StringComparison.Ordinal)
                    .Replace("[\"10.96.0.5\"], \"by\": \"sidecar\"", "[], \"by\": \"\"", StringComparison.Ordinal);
                s.One += "\n---\n{apiVersion: v1, kind: Service, metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}, spec: "
                    + "{clusterIP: 10.96.0.10, selector: {k8s-app: kube-dns}, ports: [{name: dns, port: 53, protocol: UDP}]}}"
                    + "\n---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: coredns, namespace: kube-system}, spec: {replicas: 0, template: "
                    + "{metadata: {labels: {k8s-app: kube-dns}}}}}";
                return "example.com";
            case "a warning before a failure that nobody explains":
                s.Client = s.Client.Replace("\"cluster_statuses\": []",
                    "\"cluster_statuses\": [{\"name\": \"outbound|80||" + TraceScenario.Fqdn
                        + "\", \"host_statuses\": [{\"address\": {\"socket_address\": {\"address\": \"172.18.2.1\", \"port_value\": 15443}}, "
                        + "\"health_status\": {\"failed_outlier_check\": true}}]}]",
                    StringComparison.Ordinal);
                s.Call = new("GET /", false, 503, 3, Callee, "UF", "delayed connect error: 113", []);
                break;
            case "nothing to be seen": s.Call = new("GET /", false, 503, 3, "172.18.2.1:15443", "UF", "delayed connect error: 113", []); break;
        }
        return "orders";
    }

    [Fact]
    public void A_route_without_a_name_is_said_to_have_none()
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("\"name\": \"default\", \"metadata\"", "\"metadata\"", StringComparison.Ordinal);
        var route = Assert.Single(scenario.Walk().Hops, hop => hop.Name == "route");
        Assert.Equal($"{TraceScenario.Fqdn}:80, unnamed route", route.Summary);
    }
}
