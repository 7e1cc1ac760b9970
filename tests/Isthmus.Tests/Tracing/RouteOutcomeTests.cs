using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Judgement;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>What routes do that no caller sees in an answer: redirects that lead back, and copies of requests that go nowhere.</summary>
public sealed class RouteOutcomeTests
{
    private const string Route =
        "{\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + "\"}, \"name\": \"default\"";

    /// <summary>A client follows: what counts is where it ends.</summary>
    [Theory]
    [InlineData("{\"match\": {\"prefix\": \"/\"}, \"redirect\": {\"path_redirect\": \"/home\"}", "orders/", "redirects http://orders:80/home to itself")]
    [InlineData("{\"match\": {\"prefix\": \"/\"}, \"redirect\": {\"host_redirect\": \"orders.shop\"}", "orders/a",
        "redirects http://orders.shop:80/a to itself")]
    [InlineData("{\"match\": {\"prefix\": \"/a\"}, \"redirect\": {\"path_redirect\": \"/b\"}}, {\"match\": {\"prefix\": \"/\"}, \"redirect\": "
        + "{\"path_redirect\": \"/a\"}", "orders/c", "redirects http://orders:80/a to http://orders:80/b, and from there")]
    [InlineData("{\"match\": {\"path\": \"/\"}, \"redirect\": {\"path_redirect\": \"/home\"}", "orders/", "")]
    [InlineData("{\"match\": {\"prefix\": \"/\"}, \"redirect\": {\"host_redirect\": \"elsewhere.example.com\"}", "orders/", "")]
    public void A_redirect_that_leads_back_is_a_failure_whatever_the_status_of_its_answer(string route, string target, string says)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 301, 1, "", "-", "direct_response", []) };
        scenario.Client = scenario.Client.Replace(Route, $"{route}, \"name\": \"default\"", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + "http: [{redirect: {uri: /home}}]}}";
        var trace = scenario.Walk(target);
        Assert.Equal(says.Length == 0, trace.Succeeds);
        if (says.Length == 0) return;
        var problem = trace.Failure!.Problem!;
        Assert.Equal(("route", "ISM2113", "VirtualService shop/orders in c1", "spec.http[0].redirect"),
            (trace.Failure.Name, problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>A client of the mesh that follows gets no answer; what is outside of the mesh is not known.</summary>
    [Theory]
    [InlineData("\"https_redirect\": true", "sends requests to https://orders:443, and Service shop/orders in c1 has no port 443: ", "correct its port")]
    [InlineData("\"https_redirect\": true, \"port_redirect\": 80",
        "sends requests to https://orders:80, and Service shop/orders in c1, spec.ports[http].name, declares HTTP there", "remove scheme from the redirect")]
    [InlineData("\"host_redirect\": \"gone.shop.svc.cluster.local\"",
        "sends requests to http://gone.shop.svc.cluster.local:80, and no Service or ServiceEntry has that name", "correct its authority")]
    [InlineData("\"host_redirect\": \"gone\"", "sends requests to http://gone:80, and no Service", "correct its authority")]
    [InlineData("\"host_redirect\": \"elsewhere.example.com\", \"https_redirect\": true", "", "")]
    [InlineData("\"host_redirect\": \"example.com\"", "", "")]
    [InlineData("\"host_redirect\": \"192.0.2.1\"", "", "")]
    [InlineData("\"host_redirect\": \"orders.shop\", \"path_redirect\": \"/home\"", "", "", "\"path\": \"/\"")]
    public void A_redirect_to_where_no_call_of_the_mesh_gets_through_is_a_failure(string redirect, string says, string remedy,
        string match = "\"prefix\": \"/\"")
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 301, 1, "", "-", "direct_response", []) };
        // The listener of an address takes calls of every host, and a client of another host calls another address.
        scenario.Client = scenario.Client.Replace("\"orders.shop\", ", "\"orders.shop\", \"gone.shop.svc.cluster.local\", ", StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace(Route, $"{{\"match\": {{{match}}}, \"redirect\": {{{redirect}}}, \"name\": \"default\"",
            StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + "http: [{redirect: {uri: /home}}]}}";
        var trace = scenario.Walk("orders/");
        Assert.Equal(says.Length == 0, trace.Succeeds);
        if (says.Length == 0) return;
        var problem = trace.Failure!.Problem!;
        Assert.Equal(("route", "ISM2180", "VirtualService shop/orders in c1", "spec.http[0].redirect"),
            (trace.Failure.Name, problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(says, problem.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("outbound|80||gone.shop.svc.cluster.local", "host: gone", "ISM2010", "VirtualService shop/orders in c1",
        "mirrors requests to gone.shop.svc.cluster.local, and no Service or ServiceEntry has that name")]
    [InlineData("outbound|80|v9|orders.shop.svc.cluster.local", "host: orders, subset: v9", "ISM2032", "VirtualService shop/orders in c1",
        "mirrors requests to subset v9 of orders.shop.svc.cluster.local, and no DestinationRule defines subsets of it")]
    [InlineData("outbound|80||orders.shop.svc.cluster.local", "host: orders", null, "", "")]
    public void Copies_of_requests_that_are_lost_are_told_while_the_call_gets_through(string cluster, string mirror, string? code, string owner, string says)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "via_upstream", []) };
        scenario.Client = scenario.Client.Replace($"\"route\": {{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\"}}",
            $"\"route\": {{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\", \"request_mirror_policies\": [{{\"cluster\": \"{cluster}\"}}]}}",
            StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: [orders], "
            + $"http: [{{route: [{{destination: {{host: orders}}}}], mirror: {{{mirror}}}}}]}}}}";
        var trace = scenario.Walk();
        Assert.True(trace.Succeeds);
        var hop = Assert.Single(trace.Hops, hop => hop.Name == "mirror");
        Assert.Equal(code, hop.Problem?.Code);
        if (code is null) return;
        Assert.Equal((HopStatus.Warning, owner), (hop.Status, hop.Problem!.Object));
        Assert.StartsWith("spec.http[0].mirror.", hop.Problem.Path, StringComparison.Ordinal);
        Assert.Contains(says, hop.Problem.Message, StringComparison.Ordinal);
        Assert.Contains("✔ The call gets through. 1 warning", TraceText.Write(trace, details: false), StringComparison.Ordinal);
    }

    /// <summary>Control planes leave out what a rule of the Gateway API cannot send.</summary>
    [Theory]
    [InlineData("gone", "names Service shop/gone, which does not exist, so that copies of requests are not sent")]
    [InlineData("orders", null)]
    public void Copies_that_a_rule_of_the_Gateway_API_does_not_send_are_told(string to, string? says)
    {
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "via_upstream", []) };
        scenario.Client = scenario.Client.Replace("/apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/orders",
            "/apis/gateway.networking.k8s.io/v1/namespaces/shop/HTTPRoute/orders", StringComparison.Ordinal)
            .Replace("\"name\": \"default\"", "\"name\": \"shop.orders.0\"", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: orders, namespace: shop}, spec: {parentRefs: "
            + "[{group: \"\", kind: Service, name: orders}], rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: "
            + $"{{name: {to}, port: 80}}}}}}], backendRefs: [{{name: orders, port: 80}}]}}]}}}}";
        var trace = scenario.Walk();
        Assert.True(trace.Succeeds);
        var problem = trace.Hops.FirstOrDefault(hop => hop.Name == "mirror")?.Problem;
        Assert.Equal(says, problem?.Message);
        if (says is not null)
            Assert.Equal(("HTTPRoute shop/orders in c1", "spec.rules[0].filters[*].requestMirror.backendRef"), (problem!.Object, problem.Path));
    }

    /// <summary>A rule is for the host that is called, and the route leads to another one.</summary>
    [Theory]
    [InlineData("loadBalancer: {consistentHash: {httpHeaderName: x-user}}", "", true)]
    [InlineData("connectionPool: {http: {http2MaxRequests: 9}}", "", true)]
    [InlineData("", "", false)]
    [InlineData("loadBalancer: {simple: RANDOM}", "{host: store, trafficPolicy: {loadBalancer: {simple: RANDOM}}}", false)]
    public void A_rule_that_does_not_apply_because_a_route_leads_elsewhere_is_told(string policy, string other, bool isTold)
    {
        const string rule = "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: ";
        var scenario = new TraceScenario { Call = new("GET /", true, 200, 3, "10.1.0.5:8080", "-", "via_upstream", []) };
        scenario.Client = scenario.Client.Replace($"outbound|80||{TraceScenario.Fqdn}", "outbound|80||store.shop.svc.cluster.local", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: v1, kind: Service, metadata: {name: store, namespace: shop}, spec: {clusterIP: 10.96.0.6, "
            + $"selector: {{app: orders}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}}}{rule}orders, namespace: shop}}, spec: {{host: orders, trafficPolicy: {{{policy}}}}}}}"
            + (other.Length > 0 ? $"{rule}store, namespace: shop}}, spec: {other}}}" : "");
        var trace = scenario.Walk();
        var problem = trace.Hops.FirstOrDefault(hop => hop.Problem?.Code == "ISM2115")?.Problem;
        Assert.Equal(isTold, problem is not null);
        if (problem is null) return;
        Assert.Equal(("DestinationRule shop/orders in c1", "spec.host"), (problem.Object, problem.Path));
        Assert.Contains("VirtualService shop/orders in c1 sends this call to store.shop.svc.cluster.local", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>A setting of a port or of a subset is named where it is, in the rule that has it.</summary>
    [Theory]
    [InlineData("trafficPolicy: {tls: {mode: DISABLE}}", "DestinationRule shop/orders in c1", "spec.trafficPolicy.tls.mode", "remove trafficPolicy.tls, or")]
    [InlineData("trafficPolicy: {portLevelSettings: [{port: {number: 9}}, {port: {number: 80}, tls: {mode: DISABLE}}]}", "DestinationRule shop/orders in c1",
        "spec.trafficPolicy.portLevelSettings[1].tls.mode", "remove trafficPolicy.portLevelSettings[1].tls, or")]
    [InlineData("trafficPolicy: {loadBalancer: {simple: RANDOM}}}}\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: second, "
        + "namespace: shop}, spec: {host: orders, trafficPolicy: {tls: {mode: DISABLE}}", "DestinationRule shop/second in c1", "spec.trafficPolicy.tls.mode",
        "remove trafficPolicy.tls, or")]
    public void A_setting_is_named_where_it_is(string policy, string owner, string path, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: strict, namespace: shop}, "
            + "spec: {mtls: {mode: STRICT}}}\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, "
            + $"spec: {{host: orders, {policy}}}}}";
        var page = JsonNode.Parse(scenario.ClientOfOne)!;
        var cluster = page["config_dump"]!["configs"]![0]!["dynamic_active_clusters"]![1]!["cluster"]!.AsObject();
        cluster.Remove("transport_socket_matches");
        cluster["metadata"] = JsonNode.Parse("""{"filter_metadata": {"istio": {"config": "/apis/x/v1/namespaces/shop/destination-rule/orders"}}}""");
        scenario.Client = page.ToJsonString();
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2057", owner, path), (problem?.Code, problem?.Object, problem?.Path));
        Assert.StartsWith(remedy, problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A time that no network needs is to blame, and a long one is not.</summary>
    [Theory]
    [InlineData("0.001s", "ISM2114", "DestinationRule shop/orders in c1", "gives connections 1 ms, TLS included")]
    [InlineData("10s", "ISM2076", "c1, n1: Pod shop/orders-a at 10.1.0.5:8080", "did not get through")]
    public void A_connection_that_a_rule_gives_no_time_is_told(string limit, string code, string owner, string says)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", false, 503, 3, "10.1.0.5:8080", "UF,URX", "upstream_reset_before_response_started{connection_timeout}; connection_timeout", []),
        };
        scenario.Client = scenario.Client.Replace("\"type\": \"EDS\", \"eds", $"\"type\": \"EDS\", \"connect_timeout\": \"{limit}\", \"metadata\": "
            + "{\"filter_metadata\": {\"istio\": {\"config\": \"/apis/x/v1/namespaces/shop/destination-rule/orders\"}}}, \"eds", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: orders, namespace: shop}, spec: {host: orders, "
            + $"trafficPolicy: {{connectionPool: {{tcp: {{connectTimeout: {limit}}}}}}}}}}}";
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal((code, owner), (problem?.Code, problem?.Object));
        Assert.Contains(says, problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>Whoever asks for a WebSocket is served by 101 alone.</summary>
    [Theory]
    [InlineData("{\"status\": 101, \"upgraded\": true, \"seen\": {\"flags\": \"DC\", \"upstream\": \"10.1.0.5:8080\"}}", null, "")]
    [InlineData("{\"status\": 200, \"upgraded\": false, \"seen\": {\"flags\": \"-\", \"upstream\": \"10.1.0.5:8080\"}}", "ISM2073",
        "responded with status 200, and not with 101, which begins a WebSocket")]
    [InlineData("{\"status\": 200, \"seen\": {\"flags\": \"-\", \"upstream\": \"10.1.0.5:8080\"}}", null, "")]
    public void A_request_for_a_WebSocket_is_judged_by_the_change_of_protocol(string report, string? code, string says)
    {
        var scenario = new TraceScenario();
        var wanted = new WantedCall(System.Net.IPEndPoint.Parse("10.96.0.5:80"), "http", "orders", "/", "GET", SentRequest.Plain) { IsWebSocket = true };
        scenario.Call = CallReading.Read(wanted, TraceScenario.Report(report), [], static _ => false);
        var trace = scenario.Walk("ws://orders/");
        Assert.Equal(code, trace.Failure?.Problem?.Code);
        Assert.Contains("WebSocket / of orders", trace.Hops.Last().Summary, StringComparison.Ordinal);
        if (code is not null) Assert.Contains(says, trace.Failure!.Problem!.Message, StringComparison.Ordinal);
    }
}
