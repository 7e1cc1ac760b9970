using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Judgement;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>The call of a trace checks no certificate, and the trace says what clients that check would say of the one that it was shown.</summary>
public sealed class SeenCertificateTests
{
    private const string Callee = "10.1.0.5:8080";

    [Theory]
    [InlineData(-1, 90, "orders", null, "", "")]
    [InlineData(-20, -10, "orders", "ISM2061", "shows the certificate CN=app, O=mesh, which expired at ", "give the application a new certificate")]
    [InlineData(1, 90, "orders", "ISM2061", "which is not valid before ", "give the application one that is valid now, and correct the clock")]
    [InlineData(-1, 90, "other.example.com", "ISM2102", "which is for other.example.com, and not for orders: ",
        "give the application a certificate for orders, or call it by a name that its certificate has")]
    [InlineData(-1, 90, "", "ISM2102", "which is for no DNS name", "give the application a certificate for orders")]
    public void What_clients_that_check_refuse_is_told(int begins, int ends, string name, string? code, string says, string remedy)
    {
        using var leaf = Leaf(begins, ends, name);
        var trace = Scenario(Answered(leaf)).Walk("https://orders:80");
        Assert.True(trace.Succeeds, TraceText.Write(trace, details: true));
        var (hop, text) = (trace.Hops.Single(hop => hop.Name == "call"), TraceText.Write(trace, details: true));
        Assert.Equal((code is null ? HopStatus.Ok : HopStatus.Warning, code, code is null ? null : "Pod shop/orders-a in c1"),
            (hop.Status, hop.Problem?.Code, hop.Problem?.Object));
        Assert.Contains("certificate: CN=app, O=mesh, valid from ", text, StringComparison.Ordinal);
        Assert.Contains("issued by CN=Root, O=mesh", text, StringComparison.Ordinal);
        var verdict = code is null ? "✔ The call gets through." : "✔ The call gets through for clients that do not check certificates. ";
        Assert.True(text.Contains(verdict, StringComparison.Ordinal), text);
        Assert.Equal(code is not null, (bool?)TraceText.Tree(trace)["call"]!["certificate"]!["refused_by_clients_that_check"]);
        Assert.Contains(says, hop.Problem?.Message ?? "", StringComparison.Ordinal);
        Assert.StartsWith(remedy, hop.Problem?.Remedy ?? "", StringComparison.Ordinal);
    }

    /// <summary>A gateway on the way ends TLS, and its objects have told the same already: only the verdict says it again.</summary>
    [Theory]
    [InlineData("ISM2061", HopStatus.Ok)]
    [InlineData("ISM2102", HopStatus.Warning)]
    public void What_the_hop_of_a_gateway_has_said_is_not_said_twice(string said, HopStatus expected)
    {
        using var leaf = Leaf(-20, -10, "orders");
        var (facts, call) = (new TraceScenario().Facts("https://orders:80"), Answered(leaf));
        Hop told = new("TLS", 1, HopStatus.Warning, "ends at the gateway", [], new(said, "Gateway shop/front in c2", "", "", "")),
            made = new("call", 0, HopStatus.Ok, "GET / → 200", []);
        var trace = SeenCertificate.Tell(new(facts, null, null, 80, CallKinds.Tls, new(IPAddress.Loopback, 80)),
            new("", "c1", "", [told, made], [new("a gateway", 100)], call), call);
        Assert.Equal(expected, trace.Hops[1].Status);
        Assert.True(trace.Call!.IsUnchecked);
    }

    [Theory]
    [InlineData(Callee, "Pod shop/orders-a in c1")]
    [InlineData("172.18.2.1:15443", "Pod shop/orders-b in c2")]
    public void Who_has_shown_it_is_named(string upstream, string owner)
    {
        using var leaf = Leaf(-20, -10, "orders");
        var scenario = Scenario(Answered(leaf) with { Upstream = upstream }, isInBoth: true);
        var trace = scenario.Walk("https://orders:80");
        Assert.True(owner == trace.Hops.Single(hop => hop.Name == "call").Problem?.Object, TraceText.Write(trace, details: true));
    }

    [Fact]
    public void A_report_with_certificates_is_read()
    {
        using var leaf = Leaf(-1, 90, "orders");
        var report = TraceScenario.Report($$"""{"status": 200, "certificate": "CN=app", "chain": ["{{Convert.ToBase64String(leaf.RawData)}}"]}""");
        var call = CallReading.Read(new(IPEndPoint.Parse(Callee), "tls", "orders", "/", "GET", SentRequest.Plain), report, [], static _ => false);
        Assert.Equal("CN=app, O=mesh", Assert.Single(call.Shown).Subject);
    }

    private static X509Certificate2 Leaf(int begins, int ends, string name)
    {
        var root = Issuer.SelfSigned(new("mesh", "Root"), Keys.Create(KeyKind.EcP256), TraceScenario.Now.AddYears(-1), TraceScenario.Now.AddYears(9));
        return root.IssueIntermediate(new("mesh", "app"), Keys.Create(KeyKind.EcP256), name.Length > 0 ? new([], [name], []) : SubjectNames.None,
            TraceScenario.Now.AddDays(begins), TraceScenario.Now.AddDays(ends)).Certificate;
    }

    private static MadeCall Answered(X509Certificate2 leaf) => new("GET / of orders:80 over TLS", true, 200, 3, Callee, "-", "", []) { Shown = [leaf] };

    /// <summary>Connections to the port are passed on as they are.</summary>
    private static TraceScenario Scenario(MadeCall call, bool isInBoth = false)
    {
        var scenario = new TraceScenario { Call = call };
        var page = JsonNode.Parse(isInBoth ? scenario.Client : scenario.ClientOfOne)!;
        foreach (var listener in page["config_dump"]!["configs"]![2]!["dynamic_listeners"]!.AsArray())
            if (listener!["active_state"]!["listener"]!["name"]!.ToString() == "0.0.0.0_80")
                listener["active_state"]!["listener"]!["filter_chains"] = JsonNode.Parse($$$"""
                    [{"filters": [{"name": "tcp",
                      "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x",
                      "cluster": "outbound|80||{{{TraceScenario.Fqdn}}}"} }]}]
                    """);
        scenario.Client = page.ToJsonString();
        return scenario;
    }
}
