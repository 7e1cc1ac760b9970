using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>How far a proxy follows its control plane (a line of <c>/debug/syncz</c>). An istiod has the versions, and what the proxy refuses as
/// <see cref="Resources"/>.</summary>
public sealed record SyncReport
{
    [JsonPropertyName("cluster_id")]
    public string? ClusterId { get; init; }

    /// <summary>POD.NAMESPACE.</summary>
    public string? Proxy { get; init; }

    [JsonPropertyName("proxy_type")]
    public string? ProxyType { get; init; }

    [JsonPropertyName("istio_version")]
    public string? IstioVersion { get; init; }

    /// <summary>When it connected; null: an istiod does not tell.</summary>
    [JsonConverter(typeof(OffsetConverter))]
    public DateTimeOffset? Since { get; init; }

    /// <summary>What the proxy runs.</summary>
    public string? Program { get; init; }

    /// <summary>What it asks for and cannot get, and what it refuses.</summary>
    public IReadOnlyList<string>? Problems { get; init; }

    /// <summary>The telemetry that it loses.</summary>
    public IReadOnlyList<LossReport>? Losses { get; init; }

    [JsonPropertyName("cluster_sent")]
    public string? ClusterSent { get; init; }

    [JsonPropertyName("cluster_acked")]
    public string? ClusterAcked { get; init; }

    [JsonPropertyName("cluster_error")]
    public string? ClusterError { get; init; }

    [JsonPropertyName("listener_sent")]
    public string? ListenerSent { get; init; }

    [JsonPropertyName("listener_acked")]
    public string? ListenerAcked { get; init; }

    [JsonPropertyName("listener_error")]
    public string? ListenerError { get; init; }

    [JsonPropertyName("route_sent")]
    public string? RouteSent { get; init; }

    [JsonPropertyName("route_acked")]
    public string? RouteAcked { get; init; }

    [JsonPropertyName("route_error")]
    public string? RouteError { get; init; }

    [JsonPropertyName("endpoint_sent")]
    public string? EndpointSent { get; init; }

    [JsonPropertyName("endpoint_acked")]
    public string? EndpointAcked { get; init; }

    [JsonPropertyName("endpoint_error")]
    public string? EndpointError { get; init; }

    [JsonPropertyName("extensionconfig_sent")]
    public string? ExtensionConfigSent { get; init; }

    [JsonPropertyName("extensionconfig_acked")]
    public string? ExtensionConfigAcked { get; init; }

    [JsonPropertyName("extensionconfig_error")]
    public string? ExtensionConfigError { get; init; }

    /// <summary>What an istiod says of each type, by its URL.</summary>
    public Dictionary<string, SyncedResources?>? Resources { get; init; }

    /// <summary>Whether the proxy has accepted all that was sent to it.</summary>
    [JsonIgnore]
    public bool IsSynced => ((string[])["cluster", "listener", "route", "endpoint", "extensionconfig"]).Select(Of)
        .All(one => one.Error is null or "" && (one.Sent ?? "") == (one.Acked ?? ""));

    /// <summary>What it says of the resources of one type.</summary>
    /// <param name="type">As it begins the names of fields: <c>cluster</c>, <c>listener</c>, <c>route</c>, <c>endpoint</c> or <c>extensionconfig</c>.</param>
    public TypeSync Of(string type) => type switch
    {
        "cluster" => new(ClusterSent, ClusterAcked, ClusterError ?? Refusal("Cluster")),
        "listener" => new(ListenerSent, ListenerAcked, ListenerError ?? Refusal("Listener")),
        "route" => new(RouteSent, RouteAcked, RouteError ?? Refusal("RouteConfiguration")),
        "endpoint" => new(EndpointSent, EndpointAcked, EndpointError ?? Refusal("ClusterLoadAssignment")),
        "extensionconfig" => new(ExtensionConfigSent, ExtensionConfigAcked, ExtensionConfigError ?? Refusal("TypedExtensionConfig")),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "unknown type of resources"),
    };

    /// <param name="message">The name of the message that the resources are.</param>
    private string? Refusal(string message) =>
        Resources?.FirstOrDefault(pair => pair.Key.EndsWith($".{message}", StringComparison.Ordinal)).Value?.LastError is { Length: > 0 } error ? error : null;
}

/// <summary>How far a proxy follows with one type of resources.</summary>
/// <param name="Sent">The version that it was sent last; null for none.</param>
/// <param name="Acked">The version that it accepted last; null for none.</param>
/// <param name="Error">Why it refuses what was sent; null if it does not.</param>
public readonly record struct TypeSync(string? Sent, string? Acked, string? Error);

/// <summary>What an istiod says of the resources of one type.</summary>
/// <param name="LastError">Why the proxy refuses them.</param>
public sealed record SyncedResources(string? LastError = null);

/// <summary>Telemetry that a proxy loses.</summary>
public sealed record LossReport(string Counter = "", string Target = "", string Cause = "");
