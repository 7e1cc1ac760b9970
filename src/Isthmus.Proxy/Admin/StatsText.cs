using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Admin;

/// <summary>Statistics as text: Envoy's names, and Istio's standard metrics for Prometheus.</summary>
internal static partial class StatsText
{
    public static string Plain(DataPlane plane, string filter)
    {
        var lines = new List<string>();
        foreach (var (name, value) in Server(plane)) lines.Add($"{name}: {value}");
        foreach (var (name, value) in plane.Report.Access.All) lines.Add($"{name}: {value}");
        foreach (var cluster in plane.State.Current.Clusters.Values)
            foreach (var (name, value, _) in Cluster(cluster)) lines.Add($"cluster.{cluster.Config.Name}.{name}: {value}");
        var match = filter.Length > 0 ? TextMatch.CompileRegex(filter, whole: false) : null;
        return string.Concat(lines.Order(StringComparer.Ordinal).Where(l => match?.IsMatch(l) ?? true).Select(l => l + "\n"));
    }

    public static string Prometheus(DataPlane plane)
    {
        var text = new StringBuilder();
        WriteMesh(text, plane.MeshMetrics);
        foreach (var (name, value) in Server(plane))
        {
            var metric = $"envoy_{name.Replace('.', '_')}";
            text.Append($"# TYPE {metric} {(name.EndsWith("_total", StringComparison.Ordinal) || name.Contains("ended", StringComparison.Ordinal) ? "counter" : "gauge")}\n{metric}{{}} {value}\n");
        }
        WriteAccess(text, plane.Report.Access);
        var clusters = plane.State.Current.Clusters.Values.OrderBy(c => c.Config.Name, StringComparer.Ordinal).ToArray();
        var values = clusters.Select(Cluster).ToArray();
        for (var i = 0; i < (values.Length == 0 ? 0 : values[0].Length); i++)
        {
            var metric = $"envoy_cluster_{values[0][i].Name.Replace('.', '_')}";
            text.Append($"# TYPE {metric} {(values[0][i].IsGauge ? "gauge" : "counter")}\n");
            for (var at = 0; at < clusters.Length; at++)
                text.Append($"{metric}{{cluster_name=\"{MeshLabels.Escape(clusters[at].Config.Name)}\"}} {values[at][i].Value}\n");
        }
        return text.ToString();
    }

    /// <summary>What policies decided, with the labels that Istio gives to the results of dry runs.</summary>
    private static void WriteAccess(StringBuilder text, AccessCounts counts)
    {
        var series = counts.All.Select(item => (Name: DryRun().Replace(item.Key, ""), Label: DryRun().Match(item.Key), item.Value))
            .GroupBy(item => Named(item.Name), StringComparer.Ordinal).OrderBy(group => group.Key, StringComparer.Ordinal);
        foreach (var group in series)
        {
            text.Append($"# TYPE {group.Key} counter\n");
            foreach (var (_, label, value) in group.OrderBy(item => item.Label.Value, StringComparer.Ordinal))
                text.Append($"{group.Key}{{{(label.Success ? $"authz_dry_run_action=\"{label.Groups[1]}\",authz_dry_run_result=\"{label.Groups[2]}\"" : "")}}} {value}\n");
        }

        static string Named(string name) => $"envoy_{string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_'))}";
    }

    [GeneratedRegex(@"\.istio_dry_run_(allow|deny)_shadow_(allowed|denied)$")]
    private static partial Regex DryRun();

    private static IEnumerable<(string Name, long Value)> Server(DataPlane plane)
    {
        yield return ("server.live", plane.IsReady ? 1 : 0);
        yield return ("server.state", plane.Connections.IsDraining ? 1 : plane.IsReady ? 0 : 2);
        yield return ("server.uptime", (long)(plane.Ports.Time.GetUtcNow() - plane.Started).TotalSeconds);
        yield return ("server.memory_allocated", GC.GetTotalMemory(false));
        yield return ("listener_manager.total_listeners_active", plane.State.Current.Listeners.Count);
        yield return ("listener_manager.listeners_not_opened", plane.ListenerFailures.Count);
        yield return ("cluster_manager.active_clusters", plane.State.Current.Clusters.Count);
        yield return ("isthmus.snapshot_version", plane.State.Current.Version);
        yield return ("isthmus.resources_rejected", plane.State.Rejections.Count);
        yield return ("isthmus.resource_notes", Notes(plane.State.Current));
        yield return ("isthmus.accept_pauses_total", plane.AcceptPauses);
        yield return ("isthmus.access_log_lines_dropped_total", plane.DroppedLogLines);
        yield return ("isthmus.metric_series_overflows_total", plane.MeshMetrics.Overflows);
        yield return ("isthmus.failed_tasks_total", plane.FailedTasks);
        yield return ("downstream_cx_active", plane.Report.Active);
        yield return ("downstream_cx_total", plane.Report.Total);
        foreach (var reason in System.Enum.GetValues<EndReason>())
            if (plane.Report.Ends(reason) is > 0 and var count) yield return ($"isthmus.ended_{SnakeCase(reason.ToString())}", count);
    }

    private static long Notes(ProxySnapshot snapshot) =>
        snapshot.Listeners.Values.Sum(l => l.Notes.Count) + snapshot.Clusters.Values.Sum(c => c.Config.Notes.Count) + snapshot.Routes.Values.Sum(r => r.Notes.Count);

    private static (string Name, long Value, bool IsGauge)[] Cluster(ClusterState cluster)
    {
        var c = cluster.Counters;
        var limits = cluster.Config.Limits;
        static long Open(long active, long limit) => active >= limit ? 1 : 0;
        static long Remaining(long active, long limit) => Math.Max(0, limit - active);
        // Requests that wait for a connection are not active yet.
        var requests = Math.Max(0, c.ActiveRequests - c.PendingRequests);
        return
        [
            ("upstream_cx_active", c.ActiveConnections, true), ("upstream_cx_total", c.Connects, false), ("upstream_cx_connect_fail", c.ConnectFailures, false),
            ("upstream_cx_connect_timeout", c.ConnectTimeouts, false), ("upstream_cx_ssl_fail", c.TlsFailures, false), ("upstream_cx_overflow", c.ConnectionOverflows, false),
            ("upstream_cx_none_healthy", c.NoHost, false), ("upstream_cx_tx_bytes_total", c.BytesSent, false), ("upstream_cx_rx_bytes_total", c.BytesReceived, false),
            ("upstream_rq_active", requests, true), ("upstream_rq_total", c.Requests, false), ("upstream_rq_2xx", c.Completed2xx, false),
            ("upstream_rq_3xx", c.Completed3xx, false), ("upstream_rq_4xx", c.Completed4xx, false), ("upstream_rq_5xx", c.Completed5xx, false),
            ("upstream_rq_retry", c.Retries, false), ("upstream_rq_retry_success", c.RetrySuccesses, false), ("upstream_rq_retry_overflow", c.RetryOverflows, false),
            ("upstream_rq_pending_active", c.PendingRequests, true), ("upstream_rq_pending_total", c.PendingTotal, false),
            ("upstream_rq_pending_overflow", c.PendingOverflows, false),
            ("circuit_breakers.default.cx_open", Open(c.ActiveConnections, limits.Connections), true),
            ("circuit_breakers.default.rq_pending_open", Open(c.PendingRequests, limits.Pending), true),
            ("circuit_breakers.default.rq_open", Open(requests, limits.Requests), true),
            ("circuit_breakers.default.rq_retry_open", Open(c.ActiveRetries, limits.Retries), true),
            ("circuit_breakers.default.remaining_cx", Remaining(c.ActiveConnections, limits.Connections), true),
            ("circuit_breakers.default.remaining_pending", Remaining(c.PendingRequests, limits.Pending), true),
            ("circuit_breakers.default.remaining_rq", Remaining(requests, limits.Requests), true),
            ("circuit_breakers.default.remaining_retries", Remaining(c.ActiveRetries, limits.Retries), true),
            ("upstream_rq_timeout", c.Timeouts, false), ("membership_total", cluster.Hosts.All.Count, true),
            ("outlier_detection_ejections_total", cluster.Ejections, false),
        ];
    }

    private static void WriteMesh(StringBuilder text, MeshMetrics metrics)
    {
        Counter(text, "istio_requests_total", metrics.Http, c => c.Requests);
        WriteHistogram(text, "istio_request_duration_milliseconds", metrics.Http, c => c.Duration);
        WriteHistogram(text, "istio_request_bytes", metrics.Http, c => c.RequestBytes);
        WriteHistogram(text, "istio_response_bytes", metrics.Http, c => c.ResponseBytes);
        Counter(text, "istio_tcp_connections_opened_total", metrics.Tcp, c => c.Opened);
        Counter(text, "istio_tcp_connections_closed_total", metrics.Tcp, c => c.Closed);
        Counter(text, "istio_tcp_received_bytes_total", metrics.Tcp, c => c.ReceivedBytes);
        Counter(text, "istio_tcp_sent_bytes_total", metrics.Tcp, c => c.SentBytes);
    }

    // Endpoints with equal labels come and go, and labels may be removed: those that are equal form one series.
    private static List<(string Labels, MeshCounts[] Counts)> Series(IEnumerable<MeshCounts> all, string metric) =>
        [.. all.Select(c => (Labels: c.TextOf(metric), Counts: c)).Where(c => c.Labels is not null).GroupBy(c => c.Labels!, c => c.Counts, StringComparer.Ordinal).Select(g => (g.Key, g.ToArray()))];

    private static void Counter(StringBuilder text, string name, IEnumerable<MeshCounts> all, Func<MeshCounts, long> value)
    {
        var series = Series(all, name);
        if (series.Count == 0) return;
        text.Append($"# TYPE {name} counter\n");
        foreach (var (labels, counts) in series) text.Append($"{name}{{{labels}}} {counts.Sum(value)}\n");
    }

    private static void WriteHistogram(StringBuilder text, string name, IEnumerable<MeshCounts> all, Func<MeshCounts, Histogram> histogram)
    {
        var series = Series(all, name);
        if (series.Count == 0) return;
        text.Append($"# TYPE {name} histogram\n");
        foreach (var (labels, counts) in series)
        {
            var (total, more) = (0L, labels.Length > 0 ? "," : "");
            for (var i = 0; i < Histogram.Bounds.Length; i++)
            {
                total += counts.Sum(c => histogram(c).Count(i));
                text.Append($"{name}_bucket{{{labels}{more}le=\"{Histogram.Bounds[i].ToString(CultureInfo.InvariantCulture)}\"}} {total}\n");
            }
            total += counts.Sum(c => histogram(c).Count(Histogram.Bounds.Length));
            text.Append($"{name}_bucket{{{labels}{more}le=\"+Inf\"}} {total}\n");
            text.Append($"{name}_sum{{{labels}}} {counts.Sum(c => histogram(c).Sum).ToString(CultureInfo.InvariantCulture)}\n{name}_count{{{labels}}} {total}\n");
        }
    }

    private static string SnakeCase(string name) => string.Concat(name.Select((c, i) => char.IsAsciiLetterUpper(c) ? (i > 0 ? "_" : "") + char.ToLowerInvariant(c) : c.ToString()));
}
