using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Policies decide about the request that arrives: who has changed it on its way is named.</summary>
public sealed class ChangedRequestTests
{
    private const string Owner = "VirtualService shop/orders in c1", Barred = "AuthorizationPolicy shop/barred in c1";

    [Theory]
    [InlineData("remove: [X-Tenant]", "\"request_headers_to_remove\": [\"x-tenant\"]", "spec.http[0].headers.request.remove", "takes the header x-tenant out of the request")]
    [InlineData("set: {x-tenant: none}", "\"request_headers_to_add\": [{\"header\": {\"key\": \"x-tenant\", \"value\": \"none\"}, \"append_action\": \"OVERWRITE_IF_EXISTS_OR_ADD\"}]",
        "spec.http[0].headers.request.set[x-tenant]", "sets the header x-tenant of the request to none")]
    public void A_route_that_changes_the_header_which_a_policy_asks_for_is_to_blame(string change, string edits, string path, string says)
    {
        var problem = Denied("when: [{key: 'request.headers[x-tenant]', values: [acme]}]", $"headers: {{request: {{{change}}}}}", edits, "x-tenant: acme");
        Assert.Equal(("ISM2064", Owner, path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.Contains($"{Barred}, spec.rules[0].when[0],", problem.Message, StringComparison.Ordinal);
        Assert.StartsWith("remove x-tenant there", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A header that the caller does not send, or sends with a value that the policy does not allow, is not the fault of a route.</summary>
    [Theory]
    [InlineData("", "has none", "send the header (isthmus trace -H 'x-tenant: acme'), or change the rule")]
    [InlineData("x-tenant: other", "has other:", "add other there")]
    public void A_header_that_no_route_has_changed_is_that_of_the_caller(string sent, string says, string remedy)
    {
        var problem = Denied("when: [{key: 'request.headers[x-tenant]', values: [acme]}]", "headers: {request: {remove: [x-debug]}}",
            "\"request_headers_to_remove\": [\"x-debug\"]", sent);
        Assert.Equal(("ISM2064", Barred, "spec.rules[0].when[0]"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("VirtualService", problem.Message, StringComparison.Ordinal);
        Assert.Equal(remedy, problem.Remedy);
    }

    /// <summary>What an EnvoyFilter does to a request is not what the VirtualService says.</summary>
    [Fact]
    public void A_VirtualService_that_does_not_change_the_header_is_not_blamed()
    {
        var problem = Denied("when: [{key: 'request.headers[x-tenant]', values: [acme]}]", "timeout: 3s", "\"request_headers_to_remove\": [\"x-tenant\"]",
            "x-tenant: acme");
        Assert.Equal(Barred, problem.Object);
        Assert.DoesNotContain("VirtualService", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("to: [{operation: {paths: [/api/*]}}]", "rewrite: {uri: /}", "\"prefix_rewrite\": \"/\"", "spec.rules[0].to[0].operation.paths", "has /status",
        "spec.http[0].rewrite.uri, has changed it: it was /api/status)")]
    [InlineData("to: [{operation: {hosts: [orders]}}]", "rewrite: {authority: inner.example}", "\"host_rewrite_literal\": \"inner.example\"",
        "spec.rules[0].to[0].operation.hosts", "has inner.example", "spec.http[0].rewrite.authority, has changed it: it was orders)")]
    public void The_route_that_wrote_the_path_or_host_which_a_policy_refuses_is_named(string rule, string change, string edits, string path, string says,
        string because)
    {
        var problem = Denied(rule, change, edits, "", "/api/");
        Assert.Equal(("ISM2064", Barred, path), (problem.Code, problem.Object, problem.Path));
        Assert.Contains($"{says} ({Owner}, {because}", problem.Message, StringComparison.Ordinal);
        Assert.EndsWith($"of {Owner}", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>Clients send the port with the host, and proxies compare it.</summary>
    [Fact]
    public void A_host_without_the_port_that_clients_send_is_told()
    {
        var scenario = Scenario("to: [{operation: {hosts: [ORDERS]}}]", "\"timeout\": \"3s\"", "host: orders:5000", "/", "ALLOW");
        scenario.Client = scenario.Client.Replace("\"domains\": [\"orders\", ", "\"domains\": [\"orders:5000\", ", StringComparison.Ordinal);
        var problem = scenario.Walk("http://orders").Failure!.Problem!;
        Assert.Equal(("ISM2064", Barred, "spec.rules[0].to[0].operation.hosts"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains("has orders:5000: clients send the port with the host", problem.Message, StringComparison.Ordinal);
        Assert.Equal("write ORDERS:* there, for whichever port, beside ORDERS, which has none", problem.Remedy);
    }

    [Fact]
    public void A_path_of_a_policy_with_a_query_matches_none()
    {
        var problem = Denied("to: [{operation: {paths: ['/api/status?x=*']}}]", "timeout: 3s", "\"timeout\": \"3s\"", "", "/api/");
        Assert.Contains("this call has /api/status: paths are compared without the query", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>Meant for a gateway there, it is for everybody.</summary>
    [Fact]
    public void A_policy_for_all_of_the_mesh_is_said_to_be_one()
    {
        var scenario = Scenario("to: [{operation: {paths: [/other/*]}}]", "\"timeout\": \"3s\"", "", "/", "ALLOW");
        scenario.One = scenario.One.Replace("{name: barred, namespace: shop}", "{name: barred, namespace: istio-system}", StringComparison.Ordinal);
        scenario.Callee = scenario.Callee.Replace("ns[shop]-policy[barred]", "ns[istio-system]-policy[barred]", StringComparison.Ordinal);
        var problem = scenario.Walk("http://orders").Failure!.Problem!;
        Assert.Contains("the policy is in the root namespace without a selector, so that it is for all workloads of the mesh", problem.Message,
            StringComparison.Ordinal);
        Assert.StartsWith("if it is meant for some only, such as a gateway, give it a selector; otherwise add / there", problem.Remedy,
            StringComparison.Ordinal);
    }

    /// <summary>All that keeps the call from a rule is named: one remedy alone would not help.</summary>
    [Fact]
    public void Each_term_of_a_rule_that_does_not_match_is_named()
    {
        var problem = Denied("to: [{operation: {paths: [/other/*]}}], when: [{key: 'request.headers[x-team]', values: [web]}]", "timeout: 3s",
            "\"timeout\": \"3s\"", "", "/api/");
        Assert.Contains("this call has /api/status; nor does it match spec.rules[0].when[0], which has web (the call has none)", problem.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_path_that_nobody_rewrote_is_that_of_the_caller()
    {
        var problem = Denied("to: [{operation: {paths: [/other/*]}}]", "timeout: 3s", "\"timeout\": \"3s\"", "", "/api/");
        Assert.DoesNotContain("VirtualService", problem.ToString(), StringComparison.Ordinal);
        Assert.Equal("add /api/status there", problem.Remedy);
    }

    [Fact]
    public void A_route_by_which_a_request_comes_under_a_rule_that_denies_is_named()
    {
        var problem = Denied("when: [{key: 'request.headers[x-tenant]', notValues: [acme]}]", "headers: {request: {remove: [x-tenant]}}",
            "\"request_headers_to_remove\": [\"x-tenant\"]", "x-tenant: acme", action: "DENY");
        Assert.Equal((Owner, "spec.http[0].headers.request.remove"), (problem.Object, problem.Path));
    }

    [Fact]
    public void The_rule_of_a_route_of_the_Gateway_API_is_named()
    {
        var scenario = Scenario("when: [{key: 'request.headers[x-tenant]', values: [acme]}]", "\"request_headers_to_remove\": [\"x-tenant\"]", "x-tenant: acme",
            "/", "ALLOW");
        scenario.Client = scenario.Client.Replace("/apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/orders",
            "/apis/gateway.networking.k8s.io/v1/namespaces/shop/HTTPRoute/orders", StringComparison.Ordinal)
            .Replace("\"name\": \"default\"", "\"name\": \"shop.orders.1\"", StringComparison.Ordinal);
        const string remove = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-tenant]}}]";
        scenario.One += $$$"""

            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: orders, namespace: shop},
             spec: {parentRefs: [{group: "", kind: Service, name: orders}],
              rules: [{matches: [{path: {value: /old}}], {{{remove}}}, backendRefs: [{name: orders, port: 80}]},
               {{{{remove}}}, backendRefs: [{name: orders, port: 80}]}] } }
            """;
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal(("HTTPRoute shop/orders in c1", "spec.rules[1].filters[*].requestHeaderModifier.remove"), (problem.Object, problem.Path));
    }

    private static Problem Denied(string rule, string change, string edits, string header, string prefix = "/", string action = "ALLOW")
    {
        var scenario = Scenario(rule, edits, header, prefix, action);
        scenario.One += $$"""

            ---
            {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: orders, namespace: shop},
             spec: {hosts: [orders.shop.svc.cluster.local],
              http: [{match: [{uri: {prefix: {{prefix}} } }], {{change}}, route: [{destination: {host: orders} }] }] } }
            """;
        return scenario.Walk($"http://orders{(prefix == "/" ? "" : "/api/status")}").Failure!.Problem!;
    }

    private static TraceScenario Scenario(string rule, string edits, string header, string prefix, string action)
    {
        var scenario = new TraceScenario { Sent = SentRequest.Parse("", header.Length > 0 ? [header] : [], "", "") };
        TraceWalkTests.Inject(scenario, "denied");
        // A proxy with policies that allow, none of which does.
        if (action == "ALLOW")
            scenario.Callee = scenario.Callee.Replace("\"action\": \"DENY\", \"policies\": {\"ns[shop]-policy[barred]-rule[0]\": {\"permissions\": "
                + "[{\"any\": true}], \"principals\": [{\"any\": true}]}}", "\"action\": \"ALLOW\"", StringComparison.Ordinal);
        var forward = $"\"route\": {{\"cluster\": \"outbound|80||{TraceScenario.Fqdn}\"";
        var isOfRoute = edits.Contains("rewrite", StringComparison.Ordinal) || edits.Contains("timeout", StringComparison.Ordinal);
        scenario.Client = scenario.Client.Replace($"{forward}}}", isOfRoute ? $"{forward}, {edits}}}" : $"{forward}}}, {edits}", StringComparison.Ordinal)
            .Replace("\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": \"outbound|80",
                $"\"match\": {{\"prefix\": \"{prefix}\"}}, \"route\": {{\"cluster\": \"outbound|80",
                StringComparison.Ordinal);
        scenario.One += $"\n---\n{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: barred, namespace: shop}}, "
            + $"spec: {{action: {action}, rules: [{{{rule}}}]}}}}";
        return scenario;
    }
}
