using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Judgement;
using Isthmus.Explain.Tracing.Reading;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>The same call, made several times: what Pods answer differently, and how many calls fail.</summary>
public sealed class RepeatedCallTests
{
    private static readonly PodRef Here = new("c1", "shop", "orders-a"), There = new("c2", "shop", "orders-b");

    /// <summary>A release that only one cluster has: which Pod answers is chance.</summary>
    [Theory]
    [InlineData(404, true)]
    [InlineData(500, false)]
    public void Pods_that_answer_differently_are_told(int status, bool succeeds)
    {
        var scenario = Scenario(Outcome(There, status), Outcome(Here, 200), Outcome(There, status));
        scenario.Two = scenario.Two.Replace("version: v1", "version: v2", StringComparison.Ordinal);
        var trace = scenario.Walk();
        var hop = trace.Hops[^1];
        Assert.Equal((succeeds, RepeatedCalls.Hop, HopStatus.Warning, $"3 calls: 2 → {status}, 1 → 200"),
            (trace.Succeeds, hop.Name, hop.Status, hop.Summary));
        Assert.Equal(("ISM2172", "Pod shop/orders-b in c2"), (hop.Problem?.Code, hop.Problem?.Object));
        Assert.Equal($"answers this call with {status}, and Pod shop/orders-a in c1 with 200 (label version is v2 and v1): which of them callers get is chance",
            hop.Problem!.Message);
    }

    /// <summary>Without a Pod that always fails beside one that never does, they are only counted.</summary>
    [Fact]
    public void Calls_that_one_Pod_answers_differently_are_counted()
    {
        var hop = Scenario(Outcome(Here, 503), Outcome(Here, 200), Outcome(There, 200)).Walk().Hops[^1];
        Assert.Equal((HopStatus.Warning, "3 calls: 2 → 200, 1 → 503"), (hop.Status, hop.Summary));
        Assert.Null(hop.Problem);
    }

    /// <summary>A policy of one of the clusters denies calls: the Pods are innocent.</summary>
    [Fact]
    public void Pods_are_not_compared_where_something_else_was_found()
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "denied");
        scenario.Outcomes = [Outcome(Here, 403), Outcome(There, 200)];
        scenario.One += "\n---\n{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: barred, namespace: shop}, spec: {action: DENY, "
            + "rules: [{}]}}";
        var trace = scenario.Walk();
        Assert.Equal("ISM2064", trace.Failure?.Problem?.Code);
        Assert.Equal((RepeatedCalls.Hop, HopStatus.Warning, null), (trace.Hops[^1].Name, trace.Hops[^1].Status, trace.Hops[^1].Problem));
    }

    /// <summary>Behind a gateway, another Pod than its first endpoint may have got the call: what its proxy says counts.</summary>
    [Theory]
    [InlineData("orders-b")]
    [InlineData("orders-c")]
    public void The_Pod_behind_a_gateway_that_got_the_call_is_followed(string pod)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", true, 403, 3, "172.18.2.1:15443", "-", "", []),
            Sighted = [new(new("c2", "shop", pod), true, 1, 1, 403, "-", "rbac_access_denied_matched_policy[none]", "", "", "", "", "")],
        };
        TraceWalkTests.Inject(scenario, "denied");
        (scenario.Callee, scenario.CalleeThere) = (new TraceScenario().Callee, scenario.Callee);
        scenario.Call = new("GET /", true, 403, 3, "172.18.2.1:15443", "-", "", []);
        AddThird(scenario);
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2064", "AuthorizationPolicy shop/barred in c2"), (problem?.Code, problem?.Object));
        Assert.Contains($"Pod shop/{pod} in c2", problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>The first of them gets calls through, and the other one does not: no call was made, or it went to the first.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_Pod_behind_a_gateway_that_denies_calls_is_a_warning_where_others_take_them(bool isMade)
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "denied");
        (scenario.Third, scenario.Callee) = (scenario.Callee, new TraceScenario().Callee);
        scenario.Call = isMade ? Outcome(There, 200).Call : null;
        scenario.Sighted = isMade ? Outcome(There, 200).Sightings.All : [];
        AddThird(scenario);
        var trace = scenario.Walk();
        Assert.True(trace.Succeeds);
        var hop = Assert.Single(trace.Hops, hop => hop.Problem is not null);
        Assert.Equal(("capacity", HopStatus.Warning, "calls that go to Pod shop/orders-c in c2 fail at: inbound", "ISM2064"),
            (hop.Name, hop.Status, hop.Summary, hop.Problem!.Code));
    }

    [Fact]
    public void Answers_that_are_all_the_same_are_no_news()
    {
        Assert.Equal("call", Scenario(Outcome(Here, 404), Outcome(There, 404)).Walk().Hops[^1].Name);
    }

    /// <summary>Only what changes nothing where it arrives is repeated unasked.</summary>
    [Theory]
    [InlineData("GET", 404, "", 5)]
    [InlineData("HEAD", 500, "", 5)]
    [InlineData("GET", 200, "", 0)]
    [InlineData("POST", 404, "", 0)]
    [InlineData("GET", 404, "a body", 0)]
    public void What_is_repeated_unasked(string method, int status, string body, int times)
    {
        var scenario = Scenario(Outcome(Here, status));
        scenario.Call = Outcome(Here, status).Call;
        Assert.Equal(times, RepeatedCalls.Wanted(scenario.Facts(),
            new(new(System.Net.IPAddress.Loopback, 80), CallKinds.Http, "orders", "/", method, SentRequest.Plain with { Body = body })));
    }

    /// <summary>A second Pod in c2, behind the same gateway, where a policy denies all calls.</summary>
    private static void AddThird(TraceScenario scenario)
    {
        scenario.Two += "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: orders-c, namespace: shop, labels: {app: orders}}, spec: {containers: "
            + "[{name: web}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.1.0.6, conditions: [{type: Ready, status: \"True\"}]}}\n---\n"
            + "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: barred, namespace: shop}, spec: {action: DENY, rules: [{}]}}";
        const string First = "{\"endpoint\": {\"address\": {\"socket_address\": {\"address\": \"10.1.0.5\"";
        var at = scenario.Gateway.IndexOf(First, StringComparison.Ordinal);
        var end = scenario.Gateway.IndexOf("]}]}}]", at, StringComparison.Ordinal);
        scenario.Gateway = scenario.Gateway.Insert(end, ", " + scenario.Gateway[at..end].Replace("10.1.0.5", "10.1.0.6", StringComparison.Ordinal));
    }

    /// <param name="outcomes">The first is the one that is explained.</param>
    private static TraceScenario Scenario(params CallOutcome[] outcomes) =>
        new() { Call = outcomes[0].Call, Sighted = outcomes[0].Sightings.All, Outcomes = outcomes };

    private static CallOutcome Outcome(PodRef by, int status) =>
        new(new("GET /", true, status, 3, by == Here ? "10.1.0.5:8080" : "172.18.2.1:15443", "-", "", []),
            new([new(by, true, 1, 1, status, "-", "via_upstream", "", "", "", "", "")]));
}
