using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Calls that are denied go one way of several: what stops others is not why.</summary>
public sealed class DeniedOnAWayTests
{
    private const string Gateway = "172.18.2.1:15443", Here = "10.1.0.5:8080";

    /// <summary>Both Pods deny calls, each by a policy of its own.</summary>
    [Theory]
    [InlineData(Here, "barred in c1")]
    [InlineData(Gateway, "closed in c2")]
    public void The_policy_of_the_way_that_the_call_took_is_named(string upstream, string policy)
    {
        var scenario = new TraceScenario { Call = Denied(upstream) };
        scenario.Callee = Denying(scenario.Callee, "barred");
        scenario.CalleeThere = Denying(scenario.CalleeThere, "closed");
        var trace = scenario.Walk("orders");
        Assert.True(trace.Failure?.Problem is { Code: "ISM2064" } problem && problem.Object == $"AuthorizationPolicy shop/{policy}",
            TraceText.Write(trace, details: true));
        Assert.Single(trace.Hops, hop => hop is { Status: HopStatus.Warning, Problem.Code: "ISM2064" });
    }

    /// <summary>The proxy in c2 says that it denied the call, and its configuration does not show why.</summary>
    [Fact]
    public void What_a_proxy_on_the_way_denies_is_not_blamed_on_a_policy_of_another()
    {
        var scenario = new TraceScenario { Call = Denied(Gateway) };
        scenario.Callee = Denying(scenario.Callee, "barred");
        scenario.Sighted = [new(new("c2", "shop", "orders-b"), true, 2, 1, 403, "-", "rbac_access_denied_matched_policy[ns[shop]-policy[late]-rule[0]]",
            "", "", "", "", "")];
        var problem = scenario.Walk("orders").Failure?.Problem;
        Assert.Equal(("ISM2064", "AuthorizationPolicy shop/late, rule 0 in c2"), (problem?.Code, problem?.Object));
    }

    /// <summary>Nothing on the way of the call denies it: the application may say 403 itself. Calls of the other way fail nevertheless.</summary>
    [Fact]
    public void A_403_of_the_application_is_not_blamed_on_a_policy_of_another_way()
    {
        var scenario = new TraceScenario { Call = Denied(Gateway) };
        scenario.Callee = Denying(scenario.Callee, "barred");
        var trace = scenario.Walk("orders");
        Assert.Equal((HopStatus.Ok, "inbound"), (trace.Hops.Single(hop => hop.Name == "call").Status, trace.Failure?.Name));
        Assert.Contains("although the one that was made got through", TraceText.Write(trace, details: false), StringComparison.Ordinal);
    }

    private static MadeCall Denied(string upstream) => new("GET /", true, 403, 3, upstream, "-", "via_upstream", []);

    private static string Denying(string callee, string policy) => callee.Replace("\"http_filters\": [",
        "\"http_filters\": [{\"name\": \"envoy.filters.http.rbac\", \"typed_config\": {\"@type\": "
            + "\"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC\", \"rules\": {\"action\": \"DENY\", \"policies\": "
            + $"{{\"ns[shop]-policy[{policy}]-rule[0]\": {{\"permissions\": [{{\"any\": true}}], \"principals\": [{{\"any\": true}}]}}}}}}}}}}, ",
        StringComparison.Ordinal);
}
