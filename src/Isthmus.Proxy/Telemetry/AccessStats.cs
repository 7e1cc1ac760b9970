namespace Isthmus.Proxy.Telemetry;

/// <summary>Counters whose names differ only in what they begin with.</summary>
/// <param name="Family">What their names look like; capitals stand for what the configuration says.</param>
/// <param name="Ends">How their names end.</param>
/// <param name="Meaning">What they count.</param>
internal sealed record StatFamily(string Family, IReadOnlyList<string> Ends, string Meaning)
{
    /// <param name="before">What the name begins with.</param>
    /// <param name="end">One of <see cref="Ends"/>: nothing is counted that the reference does not list.</param>
    public string Name(string before, string end) => Ends.Contains(end) ? before + end : throw new ArgumentOutOfRangeException(nameof(end), end, null);
}

/// <summary>The counters of <see cref="AccessCounts"/>: all of them, as the reference lists them.</summary>
internal static class AccessStats
{
    private static readonly string[] Reports = ["reports_sent", "reports_failed", "reports_dropped", "reports_skipped_no_cluster"];

    public static StatFamily Rbac { get; } = new(
        "PREFIX.rbac.", ["allowed", "denied", "shadow_allowed", "shadow_denied"],
        "Decisions of AuthorizationPolicies. Those of policies on trial (`istio.io/dry-run`) begin with `shadow_`, in scrapes with the labels "
            + "`authz_dry_run_action` and `authz_dry_run_result`.");

    public static StatFamily ExternalAuthorizer
    {
        get;
    } = new("PREFIX.ext_authz.", ["ok", "denied", "error", "timeout", "failure_mode_allowed"], "Answers of external authorizers.");

    public static StatFamily RateLimit
    {
        get;
    } = new("cluster.NAME.ratelimit.", ["ok", "over_limit", "error", "failure_mode_allowed"], "Answers of a rate limit service.");

    public static StatFamily LocalRateLimit
    {
        get;
    } = new("PREFIX.http_local_rate_limit.", ["enabled", "ok", "rate_limited", "enforced"], "Decisions of local rate limits about requests.");

    public static StatFamily ConnectionLimit { get; } = new("local_rate_limit.PREFIX.", ["rate_limited"], "Connections closed by a local rate limit.");

    public static StatFamily Zipkin
    {
        get;
    } = new("tracing.zipkin.", ["spans_sent", "spans_dropped", .. Reports], "Spans, and the requests that carry them to a collector.");

    public static StatFamily OtlpSpans { get; } = new("tracing.opentelemetry.", Zipkin.Ends, "The same for OpenTelemetry.");

    public static StatFamily OtlpLogs { get; } = new(
        "access_logs.open_telemetry_access_log.", ["logs_written", "logs_dropped", .. Reports],
        "Lines of access logs that a collector has, and that are lost; the requests that carry them.");

    public static StatFamily EntryLogs
    {
        get;
    } = new("access_logs.grpc_access_log.", OtlpLogs.Ends, "The same for entries of access logs (`envoyHttpAls`, `envoyTcpAls`).");

    public static IReadOnlyList<StatFamily> All { get; } = [Rbac, ExternalAuthorizer, RateLimit, LocalRateLimit, ConnectionLimit, Zipkin, OtlpSpans, OtlpLogs,
        EntryLogs];
}
