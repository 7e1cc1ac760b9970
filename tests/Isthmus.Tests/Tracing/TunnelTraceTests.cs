using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Calls through tunnels (HBONE): the internal listeners of both proxies, the TLS between them, and what is decided behind it.</summary>
public sealed class TunnelTraceTests
{
    private const string Extensions = "type.googleapis.com/envoy.extensions", Code = "ISM2182";

    [Fact]
    public void A_call_is_followed_through_its_tunnel()
    {
        var trace = Tunnelled().Walk();
        Assert.Null(trace.Failure);
        var tunnel = trace.Hops.Single(hop => hop.Name == "tunnel");
        Assert.Equal((HopStatus.Ok, "HBONE to 10.1.0.5:15008"), (tunnel.Status, tunnel.Summary));
        Assert.Equal(["TLS", "tunnel", "inbound", "application"], trace.Hops.Where(hop => hop.Way == 1).Select(hop => hop.Name));
        Assert.Contains(trace.Ways, way => way.Title.Contains("orders-a at 10.1.0.5:8080", StringComparison.Ordinal));
    }

    [Fact]
    public void A_callee_whose_proxy_ends_no_tunnels_is_told_with_its_label()
    {
        var scenario = Tunnelled();
        scenario.Callee = new TraceScenario().Callee;
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal((Code, "Pod shop/orders-a in c1", "metadata.labels[networking.istio.io/tunnel]"), (problem.Code, problem.Object, problem.Path));
        Assert.Contains("its proxy ends none at port 15008", problem.Message, StringComparison.Ordinal);

        scenario.One = scenario.One.Replace(
            "{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy}]", "{name: web, ports: [{containerPort: 8080}]}]", StringComparison.Ordinal);
        problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal(Code, problem.Code);
        Assert.Contains("it has no sidecar", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>The chain behind the tunnel sees no certificate: its rules ask for what the end of the tunnel says of the caller.</summary>
    [Theory]
    [InlineData("spiffe://cluster.local/ns/shop/sa/buyer", true)]
    [InlineData("spiffe://cluster.local/ns/shop/sa/other", false)]
    public void Policies_decide_by_who_has_opened_the_tunnel(string allowed, bool passes)
    {
        var scenario = Tunnelled($$$"""
            {"name": "envoy.filters.http.rbac", "typed_config": {"@type": "{{{Extensions}}}.filters.http.rbac.v3.RBAC", "rules": {"action": "ALLOW",
              "policies": {"ns[shop]-policy[orders]-rule[0]": {"permissions": [{"any": true}],
                "principals": [{"filter_state": {"key": "io.istio.peer_principal", "string_match": {"exact": "{{{allowed}}}"} } }]} } } } },
            """);
        var account = allowed["spiffe://".Length..];
        scenario.One += $"\n---\n{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: orders, namespace: shop}}, "
            + $"spec: {{action: ALLOW, rules: [{{from: [{{source: {{principals: [{account}]}}}}]}}]}}}}";
        var failure = scenario.Walk().Failure;
        if (passes) Assert.Null(failure);
        else Assert.Equal(("inbound", "ISM2064", "AuthorizationPolicy shop/orders in c1"), (failure!.Name, failure.Problem!.Code, failure.Problem.Object));
    }

    [Fact]
    public void A_certificate_that_has_ended_is_told_as_for_any_TLS_of_the_mesh()
    {
        var scenario = Tunnelled();
        scenario.Callee = WithEnd(scenario.ExpiredCallee, "");
        var failure = scenario.Walk().Failure!;
        Assert.Equal(("TLS", "ISM2061"), (failure.Name, failure.Problem!.Code));
    }

    /// <summary>The scenario with one endpoint, behind a tunnel.</summary>
    private static TraceScenario Tunnelled(string filters = "")
    {
        var scenario = new TraceScenario();
        var page = JsonNode.Parse(scenario.ClientOfOne)!;
        var configs = page["config_dump"]!["configs"]!.AsArray();
        var clusters = configs[0]!["dynamic_active_clusters"]!.AsArray();
        var outbound = clusters[1]!["cluster"]!;
        var tls = outbound["transport_socket_matches"]![0]!["transport_socket"]!;
        outbound["transport_socket_matches"]!.AsArray().Insert(0, JsonNode.Parse($$$"""
            {"name": "hbone", "match": {"tunnel": "http"}, "transport_socket": {"name": "internal", "typed_config": {
              "@type": "{{{Extensions}}}.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
              "passthrough_metadata": [{"kind": {"host": {} }, "name": "envoy.filters.listener.original_dst"}]} } }
            """));
        clusters.Add(JsonNode.Parse($$$"""
            {"cluster": {"name": "connect_originate", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED",
              "original_dst_lb_config": {"upstream_port_override": 15008}, "transport_socket": {{{Of(tls)}}} } }
            """));
        var endpoint = configs[1]!["dynamic_endpoint_configs"]![0]!["endpoint_config"]!["endpoints"]![0]!["lb_endpoints"]![0]!;
        endpoint["endpoint"]!["address"] = JsonNode.Parse("""
            {"envoy_internal_address": {"server_listener_name": "connect_originate", "endpoint_id": "10.1.0.5:8080"} }
            """);
        var metadata = endpoint["metadata"]!["filter_metadata"]!;
        metadata["envoy.transport_socket_match"] = JsonNode.Parse("""{"tunnel": "http"}""");
        metadata["envoy.filters.listener.original_dst"] = JsonNode.Parse("""{"local": "10.1.0.5:8080"}""");
        configs[2]!["dynamic_listeners"]!.AsArray().Add(JsonNode.Parse($$$"""
            {"active_state": {"listener": {"name": "connect_originate", "internal_listener": {}, "listener_filters": [{"name": "envoy.filters.listener.original_dst"}],
              "filter_chains": [{"filters": [{"name": "tcp", "typed_config": {"@type": "{{{Extensions}}}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x",
                "cluster": "connect_originate", "tunneling_config": {"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"} } }] }] } } }
            """));
        scenario.Client = page.ToJsonString();
        scenario.Callee = WithEnd(scenario.Callee, filters);
        return scenario;
    }

    /// <summary>A callee that ends tunnels, and whose chain behind them has such filters.</summary>
    private static string WithEnd(string callee, string filters)
    {
        var page = JsonNode.Parse(callee)!;
        var configs = page["config_dump"]!["configs"]!.AsArray();
        configs[0]!["dynamic_active_clusters"]!.AsArray().Add(JsonNode.Parse($$$"""
            {"cluster": {"name": "main_internal", "type": "STATIC", "load_assignment": {"cluster_name": "main_internal", "endpoints": [{"lb_endpoints": [
              {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": "main_internal"} } } }] }] },
             "transport_socket": {"name": "internal", "typed_config": {"@type": "{{{Extensions}}}.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"} } } }
            """));
        var listeners = configs[1]!["dynamic_listeners"]!.AsArray();
        var chain = listeners[0]!["active_state"]!["listener"]!["filter_chains"]![0]!;
        var inner = chain.DeepClone().AsObject();
        inner.Remove("transport_socket");
        inner["filter_chain_match"] = JsonNode.Parse("""{"destination_port": 8080}""");
        var manager = inner["filters"]![0]!["typed_config"]!;
        manager["http_filters"] = JsonNode.Parse($"[{filters}{manager["http_filters"]![0]!.ToJsonString()}]");
        listeners.Add(JsonNode.Parse($$$"""
            {"active_state": {"listener": {"name": "connect_terminate", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15008} },
              "filter_chains": [{"transport_socket": {{{Of(chain["transport_socket"]!)}}}, "filters": [{"name": "http", "typed_config": {
                "@type": "{{{Extensions}}}.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x",
                "route_config": {"name": "default", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"connect_matcher": {} },
                  "route": {"cluster": "main_internal", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {} }] } }] }] },
                "http_filters": [{"name": "router", "typed_config": {"@type": "{{{Extensions}}}.filters.http.router.v3.Router"} }] } }] }] } } }
            """));
        listeners.Add(new JsonObject
        {
            ["active_state"] = new JsonObject
            {
                ["listener"] = new JsonObject
                {
                    ["name"] = "main_internal", ["internal_listener"] = new JsonObject(), ["traffic_direction"] = "INBOUND",
                    ["listener_filters"] = new JsonArray(new JsonObject { ["name"] = "envoy.filters.listener.original_dst" }),
                    ["filter_chains"] = new JsonArray(inner),
                },
            },
        });
        return page.ToJsonString();
    }

    /// <summary>The TLS of tunnels is that of the mesh, with a protocol of its own.</summary>
    private static string Of(JsonNode tls)
    {
        var copy = tls.DeepClone();
        copy["typed_config"]!["common_tls_context"]!["alpn_protocols"] = new JsonArray("h2");
        return copy.ToJsonString();
    }
}
