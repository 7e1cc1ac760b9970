using Isthmus.Core.Collections;

namespace Isthmus.Proxy.Telemetry;

internal enum ReportFormat { Zipkin, OtlpGrpc, OtlpHttp, EnvoyGrpc }

/// <summary>Where spans or access logs are sent, and how.</summary>
/// <param name="Timeout">How long a report may take.</param>
internal sealed record Collector(ReportFormat Format, string Cluster, string Authority, string Path, TimeSpan Timeout, ValueMap<string> Headers)
{
    public bool IsGrpc => Format is ReportFormat.OtlpGrpc or ReportFormat.EnvoyGrpc;
}

internal enum SpanTagSource { Literal, Header, Environment, Format }

/// <param name="Text">The value, the name of a header or environment variable, or a format of access logs.</param>
internal sealed record SpanTag(string Name, SpanTagSource Source, string Text, string Default)
{
    /// <summary>What <paramref name="Text"/> means, if it is a format.</summary>
    public LogFormat? Format { get; init; }
}

/// <summary>How a connection manager traces its requests.</summary>
/// <param name="ClientSampling">The percentage of requests with <c>x-client-trace-id</c> that are traced.</param>
/// <param name="RandomSampling">The percentage of other requests that are traced.</param>
/// <param name="OverallSampling">The percentage of all these that really are.</param>
/// <param name="UsesRequestId">Whether the decision comes from <c>x-request-id</c>, and is written there.</param>
internal sealed record TracingSettings(
    Collector Collector, double ClientSampling, double RandomSampling, double OverallSampling, int MaxPathLength, ValueList<SpanTag> Tags, bool UsesRequestId)
{
    /// <summary>The name of the service; empty: the proxy's own.</summary>
    public string ServiceName { get; init; } = "";

    /// <summary>The environment describes the workload to collectors, and its name of the service wins.</summary>
    public bool ReadsEnvironment { get; init; }

    /// <summary>The files of Dynatrace's agent describe host and process to collectors. They win over the environment.</summary>
    public bool ReadsDynatrace { get; init; }

    /// <summary>Forwarded requests do not say to which trace they belong.</summary>
    public bool HidesContext { get; init; }

    /// <summary>IDs of traces that begin here have 64 bits.</summary>
    public bool HasShortIds { get; init; }

    /// <summary>Writes the fields of W3C and B3.</summary>
    public bool WritesBoth { get; init; }
}
