using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>Istio's standard metrics, as Telemetries and as proxies call them.</summary>
public static class StandardMetrics
{
    /// <summary>The provider that every mesh has, and that proxies report to without a Telemetry.</summary>
    public const string Prometheus = "prometheus";

    public static IReadOnlyDictionary<string, string> Names { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["REQUEST_COUNT"] = "requests_total", ["REQUEST_DURATION"] = "request_duration_milliseconds", ["REQUEST_SIZE"] = "request_bytes",
        ["RESPONSE_SIZE"] = "response_bytes",
        ["TCP_OPENED_CONNECTIONS"] = "tcp_connections_opened_total", ["TCP_CLOSED_CONNECTIONS"] = "tcp_connections_closed_total",
        ["TCP_SENT_BYTES"] = "tcp_sent_bytes_total",
        ["TCP_RECEIVED_BYTES"] = "tcp_received_bytes_total", ["GRPC_REQUEST_MESSAGES"] = "request_messages_total",
        ["GRPC_RESPONSE_MESSAGES"] = "response_messages_total",
    };
}

/// <summary>An item of <c>overrides</c> of a Telemetry's metrics.</summary>
/// <param name="Metric">The name in <see cref="StandardMetrics"/>; empty: all.</param>
/// <param name="IsDisabled">Null: as the more general one says.</param>
/// <param name="Tags">The CEL expressions of tags by name; empty text: the tag is removed.</param>
public sealed record MetricOverride(bool OfClients, bool OfServers, string Metric, bool? IsDisabled, ValueMap<string> Tags);

/// <summary>An item of <c>metrics</c> of a Telemetry.</summary>
/// <param name="Providers">Empty: those of the item before it, or of the more general Telemetry.</param>
public sealed record MetricRule(ValueList<string> Providers, ValueList<MetricOverride> Overrides)
{
    /// <summary>How often metrics of open connections and gRPC calls are counted; zero: at their end only; null: as the more general one says.</summary>
    public TimeSpan? ReportingInterval { get; init; }
}

/// <summary>How one metric differs from the standard.</summary>
/// <param name="Metric">As proxies call it.</param>
/// <param name="Tags">The CEL expressions of tags by name; empty text: the tag is removed.</param>
public sealed record MetricPlan(string Metric, bool IsDropped, ValueMap<string> Tags);

/// <summary>How the metrics of one kind of traffic differ from the standard.</summary>
/// <param name="ReportingInterval">As in <see cref="MetricRule"/>; null: the proxy's default.</param>
public sealed record MetricChanges(ValueList<MetricPlan> Plans, TimeSpan? ReportingInterval)
{
    public static MetricChanges None { get; } = new([], null);
}
