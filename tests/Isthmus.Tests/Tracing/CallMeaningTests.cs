using System.Net;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Judgement;
using Isthmus.Reports;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>What a written call means, and what an answer of the caller's proxy says (tests/operator-faults.tsv).</summary>
public sealed class CallMeaningTests
{
    /// <summary>The proxy of the caller answers a preflight of CORS, for which no policy of the callee allows OPTIONS.</summary>
    [Theory]
    [InlineData(true, 200, true)]
    [InlineData(false, 403, false)]
    public void A_policy_of_the_callee_does_not_refuse_what_the_caller_s_proxy_answers(bool isOwn, int status, bool succeeds)
    {
        var scenario = new TraceScenario();
        scenario.Callee = scenario.Callee.Replace("\"http_filters\": [", "\"http_filters\": [{\"name\": \"envoy.filters.http.rbac\", \"typed_config\": "
            + "{\"@type\": \"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC\", \"rules\": {\"action\": \"DENY\", \"policies\": "
            + "{\"ns[shop]-policy[barred]-rule[0]\": {\"permissions\": [{\"any\": true}], \"principals\": [{\"any\": true}]}}}}}, ",
            StringComparison.Ordinal);
        var wanted = new WantedCall(IPEndPoint.Parse("10.96.0.5:80"), "http", "orders", "/", "OPTIONS", SentRequest.Plain);
        SeenReport seen = isOwn ? new() { Flags = "-" } : new() { Flags = "-", Attempts = 1, Upstream = "10.1.0.5:8080", UpstreamLocal = "10.1.0.2:5" };
        scenario.Call = CallReading.Read(wanted, new() { Status = status, Seen = seen }, [], static _ => false);
        var trace = scenario.Walk();
        Assert.Equal(succeeds, trace.Succeeds);
        var inbound = trace.Hops.First(hop => hop.Name == "inbound");
        Assert.Equal(isOwn ? (HopStatus.Unknown, null) : (HopStatus.Failed, "ISM2064"), (inbound.Status, inbound.Problem?.Code));
    }

    /// <summary>Applications connect to the port of the scheme then, not to that of the Service.</summary>
    [Theory]
    [InlineData("orders", 5000)]
    [InlineData("orders/hello", 5000)]
    [InlineData("http://orders/hello", 80)]
    [InlineData("ws://orders/hello", 80)]
    [InlineData("https://orders", 443)]
    [InlineData("http://orders:5000/hello", 5000)]
    public void A_URL_without_a_port_means_the_port_of_its_scheme(string target, int port)
    {
        var scenario = new TraceScenario();
        (scenario.One, scenario.Two) = (WithPort5000(scenario.One), WithPort5000(scenario.Two));
        var trace = scenario.Walk(target);
        Assert.Contains($":{port}", trace.Target, StringComparison.Ordinal);

        static string WithPort5000(string objects) => objects.Replace("port: 80, targetPort", "port: 5000, targetPort", StringComparison.Ordinal);
    }
}
