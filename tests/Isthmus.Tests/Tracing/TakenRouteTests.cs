using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Two VirtualServices are for one host at one gateway, and the routes of the older one are tried first.</summary>
public sealed class TakenRouteTests
{
    [Theory]
    [InlineData("2026-01-01T00:00:00Z", "prefix: /h", "prefix: /hello", true)]
    [InlineData("2026-01-01T00:00:00Z", "prefix: /h", "exact: /hello", true)]
    [InlineData("2026-03-01T00:00:00Z", "prefix: /h", "prefix: /hello", false)]
    [InlineData("2026-01-01T00:00:00Z", "prefix: /", "prefix: /hello", false)]
    [InlineData("2026-01-01T00:00:00Z", "prefix: /h", "prefix: /hollow", false)]
    [InlineData("2026-01-01T00:00:00Z", "prefix: /hell", "prefix: /he", false)]
    public void A_newer_route_that_an_older_one_takes_is_told(string created, string taking, string hidden, bool isTold)
    {
        var scenario = new TraceScenario();
        scenario.Client = JsonNode.Parse(scenario.ClientOfOne)!.ToJsonString();
        scenario.One += $"\n---\n{Served("kind: Gateway, metadata: {name: front", "{selector: {app: buyer}, servers: [{port: {number: 80, name: http, "
            + "protocol: HTTP}, hosts: ['*']}]}")}\n---\n{Routes("orders", created, taking)}\n---\n{Routes("hello", "2026-02-01T00:00:00Z", hidden)}";
        var trace = PlainToTlsTests.Enter(scenario, target: "http://orders/hello");
        var problem = trace.Hops.SingleOrDefault(hop => hop.Problem?.Code == "ISM2162")?.Problem;
        Assert.True(isTold == problem is not null, TraceText.Write(trace, details: true));
        if (problem is null) return;
        Assert.True(trace.Succeeds);
        Assert.Equal(("VirtualService shop/hello in c1", "spec.http[0]"), (problem.Object, problem.Path));
        Assert.StartsWith("is never used for * at Gateway shop/front: VirtualService shop/orders is older, so that its routes are tried first, and its "
            + "spec.http[0] (prefix /h) takes all that this route (", problem.Message, StringComparison.Ordinal);
        Assert.StartsWith("write the routes of both into one VirtualService", problem.Remedy, StringComparison.Ordinal);
    }

    private static string Served(string head, string spec) => $"{{apiVersion: networking.istio.io/v1, {head}, namespace: shop}}, spec: {spec}}}";

    private static string Routes(string name, string created, string uri) => Served($"kind: VirtualService, metadata: {{name: {name}, creationTimestamp: "
        + $"'{created}'", $"{{hosts: ['*'], gateways: [front], http: [{{match: [{{uri: {{{uri}}}}}], route: [{{destination: {{host: orders}}}}]}}]}}");
}
