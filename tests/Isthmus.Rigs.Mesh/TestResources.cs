using System.Text.Json.Nodes;
using Isthmus.Wire.Envoy.AccessLoggers;

namespace Isthmus.Rigs.Mesh;

/// <summary>Envoy resources in the form in which Istio's control plane sends them, for one service behind a
/// gateway.</summary>
internal static class TestResources
{
    internal const string AccessLog =
        """
        "access_log": [{"name": "envoy.access_loggers.file", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
          "path": "log", "log_format": {"text_format_source": {"inline_string":
          "\"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%
        """
            + " %UPSTREAM_TRANSPORT_FAILURE_REASON% %UPSTREAM_HOST% %UPSTREAM_CLUSTER% %DOWNSTREAM_LOCAL_ADDRESS% %REQUESTED_SERVER_NAME%"
            + """\n"}} }}]""";

    internal const string TlsInspector =
        """{"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}}""";
    internal const string HttpInspector =
        """{"name": "envoy.filters.listener.http_inspector", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"}}""";
    internal const string MeshProtocols = """["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"]""";

    internal static string Tcp(string cluster) =>
        $$$"""
        {"name": "envoy.filters.network.tcp_proxy",
         "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "{{{cluster}}}",
          "cluster": "{{{cluster}}}", {{{AccessLog}}} }}
        """;

    internal static string Http(string routes, string more) =>
        $$$"""
        {"name": "envoy.filters.network.http_connection_manager", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
          "stat_prefix": "http", {{{routes}}}, {{{more}}}, {{{AccessLog}}},
          "http_filters": [
            {"name": "istio.alpn", "typed_config": {"@type": "type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig", "alpn_override": [
              {"upstream_protocol": "HTTP11", "alpn_override": ["istio-http/1.1", "istio", "http/1.1"]}, {"upstream_protocol": "HTTP2", "alpn_override": ["istio-h2", "istio", "h2"]}]}},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
          "upgrade_configs": [{"upgrade_type": "websocket"}], "normalize_path": true, "stream_idle_timeout": "0s"}}
        """;

    /// <summary>The agent of the workload, as Istio's resources name it.</summary>
    private const string Agent = """{"api_config_source": {"api_type": "GRPC", "grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"} }] } }""";

    internal static string Secrets(string sans) =>
        $$$"""
        "tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": {{{Agent}}} }],
        "combined_validation_context": {"default_validation_context": {"match_subject_alt_names": [{{{sans}}}]},
          "validation_context_sds_secret_config": {"name": "ROOTCA", "sds_config": {{{Agent}}} }}
        """;

    internal static string ServerTls(params string[] alpn) =>
        $$$"""
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
          "require_client_certificate": true, "common_tls_context": {"alpn_protocols": {{{List(alpn)}}}, {{{Secrets(AnyMember)}}} }} }
        """;

    /// <summary>A cluster of a mesh service, with TLS for endpoints that support it and plain text for the
    /// others.</summary>
    internal static string MeshCluster(string name, string sni, string identity, string more = "") =>
        $$$"""
        {"name": "{{{name}}}", "type": "EDS", "connect_timeout": "2s", "lb_policy": "LEAST_REQUEST", "eds_cluster_config": {"eds_config": {"ads": {}}, "service_name": "{{{name}}}"}, {{{more}}}
         "common_lb_config": {"locality_weighted_lb_config": {}},
         "transport_socket_matches": [
           {"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {
             "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "{{{sni}}}",
             "common_tls_context": {"alpn_protocols": ["istio-peer-exchange", "istio"], {{{Secrets(Exact(identity))}}} }} }},
           {"name": "tlsMode-disabled", "match": {},
            "transport_socket": {"name": "envoy.transport_sockets.raw_buffer",
             "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}} }]}
        """;

    internal static string RawCluster(string name) =>
        $$$"""{"name": "{{{name}}}", "type": "EDS", "connect_timeout": "2s", "lb_policy": "LEAST_REQUEST", "eds_cluster_config": {"eds_config": {"ads": {}}, "service_name": "{{{name}}}"}}""";

    internal static string OriginalDestination(string name, string source = "") =>
        $$$"""{"name": "{{{name}}}", "type": "ORIGINAL_DST", "connect_timeout": "2s", "lb_policy": "CLUSTER_PROVIDED" {{{Bind(source)}}} }""";

    /// <summary>Endpoints of a cluster. An address that begins with <c>+</c> supports mesh TLS.</summary>
    internal static string Endpoints(string cluster, params string[] addresses) => new JsonObject
    {
        ["cluster_name"] = cluster,
        ["endpoints"] = new JsonArray(new JsonObject
        {
            ["load_balancing_weight"] = Math.Max(1, addresses.Length),
            ["lb_endpoints"] = new JsonArray([.. addresses.Select(Endpoint)]),
        }),
    }.ToJsonString();

    private static JsonNode Endpoint(string address)
    {
        var parts = address.TrimStart('+').Split(':');
        var json = new JsonObject
        {
            ["endpoint"] = new JsonObject
            {
                ["address"] = new JsonObject
                {
                    ["socket_address"] = new JsonObject
                    {
                        ["address"] = parts[0], ["port_value"] = int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture)
                    }
                },
            },
            ["load_balancing_weight"] = 1,
        };
        if (address.StartsWith('+'))
            json["metadata"] = new JsonObject
            {
                ["filter_metadata"] = new JsonObject { ["envoy.transport_socket_match"] = new JsonObject { ["tlsMode"] = "istio" } }
            };
        return json;
    }

    internal static string Route(string name, string domain, string cluster) =>
        $$$"""
        {"name": "{{{name}}}", "virtual_hosts": [
          {"name": "{{{domain}}}:{{{name}}}", "domains": ["{{{domain}}}", "{{{domain}}}:{{{name}}}"], "include_request_attempt_count": true, "routes": [{"name": "default", "match": {"prefix": "/"},
            "decorator": {"operation": "{{{domain}}}:{{{name}}}/*"},
            "route": {"cluster": "{{{cluster}}}", "timeout": "0s", "retry_policy": {"retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
              "num_retries": 2, "retriable_status_codes": [503], "host_selection_retry_max_attempts": "5", "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts"}]}} }]},
          {"name": "allow_any", "domains": ["*"], "routes": [{"name": "allow_any", "match": {"prefix": "/"}, "route": {"cluster": "PassthroughCluster", "timeout": "0s"}}]}]}
        """;

    internal static string InlineRoute(string cluster) =>
        $$$"""
        "route_config": {"name": "{{{cluster}}}",
         "virtual_hosts": [{"name": "inbound", "domains": ["*"],
           "routes": [{"name": "default", "match": {"prefix": "/"}, "route": {"cluster": "{{{cluster}}}", "timeout": "0s"}}]}]}
        """;

    private const string AnyMember = """{"prefix": "spiffe://cluster.local/"}""";

    internal static string Exact(string identity) => $$$"""{"exact": "{{{identity}}}"}""";

    private static string Bind(string source) =>
        source.Length == 0 ? "" : $$$""", "upstream_bind_config": {"source_address": {"address": "{{{source}}}", "port_value": 0}}""";

    private static string List(string[] words) => $"[{string.Join(", ", words.Select(w => $"\"{w}\""))}]";

    internal static JsonArray Array(params string[] resources) => new([.. resources.Select(r => JsonNode.Parse(r))]);
}
