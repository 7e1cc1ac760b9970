using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Why a gateway does not take a call from outside, where several objects have a part in it.</summary>
public sealed class EntryCausesTests
{
    private const string Gateway = "apiVersion: gateway.networking.k8s.io/v1, kind: Gateway", Pods =
        """
        {apiVersion: v1, kind: Pod, metadata: {name: front, namespace: edge, labels: {app: front, gateway.networking.k8s.io/gateway-name: front}}, spec: {containers: [{name: istio-proxy}]}, status: {phase: Running}}
        ---
        {apiVersion: v1, kind: Service, metadata: {name: front, namespace: edge}, spec: {selector: {app: front}, ports: [{name: http, port: 80}, {name: https, port: 443}]}}
        """;

    /// <summary>A ListenerSet opens the port, and what it has is not known here.</summary>
    [Theory]
    [InlineData("listeners: [{name: https, port: 443, protocol: HTTPS}]", "", "{name: front, namespace: edge, sectionName: https}")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP}], allowedListeners: {namespaces: {from: All}}", "",
        "{kind: ListenerSet, group: gateway.networking.k8s.io, name: more, namespace: shop}")]
    [InlineData("listeners: [{name: http, port: 80, protocol: HTTP, hostname: other.example.com}]", ", status: {attachedListenerSets: 1}",
        "{name: front, namespace: edge}")]
    public void Nothing_is_said_of_listeners_that_are_not_known(string spec, string status, string parent) => Assert.Null(Unrouted($$$"""
        { {{{Gateway}}}, metadata: {name: front, namespace: edge}, spec: {gatewayClassName: istio, {{{spec}}} }{{{status}}} }
        ---
        {{{Route(parent)}}}
        """)?.ToString());

    [Fact]
    public void The_one_of_several_Gateways_at_a_Service_is_named_that_has_the_port()
    {
        const string at = "addresses: [{type: Hostname, value: front.edge.svc.cluster.local}]";
        var problem = Unrouted($$$"""
            { {{{Gateway}}}, metadata: {name: back, namespace: edge}, spec: {gatewayClassName: istio, {{{at}}}, listeners: [{name: https, port: 443, protocol: HTTPS}]} }
            ---
            { {{{Gateway}}}, metadata: {name: front, namespace: edge}, spec: {gatewayClassName: istio, {{{at}}}, listeners: [{name: http, port: 80, protocol: HTTP}]} }
            ---
            {{{Route("{name: front, namespace: edge}")}}}
            """);
        Assert.Equal(("ISM2085", "Gateway edge/front in c1", "spec.listeners[0].allowedRoutes.namespaces"), (problem?.Code, problem?.Object, problem?.Path));
    }

    [Theory]
    [InlineData("kubernetes://door-cacert", "no CA door-cacert ", "credentialName names, or into a Secret door-cacert beside it")]
    [InlineData("kubernetes-gateway://edge/clients-cacert", "no CA of Secret edge/clients ", "ca.crt of Secret edge/clients;")]
    [InlineData("configmap://edge/clients-cacert", "no CA of ConfigMap edge/clients ", "ca.crt of ConfigMap edge/clients;")]
    [InlineData("clustertrustbundle://clients-cacert", "no CA of ClusterTrustBundle clients ", "spec.trustBundle of ClusterTrustBundle clients;")]
    [InlineData("configmap://edge/a-cacert,clustertrustbundle://b-cacert", "no CA of ConfigMap edge/a, ClusterTrustBundle b ",
        "ca.crt of ConfigMap edge/a, and spec.trustBundle of ClusterTrustBundle b;")]
    [InlineData("ROOTCA", "", "")]
    public void A_CA_of_clients_that_is_missing_is_named_wherever_it_belongs(string root, string says, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.Two += """

            ---
            {apiVersion: v1, kind: Service, metadata: {name: front, namespace: istio-system}, spec: {type: NodePort, selector: {istio: eastwest}, ports: [{name: https, port: 443, targetPort: 15443}]}}
            """;
        var page = JsonNode.Parse(scenario.Gateway)!;
        var configs = page["config_dump"]!["configs"]!.AsArray();
        var chain = configs[2]!["dynamic_listeners"]![0]!["active_state"]!["listener"]!["filter_chains"]![0]!.AsObject();
        chain.Remove("filter_chain_match");
        chain["transport_socket"] = JsonNode.Parse($$$$$$"""
            {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "require_client_certificate": true, "common_tls_context": {
             "tls_certificate_sds_secret_configs": [{"name": "default"}], "combined_validation_context": {"default_validation_context": {}, "validation_context_sds_secret_config": {"name": "{{{{{{root}}}}}}"}}}}}
            """);
        configs.Add(JsonNode.Parse(scenario.Client)!["config_dump"]!["configs"]!.AsArray().Last()!.DeepClone());
        scenario.Gateway = page.ToJsonString();
        var facts = scenario.Facts("https://10.96.0.5");
        var there = facts.Clusters[1];
        var walk = new AddressWalk(new(facts.Clusters, new("c2", "istio-system", "gw"), facts.Target, facts.Now)
        {
            Entry = new(there, there.Service("istio-system", "front")!),
        }, new Random(1));
        scenario.Complete(walk.Again());
        var tls = walk.Trace.Hops.First(hop => hop.Name == "TLS");
        Assert.StartsWith("https://10.96.0.5:443", walk.Trace.Target, StringComparison.Ordinal);
        Assert.Equal(says.Length > 0 ? "ISM2060" : null, tls.Problem?.Code);
        Assert.Contains(says, tls.Problem?.Message ?? "", StringComparison.Ordinal);
        Assert.Contains(remedy, tls.Problem?.Remedy ?? "", StringComparison.Ordinal);
    }

    /// <summary>TLS ends at a listener of the Gateway API: what is wrong with its certificate is said of that listener.</summary>
    [Theory]
    [InlineData("", "ISM2060", "has no certificate edge/door")]
    [InlineData("other.example.com", "ISM2102", "is for other.example.com, and not for shop.example.com")]
    [InlineData("shop.example.com", null, "")]
    public void A_certificate_of_a_listener_that_clients_refuse_is_named(string certificateFor, string? code, string says)
    {
        var causes = Entry(Listeners, out var call);
        using var root = Issuer.SelfSigned(new("mesh", "Root"), Keys.Create(KeyKind.EcP256), TraceScenario.Now.AddYears(-1),
            TraceScenario.Now.AddYears(9));
        using var leaf = root.IssueIntermediate(new("mesh", "door"), Keys.Create(KeyKind.EcP256), new([], [certificateFor], []),
            TraceScenario.Now.AddDays(-1), TraceScenario.Now.AddDays(90));
        var problem = causes.Unacceptable(call, "kubernetes-gateway://edge/door", certificateFor.Length > 0 ? new(leaf.Certificate, []) : null);
        Assert.Equal(code, problem?.Code);
        if (problem is null) return;
        Assert.Equal(("Gateway edge/front in c1", "spec.listeners[1].tls.certificateRefs"), (problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(443, "ISM2054", "", "has not received Gateway edge/front in c1")]
    [InlineData(8443, "ISM2053", "spec.listeners[*].port", "opens 80, 443, but the call arrives at 8443")]
    public void A_port_that_the_proxy_of_a_listener_does_not_open_is_explained(int port, string code, string field, string says)
    {
        var problem = Entry(Listeners, out _).WithoutListener(port, port);
        Assert.Equal((code, field), (problem.Code, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("shop.example.com", false, "ISM2054", "", "Pod edge/front in c1")]
    [InlineData("cart.example.org", true, "ISM2055", "spec.listeners[*].hostname", "Gateway edge/front in c1")]
    public void A_call_that_no_chain_of_a_listener_takes_is_explained(string host, bool hasTls, string code, string field, string @object)
    {
        var problem = Entry(Listeners, out var call, host).WithoutChain(call, hasTls);
        Assert.Equal((code, field, @object), (problem.Code, problem.Path, problem.Object));
    }

    [Theory]
    [InlineData("{mode: Passthrough}", "shop.example.com", false, "ISM2085", "no TLSRoute that it takes has shop.example.com")]
    [InlineData("{mode: Passthrough}", "cart.example.org", false, "ISM2055", "has *.example.com, but not cart.example.org")]
    [InlineData("{certificateRefs: [{name: door}]}", "shop.example.com", true, "ISM2054", "has not received the listener")]
    public void A_listener_that_has_the_host_and_no_chain_for_it_is_explained(string tls, string host, bool hasTls, string code, string says)
    {
        var protocol = tls.Contains("Passthrough", StringComparison.Ordinal) ? "TLS" : "HTTPS";
        var problem = Entry($"[{{name: one, port: 443, protocol: {protocol}, hostname: '*.example.com', tls: {tls}}}]", out var call, host)
            .WithoutChain(call, hasTls);
        Assert.Equal(code, problem.Code);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    /// <summary>Where ListenerSets add listeners, what the Gateway itself lacks may be in one that is not accepted.</summary>
    [Fact]
    public void What_a_ListenerSet_may_have_is_not_said_to_be_missing_in_the_Gateway()
    {
        var causes = Entry(Listeners, out var call, "cart.example.org", ", status: {attachedListenerSets: 1}");
        Assert.All([causes.WithoutListener(8443, 8443), causes.WithoutChain(call, hasTls: true)], problem =>
        {
            Assert.Contains("no ListenerSet that has it is served", problem.Message, StringComparison.Ordinal);
            Assert.Contains("get listenersets", problem.Remedy, StringComparison.Ordinal);
        });
    }

    private const string Listeners = "[{name: http, port: 80, protocol: HTTP}, {name: https, port: 443, protocol: HTTPS, hostname: '*.example.com', "
        + "tls: {certificateRefs: [{name: door}]}}]";

    private static EntryCauses Entry(string listeners, out TracedCall call, string host = "shop.example.com", string status = "")
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{{ {Gateway}, metadata: {{name: front, namespace: edge}}, "
            + $"spec: {{gatewayClassName: istio, listeners: {listeners}}}{status} }}";
        var facts = scenario.Facts(host);
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        call = new(facts, null, null, 443, CallKinds.Tls, new(System.Net.IPAddress.Any, 443));
        return new(facts, new CallerConfig(facts));
    }

    private static string Route(string parent) => "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: front, namespace: shop}, spec: "
        + $"{{parentRefs: [{parent}], rules: [{{backendRefs: [{{name: orders, port: 80}}]}}]}}}}";

    private static Core.Problems.Problem? Unrouted(string objects)
    {
        var scenario = new TraceScenario();
        scenario.One += $"\n---\n{Pods}\n---\n{objects}";
        var facts = scenario.Facts("shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        return new ApiEntryCauses(facts, new CallerConfig(facts)).Unrouted("shop.example.com", 80);
    }
}
