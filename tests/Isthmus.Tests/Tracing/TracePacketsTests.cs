using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>A NetworkPolicy that drops the packets of a call is named when the call fails, and only then.</summary>
public sealed class TracePacketsTests
{
    private const string Here = "10.1.0.5:8080", There = "172.18.2.1:15443";

    /// <summary>The cluster that the policy is in, the policy, the address that the failed call went to, and the object of the report.</summary>
    public static TheoryData<int, string, string, string, string> Dropping => new()
    {
        {
            1, "name: out, namespace: shop}, spec: {podSelector: {matchLabels: {app: buyer}}, policyTypes: [Egress]", Here, "NetworkPolicy shop/out in c1",
            "Pod shop/buyer in c1 opens only connections that its NetworkPolicies allow, and none to Pod shop/orders-a in c1 at 10.1.0.5:8080"
        },
        {
            1, "name: in, namespace: shop}, spec: {podSelector: {matchLabels: {app: orders}}, ingress: [{from: [{namespaceSelector: {matchLabels: {a: b}}}]}]",
            Here, "NetworkPolicy shop/in in c1", "none from Pod shop/buyer in c1 to port 8080"
        },
        {
            1, "name: out, namespace: shop}, spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]", There,
            "NetworkPolicy shop/out in c1", "none to 172.18.2.1:15443"
        },
        {
            2, "name: door, namespace: istio-system}, spec: {podSelector: {}, ingress: [{ports: [{port: 443}]}]", There,
            "NetworkPolicy istio-system/door in c2", "none from the address of its Service to port 15443"
        },
        {
            2,
            "name: door, namespace: istio-system}, spec: {podSelector: {matchLabels: {istio: eastwest}}, policyTypes: [Egress], egress: [{ports: [{port: "
                + "15012}]}]",
            There, "NetworkPolicy istio-system/door in c2", "Pod istio-system/gw in c2 opens only"
        },
        {
            2, "name: in, namespace: shop}, spec: {podSelector: {matchLabels: {app: orders}}", There, "NetworkPolicy shop/in in c2",
            "none from Pod istio-system/gw in c2 to port 8080"
        },
        // it hangs before there is an address
        {
            1, "name: out, namespace: shop}, spec: {podSelector: {matchLabels: {app: buyer}}, policyTypes: [Egress]", "", "NetworkPolicy shop/out in c1",
            "opens only connections"
        },
    };

    [Theory]
    [MemberData(nameof(Dropping))]
    public void A_policy_explains_a_call_that_fails(int cluster, string policy, string upstream, string @object, string message)
    {
        var scenario = With(cluster, policy);
        scenario.Call = new("GET /", false, upstream.Length == 0 ? 0 : 503, 5000, upstream, upstream.Length == 0 ? "" : "UF", "no answer within 5 s",
            []) { IsOutOfTime = upstream.Length == 0 };
        var failure = scenario.Walk().Failure;
        Assert.Equal(("packets", PacketCauses.Code, @object), (failure?.Name, failure?.Problem?.Code, failure?.Problem?.Object));
        Assert.Contains(message, failure!.Problem!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Dropping))]
    public void Without_a_call_it_is_a_warning(int cluster, string policy, string upstream, string @object, string message)
    {
        Assert.NotNull(upstream);
        var trace = With(cluster, policy).Walk();
        Assert.True(trace.Succeeds);
        var problem = trace.Hops.First(hop => hop.Name == "packets").Problem!;
        Assert.Equal((Severity.Warning, @object), (problem.Severity, problem.Object));
        Assert.Contains(upstream.Length == 0 ? message : message[..4], problem.Message, StringComparison.Ordinal);
    }

    /// <summary>The network plug-in does not enforce the policy, or the call found another way.</summary>
    [Theory]
    [MemberData(nameof(Dropping))]
    public void A_call_that_gets_through_disproves_it(int cluster, string policy, string upstream, string @object, string message)
    {
        Assert.NotEqual(@object, message);
        var scenario = With(cluster, policy);
        scenario.Call = new("GET /", true, 200, 2, upstream, "-", "", []);
        Assert.DoesNotContain(scenario.Walk().Hops, hop => hop.Name == "packets");
    }

    [Fact]
    public void A_call_that_arrived_and_failed_there_is_not_explained_by_it()
    {
        var scenario = With(1, "name: in, namespace: shop}, spec: {podSelector: {matchLabels: {app: orders}}");
        scenario.Call = new("GET /", false, 503, 3, Here, "-", "via_upstream", []);
        scenario.Sighted = [new(new("c1", "shop", "orders-a"), true, 2, null, 503, "UF", "", "Connection refused", "10.1.0.5:8080", "", "", "")];
        Assert.Equal("ISM2074", scenario.Walk().Failure?.Problem?.Code);
    }

    [Fact]
    public void Nobody_looks_for_one_that_could_not_be_read()
    {
        var scenario = new TraceScenario { Call = new("GET /", false, 503, 3, There, "UF", "delayed connect error: 113", []) };
        Assert.Contains("NetworkPolicies included", scenario.Walk().Failure?.Problem?.Remedy);
        scenario.UnreadThere = ["NetworkPolicy"];
        Assert.Contains("NetworkPolicies of c2, which could not be read", scenario.Walk().Failure?.Problem?.Remedy);
    }

    private static TraceScenario With(int cluster, string policy)
    {
        var scenario = new TraceScenario();
        var text = "\n---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {" + policy + "}}";
        if (cluster == 1) scenario.One += text;
        else scenario.Two += text;
        return scenario;
    }
}
