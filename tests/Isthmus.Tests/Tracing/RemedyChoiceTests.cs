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
    [InlineData("10.1.0.77", true, "ISM2056", "set it to true, or set trafficPolicy.tls.mode ISTIO_MUTUAL in a DestinationRule for orders")]
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

    /// <summary>That the proxy is bypassed is the cause; this is what it comes to.</summary>
    [Fact]
    public void A_call_that_bypasses_the_proxy_reaches_only_Services_of_its_cluster()
    {
        const string Code = "ISM2028";
        var scenario = new TraceScenario();
        scenario.One = RemedyFaults.Without(RemedyFaults.Without(scenario.One.Replace("-x, \"\"", "-x, 10.96.0.0/16", StringComparison.Ordinal),
            RemedyFaults.Orders), "kind: Pod, metadata: {name: orders-a");
        var trace = scenario.Walk();
        Assert.Equal("ISM2020", trace.Failure?.Problem?.Code);
        Assert.Equal("let the caller's proxy take the call, or create the Service in c1 as well, with Pods of its own",
            Assert.Single(trace.Hops, hop => hop.Problem?.Code == Code).Problem!.Remedy);
        var whole = scenario.One;
        scenario.One += RemedyFaults.Here;
        Assert.DoesNotContain(scenario.Walk().Hops, hop => hop.Problem?.Code == Code);
        scenario.One = whole.Replace("-x, 10.96.0.0/16", "-x, \"\"", StringComparison.Ordinal);
        Assert.DoesNotContain(scenario.Walk().Hops, hop => hop.Problem?.Code == Code);
    }

    /// <summary>A gateway between networks routes by the server names of mesh TLS.</summary>
    [Theory]
    [InlineData(false, "remove trafficPolicy.tls, or set ISTIO_MUTUAL")]
    [InlineData(true, "set ISTIO_MUTUAL (without")]
    public void TLS_of_the_proxy_s_own_is_replaced_by_that_of_the_mesh(bool off, string remedy)
    {
        var scenario = new TraceScenario();
        if (off) scenario.One += NotAutomatic;
        var facts = scenario.Facts();
        var there = facts.Clusters[1];
        var problem = new TraceCauses(facts, new(facts)).Gateways.GatewayWithoutChain(there, there.Pods[0], "orders.example.com", "shop/orders");
        Assert.Equal("ISM2089", problem.Code);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A caller sees ServiceEntries only of the namespaces that its Sidecar lists.</summary>
    [Theory]
    [InlineData("", "add a ServiceEntry for 10.99.9.9, or allow")]
    [InlineData("./*", "add a ServiceEntry for 10.99.9.9, or allow")]
    [InlineData("istio-system/*", "add a ServiceEntry for 10.99.9.9 in namespace istio-system, which the Sidecar lists, or allow")]
    [InlineData("~/*", "add a ServiceEntry for 10.99.9.9, and its host to egress.hosts of the Sidecar, or allow")]
    public void Where_a_ServiceEntry_is_seen_depends_on_the_Sidecar(string listed, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("{\"name\": \"allow_any\", \"domains\": [\"*\"], \"routes\": [{\"match\": {\"prefix\": \"/\"}, "
            + "\"route\": {\"cluster\": \"PassthroughCluster\"}}]}", "{\"name\": \"block_all\", \"domains\": [\"*\"], \"routes\": [{\"match\": {\"prefix\": "
            + "\"/\"}, \"direct_response\": {\"status\": 502}}]}", StringComparison.Ordinal);
        if (listed.Length > 0)
            scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: own, namespace: shop}, spec: {outboundTrafficPolicy: "
                + $"{{mode: REGISTRY_ONLY}}, egress: [{{hosts: ['{listed}']}}]}}}}";
        var problem = scenario.Walk("http://10.99.9.9/").Failure?.Problem;
        Assert.Equal("ISM2027", problem?.Code);
        Assert.StartsWith(remedy, problem!.Remedy, StringComparison.Ordinal);
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

    [Fact]
    public void An_exported_name_does_not_help_a_caller_without_a_sidecar()
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("{name: istio-proxy, env", "{name: other, env", StringComparison.Ordinal);
        var problem = scenario.Walk(target: "orders.shop.svc.clusterset.local").Failure?.Problem;
        Assert.Equal(("ISM2108", "Pod shop/buyer in c1"), (problem?.Code, problem?.Object));
        Assert.StartsWith("label namespace shop in c1 istio-injection=enabled", problem!.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{to: [{operation: {methods: [GET]}}]}", "name in spec.rules[0].from whom it denies")]
    [InlineData("{from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/friend]}}]}", "add cluster.local/ns/shop/sa/buyer there")]
    [InlineData("{from: [{source: {notNamespaces: [bank]}}]}", "add shop there")]
    [InlineData("{to: [{operation: {notPaths: [/healthz]}}]}", "add / there")]
    [InlineData("{when: [{key: 'request.headers[x-env]', notValues: [prod]}]}", "correct what the rule is for (spec.rules[0].to, spec.rules[0].when)")]
    [InlineData("{when: [{key: source.namespace, notValues: [bank]}]}", "add shop there")]
    [InlineData("{from: [{source: {namespaces: [shop]}}]}", "remove the caller from the rule")]
    [InlineData("{from: [{source: {principals: ['*']}}]}", "it is * in spec.rules[0].from[0].source.principals, which covers the caller: narrow it, or name "
        + "those who may call (notPrincipals)")]
    [InlineData("{from: [{source: {namespaces: [bank]}}, {source: {namespaces: ['sh*']}}]}", "it is sh* in spec.rules[0].from[1].source.namespaces")]
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

    /// <summary>Policies decide about the request that arrives, which the route may have changed.</summary>
    [Theory]
    [InlineData("\"request_headers_to_remove\": [\"authorization\"]", "VirtualService shop/orders in c1", "spec.http[*].headers.request", "remove authorization there")]
    [InlineData("\"request_headers_to_remove\": [\"x-debug\"]", "AuthorizationPolicy shop/barred in c1", "spec.rules[0]", "create a RequestAuthentication")]
    public void A_route_that_takes_the_token_out_of_the_request_is_to_blame(string edits, string owner, string path, string remedy)
    {
        var scenario = new TraceScenario { Sent = SentRequest.Parse("", [], "", "e30.e30.e30") };
        TraceWalkTests.Inject(scenario, "denied");
        scenario.Client = scenario.Client.Replace($"\"route\": {{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\"}}",
            $"\"route\": {{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\"}}, {edits}", StringComparison.Ordinal);
        scenario.One += "\n---\n{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: barred, namespace: shop}, "
            + "spec: {action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}}";
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal(("ISM2064", owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    private const string Own = "{name: http, port: 80, protocol: HTTP}",
        All = "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}",
        Front = "{name: front, namespace: edge}";

    [Theory]
    [InlineData(Own, Front, "set from: All", All, Front)]
    [InlineData(All, "{name: back, namespace: edge}", "add {name: front, namespace: edge} to its parentRefs", All, $"{{name: back, namespace: edge}}, {Front}")]
    [InlineData(All, "{name: front, namespace: edge, sectionName: https}", "write http, or remove sectionName", All, Front)]
    public void A_route_of_the_Gateway_API_is_attached_by_what_the_remedy_says(string listener, string parent, string remedy, string mended, string parents)
    {
        var problem = Unrouted(listener, parent);
        Assert.Equal("ISM2085", problem?.Code);
        Assert.StartsWith(remedy, problem!.Remedy, StringComparison.Ordinal);
        Assert.Null(Unrouted(mended, parents)?.ToString());

        static Problem? Unrouted(string listener, string parents)
        {
            var scenario = new TraceScenario();
            scenario.One += $$$"""

                ---
                {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: edge}, spec: {gatewayClassName: istio, listeners: [{{{listener}}}]}}
                ---
                {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: front, namespace: shop},
                 spec: {parentRefs: [{{{parents}}}], hostnames: [shop.example.com], rules: [{backendRefs: [{name: orders, port: 80}]}]}}
                ---
                {apiVersion: v1, kind: Pod, metadata: {name: front, namespace: edge, labels: {gateway.networking.k8s.io/gateway-name: front}},
                 spec: {containers: [{name: istio-proxy}]}, status: {phase: Running}}
                """;
            var facts = scenario.Facts("shop.example.com");
            facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
            return new ApiEntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts))).Unrouted("shop.example.com", 80);
        }
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
            {apiVersion: v1, kind: Pod, metadata: {name: front, namespace: edge, labels: {gateway.networking.k8s.io/gateway-name: front}},
             spec: {containers: [{name: istio-proxy}]}, status: {phase: Running}}
            """;
        var facts = scenario.Facts("shop.example.com");
        facts = new(facts.Clusters, new("c1", "edge", "front"), facts.Target, facts.Now);
        Problem? problem = new ApiEntryCauses(facts, new CallerConfig(facts), new(facts, new(facts), new CallerConfig(facts)))
            .WithoutChain(isTls, hasTls, "shop.example.com", 8443);
        Assert.Equal(("ISM2084", remedy), (problem?.Code, problem?.Remedy));
    }
}
