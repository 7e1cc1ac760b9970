using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>The check of an external authorizer is a call of its own, from the Pod of the callee (tests/operator-faults.tsv).</summary>
public sealed class AuthorizerTraceTests
{
    internal const string Rbac = "{\"name\": \"envoy.filters.http.rbac\", \"typed_config\": {\"@type\": "
        + "\"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC\", \"rules\": {\"action\": \"ALLOW\", \"policies\": "
        + "{\"ns[shop]-policy[callers]-rule[0]\": {\"permissions\": [{\"any\": true}], \"principals\": [{\"authenticated\": {\"principal_name\": "
        + "{\"exact\": \"spiffe://cluster.local/ns/shop/sa/frontend\"}}}]}}}}}, ";

    private const string Callers = """

        ---
        {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: callers, namespace: shop},
         spec: {selector: {matchLabels: {app: authz}}, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/frontend]}}]}]}}
        """;

    [Fact]
    public void A_policy_that_denies_the_check_is_named()
    {
        var scenario = Asking("", 403, "ext_authz_denied");
        scenario.One += Callers;
        scenario.CalleeThere = scenario.CalleeThere.Replace("\"http_filters\": [", "\"http_filters\": [" + Rbac, StringComparison.Ordinal);
        var problem = Problem(scenario);
        Assert.Equal(("ISM2064", "AuthorizationPolicy shop/callers in c1", "spec.rules[0].from[0].source.principals"),
            (problem.Code, problem.Object, problem.Path));
        Assert.Contains("allows cluster.local/ns/shop/sa/frontend only, and this call has cluster.local/ns/shop/sa/orders", problem.Message,
            StringComparison.Ordinal);
        Assert.EndsWith("this call is the check that Pod shop/orders-a in c1 makes with the external authorizer authz (authz.shop.svc.cluster.local:8000), to "
            + "which AuthorizationPolicy shop/ask in c1 leaves the decision (ext_authz_denied)", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>An authorizer that says no itself says more than 403, or nothing denies the check on its way.</summary>
    [Theory]
    [InlineData(401, "", false)]
    [InlineData(403, "", false)]
    [InlineData(302, Callers, true)]
    public void An_authorizer_that_denies_the_call_itself_is_named(int status, string policy, bool denies)
    {
        var scenario = Asking("", status, "ext_authz_denied");
        scenario.One += policy;
        if (denies) scenario.CalleeThere = scenario.CalleeThere.Replace("\"http_filters\": [", "\"http_filters\": [" + Rbac, StringComparison.Ordinal);
        var problem = Problem(scenario);
        Assert.Equal(("ISM2094", "AuthorizationPolicy shop/ask in c1", "spec.provider.name"), (problem.Code, problem.Object, problem.Path));
    }

    [Fact]
    public void An_authorizer_without_endpoints_is_named()
    {
        var scenario = Asking("", 403, "ext_authz_error");
        scenario.Callee = WithoutEndpoints(scenario.Callee);
        scenario.One = scenario.One.Replace("{name: authz-1, namespace: shop, labels: {app: authz}}", "{name: authz-1, namespace: shop, labels: {app: other}}",
            StringComparison.Ordinal);
        var problem = Problem(scenario);
        Assert.Equal("Service shop/authz in c1", problem.Object);
        Assert.Contains("this call is the check that Pod shop/orders-a in c1 makes", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>Only mesh TLS passes the gateway of the other network.</summary>
    [Fact]
    public void An_authorizer_without_a_sidecar_in_another_network_is_named()
    {
        var scenario = Asking("", 403, "ext_authz_error");
        var pod = scenario.One.Split("---").First(part => part.Contains("name: authz-1", StringComparison.Ordinal));
        scenario.One = scenario.One.Replace($"---{pod}", "", StringComparison.Ordinal);
        scenario.Two += $"\n---{pod.Replace(", {name: istio-proxy}", "", StringComparison.Ordinal)}---\n{Service}";
        scenario.Callee = WithoutEndpoints(scenario.Callee);
        var problem = Problem(scenario);
        Assert.Equal("ISM2051", problem.Code);
        Assert.Contains("has no sidecar, but only mesh TLS can pass the gateway of n2; this call is the check", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("timeout: 1s", 1003, "ISM2094", "ConfigMap istio-system/istio in c1", "data.mesh.extensionProviders[authz].timeout")]
    [InlineData("timeout: 1s", 2, "ISM2094", "Pod shop/orders-a in c1", "envoy.filters.http.ext_authz")]
    [InlineData("", 1003, "ISM2094", "Pod shop/orders-a in c1", "envoy.filters.http.ext_authz")]
    public void An_authorizer_that_is_slower_than_its_timeout_is_named(string setting, double milliseconds, string code, string owner, string field)
    {
        var problem = Problem(Asking(setting, 403, "ext_authz_error", milliseconds));
        Assert.Equal((code, owner, field), (problem.Code, problem.Object, problem.Path));
        if (field.EndsWith("timeout", StringComparison.Ordinal))
            Assert.StartsWith("is 1 s, and authz (authz.shop.svc.cluster.local:8000) had not answered", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pathPrefix: /check", 404, true)]
    [InlineData("pathPrefix: /check", 403, false)]
    [InlineData("", 404, false)]
    public void The_path_that_an_authorizer_does_not_know_is_named(string setting, int status, bool isNamed)
    {
        var problem = Problem(Asking(setting, status, "ext_authz_denied"), "orders/hello");
        Assert.Equal(("ISM2094", "spec.provider.name"), (problem.Code, problem.Path));
        Assert.Equal(isNamed, problem.Message.Contains("it was asked for /check/hello, because pathPrefix is /check", StringComparison.Ordinal));
        Assert.Equal(isNamed, problem.Remedy.Contains("pathPrefix of authz", StringComparison.Ordinal));
    }

    private const string Service =
        "{apiVersion: v1, kind: Service, metadata: {name: authz, namespace: shop}, spec: {clusterIP: 10.96.0.8, selector: {app: authz}, ports: [{name: http, "
            + "port: 8000, targetPort: 8080}]}}\n";

    private static Isthmus.Core.Problems.Problem Problem(TraceScenario scenario, string target = "orders")
    {
        var trace = scenario.Walk(target);
        Assert.False(trace.Succeeds);
        return trace.Failure!.Problem!;
    }

    /// <summary>The callee in c1 asks <c>authz</c>, whose Pod is in c1 as well.</summary>
    private static TraceScenario Asking(string setting, int status, string details, double milliseconds = 2)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", true, status, milliseconds + 1, "10.1.0.5:8080", "-", "via_upstream", []),
            Sighted = [new(new("c1", "shop", "orders-a"), true, milliseconds, null, status, "UAEX", details, "", "", "", "", "")],
        };
        scenario.Client = scenario.ClientOfOne;
        var provider = setting.Length > 0 ? $", {setting}" : "";
        scenario.One += "\n---\n" + Service + """
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: authz-1, namespace: shop, labels: {app: authz}},
             spec: {containers: [{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy}]},
             status: {phase: Running, podIP: 10.1.0.8, conditions: [{type: Ready, status: "True"}]}}
            ---
            {apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system},
             data: {mesh: "extensionProviders: [{name: authz, envoyExtAuthzHttp: {service: authz.shop.svc.cluster.local, port: 8000<provider>}}]"}}
            ---
            {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: ask, namespace: shop},
             spec: {selector: {matchLabels: {app: orders}}, action: CUSTOM, provider: {name: authz}, rules: [{}]}}
            """.Replace("<provider>", provider, StringComparison.Ordinal);
        var (own, callers) = (JsonNode.Parse(scenario.Callee)!, JsonNode.Parse(scenario.Client.Replace("outbound|80||orders", "outbound|8000||authz",
            StringComparison.Ordinal).Replace("10.1.0.5", "10.1.0.8", StringComparison.Ordinal).Replace("orders;shop;orders;v1", "authz;shop;authz;v1",
            StringComparison.Ordinal))!);
        var (parts, theirs) = (own["config_dump"]!["configs"]!.AsArray(), callers["config_dump"]!["configs"]!.AsArray());
        parts[0]!["dynamic_active_clusters"]!.AsArray().Add(theirs[0]!["dynamic_active_clusters"]![1]!.DeepClone());
        var endpoints = theirs[1]!.DeepClone();
        parts.Add(endpoints);
        scenario.Callee = own.ToJsonString();
        return scenario;
    }

    private static string WithoutEndpoints(string dump)
    {
        var own = JsonNode.Parse(dump)!;
        own["config_dump"]!["configs"]!.AsArray().Last()!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"] = new JsonArray();
        return own.ToJsonString();
    }
}
