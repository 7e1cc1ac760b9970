using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Addresses that somebody has written into an EndpointSlice of a Service without selector (tests/operator-faults.tsv).</summary>
public sealed class WrittenEndpointTests
{
    private const string Address = "172.18.0.99:8080";

    [Theory]
    [InlineData("", "UF,URX", "immediate_connect_error:_No_route_to_host", "ISM2090", "EndpointSlice shop/orders-1 in c1", "endpoints[*].addresses")]
    [InlineData("", "UF,URX", "delayed_connect_error:_Connection_refused", "ISM2090", "EndpointSlice shop/orders-1 in c1", "endpoints[*].addresses")]
    [InlineData("", "", "no answer", "ISM2077", "EndpointSlice shop/orders-1 in c1", "endpoints[*].addresses")]
    [InlineData("endpointslicemirroring-controller.k8s.io", "", "no answer", "ISM2077", "Endpoints shop/orders in c1", "subsets[*].addresses")]
    public void The_object_with_an_address_that_leads_nowhere_is_named(string manager, string flags, string detail, string code, string owner, string path)
    {
        var call = new MadeCall("GET /", false, flags.Length > 0 ? 503 : 0, 5000, flags.Length > 0 ? Address : "", flags, detail, []);
        var trace = Written(manager, call with { IsOutOfTime = flags.Length == 0 }).Walk();
        Assert.Equal($"{Address}, an endpoint of {owner[..^" in c1".Length]}", Assert.Single(trace.Ways).Title);
        Assert.Equal((code, owner, path), (trace.Failure?.Problem?.Code, trace.Failure?.Problem?.Object, trace.Failure?.Problem?.Path));
    }

    [Fact]
    public void An_address_that_answers_is_not_behind_a_gateway()
    {
        var trace = Written("", new("GET /", true, 200, 3, Address, "-", "via_upstream", [])).Walk();
        Assert.True(trace.Succeeds);
        Assert.Equal($"{Address}, an endpoint of EndpointSlice shop/orders-1", Assert.Single(trace.Ways).Title);
        Assert.DoesNotContain(trace.Hops, hop => hop.Name == "gateway");
    }

    private static TraceScenario Written(string manager, MadeCall call)
    {
        var scenario = new TraceScenario { Call = call };
        scenario.Client = scenario.ClientOfOne
            .Replace("\"address\": \"10.1.0.5\", \"port_value\": 8080", "\"address\": \"172.18.0.99\", \"port_value\": 8080", StringComparison.Ordinal)
            .Replace("orders;shop;orders;v1;c1", ";;;;c1", StringComparison.Ordinal)
            .Replace("\"tlsMode\": \"istio\"}}}}", "\"tlsMode\": \"disabled\"}}}}", StringComparison.Ordinal);
        var label = manager.Length > 0 ? $", endpointslice.kubernetes.io/managed-by: {manager}" : "";
        scenario.One = scenario.One.Replace("selector: {app: orders}, ports", "ports", StringComparison.Ordinal)
            + $"\n---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: orders-1, namespace: shop, labels: "
            + $"{{kubernetes.io/service-name: orders{label}}}}}, addressType: IPv4, ports: [{{name: http, port: 8080}}], "
            + "endpoints: [{addresses: [172.18.0.99]}]}";
        scenario.Two = scenario.Two.Replace("selector: {app: orders}, ports", "ports", StringComparison.Ordinal);
        return scenario;
    }
}
