using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Trace;
using Manager = Isthmus.Wire.Envoy.NetworkFilters.HttpConnectionManager;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes how a connection manager traces.</summary>
internal static class TracingDecoder
{
    private const int PathLength = 256;
    private const string GrpcPath = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <returns>Null if requests are not traced: there is no collector, or this proxy does not speak its protocol.</returns>
    public static TracingSettings? Decode(Manager http, List<string> notes)
    {
        if (http.Tracing is not { Provider: { } provider } tracing) return null;
        if (CollectorOf(provider) is not { } collector)
        {
            notes.Add($"tracing provider '{provider.Name}' with {provider.TypedConfig?.TypeUrl} is not supported: requests are not traced");
            return null;
        }
        foreach (var detector in UnknownDetectors(provider))
            notes.Add($"the resource detector '{detector}' of a tracing provider is ignored: its type is not supported");
        return new(
            collector, tracing.ClientSampling?.Value ?? 100, tracing.RandomSampling?.Value ?? 100, tracing.OverallSampling?.Value ?? 100,
            (int)Math.Min(tracing.MaxPathTagLength ?? PathLength, int.MaxValue),
            tracing.CustomTags.Select(tag => Tag(tag, notes)).OfType<SpanTag>().ToValueList(),
            http.RequestIdExtension?.TypedConfig?.TryRead(out UuidRequestIdConfig id) != true || (id.UseRequestIdForTraceSampling ?? true))
        {
            HidesContext = tracing.NoContextPropagation,
            ServiceName = provider.TypedConfig.TryRead(out OpenTelemetryConfig otlp) ? otlp.ServiceName : "",
            ReadsEnvironment = Reads<EnvironmentResourceDetectorConfig>(otlp),
            ReadsDynatrace = Reads<DynatraceResourceDetectorConfig>(otlp),
            HasShortIds = provider.TypedConfig.TryRead(out ZipkinConfig zipkin) && !zipkin.TraceId128Bit,
            WritesBoth = zipkin?.TraceContextOption == ZipkinConfig.Types.TraceContextOption.UseB3WithW3CPropagation,
        };
    }

    private static bool Reads<T>(OpenTelemetryConfig? config) where T : class, IMessage<T>, new() =>
        config?.ResourceDetectors.Any(detector => detector.TypedConfig?.TryRead(out T _) == true) ?? false;

    private static IEnumerable<string> UnknownDetectors(Tracing.Types.Http provider) => provider.TypedConfig.TryRead(out OpenTelemetryConfig config)
        ? config.ResourceDetectors
            .Where(detector => detector.TypedConfig?.TryRead(out EnvironmentResourceDetectorConfig _) != true
                && detector.TypedConfig?.TryRead(out DynatraceResourceDetectorConfig _) != true)
            .Select(detector => detector.Name)
        : [];

    private static Collector? CollectorOf(Tracing.Types.Http provider)
    {
        if (provider.TypedConfig is not { } config) return null;
        if (config.TryRead(out ZipkinConfig zipkin) && zipkin.CollectorService is { } modern)
            return zipkin.CollectorEndpointVersion == ZipkinConfig.Types.CollectorEndpointVersion.HttpJson ? OverHttp(ReportFormat.Zipkin, modern) : null;
        if (zipkin is not null && zipkin.CollectorEndpointVersion == ZipkinConfig.Types.CollectorEndpointVersion.HttpJson
            && zipkin.CollectorEndpoint.StartsWith('/'))
            return new(ReportFormat.Zipkin, zipkin.CollectorCluster, zipkin.CollectorHostname.Length > 0 ? zipkin.CollectorHostname : zipkin.CollectorCluster,
                zipkin.CollectorEndpoint, Patience, ValueMap<string>.Empty);
        if (!config.TryRead(out OpenTelemetryConfig otlp)) return null;
        if (otlp.GrpcService is { EnvoyGrpc: { } grpc } service)
        {
            var fields = service.InitialMetadata.Select(field => KeyValuePair.Create(field.Key.ToLowerInvariant(), field.Value)).DistinctBy(field => field.Key)
                .ToValueMap();
            return new(ReportFormat.OtlpGrpc, grpc.ClusterName, grpc.Authority.Length > 0 ? grpc.Authority : grpc.ClusterName, GrpcPath,
                service.Timeout?.ToTimeSpan() ?? Patience, fields);
        }
        return otlp.HttpService is { } web ? OverHttp(ReportFormat.OtlpHttp, web) : null;
    }

    private static Collector? OverHttp(ReportFormat format, HttpService web)
    {
        if (web.HttpUri is not { } uri || !Uri.TryCreate(uri.Uri, UriKind.Absolute, out var target)) return null;
        var headers = web.RequestHeadersToAdd.Select(field => KeyValuePair.Create(field.Header.Key.ToLowerInvariant(), field.Header.Value))
            .DistinctBy(field => field.Key).ToValueMap();
        return new(format, uri.Cluster, target.IsDefaultPort ? target.Host : target.Authority, target.PathAndQuery, uri.Timeout?.ToTimeSpan() ?? Patience,
            headers);
    }

    private static SpanTag? Tag(CustomTag tag, List<string> notes)
    {
        switch (tag.TypeCase)
        {
            case CustomTag.TypeOneofCase.Literal:
                return new(tag.Tag, SpanTagSource.Literal, tag.Literal.Value, "");
            case CustomTag.TypeOneofCase.RequestHeader:
                return new(tag.Tag, SpanTagSource.Header, tag.RequestHeader.Name.ToLowerInvariant(), tag.RequestHeader.DefaultValue);
            case CustomTag.TypeOneofCase.Environment:
                return new(tag.Tag, SpanTagSource.Environment, tag.Environment.Name, tag.Environment.DefaultValue);
            case CustomTag.TypeOneofCase.Value:
                return new(tag.Tag, SpanTagSource.Format, tag.Value, "") { Format = LogFormat.ParseText(tag.Value) };
            default:
                notes.Add($"the tag '{tag.Tag}' of spans is ignored: its type is not supported");
                return null;
        }
    }
}
