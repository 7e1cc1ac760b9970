namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>One listener with its routes and its cluster. All parts are Envoy's, as JSON.</summary>
/// <param name="Name">Of the listener, its routes and its cluster.</param>
/// <param name="Manager">Fields of the connection manager, each followed by a comma.</param>
/// <param name="Filters">HTTP filters before the router, each followed by a comma.</param>
/// <param name="Host">Fields of the virtual host, each followed by a comma.</param>
/// <param name="Routes">Its routes; empty: one for everything, with <paramref name="Action"/>.</param>
/// <param name="Action">Fields of the action of the only route, each after a comma.</param>
/// <param name="Cluster">Fields of the cluster, each after a comma.</param>
/// <param name="IsHttp2">Whether the server speaks HTTP/2.</param>
/// <param name="HasServer">Whether the cluster has an endpoint that listens; otherwise connections are refused.</param>
internal sealed record ProxySetting(string Name, string Manager = "", string Filters = "", string Host = "", string Routes = "", string Action = "",
    string Cluster = "", bool IsHttp2 = false, bool HasServer = true)
{
    private const string Types = "type.googleapis.com/envoy.extensions.";

    /// <param name="port">Of the listener; 0: any.</param>
    internal string ListenerJson(int port)
    {
        var routes = Routes.Length > 0 ? Routes.Replace("CLUSTER", Name, StringComparison.Ordinal)
            : $$"""{"match": {"prefix": "/"}, "route": {"cluster": "{{Name}}", "timeout": "0s" {{Action}} } }""";
        return $$$"""
            {"name": "{{{Name}}}", "traffic_direction": "INBOUND", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port}}}}},
             "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager",
               "typed_config": {"@type": "{{{Types}}}filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "in",
                 "server_name": "proxy", "delayed_close_timeout": "0.02s", "upgrade_configs": [{"upgrade_type": "websocket"}], {{{Manager}}}
                 "route_config": {"name": "{{{Name}}}", "virtual_hosts": [{"name": "all", "domains": ["*"], {{{Host}}} "routes": [{{{routes}}}]}]},
                 "http_filters": [{{{Filters}}} {"name": "envoy.filters.http.router", "typed_config": {"@type": "{{{Types}}}filters.http.router.v3.Router"}}]}}]}]}
            """;
    }

    /// <param name="port">Of the server.</param>
    internal string ClusterJson(int port)
    {
        var protocol = IsHttp2 ? "http2_protocol_options" : "http_protocol_options";
        return $$$"""
            {"name": "{{{Name}}}", "type": "STATIC", "connect_timeout": "30s",
             "load_assignment": {"cluster_name": "{{{Name}}}", "endpoints": [{"lb_endpoints": [
               {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port}}} } } } }]}]},
             "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
               "@type": "{{{Types}}}upstreams.http.v3.HttpProtocolOptions", "common_http_protocol_options": {"max_requests_per_connection": 1 },
               "explicit_http_config": {"{{{protocol}}}": {} } } } {{{Cluster}}} }
            """;
    }
}
