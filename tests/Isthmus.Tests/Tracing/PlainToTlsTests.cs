using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Requests in plain text to a port that declares TLS, of a Pod without a sidecar: what should begin TLS is named, at the hop TLS
/// (tests/operator-faults.tsv).</summary>
public sealed class PlainToTlsTests
{
    private const string Callee = "10.1.0.5:8080", Policy = "BackendTLSPolicy shop/secure in c1", Mistaken = "sectionName: \"80\"";

    /// <summary>A policy that was meant for the Service, and does not apply.</summary>
    [Theory]
    [InlineData("name: orders, " + Mistaken, "shop", Policy, "spec.targetRefs[0].sectionName", "is \"80\", and no port of Service shop/orders in c1 has that name",
        "write https, the name of port 80, or leave sectionName out")]
    [InlineData("name: orders, sectionName: admin", "shop", Policy, "spec.targetRefs[0].sectionName",
        "is admin, the name of port 81 of Service shop/orders in c1, and requests go to port 80", "add a reference with sectionName: https")]
    [InlineData("name: ordrs", "shop", Policy, "spec.targetRefs[0].name", "is ordrs, and namespace shop has no such Service", "write orders")]
    [InlineData("name: orders", "vault", "BackendTLSPolicy vault/secure in c1", "metadata.namespace", "is vault, which has no Service orders",
        "create the policy in namespace shop")]
    [InlineData("name: orders, group: core", "shop", Policy, "spec.targetRefs[0].group", "is core, which has no kind Service", "write group: \"\"")]
    [InlineData("name: orders", "shop", Policy, "", "applies, and the proxy of Pod shop/buyer in c1 has not received it", "isthmus proxy-status --context=c1")]
    public void A_policy_that_was_meant_and_does_not_apply_is_the_cause(string target, string ns, string owner, string path, string says, string remedy)
    {
        var trace = Enter(With(Scenario(), target, ns));
        Assert.Equal("TLS", trace.Failure?.Name);
        var problem = trace.Failure!.Problem!;
        Assert.Equal(("ISM2130", owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(says, problem.Message, StringComparison.Ordinal);
        Assert.Contains("so that nothing begins TLS", problem.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Nobody has made the call, and the port may declare what the application does not speak.</summary>
    [Fact]
    public void Where_nothing_was_meant_to_begin_TLS_the_hop_is_not_known_until_a_call_fails()
    {
        var trace = Enter(With(Scenario(), "name: payments", "shop"));
        Assert.True(trace.Succeeds);
        var hop = Assert.Single(trace.Hops, hop => hop.Name == "TLS");
        Assert.Equal((HopStatus.Unknown, "ISM2131", "VirtualService shop/orders in c1"), (hop.Status, hop.Problem?.Code, hop.Problem?.Object));
        Assert.Contains("leads to port 80 of Service shop/orders in c1, which declares HTTPS, and nothing begins TLS there", hop.Problem!.Message,
            StringComparison.Ordinal);
        Assert.Contains("ISM2131 VirtualService shop/orders", TraceText.Write(trace, details: false), StringComparison.Ordinal);
    }

    /// <summary>The proxy of the gateway remembers how the last call ended.</summary>
    [Theory]
    [InlineData("UC", Callee, TraceScenario.Fqdn, HopStatus.Failed, null)]
    [InlineData("UF", Callee, TraceScenario.Fqdn, HopStatus.Unknown, "ISM2132")]
    [InlineData("UC", "10.1.0.9:8080", TraceScenario.Fqdn, HopStatus.Unknown, null)]
    [InlineData("UC", Callee, "other.shop.svc.cluster.local", HopStatus.Unknown, null)]
    [InlineData("", Callee, TraceScenario.Fqdn, HopStatus.Unknown, null)]
    public void What_a_gateway_saw_a_moment_ago_makes_it_certain(string flag, string address, string host, HopStatus expected, string? warning)
    {
        var scenario = Scenario();
        scenario.Client = scenario.Client.Replace("\"pod\":{", $"\"pod\":{{\"failures\": [{{\"cluster\": \"outbound|80||{host}\", \"address\": \"{address}\", "
            + $"\"status\": {(flag.Length > 0 ? 0 : 500)}, \"flag\": \"{flag}\", \"seconds_ago\": 12}}], ", StringComparison.Ordinal);
        var trace = Enter(scenario);
        var hop = Assert.Single(trace.Hops, hop => hop.Name == "TLS");
        Assert.Equal((expected, "ISM2131"), (hop.Status, hop.Problem?.Code));
        Assert.Equal(expected != HopStatus.Failed, trace.Succeeds);
        Assert.Equal(expected == HopStatus.Failed, hop.Problem!.Message.EndsWith("the last call of this gateway there failed 12 s ago (UC)",
            StringComparison.Ordinal));
        Assert.Equal(warning, trace.Hops.SingleOrDefault(hop => hop.Name == "last call")?.Problem?.Code);
    }

    /// <summary>Routes match claims of tokens, which only a gateway with a RequestAuthentication reads.</summary>
    [Theory]
    [InlineData("buyer", "this call has no valid token", "send a token")]
    [InlineData("other", "no RequestAuthentication applies to Pod shop/buyer in c1, so that it checks no token",
        "create a RequestAuthentication with the issuer")]
    public void A_route_for_claims_at_a_gateway_that_checks_no_token_is_told(string selected, string says, string remedy)
    {
        var scenario = Scenario();
        scenario.Client = scenario.Client.Replace("\"match\":{\"prefix\":\"/\"},\"route\":{\"cluster\":\"outbound", "\"match\":{\"prefix\":\"/\","
            + "\"dynamic_metadata\": [{\"filter\": \"istio_authn\", \"path\": [{\"key\": \"request.auth.claims\"}, {\"key\": \"sub\"}], "
            + "\"value\": {\"string_match\": {\"exact\": \"me\"}}}]},\"route\":{\"cluster\":\"outbound", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: users, namespace: shop}, spec: "
            + $"{{selector: {{matchLabels: {{app: {selected}}}}}, jwtRules: [{{issuer: me, jwks: '{{}}'}}]}}}}"
            + "\n---\n{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: front, namespace: shop}, spec: {selector: {app: buyer}, "
            + "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}}"
            + "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop}, spec: {hosts: ['*'], "
            + "gateways: [front], http: [{match: [{headers: {'@request.auth.claims.sub': {exact: me}}}], route: [{destination: {host: orders}}]}]}}";
        var problem = Enter(scenario).Failure!.Problem!;
        Assert.Equal("ISM2024", problem.Code);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Nobody calls from there, but its proxy remembers that the route gave up.</summary>
    [Theory]
    [InlineData("1s", "ISM2088", "VirtualService shop/", "gives up after 1 s")]
    [InlineData("0s", "ISM2132", "Pod shop/buyer", "failed 12 s ago (UT)")]
    public void A_timeout_at_a_gateway_a_moment_ago_is_told(string timeout, string code, string owner, string says)
    {
        var scenario = Scenario();
        scenario.Client = scenario.Client.Replace("\"pod\":{", $"\"pod\":{{\"failures\": [{{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\", "
            + $"\"address\": \"{Callee}\", \"status\": 0, \"flag\": \"UT\", \"seconds_ago\": 12}}], ", StringComparison.Ordinal)
            .Replace("\"route\":{", $"\"route\":{{\"timeout\":\"{timeout}\",", StringComparison.Ordinal);
        var trace = Enter(scenario);
        Assert.True(trace.Succeeds);
        var problem = Assert.Single(trace.Hops, hop => hop.Name == "last call").Problem!;
        Assert.Equal(code, problem.Code);
        Assert.StartsWith(owner, problem.Object, StringComparison.Ordinal);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>A route of the caller's sidecar leads there; the call shows what listens.</summary>
    [Theory]
    [InlineData(503, "UC,URX", Callee, HopStatus.Failed)]
    [InlineData(400, "-", Callee, HopStatus.Warning)]
    [InlineData(200, "-", Callee, HopStatus.Ok)]
    [InlineData(503, "-", Callee, HopStatus.Ok)]
    [InlineData(503, "UF,URX", Callee, HopStatus.Unknown)]
    [InlineData(503, "UC,URX", "10.1.0.9:8080", HopStatus.Unknown)]
    public void The_outcome_of_a_call_decides(int status, string flags, string upstream, HopStatus expected)
    {
        var scenario = Scenario();
        scenario.Call = new("GET /", flags == "-", status, 3, upstream, flags, "", []);
        var hop = Assert.Single(scenario.Walk("http://orders:80").Hops, hop => hop.Name == "TLS");
        Assert.Equal((expected, expected == HopStatus.Ok ? null : "ISM2131"), (hop.Status, hop.Problem?.Code));
    }

    /// <summary>A DestinationRule begins TLS for others, or at other ports.</summary>
    [Theory]
    [InlineData("exportTo: [vault], trafficPolicy: {tls: {mode: SIMPLE}}", "ISM2130", "spec.exportTo")]
    [InlineData("trafficPolicy: {tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}", "ISM2122",
        "spec.trafficPolicy.portLevelSettings[0]")]
    [InlineData("trafficPolicy: {tls: {mode: DISABLE}}", "ISM2131", "spec.http[*].route[*].destination.port.number")]
    public void A_DestinationRule_that_begins_no_TLS_here_is_named(string spec, string code, string path)
    {
        var scenario = Scenario();
        scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: sealed, namespace: shop}, spec: "
            + $"{{host: orders.shop.svc.cluster.local, {spec}}}}}";
        var problem = Assert.Single(Enter(scenario).Hops, hop => hop.Name == "TLS").Problem;
        Assert.Equal((code, path), (problem?.Code, problem?.Path));
    }

    /// <summary>A port that declares HTTP, and mesh TLS with a sidecar, need nothing that begins TLS.</summary>
    [Theory]
    [InlineData("name: https, port: 80", "name: http, port: 80")]
    [InlineData("containerPort: 8080}]}]", "containerPort: 8080}]}, {name: istio-proxy}]")]
    public void Nothing_is_said_where_plain_text_is_right(string has, string instead)
    {
        var scenario = With(Scenario(), $"name: orders, {Mistaken}", "shop");
        scenario.One = scenario.One.Replace(has, instead, StringComparison.Ordinal);
        Assert.DoesNotContain(Enter(scenario).Hops, hop => hop.Problem?.Code is "ISM2130" or "ISM2131");
    }

    /// <summary>Whoever calls such a port without TLS is to blame, unless a policy was meant to begin it.</summary>
    [Theory]
    [InlineData("name: orders, " + Mistaken, "ISM2130")]
    [InlineData("name: orders, sectionName: admin", "ISM2093")]
    [InlineData("name: payments", "ISM2093")]
    public void A_caller_that_begins_no_TLS_is_to_blame_unless_a_policy_was_meant_to(string target, string code)
    {
        var scenario = With(Scenario(), target, "shop");
        var page = JsonNode.Parse(scenario.Client)!;
        var listeners = page["config_dump"]!["configs"]![2]!["dynamic_listeners"]!;
        var chain = listeners[0]!["active_state"]!["listener"]!["filter_chains"]![0]!.DeepClone();
        chain["filters"]![0]!["typed_config"]!["cluster"] = $"outbound|80||{TraceScenario.Fqdn}";
        listeners[1]!["active_state"]!["listener"]!["filter_chains"] = new JsonArray(chain);
        scenario.Client = page.ToJsonString();
        scenario.Call = new("GET /", false, 0, 3, Callee, "-", "the connection was closed without an answer", []);
        Assert.Equal(code, scenario.Walk("http://orders:80").Failure?.Problem?.Code);
    }

    /// <summary>The callee has no sidecar, its port declares HTTPS, and the caller's proxy begins no TLS there.</summary>
    private static TraceScenario Scenario()
    {
        var scenario = new TraceScenario();
        var page = JsonNode.Parse(scenario.ClientOfOne)!;
        page["config_dump"]!["configs"]![0]!["dynamic_active_clusters"]![1]!["cluster"]!.AsObject().Remove("transport_socket_matches");
        scenario.Client = page.ToJsonString();
        foreach (var (has, instead) in ((string, string)[])[("containerPort: 8080}]}, {name: istio-proxy}]", "containerPort: 8080}]}]"),
            ("{name: http, port: 80, targetPort: 8080}", "{name: https, port: 80, targetPort: 8080}, {name: admin, port: 81, targetPort: 8080}")])
            scenario.One = scenario.One.Replace(has, instead, StringComparison.Ordinal);
        return scenario;
    }

    private static TraceScenario With(TraceScenario scenario, string target, string ns)
    {
        scenario.One += $"\n---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {{name: secure, namespace: {ns}}}, spec: "
            + $"{{targetRefs: [{{kind: Service, {(target.Contains("group:", StringComparison.Ordinal) ? "" : "group: \"\", ")}{target}}}], "
            + "validation: {hostname: orders.example.com, wellKnownCACertificates: System}}}";
        return scenario;
    }

    /// <summary>The trace of a call from outside, for which the caller's proxy is a gateway.</summary>
    /// <param name="scenario">What there is.</param>
    /// <param name="ports">More ports of the Service of the gateway.</param>
    /// <param name="target">What is called.</param>
    internal static CallTrace Enter(TraceScenario scenario, string ports = "", string target = "orders")
    {
        scenario.One += "\n---\n{apiVersion: v1, kind: Service, metadata: {name: front, namespace: shop}, spec: {type: NodePort, selector: {app: buyer}, "
            + $"ports: [{{name: http, port: 80}}{ports}]}}}}";
        scenario.One = scenario.One.Replace("podIP: 10.1.0.2}", "podIP: 10.1.0.2, conditions: [{type: Ready, status: \"True\"}]}", StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace("\"bind_to_port\":false,", "", StringComparison.Ordinal);
        var facts = scenario.Facts(target);
        var walk = new AddressWalk(new(facts.Clusters, new("c1", "shop", "buyer"), facts.Target, facts.Now)
        {
            Entry = new(facts.Home, facts.Home.Service("shop", "front")!),
        }, new Random(1));
        scenario.Complete(walk.Again());
        return walk.Trace;
    }
}
