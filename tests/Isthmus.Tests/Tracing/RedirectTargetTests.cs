using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>A redirect to https of a route at a gateway, which takes TLS for the host or does not (tests/operator-faults.tsv).</summary>
public sealed class RedirectTargetTests
{
    private const string Secure = "tls: {mode: SIMPLE, credentialName: door}", Own = """
        {apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: door, namespace: shop},
         spec: {selector: {app: buyer}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [orders]}SERVER]}}
        """;

    [Theory]
    [InlineData("\"https_redirect\": true", "", "sends requests to https://orders, and no Gateway of these Pods has a server with TLS for this host at port 443")]
    [InlineData("\"scheme_redirect\": \"https\", \"port_redirect\": 8443", ", {port: {number: 443, name: tls, protocol: HTTPS}, hosts: [orders], " + Secure + "}",
        "sends requests to https://orders:8443, and no Gateway")]
    [InlineData("\"https_redirect\": true", ", {port: {number: 443, name: tls, protocol: HTTPS}, hosts: [other.example.com], " + Secure + "}",
        "with TLS for this host at port 443")]
    // The Service leads from 443 to 8443.
    [InlineData("\"https_redirect\": true", ", {port: {number: 8443, name: tls, protocol: HTTPS}, hosts: ['*/orders'], " + Secure + "}", null)]
    [InlineData("\"https_redirect\": true", ", {port: {number: 443, name: tls, protocol: TLS}, hosts: ['*'], tls: {mode: PASSTHROUGH}}", null)]
    [InlineData("\"https_redirect\": true, \"host_redirect\": \"elsewhere.example.com\"", "", null)]
    [InlineData("\"path_redirect\": \"/home\"", "", null, "{\"match\": {\"path\": \"/\"}")]
    public void A_redirect_of_a_VirtualService_to_where_nothing_takes_TLS_is_a_warning(string redirect, string server, string? says,
        string match = "{\"match\": {\"prefix\": \"/\"}")
    {
        var hop = Route(Scenario(redirect, match, "namespaces/shop/virtual-service/orders"), Own.Replace("SERVER", server, StringComparison.Ordinal));
        AssertSays(hop, says, "VirtualService shop/orders in c1", "spec.http[*].redirect", "add a server with protocol HTTPS, port ");
    }

    [Theory]
    [InlineData("", "no listener of Gateway shop/front in c1 takes TLS for this host at port 443")]
    [InlineData(", {name: https, port: 443, protocol: HTTPS, hostname: other, tls: {certificateRefs: [{name: door}]}}", "takes TLS for this host at port 443")]
    [InlineData(", {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: door}]}}", null)]
    public void A_redirect_of_an_HTTPRoute_to_where_nothing_takes_TLS_is_a_warning(string listener, string? says)
    {
        var hop = Route(Scenario("\"scheme_redirect\": \"https\"", "{\"match\": {\"prefix\": \"/\"}", "namespaces/shop/HTTPRoute/orders"),
            "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: shop}, spec: {gatewayClassName: istio, addresses: "
            + "[{type: Hostname, value: front.shop.svc.cluster.local}], listeners: [{name: http, port: 80, protocol: HTTP}" + listener + "]}}");
        AssertSays(hop, says, "HTTPRoute shop/orders in c1", "spec.rules[*].filters[*].requestRedirect", "add a listener with protocol HTTPS, port 443");
    }

    /// <summary>Clients of a gateway are outside.</summary>
    [Theory]
    [InlineData("cart.shop.svc.cluster.local", true)]
    [InlineData("www.example.com", false)]
    public void A_redirect_of_clients_outside_to_a_name_of_the_cluster_is_a_failure(string host, bool isDead)
    {
        var hop = Route(Scenario($"\"host_redirect\": \"{host}\"", "{\"match\": {\"prefix\": \"/\"}", "namespaces/shop/virtual-service/orders"),
            Own.Replace("SERVER", "", StringComparison.Ordinal));
        Assert.Equal(isDead ? (HopStatus.Failed, "ISM2180", "VirtualService shop/orders in c1") : (HopStatus.Ok, null, null),
            (hop.Status, hop.Problem?.Code, hop.Problem?.Object));
        if (isDead)
            Assert.StartsWith($"sends requests to http://{host}:80, a name that only Pods can resolve", hop.Problem!.Message, StringComparison.Ordinal);
    }

    private static Hop Route(TraceScenario scenario, string gateway)
    {
        scenario.One += $"\n---\n{gateway}";
        return Assert.Single(PlainToTlsTests.Enter(scenario, ", {name: https, port: 443, targetPort: 8443}").Hops, hop => hop.Name == "route");
    }

    private static TraceScenario Scenario(string redirect, string match, string source)
    {
        var scenario = new TraceScenario();
        var page = JsonNode.Parse(scenario.Client)!;
        page["config_dump"]!["configs"]![3]!["dynamic_route_configs"]![0]!["route_config"]!["virtual_hosts"]![0]!["routes"] = JsonNode.Parse(
            $"[{match}, \"redirect\": {{{redirect}}}, \"metadata\": {{\"filter_metadata\": {{\"istio\": {{\"config\": \"/apis/x/v1/{source}\"}}}}}}}}]");
        scenario.Client = page.ToJsonString();
        return scenario;
    }

    private static void AssertSays(Hop hop, string? says, string owner, string path, string remedy)
    {
        Assert.Contains("responds with a redirect", hop.Summary, StringComparison.Ordinal);
        Assert.Equal(says is null ? (HopStatus.Ok, null, null, null) : (HopStatus.Warning, "ISM2053", owner, path),
            (hop.Status, hop.Problem?.Code, hop.Problem?.Object, hop.Problem?.Path));
        Assert.Contains(says ?? "", hop.Problem?.Message ?? "", StringComparison.Ordinal);
        if (says is not null) Assert.StartsWith(remedy, hop.Problem!.Remedy, StringComparison.Ordinal);
    }
}
