using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>How spans reach a collector.</summary>
public enum TraceProtocol { Zipkin, OpenTelemetryGrpc, OpenTelemetryHttp }

/// <summary>A collector of traces (<c>extensionProviders</c> of MeshConfig).</summary>
/// <param name="Service">Its host, as <c>HOST</c> or <c>NAMESPACE/HOST</c>.</param>
public sealed record Tracer(string Name, TraceProtocol Protocol, string Service, int Port)
{
    public const string ZipkinPath = "/api/v2/spans";

    /// <summary>The path of requests; not for gRPC.</summary>
    public string Path { get; init; } = "";

    /// <summary>How long one report may take; null: as the proxy likes.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Header fields of reports.</summary>
    public ValueMap<string> Headers { get; init; }

    /// <summary>The longest tag with the path of a request; null: as the proxy likes.</summary>
    public uint? MaxTagLength { get; init; }

    /// <summary>Trace IDs have 64 bits.</summary>
    public bool HasShortIds { get; init; }

    /// <summary>Proxies describe their workload to an OpenTelemetry collector by their environment (<c>OTEL_RESOURCE_ATTRIBUTES</c>).</summary>
    public bool ReadsEnvironment { get; init; }

    /// <summary>Proxies describe their host and process to an OpenTelemetry collector by the files that Dynatrace's agent provides.</summary>
    public bool ReadsDynatrace { get; init; }

    /// <summary>Zipkin's proxies read and write <c>traceparent</c>, too.</summary>
    public bool AlsoW3C { get; init; }
}

public enum TraceTagKind { Literal, Header, Environment, Format }

/// <summary>Where a tag of spans has its value from.</summary>
/// <param name="Text">The value itself, the name of a request header or environment variable, or a format of access logs.</param>
/// <param name="Default">The value of the tag if the header or variable is missing.</param>
public sealed record TraceTag(TraceTagKind Kind, string Text, string Default);

/// <summary>ProxyConfig's <c>tracing</c>.</summary>
/// <param name="Sampling">Percent of requests; null: <see cref="DefaultSampling"/>.</param>
/// <param name="ZipkinAddress">HOST:PORT; empty for none.</param>
public sealed record ProxyTracing(double? Sampling, string ZipkinAddress, ValueMap<TraceTag> Tags, uint? MaxTagLength)
{
    public const double DefaultSampling = 1;

    public static readonly ProxyTracing None = new(null, "", default, null);

    /// <summary>What a proxy reports in its ProxyConfig; null when that has none. What cannot be read counts as absent: admission has named it.</summary>
    internal static ProxyTracing? Of(Value? proxyConfig)
    {
        if (proxyConfig?.StructValue?.Fields.TryGetValue("tracing", out var tracing) != true || tracing!.StructValue is not { Fields: var fields }) return null;
        var sampling = fields.TryGetValue("sampling", out var percent) && percent is { KindCase: Value.KindOneofCase.NumberValue, NumberValue: >= 0 and <= 100 }
            ? percent.NumberValue
            : (double?)null;
        var most = fields.TryGetValue("maxPathTagLength", out var length)
            && length is { KindCase: Value.KindOneofCase.NumberValue, NumberValue: >= 0 and <= uint.MaxValue }
            ? (uint)length.NumberValue
            : (uint?)null;
        var address = Text(Below(fields, "zipkin"), "address");
        var tags = Below(fields, "customTags").Where(tag => tag.Value.StructValue is not null)
            .Select(tag => KeyValuePair.Create(tag.Key, Tag(tag.Value.StructValue.Fields)));
        return new(sampling,
            address.LastIndexOf(':') is > 0 and var colon
                && ushort.TryParse(address.AsSpan(colon + 1), System.Globalization.NumberStyles.None, null, out var port) && port > 0
                ? address
                : "",
            tags.ToValueMap(), most);
    }

    private static TraceTag Tag(IDictionary<string, Value> tag)
    {
        if (Below(tag, "header") is { Count: > 0 } header)
            return new(TraceTagKind.Header, Text(header, "name").ToLowerInvariant(), Text(header, "defaultValue"));
        if (Below(tag, "environment") is { Count: > 0 } variable) return new(TraceTagKind.Environment, Text(variable, "name"), Text(variable, "defaultValue"));
        if (Below(tag, "formatter") is { Count: > 0 } formatter) return new(TraceTagKind.Format, Text(formatter, "value"), "");
        return new(TraceTagKind.Literal, Text(Below(tag, "literal"), "value"), "");
    }

    private static IDictionary<string, Value> Below(IDictionary<string, Value> fields, string name) =>
        fields.TryGetValue(name, out var value) && value.StructValue is { } below ? below.Fields : new Dictionary<string, Value>();

    private static string Text(IDictionary<string, Value> fields, string name) => fields.TryGetValue(name, out var value) ? value.StringValue : "";
}

/// <summary>An item of <c>tracing</c> of a Telemetry. Null: as the more general one says.</summary>
/// <param name="Providers">Empty: as the more general one says.</param>
public sealed record TraceRule(bool OfClients, bool OfServers, ValueList<string> Providers)
{
    public double? Sampling { get; init; }

    public bool? IsDisabled { get; init; }

    /// <summary>Forwarded requests do not say to which trace they belong.</summary>
    public bool? HidesContext { get; init; }

    public ValueMap<TraceTag>? Tags { get; init; }

    /// <summary>Whether the sampling decision comes from <c>x-request-id</c> and goes into it.</summary>
    public bool? UsesRequestId { get; init; }

    /// <summary>Whether spans have Istio's tags.</summary>
    public bool? HasIstioTags { get; init; }
}

/// <summary>How a proxy traces one direction of its traffic.</summary>
/// <param name="Host">The collector's host without a namespace.</param>
/// <param name="Cluster">The cluster that leads to it.</param>
public sealed record TracePlan(Tracer Tracer, string Host, string Cluster, double Sampling, ValueMap<TraceTag> Tags, uint? MaxTagLength)
{
    public bool UsesRequestId { get; init; } = true;

    public bool HasIstioTags { get; init; } = true;

    /// <summary>Forwarded requests do not say to which trace they belong.</summary>
    public bool HidesContext { get; init; }
}
