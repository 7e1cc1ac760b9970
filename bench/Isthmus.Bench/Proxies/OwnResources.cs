using System.Text.Json.Nodes;
using static Isthmus.Rigs.Mesh.TestResources;

namespace Isthmus.Bench.Proxies;

/// <summary>What this proxy gets from a control plane, in the form of Envoy's JSON.</summary>
internal sealed record OwnResources(IReadOnlyList<string> Clusters, IReadOnlyList<string> Assignments, IReadOnlyList<string> Listeners)
{
    /// <summary>The server name of the connections that are passed through.</summary>
    internal const string PassedName = "outbound_.8443_._.bench.shop.svc.cluster.local";

    /// <summary>HTTP, as the sidecar of a caller (outbound) or of a server (inbound) has it for one Service.</summary>
    /// <param name="log">The file of the access log.</param>
    internal static OwnResources ForHttp(Wiring wiring, int port, string log)
    {
        if (wiring.TunnelTo is { } end)
        {
            var plain = ForHttp(wiring with { TunnelTo = null, TlsFromClients = false, TlsToServer = false }, port, log);
            return wiring.Inbound ? TunnelResources.Ending(plain) : TunnelResources.Opening(plain, wiring.Server, end);
        }
        var cluster = JsonNode.Parse(wiring.TlsToServer ? MeshCluster("app", Credentials.DnsName, Credentials.Identity) : RawCluster("app"))!.AsObject();
        if (wiring.Http2)
        {
            cluster["typed_extension_protocol_options"] = JsonNode.Parse(
                """
                {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                  "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                  "explicit_http_config": {"http2_protocol_options": {}}}}
                """);
        }
        var http = Http(wiring.Inbound ? InlineRoute("app") : RouteToApp,
            "\"use_remote_address\": false, \"generate_request_id\": true, \"http_protocol_options\": {\"accept_http_10\": true, \"default_host_for_http_10\": "
                + "\"app\"}"
                + Tracing(wiring.Sampling));
        var (filters, tls) = wiring.TlsFromClients
            ? ($"\"listener_filters\": [{TlsInspector}],",
                $"\"filter_chain_match\": {{\"transport_protocol\": \"tls\"}}, {ServerTls("istio-http/1.1", "http/1.1")},")
            : ("", "");
        return new([cluster.ToJsonString(), RawCluster("collector")],
            [Endpoints("app", (wiring.TlsToServer ? "+" : "") + wiring.Server), Endpoints("collector", wiring.Server)],
        [
            WithLog(log, $$$"""
            {"name": "http", "address": {"socket_address": {"address": "{{{wiring.Host}}}", "port_value": {{{port}}}}},
             "traffic_direction": "{{{(wiring.Inbound ? "INBOUND" : "OUTBOUND")}}}", {{{filters}}}
             "filter_chains": [{{{{tls}}} "filters": [{{{http}}}]}]}
            """),
        ]);
    }

    private static string Tracing(double? sampling) =>
        sampling is not { } percent ? "" : string.Create(System.Globalization.CultureInfo.InvariantCulture, $$$"""
        , "tracing": {"random_sampling": {"value": {{{percent}}} }, "provider": {"name": "envoy.tracers.zipkin", "typed_config": {"@type": "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig",
          "collector_cluster": "collector", "collector_endpoint": "/", "collector_endpoint_version": "HTTP_JSON"} } }
        """);

    /// <summary>Passes TLS through by server name, as a gateway between networks has it.</summary>
    internal static OwnResources ForPassThrough(string server, int port, string log) => new([RawCluster("tls")], [Endpoints("tls", server)],
    [
        WithLog(log, $$$"""
        {"name": "sni", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port}}}}}, "traffic_direction": "OUTBOUND", "listener_filters": [{{{TlsInspector}}}],
         "filter_chains": [{"filter_chain_match": {"server_names": ["{{{PassedName}}}"], "application_protocols": {{{MeshProtocols}}} }, "filters": [{{{Tcp("tls")}}}]}]}
        """),
    ]);

    /// <summary>Writes them where <c>--xds-dir</c> reads them.</summary>
    internal void Write(string directory)
    {
        void Write(string file, IReadOnlyList<string> values) => File.WriteAllText(Path.Combine(directory, file), Array([.. values]).ToJsonString());
        Write("cds.json", Clusters);
        Write("eds.json", Assignments);
        Write("rds.json", []);
        Write("lds.json", Listeners);
    }

    /// <summary>A route as a sidecar has it for a Service: retries, no time limit, the number of the attempt for the server.</summary>
    private const string RouteToApp =
        """
        "route_config": {"name": "8080", "virtual_hosts": [{"name": "app:8080", "domains": ["*"], "include_request_attempt_count": true, "routes": [{"name": "default", "match": {"prefix": "/"},
          "route": {"cluster": "app", "timeout": "0s", "retry_policy": {"retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", "num_retries": 2,
            "retriable_status_codes": [503], "host_selection_retry_max_attempts": "5", "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts"}]}}}]}]}
        """;

    /// <summary>Istio's default format.</summary>
    private const string LogFormat =
        "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% " +
        "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% " +
        "%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" " +
        "\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% " +
        "%DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

    private static string WithLog(string path, string listener) => listener.Replace(AccessLog,
        $$$"""
        "access_log": [{"name": "envoy.access_loggers.file", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
          "path": "{{{path}}}", "log_format": {"text_format_source": {"inline_string": {{{JsonValue.Create(LogFormat).ToJsonString()}}} }} }}]
        """, StringComparison.Ordinal);
}
