using Isthmus.Core.Collections;
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
        "%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

    private const string LogsPath = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <exception cref="ResourceException">A format or filter that cannot be used.</exception>
    public static ValueList<AccessLogSnapshot> Decode(IEnumerable<AccessLog> logs, List<string> notes)
    {
        var decoded = new List<AccessLogSnapshot>();
        foreach (var log in logs)
        {
            if (log.TypedConfig.TryRead(out OpenTelemetryAccessLogConfig otlp)) decoded.Add(Service(otlp) with { Filter = log.Filter is null ? null : Filter(log.Filter) });
            else if (Output(log) is { } output) decoded.Add(new(output.Path, output.Format, log.Filter is null ? null : Filter(log.Filter)));
            else notes.Add($"access log '{log.Name}' is ignored");
        }
        return decoded.ToValueList();
    }

    private static (string Path, LogFormat Format)? Output(AccessLog log)
    {
        if (log.TypedConfig.TryRead(out FileAccessLog file)) return (file.Path, Format(file.LogFormat));
        if (log.TypedConfig.TryRead(out StdoutAccessLog output)) return ("/dev/stdout", Format(output.LogFormat));
        if (log.TypedConfig.TryRead(out StderrAccessLog errors)) return ("/dev/stderr", Format(errors.LogFormat));
        return null;
    }

    private static AccessLogSnapshot Service(OpenTelemetryAccessLogConfig config)
    {
        if (config.CommonConfig?.GrpcService is not { EnvoyGrpc: { } grpc } service) throw new ResourceException("access log by OpenTelemetry: it has no grpc_service with envoy_grpc");
        var fields = service.InitialMetadata.Select(field => KeyValuePair.Create(field.Key.ToLowerInvariant(), field.Value)).DistinctBy(field => field.Key).ToValueMap();
        var collector = new Collector(SpanFormat.OtlpGrpc, grpc.ClusterName, grpc.Authority.Length > 0 ? grpc.Authority : grpc.ClusterName, LogsPath, service.Timeout?.ToTimeSpan() ?? Patience, fields);
        var attributes = (config.Attributes?.Values ?? []).Select(item => KeyValuePair.Create(item.Key, LogFormat.ParseText(item.Value?.StringValue ?? ""))).ToList();
        return new("", LogFormat.ParseText(config.Body?.StringValue ?? ""), null) { Service = new(collector, config.CommonConfig.LogName, attributes) };
    }

    private static LogFormat Format(SubstitutionFormatString? format) => format?.FormatCase switch
    {
        SubstitutionFormatString.FormatOneofCase.JsonFormat => LogFormat.ParseJson(format.JsonFormat),
        SubstitutionFormatString.FormatOneofCase.TextFormatSource => LogFormat.ParseText(format.TextFormatSource.InlineString),
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
                var header = RouteDecoder.Header(filter.HeaderFilter.Header);
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
