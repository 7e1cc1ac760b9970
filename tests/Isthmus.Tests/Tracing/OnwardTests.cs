using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Calls of the mesh that come to a Pod of a gateway, whose proxy has no inbound listener (tests/operator-faults.tsv).</summary>
public sealed class OnwardTests
{
    private const string Host = "orders.shop", Onward = "outbound|9000||far.example.com";

    private const string Egress = """

        ---
        {apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: egress, namespace: shop},
         spec: {selector: {app: orders}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}}
        """;

    /// <summary>The gateway is not at fault, whatever the call meets.</summary>
    [Theory]
    [InlineData(200, "", true, "")]
    [InlineData(404, "", true, "")]
    [InlineData(404, "route", false, "ISM2085")]
    [InlineData(null, "route", false, "ISM2085")]
    [InlineData(null, "", true, "")]
    [InlineData(null, "listener", false, "ISM2054")]
    public void A_call_goes_on_through_the_gateway(int? status, string lacking, bool succeeds, string code)
    {
        var scenario = Scenario(lacking);
        if (status is { } answer) scenario.Call = new("GET /", true, answer, 3, "10.1.0.5:8080", "-", "via_upstream", []);
        var trace = scenario.Walk(Host);
        Assert.Equal((succeeds, code), (trace.Succeeds, trace.Failure?.Problem?.Code ?? ""));
        Assert.DoesNotContain(trace.Hops, hop => hop.Problem?.Code == "ISM2003");
        Assert.Equal(lacking.Length == 0, trace.Hops.Any(hop => hop.Name == "onward" && hop.Summary.Contains("203.0.113.9:9000", StringComparison.Ordinal)));
    }

    /// <summary>The route that leads there keeps the host, which the other end does not have.</summary>
    [Theory]
    [InlineData("api.example.com", "let the route that leads the call there change its host (rewrite.authority: api.example.com)")]
    [InlineData("*.example.com", "add the host to the server")]
    public void A_host_that_the_gateway_does_not_have_can_be_changed_on_the_way(string host, string remedy)
    {
        var scenario = Scenario("route");
        scenario.One = scenario.One.Replace("hosts: [\"*\"]}]}}", $"hosts: [\"{host}\"]}}]}}}}", StringComparison.Ordinal);
        var problem = scenario.Walk(Host).Failure!.Problem!;
        Assert.Equal(("ISM2055", "Gateway shop/egress in c1"), (problem.Code, problem.Object));
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_gateway_that_no_Gateway_selects_opens_no_port()
    {
        var scenario = Scenario("listener");
        scenario.One = scenario.One.Replace("selector: {app: orders}, servers", "selector: {app: other}, servers", StringComparison.Ordinal);
        var problem = scenario.Walk(Host).Failure!.Problem!;
        Assert.Equal(("ISM2052", "Gateway shop/egress in c1"), (problem.Code, problem.Object));
    }

    /// <summary>Without a proxy of the caller, the address of the gateway's Service leads there.</summary>
    [Fact]
    public void A_call_without_a_proxy_goes_on_through_the_gateway()
    {
        var scenario = Scenario("");
        scenario.One = scenario.One.Replace(", {name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c1}]}]", "]", StringComparison.Ordinal) + """

            ---
            {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: orders-1, namespace: shop, labels: {kubernetes.io/service-name: orders}},
             ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.1.0.5], targetRef: {kind: Pod, name: orders-a}}]}
            """;
        var trace = scenario.Walk(Host);
        Assert.True(trace.Succeeds, trace.Failure?.Problem?.ToString());
        Assert.Contains(trace.Hops, hop => hop.Name == "gateway route");
        Assert.Contains(trace.Hops, hop => hop.Name == "onward");
    }

    /// <summary>A request that goes round grows at each gateway, until one refuses it.</summary>
    [Fact]
    public void A_call_that_goes_round_until_its_headers_are_too_many_fails()
    {
        var scenario = Scenario("");
        scenario.Callee = scenario.Callee.Replace("\"address\":\"203.0.113.9\",\"port_value\":9000", "\"address\":\"10.1.0.5\",\"port_value\":8080",
            StringComparison.Ordinal);
        scenario.Call = new("GET /", true, 431, 1397, "10.1.0.5:8080", "-", "via_upstream", []);
        Assert.Equal("ISM2113", scenario.Walk(Host).Failure?.Problem?.Code);
    }

    /// <summary>What a gateway tells of a request that no proxy saw after it.</summary>
    [Theory]
    [InlineData(503, "UF", "ISM2075", "could not reach 203.0.113.9:9000: UF connection_refused")]
    [InlineData(500, "-", "ISM2073", "passed the call on to 203.0.113.9:9000, which responded with status 500")]
    public void What_fails_beyond_the_gateway_is_not_its_application(int status, string flags, string code, string says)
    {
        var scenario = Scenario("");
        scenario.Call = new("GET /", true, status, 3, "10.1.0.5:8080", "-", "via_upstream", []);
        scenario.Sighted = [new(new PodRef("c1", "shop", "orders-a"), true, 3, 2, status, flags, "", flags == "UF" ? "connection_refused" : "",
            "203.0.113.9:9000", "", "", "")];
        var problem = scenario.Walk(Host).Failure!.Problem!;
        Assert.Equal((code, "Pod shop/orders-a in c1"), (problem.Code, problem.Object));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>The Pod of orders in c1 is a gateway, which leads calls to a host outside.</summary>
    /// <param name="lacking">What its proxy does not have.</param>
    private static TraceScenario Scenario(string lacking)
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy}", "{name: istio-proxy, args: [proxy, router]}",
            StringComparison.Ordinal) + Egress;
        scenario.Client = scenario.ClientOfOne.Replace(", \"envoy.transport_socket_match\": {\"tlsMode\": \"istio\"}", "", StringComparison.Ordinal);
        var page = JsonNode.Parse(scenario.ClientOfOne)!;
        var configs = page["config_dump"]!["configs"]!.AsArray();
        var listeners = configs[2]!["dynamic_listeners"]!.AsArray();
        listeners.RemoveAt(0);
        var listener = listeners[0]!["active_state"]!["listener"]!.AsObject();
        listener["name"] = "0.0.0.0_8080";
        listener["address"]!["socket_address"]!["port_value"] = 8080;
        listener.Remove("bind_to_port");
        if (lacking == "listener") listeners.Clear();
        if (lacking == "route") configs[3]!["dynamic_route_configs"]![0]!["route_config"]!["virtual_hosts"] = new JsonArray();
        scenario.Callee = page.ToJsonString().Replace($"outbound|80||{TraceScenario.Fqdn}", Onward, StringComparison.Ordinal)
            .Replace("orders;shop;orders;v1;c1", ";;;;c1", StringComparison.Ordinal)
            .Replace("\"address\":\"10.1.0.5\",\"port_value\":8080", "\"address\":\"203.0.113.9\",\"port_value\":9000", StringComparison.Ordinal)
            .Replace("\"envoy.transport_socket_match\":{\"tlsMode\":\"istio\"}", "\"x\":{}", StringComparison.Ordinal);
        return scenario;
    }
}
