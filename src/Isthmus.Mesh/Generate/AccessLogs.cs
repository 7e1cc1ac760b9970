using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;

namespace Isthmus.Mesh.Generate;

/// <summary>The access logs of listeners, connection managers and TCP proxies.</summary>
internal static class AccessLogs
{
    /// <summary>Istio's default access log format.</summary>
    public const string DefaultLogFormat =
        "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% " +
        "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% " +
        "%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" " +
        "\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% " +
        "%DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

    /// <summary>Logs of requests or connections.</summary>
    public static IEnumerable<AccessLog> Of(MeshConfig mesh) => mesh.Logs.Select(plan => Log(plan, mesh));

    /// <summary>Logs of the connections that match no filter chain.</summary>
    public static IEnumerable<AccessLog> OfUnmatched(MeshConfig mesh) =>
        mesh.DisableListenerLog ? [] : Of(mesh, new() { ResponseFlagFilter = new() { Flags = { "NR" } } });

    /// <summary>Logs of the connections for which no tunnel could be opened. The others are logged by who has them tunnelled.</summary>
    public static IEnumerable<AccessLog> OfUnopened(MeshConfig mesh) => Of(mesh, new() { ResponseFlagFilter = new() { Flags = { "UF" } } });

    /// <summary>Logs of the requests for tunnels that were refused. What comes out of the others is logged at its port.</summary>
    public static IEnumerable<AccessLog> OfRefused(MeshConfig mesh) => Of(mesh, new()
    {
        StatusCodeFilter = new()
        {
            Comparison = new() { Op = ComparisonFilter.Types.Op.Ge, Value = new() { DefaultValue = 400, RuntimeKey = "istio.io/unset" } },
        },
    });

    private static IEnumerable<AccessLog> Of(MeshConfig mesh, AccessLogFilter only) => Of(mesh).Select(log =>
    {
        log.Filter = log.Filter is { } selected ? new() { AndFilter = new() { Filters = { only, selected } } } : only;
        return log;
    });

    private static AccessLog Log(LogPlan plan, MeshConfig mesh) => new()
    {
        Name = plan.Logger.Service?.Protocol switch
        {
            null => "envoy.access_loggers.file",
            LogProtocol.OpenTelemetry => "envoy.access_loggers.open_telemetry",
            LogProtocol.Http => "envoy.access_loggers.http_grpc",
            _ => "envoy.access_loggers.tcp_grpc",
        },
        Filter = plan.Filter.Length == 0 ? null : new()
        {
            ExtensionFilter = new()
            {
                Name = "envoy.access_loggers.extension_filters.cel", TypedConfig = Parts.Pack(new ExpressionFilter { Expression = plan.Filter })
            },
        },
        TypedConfig = plan.Logger.Service is { } service
            ? Parts.Pack(Service(plan, service, mesh.Software))
            : Parts.Pack(new FileAccessLog { Path = plan.Logger.Path, LogFormat = Format(plan.Logger.Template ?? mesh.AccessLogTemplate) }),
    };

    private static IMessage Service(LogPlan plan, LogService service, ProxySoftware software) => service.Protocol switch
    {
        LogProtocol.OpenTelemetry => OpenTelemetry(plan, service, software),
        LogProtocol.Http => new HttpGrpcAccessLogConfig
        {
            CommonConfig = Common(plan, service, "http_envoy_accesslog"),
            AdditionalRequestHeadersToLog = { service.RequestHeaders },
            AdditionalResponseHeadersToLog = { service.ResponseHeaders },
            AdditionalResponseTrailersToLog = { service.ResponseTrailers },
        },
        _ => new TcpGrpcAccessLogConfig { CommonConfig = Common(plan, service, "tcp_envoy_accesslog") },
    };

    private static CommonGrpcAccessLogConfig Common(LogPlan plan, LogService service, string logName) => new()
    {
        LogName = service.LogName.Length > 0 ? service.LogName : logName,
        GrpcService = new() { EnvoyGrpc = new() { ClusterName = ResourceNames.Outbound(service.Port, "", plan.Host), Authority = plan.Host } },
        TransportApiVersion = ApiVersion.V3,
    };

    private static OpenTelemetryAccessLogConfig OpenTelemetry(LogPlan plan, LogService service, ProxySoftware software)
    {
        var common = Common(plan, service, "otel_envoy_accesslog");
        var config = new OpenTelemetryAccessLogConfig
        {
            DisableBuiltinLabels = true,
            Body = new() { StringValue = plan.Logger.Template is { Text.Length: > 0 } template ? template.Text : DefaultLogFormat },
        };
        if (software.IsRecent) (config.GrpcService, config.LogName) = (common.GrpcService, common.LogName);
        else config.CommonConfig = common;
        if (service.Attributes.Count == 0) return config;
        config.Attributes = new();
        config.Attributes.Values.AddRange(service.Attributes.OrderBy(item => item.Key, StringComparer.Ordinal)
            .Select(item => new Wire.OpenTelemetry.KeyValue { Key = item.Key, Value = new() { StringValue = item.Value } }));
        return config;
    }

    private static SubstitutionFormatString Format(LogTemplate template)
    {
        if (template.IsJson && JsonFormat(template.Text) is { } json) return new() { JsonFormat = json };
        var text = template.IsJson || template.Text.Length == 0 ? DefaultLogFormat : template.Text.EndsWith('\n') ? template.Text : template.Text + "\n";
        return new() { TextFormatSource = new() { InlineString = text } };
    }

    /// <summary>The format as a JSON object; null when it is not one, and then the default text format applies.</summary>
    private static Struct? JsonFormat(string format)
    {
        if (format.Length == 0) return DefaultJsonFormat();
        try
        {
            return Struct.Parser.ParseJson(format);
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    private static Struct DefaultJsonFormat() => Parts.Fields(
        ("start_time", Value.ForString("%START_TIME%")),
        ("method", Value.ForString("%REQ(:METHOD)%")),
        ("path", Value.ForString("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%")),
        ("protocol", Value.ForString("%PROTOCOL%")),
        ("response_code", Value.ForString("%RESPONSE_CODE%")),
        ("response_flags", Value.ForString("%RESPONSE_FLAGS%")),
        ("response_code_details", Value.ForString("%RESPONSE_CODE_DETAILS%")),
        ("connection_termination_details", Value.ForString("%CONNECTION_TERMINATION_DETAILS%")),
        ("upstream_transport_failure_reason", Value.ForString("%UPSTREAM_TRANSPORT_FAILURE_REASON%")),
        ("bytes_received", Value.ForString("%BYTES_RECEIVED%")),
        ("bytes_sent", Value.ForString("%BYTES_SENT%")),
        ("duration", Value.ForString("%DURATION%")),
        ("upstream_service_time", Value.ForString("%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%")),
        ("x_forwarded_for", Value.ForString("%REQ(X-FORWARDED-FOR)%")),
        ("user_agent", Value.ForString("%REQ(USER-AGENT)%")),
        ("request_id", Value.ForString("%REQ(X-REQUEST-ID)%")),
        ("authority", Value.ForString("%REQ(:AUTHORITY)%")),
        ("upstream_host", Value.ForString("%UPSTREAM_HOST%")),
        ("upstream_cluster", Value.ForString("%UPSTREAM_CLUSTER%")),
        ("upstream_local_address", Value.ForString("%UPSTREAM_LOCAL_ADDRESS%")),
        ("downstream_local_address", Value.ForString("%DOWNSTREAM_LOCAL_ADDRESS%")),
        ("downstream_remote_address", Value.ForString("%DOWNSTREAM_REMOTE_ADDRESS%")),
        ("requested_server_name", Value.ForString("%REQUESTED_SERVER_NAME%")),
        ("route_name", Value.ForString("%ROUTE_NAME%")));
}
