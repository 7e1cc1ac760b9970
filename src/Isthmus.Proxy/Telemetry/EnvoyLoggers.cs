namespace Isthmus.Proxy.Telemetry;

/// <summary>Envoy's names of loggers: tools set levels by them, and refuse names that a proxy does not list.</summary>
internal static class EnvoyLoggers
{
    /// <summary>Sorted. Those of which this proxy has no messages can be set, too: tools set several at once.</summary>
    public static readonly string[] All =
    [
        "a2a", "admin", "ai_protocol_manager", "alternate_protocols_cache", "assert", "aws", "backtrace", "basic_auth", "cache_filter", "client",
        "compression", "config", "conn_handler", "connection", "credential_injector", "decompression", "dns", "dubbo", "dynamic_modules", "envoy_bug",
        "ext_authz", "ext_proc", "file", "filter", "forward_proxy", "geolocation", "golang", "grpc", "happy_eyeballs", "hc", "health_checker", "http",
        "http2", "hystrix", "init", "io", "ip_tagging", "json_rpc", "jwt", "kafka", "key_value_store", "local_rate_limit", "lua", "main", "matcher", "mcp",
        "misc", "mongo", "multi_connection", "notification", "oauth2", "pool", "quic", "quic_stream", "rate_limit_quota", "rbac", "rds", "redis", "rocketmq",
        "router", "runtime", "secret", "sse", "stats", "stats_sinks", "tap", "testing", "thrift", "tracing", "udp", "upstream", "wasm", "websocket",
    ];

    /// <summary>Which of them a part of this proxy listens to: the most talkative one counts.</summary>
    public static IReadOnlyList<string> Of(string category) => category switch
    {
        "xds" or "files" => ["config", "rds", "upstream"],
        "secrets" => ["secret"],
        "ListenerSockets" => ["conn_handler", "io"],
        "HealthChecks" => ["hc", "health_checker"],
        "ConnectionHandler" => ["connection", "http", "http2", "filter", "router", "conn_handler"],
        "DataPlane" => ["main", "init"],
        _ => ["misc"],
    };
}
