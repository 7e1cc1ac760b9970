using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Decisions;
using Xunit;

namespace Isthmus.Tests.Proxy.Trace;

/// <summary>What a proxy would do with a call, read from its dump.</summary>
public sealed class ProxyDecisionsTests
{
    private static readonly IPEndPoint Called = new(IPAddress.Parse("10.96.0.5"), 80), Caller = new(IPAddress.Parse("10.1.0.2"), 40000);

    private readonly ProxyDecisions _decisions = ProxyDecisions.Read(
        new(
            Named(("orders", """
                {"name": "orders", "address": {"socket_address": {"address": "10.96.0.5", "port_value": 80}}, "bind_to_port": false,
                 "traffic_direction": "OUTBOUND", "filter_chains": [{"name": "web", "filters": [{"name": "http", "typed_config": {
                 "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                 "stat_prefix": "x", "rds": {"route_config_name": "80"}, "http_filters": [
                 {"name": "rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "rules": {
                 "action": "DENY", "policies": {"no-delete": {"permissions": [{"header": {"name": ":method", "string_match": {"exact": "DELETE"}}}],
                 "principals": [{"any": true}]}}}}},
                 {"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}
                """)),
            Named(("orders", """{"name": "orders", "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}}}"""),
                ("bad", """{"name": "bad", "type": "NO_SUCH_TYPE"}""")),
            Named(("80", """
                {"name": "80", "virtual_hosts": [{"name": "orders", "domains": ["orders"], "routes": [
                 {"name": "list", "match": {"prefix": "/v1"}, "route": {"cluster": "orders", "prefix_rewrite": "/list"}}]}]}
                """)),
            Named(("orders", """
                {"cluster_name": "orders", "endpoints": [
                 {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "10.1.0.5", "port_value": 8080}}}, "load_balancing_weight": 3},
                  {"endpoint": {"address": {"socket_address": {"address": "10.1.0.6", "port_value": 8080}}}}]},
                 {"priority": 1, "lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "10.1.0.7", "port_value": 8080}}}}]}]}
                """))),
        TimeProvider.System, new Random(1));

    [Fact]
    public void A_call_has_a_listener_a_chain_a_route_and_a_cluster()
    {
        var route = Chain.Route(Request("GET", "/v1/all"), "http", null)!.Route!;
        Assert.Equal("list", route.Name);
        Assert.Equal("/list/all", route.Rewritten("/v1/all"));
        Assert.Equal([new("orders", 1)], Assert.IsType<ForwardView>(route.Act).Targets);
        Assert.Null(_decisions.For(new(Called.Address, 81)));
        Assert.Null(Chain.Route(Request("GET", "/"), "http", null)!.Route);
    }

    [Fact]
    public void The_first_priority_that_has_a_usable_host_gets_all_calls()
    {
        Assert.Equal([("10.1.0.5:8080", 0.75), ("10.1.0.6:8080", 0.25), ("10.1.0.7:8080", 0)], Shares(ejected: []));
        Assert.Equal([("10.1.0.5:8080", 0), ("10.1.0.6:8080", 0), ("10.1.0.7:8080", 1)], Shares(ejected: ["10.1.0.5:8080", "10.1.0.6:8080"]));
    }

    [Fact]
    public void Its_policies_decide_by_the_request()
    {
        var policy = Assert.IsType<PolicyFilterView>(Assert.Single(Chain.Filters(Request("GET", "/v1"), "http")));
        PolicyAnswer Decide(string method) => policy.Decide(new(Request(method, "/v1"), "http", "", Caller, Called, ""), null);
        Assert.Equal(new(true, ""), Decide("GET"));
        Assert.Equal(new(false, "no-delete"), Decide("DELETE"));
    }

    [Fact]
    public void A_filter_changes_a_copy_of_a_request_alone()
    {
        var request = new AskedRequest("GET", false, "orders", "/v1", [("a", "1"), ("a", "2")]);
        Assert.Equal(("2", "2", null), (request.Header("a"), request.Copy().Header("a"), request.Header("b")));
        Assert.NotSame(request.Head, request.Copy().Head);
    }

    [Fact]
    public void What_cannot_be_read_is_named_and_the_rest_decides()
    {
        Assert.StartsWith("bad: ", Assert.Single(_decisions.Unread), StringComparison.Ordinal);
        Assert.Null(_decisions.Cluster("bad"));
        Assert.NotNull(_decisions.Cluster("orders"));
    }

    private ChainView Chain => _decisions.For(Called)!.Choose(Called, Caller, null, [])!;

    private IEnumerable<(string, double)> Shares(string[] ejected) =>
        _decisions.Cluster("orders")!.Shares(Called, endpoint => ejected.Contains(endpoint.AddressText)).Select(one => (one.Endpoint.AddressText, one.Share));

    private static AskedRequest Request(string method, string path) => new(method, false, "orders", path, []);

    private static IEnumerable<(string, JsonObject)> Named(params (string Name, string Json)[] resources) =>
        resources.Select(one => (one.Name, (JsonObject)JsonNode.Parse(one.Json)!));
}
