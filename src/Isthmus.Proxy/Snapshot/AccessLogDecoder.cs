using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.AccessLoggers;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes access logs: where they go, and what is logged.</summary>
internal static class AccessLogDecoder
{
    private const string DefaultFormat =
        "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% " +
        "%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" "
            + "\"%UPSTREAM_HOST%\"\n";

    private const string LinesPath = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    private const string EntriesPath = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <exception cref="ResourceException">A format or filter that cannot be used.</exception>
    public static ValueList<AccessLogSnapshot> Decode(IEnumerable<AccessLog> logs, List<string> notes)
    {
        var decoded = new List<AccessLogSnapshot>();
        foreach (var log in logs)
        {
            if (Output(log) is { } output) decoded.Add(log.Filter is null ? output : output with { Filter = Filter(log.Filter) });
            else notes.Add($"access log '{log.Name}' is ignored");
        }
        return decoded.ToValueList();
    }

    private static AccessLogSnapshot? Output(AccessLog log)
    {
        if (log.TypedConfig.TryRead(out FileAccessLog file)) return new FileLog(file.Path, Format(file.LogFormat));
        if (log.TypedConfig.TryRead(out StdoutAccessLog output)) return new FileLog("/dev/stdout", Format(output.LogFormat));
        if (log.TypedConfig.TryRead(out StderrAccessLog errors)) return new FileLog("/dev/stderr", Format(errors.LogFormat));
        if (log.TypedConfig.TryRead(out OpenTelemetryAccessLogConfig otlp)) return Lines(otlp);
        if (log.TypedConfig.TryRead(out TcpGrpcAccessLogConfig tcp))
            return new EntryLog(Service(tcp.CommonConfig, ReportFormat.EnvoyGrpc, EntriesPath), tcp.CommonConfig.LogName, false);
        if (!log.TypedConfig.TryRead(out HttpGrpcAccessLogConfig http)) return null;
        return new EntryLog(Service(http.CommonConfig, ReportFormat.EnvoyGrpc, EntriesPath), http.CommonConfig.LogName, true)
        {
            RequestHeaders = Names(http.AdditionalRequestHeadersToLog),
            ResponseHeaders = Names(http.AdditionalResponseHeadersToLog),
            ResponseTrailers = Names(http.AdditionalResponseTrailersToLog),
        };
    }

    private static OtlpLog Lines(OpenTelemetryAccessLogConfig config)
    {
        var attributes = (config.Attributes?.Values ?? []).Select(item => KeyValuePair.Create(item.Key, LogFormat.ParseText(item.Value?.StringValue ?? "")))
            .ToList();
        // Envoy has moved both out of common_config.
        var (service, name) = (config.GrpcService ?? config.CommonConfig?.GrpcService,
            config.LogName.Length > 0 ? config.LogName : config.CommonConfig?.LogName ?? "");
        return new(Service(new() { GrpcService = service }, ReportFormat.OtlpGrpc, LinesPath), name, LogFormat.ParseText(config.Body?.StringValue ?? ""),
            attributes);
    }

    private static Collector Service(CommonGrpcAccessLogConfig? config, ReportFormat format, string path)
    {
        if (config?.GrpcService is not { EnvoyGrpc: { } grpc } service)
            throw new ResourceException("access log by gRPC: it has no grpc_service with envoy_grpc");
        var fields = service.InitialMetadata.Select(field => KeyValuePair.Create(field.Key.ToLowerInvariant(), field.Value)).DistinctBy(field => field.Key)
            .ToValueMap();
        return new(format, grpc.ClusterName, grpc.Authority.Length > 0 ? grpc.Authority : grpc.ClusterName, path, service.Timeout?.ToTimeSpan() ?? Patience,
            fields);
    }

    private static ValueList<string> Names(IEnumerable<string> names) => names.Select(name => name.ToLowerInvariant()).Distinct().ToValueList();

    private static LogFormat Format(SubstitutionFormatString? format) => format?.FormatCase switch
    {
        SubstitutionFormatString.FormatOneofCase.JsonFormat => LogFormat.ParseJson(format.JsonFormat, format.OmitEmptyValues),
        SubstitutionFormatString.FormatOneofCase.TextFormatSource => LogFormat.ParseText(format.TextFormatSource.InlineString, format.OmitEmptyValues),
        _ => LogFormat.ParseText(DefaultFormat),
    };

    private static Predicate<TrafficRecord> Filter(AccessLogFilter filter)
    {
        switch (filter.FilterSpecifierCase)
        {
            case AccessLogFilter.FilterSpecifierOneofCase.AndFilter:
                var all = filter.AndFilter.Filters.Select(Filter).ToArray();
                return record => Array.TrueForAll(all, one => one(record));
            case AccessLogFilter.FilterSpecifierOneofCase.OrFilter:
                var any = filter.OrFilter.Filters.Select(Filter).ToArray();
                return record => Array.Exists(any, one => one(record));
            case AccessLogFilter.FilterSpecifierOneofCase.StatusCodeFilter:
                var status = Comparison(filter.StatusCodeFilter.Comparison);
                return record => status(record.Status);
            case AccessLogFilter.FilterSpecifierOneofCase.DurationFilter:
                var duration = Comparison(filter.DurationFilter.Comparison);
                return record => duration((long)record.Duration.TotalMilliseconds);
            case AccessLogFilter.FilterSpecifierOneofCase.ResponseFlagFilter:
                return Flags(filter.ResponseFlagFilter);
            case AccessLogFilter.FilterSpecifierOneofCase.HeaderFilter:
                var header = MatchDecoder.Header(filter.HeaderFilter.Header);
                return record => record.Request is { } request && header.IsMatch(request, record.Scheme);
            case AccessLogFilter.FilterSpecifierOneofCase.ExtensionFilter when filter.ExtensionFilter.TypedConfig.TryRead(out ExpressionFilter expression):
                return Expression.Condition(expression.Expression);
            case AccessLogFilter.FilterSpecifierOneofCase.NotHealthCheckFilter:
                return static _ => true; // this proxy answers no health checks of others
            default:
                throw new ResourceException($"access log: the filter {filter.FilterSpecifierCase} is not supported");
        }
    }

    private static Predicate<TrafficRecord> Flags(ResponseFlagFilter filter)
    {
        var wanted = filter.Flags.Count == 0 ? ~0L : filter.Flags.Aggregate(0L, (bits, flag) => bits | EndReasons.Bit(flag));
        return record => (EndReasons.Bits(record) & wanted) != 0;
    }

    private static Predicate<long> Comparison(ComparisonFilter? comparison)
    {
        var value = comparison?.Value?.DefaultValue ?? 0;
        return comparison?.Op switch
        {
            ComparisonFilter.Types.Op.Ge => number => number >= value,
            ComparisonFilter.Types.Op.Le => number => number <= value,
            _ => number => number == value,
        };
    }
}
