using Isthmus.Core.Collections;

namespace Isthmus.Proxy.Telemetry;

/// <summary>An access log: where, and for which connections and requests.</summary>
internal abstract record AccessLogSnapshot
{
    /// <summary>Null: for all.</summary>
    public Predicate<TrafficRecord>? Filter { get; init; }
}

/// <summary>A file that gets lines.</summary>
internal sealed record FileLog(string Path, LogFormat Format) : AccessLogSnapshot;

/// <summary>A service that takes access logs.</summary>
internal abstract record ServiceLog(Collector Collector, string LogName) : AccessLogSnapshot;

/// <summary>One that speaks OpenTelemetry's protocol, and gets lines.</summary>
internal sealed record OtlpLog(Collector Collector, string LogName, LogFormat Body, IReadOnlyList<KeyValuePair<string, LogFormat>> Attributes)
    : ServiceLog(Collector, LogName);

/// <summary>One that gets Envoy's entries, for HTTP or TCP.</summary>
internal sealed record EntryLog(Collector Collector, string LogName, bool IsHttp) : ServiceLog(Collector, LogName)
{
    /// <summary>The headers and trailers that entries contain.</summary>
    public ValueList<string> RequestHeaders { get; init; }

    public ValueList<string> ResponseHeaders { get; init; }

    public ValueList<string> ResponseTrailers { get; init; }
}
