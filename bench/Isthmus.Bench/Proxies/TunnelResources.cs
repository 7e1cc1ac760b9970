using System.Text.Json.Nodes;
using static Isthmus.Rigs.Mesh.TestResources;

namespace Isthmus.Bench.Proxies;

/// <summary>Has plain resources of a sidecar lead through tunnels (HBONE), with Istio's names.</summary>
internal static class TunnelResources
{
    private const string Extensions = "type.googleapis.com/envoy.extensions", Destination = "envoy.filters.listener.original_dst";

    private const string Restored = $$"""[{"name": "{{Destination}}", "typed_config": {"@type": "{{Extensions}}.filters.listener.original_dst.v3.OriginalDst"} }]""";

    private const string Within = $$"""
        {"name": "internal", "typed_config": {"@type": "{{Extensions}}.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
          "passthrough_metadata": [{"kind": {"host": {} }, "name": "{{Destination}}"}],
          "transport_socket": {"name": "raw", "typed_config": {"@type": "{{Extensions}}.transport_sockets.raw_buffer.v3.RawBuffer"} } } }
        """;

    /// <summary>The caller's: connections to the cluster <c>app</c> go to the end of a tunnel.</summary>
    /// <param name="plain">What it has without tunnels.</param>
    /// <param name="server">Where tunnels end.</param>
    /// <param name="application">Where they lead to.</param>
    internal static OwnResources Opening(OwnResources plain, string server, string application)
    {
        var app = JsonNode.Parse(plain.Clusters[0])!.AsObject();
        app["transport_socket"] = JsonNode.Parse(Within);
        var assignment = JsonNode.Parse(plain.Assignments[0])!;
        var endpoint = assignment["endpoints"]![0]!["lb_endpoints"]![0]!;
        endpoint["endpoint"]!["address"] = Address("connect_originate", application);
        endpoint["metadata"] = JsonNode.Parse($$$"""{"filter_metadata": {"{{{Destination}}}": {"local": "{{{application}}}"} } }""");
        return new([app.ToJsonString(), Originating(server), .. plain.Clusters.Skip(1)], [assignment.ToJsonString(), .. plain.Assignments.Skip(1)],
            [$$"""
            {"name": "connect_originate", "internal_listener": {}, "listener_filters": {{Restored}}, "filter_chains": [{"filters": [{"name": "tcp", "typed_config": {
              "@type": "{{Extensions}}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "connect_originate", "cluster": "connect_originate",
              "tunneling_config": {"hostname": "%DOWNSTREAM_LOCAL_ADDRESS%"} } }] }] }
            """, .. plain.Listeners]);
    }

    /// <summary>The callee's: its listener gets what comes out of tunnels.</summary>
    /// <param name="plain">What it has without tunnels.</param>
    internal static OwnResources Ending(OwnResources plain)
    {
        var inner = JsonNode.Parse(plain.Listeners[0])!.AsObject();
        var address = inner["address"]!.ToJsonString();
        inner.Remove("address");
        (inner["name"], inner["internal_listener"], inner["listener_filters"]) = ("main_internal", new JsonObject(), JsonNode.Parse(Restored));
        return new([.. plain.Clusters, $$$"""
            {"name": "main_internal", "type": "STATIC", "transport_socket": {{{Within}}}, "load_assignment": {"cluster_name": "main_internal",
              "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {{{Address("main_internal", "").ToJsonString()}}} } }] }] } }
            """], plain.Assignments, [inner.ToJsonString(), $$$"""
            {"name": "connect_terminate", "address": {{{address}}}, "filter_chains": [{ {{{ServerTls("h2")}}}, "filters": [{"name": "http", "typed_config": {
              "@type": "{{{Extensions}}}.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "connect_terminate",
              "http2_protocol_options": {"allow_connect": true}, "stream_idle_timeout": "0s",
              "route_config": {"name": "default", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"connect_matcher": {} },
                "route": {"cluster": "main_internal", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {} }] } }] }] },
              "http_filters": [
                {"name": "connect_authority", "typed_config": {"@type": "{{{Extensions}}}.filters.http.set_filter_state.v3.Config", "on_request_headers": [
                  {{{State("envoy.filters.listener.original_dst.local_ip", "", "%REQ(:AUTHORITY)%")}}},
                  {{{State("envoy.filters.listener.original_dst.remote_ip", "", "%DOWNSTREAM_REMOTE_ADDRESS%")}}},
                  {{{State("io.istio.peer_principal", "envoy.hashable_string", "%DOWNSTREAM_PEER_URI_SAN%")}}}] } },
                {"name": "router", "typed_config": {"@type": "{{{Extensions}}}.filters.http.router.v3.Router"} }] } }] }] }
            """]);
    }

    private static string Originating(string server) => $$$"""
        {"name": "connect_originate", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "2s",
         "original_dst_lb_config": {"upstream_port_override": {{{server.Split(':')[1]}}} },
         "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "{{{Extensions}}}.upstreams.http.v3.HttpProtocolOptions",
           "explicit_http_config": {"http2_protocol_options": {"allow_connect": true} } } },
         "transport_socket": {"name": "tls", "typed_config": {"@type": "{{{Extensions}}}.transport_sockets.tls.v3.UpstreamTlsContext",
           "common_tls_context": {"alpn_protocols": ["h2"], {{{Secrets(Exact(Credentials.Identity))}}} } } } }
        """;

    private static string State(string key, string factory, string format) => $$$"""
        {"object_key": "{{{key}}}", "factory_key": "{{{factory}}}", "shared_with_upstream": "ONCE",
         "format_string": {"text_format_source": {"inline_string": "{{{format}}}"} } }
        """;

    private static JsonObject Address(string listener, string id) =>
        new() { ["envoy_internal_address"] = new JsonObject { ["server_listener_name"] = listener, ["endpoint_id"] = id } };
}
