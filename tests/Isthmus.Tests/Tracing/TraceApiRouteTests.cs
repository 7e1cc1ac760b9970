using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Routes of the Gateway API are named by their kind.</summary>
public sealed class TraceApiRouteTests
{
    private const string VirtualService = "/apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/orders",
        Route = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/HTTPRoute/orders",
        Forwarded = "\"route\": {\"cluster\": \"outbound|80||" + TraceScenario.Fqdn + "\"}";

    [Fact]
    public void The_route_of_a_call_is_a_detail_of_its_hop()
    {
        var hop = Assert.Single(Scenario().Walk().Hops, hop => hop.Name == "route");
        Assert.Equal(HopStatus.Ok, hop.Status);
        Assert.Contains(hop.Facts, fact => (fact.Name, fact.Value) == ("gateway api route", "HTTPRoute shop/orders"));
        Assert.DoesNotContain(hop.Facts, fact => fact.Name == "virtual service" && fact.Value.Length > 0);
    }

    /// <summary>Rules of several routes may have one name.</summary>
    [Fact]
    public void The_hop_names_the_rule_and_its_route()
    {
        Assert.EndsWith(", route default of HTTPRoute shop/orders", Hop(Scenario()), StringComparison.Ordinal);
        Assert.EndsWith(", route default", Hop(new()), StringComparison.Ordinal);
        static string Hop(TraceScenario scenario) => Assert.Single(scenario.Walk().Hops, hop => hop.Name == "route").Summary;
    }

    [Theory]
    [InlineData("\"direct_response\": {\"status\": 500}", "ISM2025", "spec.rules[*]", "does not exist or is not permitted")]
    [InlineData("\"route\": {\"cluster\": \"outbound|80||gone.shop.svc.cluster.local\"}", "ISM2010", "spec.rules[*].backendRefs",
        "gone.shop.svc.cluster.local")]
    public void A_route_that_leads_nowhere_is_to_blame(string act, string code, string path, string says)
    {
        var scenario = Scenario();
        scenario.Client = scenario.Client.Replace(Forwarded, act, StringComparison.Ordinal);
        var problem = scenario.Walk().Failure?.Problem;
        Assert.NotNull(problem);
        Assert.Equal((code, "HTTPRoute shop/orders in c1", path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("backendRefs: [{name: orders, port: 80, weight: 0}]", "spec.rules[0].backendRefs[*].weight", "is 0 for all backends")]
    [InlineData("matches: []", "spec.rules[0].backendRefs", "is empty")]
    [InlineData("backendRefs: [{name: orders, port: 81}]", "spec.rules[0].backendRefs[0].port",
        "names port 81 of Service shop/orders in c1, which has 80 (http)")]
    [InlineData("backendRefs: [{name: gone, port: 80}]", "spec.rules[0].backendRefs[0].name", "names Service shop/gone, which does not exist")]
    [InlineData("backendRefs: [{name: orders, port: 80, namespace: stock}]", "spec.rules[0].backendRefs[0].namespace",
        "names Service stock/orders, which does not exist")]
    [InlineData("backendRefs: [{name: orders, port: 80}]", "spec.rules[0]", "does not exist or is not permitted")]
    public void Why_a_route_responds_with_500_is_told(string rule, string path, string says)
    {
        var scenario = Scenario();
        scenario.Client = scenario.Client.Replace(Forwarded, "\"direct_response\": {\"status\": 500}", StringComparison.Ordinal)
            .Replace("\"name\": \"default\"", "\"name\": \"shop.orders.0\"", StringComparison.Ordinal);
        scenario.One += $"\n---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: orders, namespace: shop}}, spec: {{parentRefs: "
            + $"[{{group: \"\", kind: Service, name: orders}}], rules: [{{{rule}}}]}}}}";
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2025", "HTTPRoute shop/orders in c1", path), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains(says, problem!.Message, StringComparison.Ordinal);
    }

    private static TraceScenario Scenario()
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace(VirtualService, Route, StringComparison.Ordinal);
        return scenario;
    }
}
