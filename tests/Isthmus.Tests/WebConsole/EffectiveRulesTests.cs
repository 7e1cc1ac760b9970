using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Reports;
using Isthmus.WebConsole.Answers;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>Which objects decide what happens to calls of a service.</summary>
public sealed class EffectiveRulesTests
{
    private static readonly RuleSubject Orders = new("shop", "orders", [new() { ["app"] = "orders" }], "istio-system");

    private static IReadOnlyList<RuleRow> Rows(string cluster, params string[] objects) =>
        EffectiveRules.Of(cluster, objects.Select(text => (JsonObject)YamlText.ParseAll(text, "test")[0]), Orders);

    private static string Object(string kind, string spec, string name = "one", string ns = "shop")
    {
        var group = kind.EndsWith("Rule", StringComparison.Ordinal) || kind.EndsWith("Service", StringComparison.Ordinal) ? "networking" : "security";
        return $$"""
            {apiVersion: {{group}}.istio.io/v1beta1, kind: {{kind}}, metadata: {name: {{name}}, namespace: {{ns}}, uid: u}, spec: {{spec}}, status: {} }
            """;
    }

    [Theory]
    [InlineData("VirtualService", "{hosts: [orders], http: []}", "shop", "routes calls of the service")]
    [InlineData("VirtualService", "{hosts: [orders.shop.svc.cluster.local], gateways: [edge, mesh]}", "other", "routes calls of the service, through edge")]
    [InlineData("VirtualService", "{hosts: [orders]}", "other", "")]
    [InlineData("VirtualService", "{hosts: [api.example.com], http: [{route: [{destination: {host: orders.shop.svc.cluster.local}}]}]}", "edge",
        "routes calls of api.example.com to it")]
    [InlineData("VirtualService",
        "{hosts: [orders], http: [{fault: {delay: {fixedDelay: 3s, percentage: {value: 100}}}, route: [{destination: {host: orders}}]}]}", "shop",
        "routes calls of the service; delays 100 % of them by 3 s")]
    [InlineData("DestinationRule", "{host: '*.shop.svc.cluster.local', trafficPolicy: {tls: {mode: DISABLE}, connectionPool: {}}}", "shop",
        "sets tls DISABLE, connectionPool")]
    [InlineData("DestinationRule", "{host: buyer}", "shop", "")]
    [InlineData("PeerAuthentication", "{mtls: {mode: STRICT}}", "istio-system", "mutual TLS STRICT, for the mesh")]
    [InlineData("PeerAuthentication", "{mtls: {mode: STRICT}}", "other", "")]
    [InlineData("AuthorizationPolicy", "{selector: {matchLabels: {app: orders}}, action: DENY, rules: [{}]}", "shop", "DENY, 1 rules, for some Pods")]
    [InlineData("AuthorizationPolicy", "{selector: {matchLabels: {app: buyer}}}", "shop", "")]
    [InlineData("HTTPRoute", "{parentRefs: [{name: front}], hostnames: [a.example], rules: [{backendRefs: [{name: orders, port: 80}]}]}", "shop",
        "routes calls of a.example to it, through shop/front")]
    [InlineData("GRPCRoute", "{parentRefs: [{kind: Service, group: '', name: orders, namespace: shop}], rules: []}", "buyers",
        "routes calls of the service, from namespace buyers")]
    [InlineData("HTTPRoute", "{parentRefs: [{kind: Service, group: '', name: orders}], rules: []}", "shop", "routes calls of the service")]
    [InlineData("TCPRoute", "{parentRefs: [{name: front}], rules: [{backendRefs: [{name: orders, port: 80}]}]}", "other", "")]
    [InlineData("UDPRoute", "{parentRefs: [{name: front}], rules: [{backendRefs: [{name: orders, port: 53}]}]}", "shop",
        "routes calls of every host to it, through shop/front")]
    public void An_object_has_its_effect_in_words(string kind, string spec, string ns, string effect) =>
        Assert.Equal(effect, Rows("c1", Object(kind, spec, ns: ns)).SingleOrDefault()?.Effect ?? "");

    [Fact]
    public void Conflicts_are_marked()
    {
        var rows = EffectiveRules.Mark(
        [
            .. Rows("c1", Object("VirtualService", "{hosts: [orders]}"),
                Object("VirtualService",
                    "{hosts: [orders.shop], http: [{fault: {abort: {httpStatus: 500, percentage: {value: 10}}}, route: [{destination: {host: orders}}]}]}",
                    "two"),
                Object("PeerAuthentication", "{mtls: {mode: STRICT}}", "all", "istio-system"), Object("PeerAuthentication", "{mtls: {mode: DISABLE}}", "own"),
                Object("DestinationRule", "{host: orders}")),
            .. Rows("c2", Object("DestinationRule", "{host: orders, trafficPolicy: {tls: {mode: DISABLE}}}")),
        ]);
        string Of(string cluster, string kind, string name) => rows.Single(row => row.Cluster == cluster && row.Kind == kind && row.Name == name).Conflict;
        Assert.Equal("VirtualService shop/two is for the same host: only one of the two has an effect", Of("c1", "VirtualService", "one"));
        Assert.Equal(("PeerAuthentication shop/own overrides it", ""), (Of("c1", "PeerAuthentication", "all"), Of("c1", "PeerAuthentication", "own")));
        Assert.Equal("c2 has another version of it", Of("c1", "DestinationRule", "one"));
        Assert.All(rows, row => Assert.DoesNotContain("uid", row.Yaml, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("c2", "10.0.0.1", "healthy, live")]
    [InlineData("c3", "10.0.0.2", "unhealthy, memory, 90s old")]
    [InlineData("c1", "10.0.0.3", "healthy, live")]
    [InlineData("c2", "10.9.9.9", "")]
    public void What_a_control_plane_knows_of_an_endpoint_has_an_age(string cluster, string address, string known)
    {
        var shards = StrictJson.Parse(
            """
            {"Kubernetes/c1": [{"Address": "10.0.0.3", "Health": "Healthy"}], "Kubernetes/c2": [{"Address": "10.0.0.1", "Health": "Healthy"}],
             "Kubernetes/c3": [{"Address": "10.0.0.2", "Health": "Unhealthy"}]}
            """,
            ControlPlaneReports.Default.ShardsOfHost);
        var clusters = StrictJson.Parse("""[{"id": "c2", "source": "live"}, {"id": "c3", "source": "memory", "confirmed": "2026-06-01T00:00:00Z"}]""",
            ControlPlaneReports.Default.Watched);
        Assert.Equal(known, new EndpointKnowledge("c1", shards, clusters, new(2026, 6, 1, 0, 1, 30, TimeSpan.Zero)).Of(cluster, address));
    }

    /// <summary>An istiod's page has the namespace of the Service, several addresses of an endpoint, and health as a number; its clusters have no
    /// age.</summary>
    [Theory]
    [InlineData("10.0.0.3", "healthy, live")]
    [InlineData("fd00::3", "healthy, live")]
    [InlineData("10.0.0.4", "unhealthy, live")]
    [InlineData("10.0.0.5", "unknown, live")]
    [InlineData("10.9.9.9", "")]
    public void What_an_istiod_knows_of_an_endpoint_is_read(string address, string known)
    {
        var page = JsonNode.Parse(
            """
            {"web.shop.svc.cluster.local": {"other": {"Shards": {}, "ServiceAccounts": {}}, "shop": {"Shards": {"Kubernetes/c1": [
              {"Addresses": ["10.0.0.3", "fd00::3"], "HealthStatus": 1, "Locality": {"Label": "r/z/", "ClusterID": "c1"}, "Labels": null},
              {"Addresses": ["10.0.0.4"], "HealthStatus": 2}, {"Addresses": ["10.0.0.5"]}]}, "ServiceAccounts": {}}}}
            """)!;
        var shards = EndpointKnowledge.ShardsOf(page, "web.shop.svc.cluster.local", "shop");
        Assert.Equal(known, new EndpointKnowledge("c1", shards, [], new(2026, 6, 1, 0, 1, 30, TimeSpan.Zero)).Of("c1", address));
        Assert.Empty(EndpointKnowledge.ShardsOf(page, "other.shop.svc.cluster.local", "shop"));
        Assert.Empty(EndpointKnowledge.ShardsOf(page, "web.shop.svc.cluster.local", "third"));
    }
}
