using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Calls end at once where all endpoints are ejected: what made the calls fail before that is the cause.</summary>
public sealed class EjectionCauseTests
{
    private const string OfGateway = """

        ---
        {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: ew, namespace: istio-system},
         spec: {selector: {matchLabels: {istio: eastwest}}, rules: [{from: [{source: {namespaces: [shop]}}]}]}}
        """;

    [Theory]
    [InlineData("\"address\": \"10.1.0.5:8080\", \"status\": 503", "", "ISM2073", "Pod shop/orders-a in c1", "responded with status 503; ")]
    [InlineData("\"address\": \"10.1.0.5:8080\", \"flag\": \"UF\", \"reason\": \"delayed_connect_error:_111\"", "", "ISM2090",
        "c1, n1: Pod shop/orders-a at 10.1.0.5:8080", "nothing listens at this port; ")]
    [InlineData("\"address\": \"10.1.0.5:8080\", \"flag\": \"UF\", \"reason\": \"TLS_error:|268435581:SSL_routines\"", "", "ISM2076",
        "c1, n1: Pod shop/orders-a at 10.1.0.5:8080", "UF TLS_error:|268435581:SSL_routines")]
    [InlineData("\"address\": \"172.18.2.1:15443\", \"flag\": \"UF\", \"reason\": \"connection_reset\"", OfGateway, "ISM2064",
        "AuthorizationPolicy istio-system/ew in c2", "it may deny this one (UF connection_reset); ")]
    public void The_last_call_before_the_ejection_says_why(string last, string objects, string code, string owner, string says)
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "taken out for nobody knows what");
        scenario.Two += objects;
        scenario.Client = scenario.Client.Replace("\"pod\": {",
            $"\"pod\": {{\"ejections\": [{{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\", {last}}}], ", StringComparison.Ordinal);
        var trace = scenario.Walk();
        var problem = trace.Failure?.Problem;
        Assert.Equal((code, owner), (problem?.Code, problem?.Object));
        Assert.Equal("endpoints", trace.Failure!.Name);
        Assert.Contains(says, problem!.Message, StringComparison.Ordinal);
        Assert.Contains("outlier detection ejected all endpoints", problem.Message, StringComparison.Ordinal);
        Assert.Contains(code == "ISM2073" ? "(the last one: status 503 of the application)" : "(the last one: UF ", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>What a hop says comes first: the certificate of the callee is of another root.</summary>
    [Fact]
    public void A_hop_that_fails_is_the_cause()
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "another root, and taken out for it");
        scenario.Client = scenario.Client.Replace("\"pod\": {", $"\"pod\": {{\"ejections\": [{{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\", "
            + "\"address\": \"10.1.0.5:8080\", \"flag\": \"UF\", \"reason\": \"TLS_error\"}], ", StringComparison.Ordinal);
        var trace = scenario.Walk();
        Assert.Equal("ISM1010", trace.Failure?.Problem?.Code);
        // The ejection is only a consequence.
        var endpoints = trace.Hops.Single(hop => hop.Name == "endpoints");
        Assert.Null(endpoints.Problem);
        Assert.Contains("outlier detection ejected all endpoints", endpoints.Summary, StringComparison.Ordinal);
        Assert.EndsWith(", which follows from what fails below", endpoints.Summary, StringComparison.Ordinal);
    }
}
