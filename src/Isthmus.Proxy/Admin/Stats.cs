using System.Net;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Admin;

/// <summary>One statistic: its name, as Envoy has it where Envoy has it, and its value.</summary>
/// <param name="Meaning">One sentence, for the documentation.</param>
internal sealed record Stat<T>(string Name, bool IsGauge, string Meaning, Func<T, long> Value);

/// <summary>The statistics of the process.</summary>
internal static class ServerStats
{
    public static IReadOnlyList<Stat<DataPlane>> All { get; } =
    [
        new("server.live", true, "1 once the proxy is ready.", plane => plane.IsReady ? 1 : 0),
        new("server.state", true, "0: live, 1: draining, 2: waiting for its configuration.", plane => plane.Connections.IsDraining ? 1 : plane.IsReady ? 0 : 2),
        new("server.uptime", true, "Seconds since the proxy started.", plane => (long)(plane.Ports.Time.GetUtcNow() - plane.Started).TotalSeconds),
        new("server.memory_allocated", true, "Bytes of the managed heap.", _ => GC.GetTotalMemory(false)),
        new("server.memory_heap_size", true, "Bytes that the managed heap has reserved.", _ => GC.GetGCMemoryInfo().TotalCommittedBytes),
        new("server.memory_physical_size", true, "Memory of the process.", _ => Environment.WorkingSet),
        new("server.concurrency", true, "CPUs for which the proxy has threads.", _ => Environment.ProcessorCount),
        new("server.total_connections", true, "Connections of clients that are open.", plane => plane.Report.Active),
        new("listener_manager.total_listeners_active", true, "Listeners of the configuration.", plane => plane.State.Current.Listeners.Count),
        new("listener_manager.listeners_not_opened", true, "Listeners whose port could not be opened.", plane => plane.ListenerFailures.Count),
        new("cluster_manager.active_clusters", true, "Clusters of the configuration.", plane => plane.State.Current.Clusters.Count),
        new("isthmus.snapshot_version", true, "Changes of the configuration so far.", plane => plane.State.Current.Version),
        new("isthmus.resources_rejected", true, "Resources that the proxy refuses; their last good version is in force.",
            plane => plane.State.Rejections.Count),
        new("isthmus.resource_notes", true, "Parts of the configuration that have no effect in this proxy.", plane => Notes(plane.State.Current)),
        new("isthmus.accept_pauses_total", false, "Times that a listener stopped accepting because file descriptors ran out.", plane => plane.AcceptPauses),
        new("isthmus.access_log_lines_dropped_total", false, "Access log lines dropped because their file could not take them in time.",
            plane => plane.DroppedLogLines),
        new("isthmus.metric_series_overflows_total", false, "Times that the series of Istio's metrics were too many to tell a peer, a tag or a host apart.",
            plane => plane.MeshMetrics.Overflows),
        new("isthmus.failed_tasks_total", false, "Background tasks that failed.", plane => plane.FailedTasks),
        new("downstream_cx_active", true, "Connections of clients that are open.", plane => plane.Report.Active),
        new("downstream_cx_total", false, "Connections of clients that were accepted.", plane => plane.Report.Total),
    ];

    /// <summary>How connections and requests ended: only reasons that occurred are shown.</summary>
    public static IReadOnlyList<Stat<DataPlane>> Ends { get; } =
        [.. System.Enum.GetValues<EndReason>()
            .Select(reason => new Stat<DataPlane>($"isthmus.ended_{SnakeCase(reason.ToString())}", false, Meaning(reason),
                plane => plane.Report.Ends(reason)))];

    private static string Meaning(EndReason reason) =>
        EndReasons.Flag(reason) is { Length: > 0 } flag
            ? $"Connections and requests that ended like that; in access logs `{flag}`."
            : "Connections and requests that ended like that.";

    private static long Notes(ProxySnapshot snapshot) =>
        snapshot.Listeners.Values.Sum(l => l.Notes.Count) + snapshot.Clusters.Values.Sum(c => c.Config.Notes.Count)
            + snapshot.Routes.Values.Sum(r => r.Notes.Count);

    private static string SnakeCase(string name) =>
        string.Concat(name.Select((c, i) => char.IsAsciiLetterUpper(c) ? (i > 0 ? "_" : "") + char.ToLowerInvariant(c) : c.ToString()));
}

/// <summary>The statistics of one cluster.</summary>
internal static class ClusterStats
{
    public static IReadOnlyList<Stat<ClusterState>> All { get; } =
    [
        new("upstream_cx_active", true, "Open connections to hosts.", cluster => cluster.Use.ActiveConnections),
        new("upstream_cx_total", false, "Connections opened to hosts.", cluster => cluster.Counters.Connects),
        new("upstream_cx_http1_total", false, "Those for HTTP/1.", cluster => cluster.Counters.Http1Connects),
        new("upstream_cx_http2_total", false, "Those for HTTP/2.", cluster => cluster.Counters.Http2Connects),
        new("http2.keepalive_timeout", false, "Those that ended because the host did not answer a PING.", cluster => cluster.Counters.PingTimeouts),
        new("upstream_cx_destroy", false, "Those that were closed, or could not be opened.",
            cluster => Math.Max(0, cluster.Counters.Connects - cluster.Use.ActiveConnections)),
        new("upstream_cx_connect_fail", false, "Connections that could not be opened.", cluster => cluster.Counters.ConnectFailures),
        new("upstream_cx_connect_timeout", false, "Connections that were not open in time.", cluster => cluster.Counters.ConnectTimeouts),
        new("upstream_cx_protocol_error", false, "Connections on which a host broke the protocol.", cluster => cluster.Counters.ProtocolErrors),
        new("ssl.handshake", false, "TLS handshakes that succeeded.", cluster => cluster.Counters.Handshakes),
        new("ssl.connection_error", false, "TLS handshakes that failed.", cluster => cluster.Counters.TlsFailures),
        new("upstream_cx_overflow", false, "Connections not opened because of `maxConnections`.", cluster => cluster.Counters.ConnectionOverflows),
        new("upstream_cx_none_healthy", false, "Connections and requests for which there was no host.", cluster => cluster.Counters.NoHost),
        new("upstream_cx_tx_bytes_total", false, "Bytes sent to hosts.", cluster => cluster.Counters.BytesSent),
        new("upstream_cx_rx_bytes_total", false, "Bytes received from hosts.", cluster => cluster.Counters.BytesReceived),
        new("upstream_rq_active", true, "Requests that hosts have not answered completely.", Active),
        new("upstream_rq_total", false, "Requests sent to hosts, retries included.", cluster => cluster.Counters.Requests),
        new("upstream_rq_completed", false, "Responses.",
            cluster => cluster.Counters.Completed2xx + cluster.Counters.Completed3xx + cluster.Counters.Completed4xx + cluster.Counters.Completed5xx),
        new("upstream_rq_2xx", false, "Responses with such a status.", cluster => cluster.Counters.Completed2xx),
        new("upstream_rq_3xx", false, "Responses with such a status.", cluster => cluster.Counters.Completed3xx),
        new("upstream_rq_4xx", false, "Responses with such a status.", cluster => cluster.Counters.Completed4xx),
        new("upstream_rq_5xx", false, "Responses with such a status.", cluster => cluster.Counters.Completed5xx),
        new("upstream_rq_retry", false, "Retries.", cluster => cluster.Counters.Retries),
        new("upstream_rq_retry_success", false, "Retries that got a response which needed no other retry.", cluster => cluster.Counters.RetrySuccesses),
        new("upstream_rq_retry_overflow", false, "Retries not made because of `maxRetries` or a retry budget.", cluster => cluster.Counters.RetryOverflows),
        new("upstream_rq_retry_limit_exceeded", false, "Requests that failed after all their retries.", cluster => cluster.Counters.RetryLimits),
        new("upstream_rq_pending_active", true, "Requests that wait for a connection.", cluster => cluster.Use.PendingRequests),
        new("upstream_rq_pending_total", false, "Requests that had to wait for a connection.", cluster => cluster.Counters.PendingTotal),
        new("upstream_rq_pending_overflow", false, "Requests refused because of `http1MaxPendingRequests` or `http2MaxRequests`.",
            cluster => cluster.Counters.PendingOverflows),
        new("circuit_breakers.default.cx_open", true, "1 while `maxConnections` is reached.",
            cluster => Open(cluster.Use.ActiveConnections, cluster.Config.Limits.Connections)),
        new("circuit_breakers.default.rq_pending_open", true, "1 while `http1MaxPendingRequests` is reached.",
            cluster => Open(cluster.Use.PendingRequests, cluster.Config.Limits.Pending)),
        new("circuit_breakers.default.rq_open", true, "1 while `http2MaxRequests` is reached.",
            cluster => Open(Active(cluster), cluster.Config.Limits.Requests)),
        new("circuit_breakers.default.rq_retry_open", true, "1 while `maxRetries` is reached.",
            cluster => Open(cluster.Use.ActiveRetries, cluster.Config.Limits.Retries)),
        new("circuit_breakers.default.remaining_cx", true, "Connections left until `maxConnections`.",
            cluster => Left(cluster.Use.ActiveConnections, cluster.Config.Limits.Connections)),
        new("circuit_breakers.default.remaining_pending", true, "Requests left until `http1MaxPendingRequests`.",
            cluster => Left(cluster.Use.PendingRequests, cluster.Config.Limits.Pending)),
        new("circuit_breakers.default.remaining_rq", true, "Requests left until `http2MaxRequests`.",
            cluster => Left(Active(cluster), cluster.Config.Limits.Requests)),
        new("circuit_breakers.default.remaining_retries", true, "Retries left until `maxRetries`.",
            cluster => Left(cluster.Use.ActiveRetries, cluster.Config.Limits.Retries)),
        new("upstream_rq_timeout", false, "Requests whose response did not begin in time.", cluster => cluster.Counters.Timeouts),
        new("upstream_rq_per_try_timeout", false, "Attempts that took longer than `perTryTimeout`.", cluster => cluster.Counters.TryTimeouts),
        new("upstream_rq_max_duration_reached", false, "Attempts that took longer than the cluster allows.", cluster => cluster.Counters.DurationLimits),
        new("upstream_rq_rx_reset", false, "Requests that hosts reset, or whose connection ended before the response.", cluster => cluster.Counters.Resets),
        new("membership_total", true, "Hosts.", cluster => cluster.Hosts.All.Count),
        new("membership_healthy", true, "Hosts that are healthy, pass their checks and are not ejected.", cluster => cluster.HealthyHosts),
        new("membership_change", false, "Changes of the hosts.", cluster => cluster.Counters.MembershipChanges),
        new("outlier_detection.ejections_active", true, "Hosts that are ejected.", cluster => cluster.EjectedHosts),
        new("outlier_detection.ejections_enforced_total", false, "Hosts that outlier detection ejected.", cluster => cluster.Counters.Ejections),
        new("outlier_detection.ejections_overflow", false, "Hosts that were not ejected because of `maxEjectionPercent`.",
            cluster => cluster.Counters.EjectionOverflows),
    ];

    /// <summary>Those of clusters whose hosts are checked.</summary>
    public static IReadOnlyList<Stat<ClusterState>> Checks { get; } =
    [
        new("health_check.attempt", false, "Active health checks.", cluster => cluster.Counters.Checks.Attempts),
        new("health_check.success", false, "Those that succeeded.", cluster => cluster.Counters.Checks.Successes),
        new("health_check.failure", false, "Those that failed, and responses to requests that said so (`x-envoy-immediate-health-check-fail`).",
            cluster => cluster.Counters.Checks.Failures),
        new("health_check.network_failure", false, "Those without an answer.", cluster => cluster.Counters.Checks.NetworkFailures),
        new("health_check.passive_failure", false, "Responses to requests with `x-envoy-immediate-health-check-fail`.",
            cluster => cluster.Counters.Checks.PassiveFailures),
        new("health_check.verify_cluster", false, "Checks that compared the name of the service.", cluster => cluster.Counters.Checks.VerifiedClusters),
        new("health_check.healthy", true, "Hosts that pass their checks.", cluster => cluster.Health?.Passing ?? 0),
    ];

    public static IEnumerable<Stat<ClusterState>> Of(ClusterState cluster) => cluster.Health is null ? All : All.Concat(Checks);

    // Requests that wait for a connection are not active yet.
    private static long Active(ClusterState cluster) => Math.Max(0, cluster.Use.ActiveRequests - cluster.Use.PendingRequests);

    private static long Open(long active, long limit) => active >= limit ? 1 : 0;

    private static long Left(long active, long limit) => Math.Max(0, limit - active);
}

/// <summary>The statistics of one listener.</summary>
internal static class ListenerStats
{
    public static IReadOnlyList<Stat<ListenerCounts>> All { get; } =
    [
        new("downstream_cx_total", false, "Connections of clients that were accepted.", counts => counts.Opened),
        new("downstream_cx_active", true, "Connections of clients that are open.", counts => counts.Opened - counts.Closed),
        new("downstream_cx_destroy", false, "Connections of clients that were closed.", counts => counts.Closed),
        new("downstream_global_cx_overflow", false, "Connections that were closed because of `globalDownstreamConnectionLimit`.", counts => counts.Refused),
        new("no_filter_chain_match", false, "Connections that matched no filter chain.", counts => counts.Unmatched),
        new("ssl.handshake", false, "TLS handshakes that succeeded.", counts => counts.Handshakes),
        new("ssl.connection_error", false, "TLS handshakes that failed.", counts => counts.FailedHandshakes),
    ];

    /// <summary>The address of a listener as statistics have it, for example <c>0.0.0.0_15006</c>.</summary>
    public static string NameOf(EndPoint address) => address.ToString()!.Replace(':', '_');
}

/// <summary>The statistics of one connection manager.</summary>
internal static class HttpStats
{
    public static IReadOnlyList<Stat<HttpCounts>> All { get; } =
    [
        new("downstream_cx_total", false, "Connections of clients that carry HTTP.", counts => counts.Opened),
        new("downstream_cx_active", true, "Connections of clients that are open.", counts => counts.Opened - counts.Closed),
        new("downstream_cx_destroy", false, "Connections of clients that were closed.", counts => counts.Closed),
        new("downstream_cx_ssl_total", false, "Connections with TLS.", counts => counts.OpenedTls),
        new("downstream_cx_http1_total", false, "Connections with HTTP/1.", counts => counts.Opened - counts.OpenedHttp2),
        new("downstream_cx_http2_total", false, "Connections with HTTP/2.", counts => counts.OpenedHttp2),
        new("downstream_cx_protocol_error", false, "Errors of clients in the protocol.", counts => counts.ProtocolErrors),
        new("downstream_rq_total", false, "Requests.", counts => counts.Requests),
        new("downstream_rq_active", true, "Requests that have not ended.", counts => counts.ActiveRequests),
        new("downstream_rq_completed", false, "Requests that got a response.", counts => counts.Completed),
        new("downstream_rq_1xx", false, "Responses with such a status.", counts => counts.Answered(1)),
        new("downstream_rq_2xx", false, "Responses with such a status.", counts => counts.Answered(2)),
        new("downstream_rq_3xx", false, "Responses with such a status.", counts => counts.Answered(3)),
        new("downstream_rq_4xx", false, "Responses with such a status.", counts => counts.Answered(4)),
        new("downstream_rq_5xx", false, "Responses with such a status.", counts => counts.Answered(5)),
        new("downstream_rq_rx_reset", false, "Requests that clients gave up.", counts => counts.ClientResets),
        new("downstream_rq_timeout", false, "Requests that clients took too long to send.", counts => counts.TimedOut),
        new("downstream_rq_idle_timeout", false, "Requests during which nothing happened for too long.", counts => counts.IdleTimeouts),
        new("no_route", false, "Requests without a route.", counts => counts.NoRoute),
        new("no_cluster", false, "Requests whose route names a cluster that does not exist.", counts => counts.NoCluster),
    ];
}

/// <summary>The statistics of one listener for datagrams.</summary>
internal static class UdpStats
{
    public static IReadOnlyList<Stat<UdpCounts>> All { get; } =
    [
        new("downstream_sess_total", false, "Sessions: clients that got a host.", counts => counts.Sessions),
        new("downstream_sess_active", true, "Sessions that have not ended.", counts => counts.Sessions - counts.Ended),
        new("idle_timeout", false, "Sessions that ended because no datagram came or went.", counts => counts.IdleTimeouts),
        new("downstream_sess_no_route", false, "Datagrams of new clients for which there is no cluster.", counts => counts.NoRoute),
        new("downstream_sess_overflow", false, "Datagrams of new clients that were dropped because there are too many sessions.", counts => counts.Overflows),
        new("downstream_sess_rx_datagrams", false, "Datagrams from clients.", counts => counts.Received),
        new("downstream_sess_rx_bytes", false, "Bytes from clients.", counts => counts.ReceivedBytes),
        new("downstream_sess_rx_errors", false, "Datagrams from clients that could not be received.", counts => counts.ReceiveErrors),
        new("downstream_sess_tx_datagrams", false, "Datagrams to clients.", counts => counts.Sent),
        new("downstream_sess_tx_bytes", false, "Bytes to clients.", counts => counts.SentBytes),
        new("downstream_sess_tx_errors", false, "Datagrams to clients that could not be sent.", counts => counts.SendErrors),
        new("upstream_tx_errors", false, "Datagrams to hosts that could not be sent.", counts => counts.Lost),
    ];
}
