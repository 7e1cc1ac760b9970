using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Remedies that depend on the case: what helps in one does not in another.</summary>
public sealed class RemedyChoiceTests
{
    private const string NotAutomatic = """

        ---
        {apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: "enableAutoMtls: false"}}
        """;

    [Theory]
    [InlineData("plain across networks", false, "remove trafficPolicy.tls, or set ISTIO_MUTUAL")]
    [InlineData("plain across networks", true, "set ISTIO_MUTUAL (without trafficPolicy.tls, calls stay plain text, because meshConfig.enableAutoMtls is false)")]
    [InlineData("plain to the gateway", false, "remove trafficPolicy.tls, or set ISTIO_MUTUAL")]
    [InlineData("plain to the gateway", true, "set ISTIO_MUTUAL (without")]
    [InlineData("plain to strict", true, "set ISTIO_MUTUAL (without")]
    public void A_rule_that_ends_mesh_TLS_is_enough_to_remove_where_mesh_TLS_is_automatic(string fault, bool off, string remedy)
    {
        var scenario = new TraceScenario();
        var target = TraceWalkTests.Inject(scenario, fault);
        if (off) scenario.One += NotAutomatic;
        Assert.StartsWith(remedy, scenario.Walk(target).Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.1.0.5", false, "ISM2059",
        "set trafficPolicy.tls.mode ISTIO_MUTUAL in a DestinationRule for orders, or the label security.istio.io/tlsMode: istio at its endpoint")]
    [InlineData("10.1.0.5", true, "ISM2059", "set meshConfig.enableAutoMtls to true, or trafficPolicy.tls.mode ISTIO_MUTUAL in a DestinationRule for orders")]
    [InlineData("10.1.0.77", true, "ISM2056", "set meshConfig.enableAutoMtls to true, or trafficPolicy.tls.mode ISTIO_MUTUAL in a DestinationRule for orders")]
    public void Plain_text_that_no_rule_asks_for_is_not_ended_by_calling_the_Service_again(string address, bool off, string code, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("\"tlsMode\": \"istio\"}, \"transport_socket\"", "\"tlsMode\": \"never\"}, \"transport_socket\"",
            StringComparison.Ordinal).Replace("\"address\": \"10.1.0.5\"", $"\"address\": \"{address}\"", StringComparison.Ordinal);
        if (off) scenario.One += NotAutomatic;
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(code, problem?.Code);
        Assert.StartsWith(remedy, problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The mode of a port stands above that of the policy.</summary>
    [Theory]
    [InlineData("mtls: {mode: DISABLE}", "mtls: {mode: PERMISSIVE}", "spec.mtls.mode", "set mtls.mode to PERMISSIVE or STRICT")]
    [InlineData("selector: {matchLabels: {app: orders}}, portLevelMtls: {8080: {mode: DISABLE}}",
        "selector: {matchLabels: {app: orders}}, portLevelMtls: {8080: {mode: STRICT}}", "spec.portLevelMtls[8080].mode", "set portLevelMtls[8080].mode to PERMISSIVE or STRICT")]
    public void The_mode_that_decides_is_the_one_to_set(string spec, string mended, string path, string remedy)
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "mesh TLS off across networks");
        scenario.Two = scenario.Two.Replace("mtls: {mode: DISABLE}", spec, StringComparison.Ordinal);
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal(("ISM2066", path, remedy), (problem.Code, problem.Path, problem.Remedy));
        scenario.Two = scenario.Two.Replace(spec, mended, StringComparison.Ordinal);
        Assert.DoesNotContain(scenario.Walk().Hops, hop => hop.Problem?.Code == "ISM2066");
    }

    [Fact]
    public void A_server_for_other_networks_is_named_with_its_mode_and_its_port()
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "gateway without listener");
        scenario.Two = scenario.Two.Replace("port: {number: 15443", "port: {number: 15444", StringComparison.Ordinal)
            .Replace("{mode: PASSTHROUGH}", "{mode: AUTO_PASSTHROUGH}", StringComparison.Ordinal);
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal("ISM2053", problem.Code);
        Assert.Equal("add a server for port 15443 with protocol TLS and tls.mode AUTO_PASSTHROUGH, or set targetPort of the gateway's Service to 15444",
            problem.Remedy);
    }

    [Fact]
    public void An_application_that_listens_on_the_loopback_only_is_named_with_its_port()
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "loopback only");
        Assert.EndsWith("defaultEndpoint 127.0.0.1:8080", scenario.Walk().Failure!.Problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Only a proxy leads from a Service to Pods in other clusters.</summary>
    [Fact]
    public void A_Service_without_Pods_does_not_help_a_caller_without_a_sidecar()
    {
        var scenario = new TraceScenario();
        scenario.One = string.Join("\n---\n", scenario.One.Split("---").Where(document => !document.Contains("kind: Service, metadata: {name: orders",
            StringComparison.Ordinal)).Select(document => document.Trim())).Replace("{name: istio-proxy, env", "{name: other, env", StringComparison.Ordinal);
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal("ISM2011", problem?.Code);
        Assert.StartsWith("give the caller a sidecar (label namespace shop in c1", problem!.Remedy, StringComparison.Ordinal);
        Assert.Contains("with Pods of its own", problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{to: [{operation: {methods: [GET]}}]}", "name in spec.rules[0].from whom it denies")]
    [InlineData("{from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/friend]}}]}", "add the caller to those that the rule excepts")]
    [InlineData("{from: [{source: {namespaces: [shop]}}]}", "remove the caller from the rule")]
    public void How_a_rule_spares_a_caller_depends_on_whom_it_is_for(string rule, string remedy)
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "denied");
        scenario.One += $"\n---\n{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: barred, namespace: shop}}, "
            + $"spec: {{action: DENY, rules: [{rule}]}}}}";
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal("ISM2064", problem.Code);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false, true, "call https://shop.example.com:8443")]
    [InlineData(true, false, "call http://shop.example.com:8443, or give the listener the protocol HTTPS, with tls")]
    public void The_URL_that_a_gateway_takes_has_the_port(bool isTls, bool hasTls, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One += """

            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: edge}, spec: {gatewayClassName: istio, listeners: [{name: web, port: 8443, protocol: HTTP}]}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: front, namespace: edge, labels: {gateway.networking.k8s.io/gateway-name: front}}, spec: {containers: [{name: istio-proxy}]}, status: {phase: Running}}
            """;
        var facts = scenario.Facts("shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        Problem? problem = new ApiEntryCauses(facts, new CallerConfig(facts)).WithoutChain(isTls, hasTls, "shop.example.com", 8443);
        Assert.Equal(("ISM2084", remedy), (problem?.Code, problem?.Remedy));
    }
}
