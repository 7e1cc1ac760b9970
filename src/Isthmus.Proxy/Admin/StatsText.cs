using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Admin;

/// <summary>Statistics as text: Envoy's names, and Istio's standard metrics for Prometheus.</summary>
internal static partial class StatsText
{
    /// <summary>All statistics whose lines match an expression.</summary>
    /// <exception cref="ResourceException">The expression is invalid.</exception>
    public static string Plain(DataPlane plane, string filter) => string.Concat(Matching(plane, filter).Select(stat => $"{stat.Name}: {stat.Value}\n"));

    /// <summary>The same as JSON, as Envoy writes it.</summary>
    /// <exception cref="ResourceException">The expression is invalid.</exception>
    public static string Json(DataPlane plane, string filter) => DumpJson.Text(new JsonObject
    {
        ["stats"] = DumpJson.List(Matching(plane, filter).Select(stat => new JsonObject { ["name"] = stat.Name, ["value"] = stat.Value })),
    });

    private static IEnumerable<(string Name, long Value)> Matching(DataPlane plane, string filter)
    {
        var match = filter.Length > 0 ? TextMatch.CompileRegex(filter, whole: false) : null;
        return All(plane).Where(stat => match?.IsMatch(stat.Name) ?? true).OrderBy(stat => stat.Name, StringComparer.Ordinal);
    }

    private static IEnumerable<(string Name, long Value)> All(DataPlane plane) => Server(plane).Select(stat => (stat.Name, stat.Value(plane)))
        .Concat(plane.Report.Access.All.Select(item => (item.Key, item.Value)))
        .Concat(plane.State.Current.Clusters.Values.SelectMany(cluster => ClusterStats.Of(cluster).Select(stat => (Beginning(cluster) + stat.Name, stat.Value(cluster)))))
        .Concat(plane.Report.Downstream.All.SelectMany(listener => ListenerStats.All.Select(stat => ($"listener.{ListenerStats.NameOf(listener.Key)}.{stat.Name}", stat.Value(listener.Value)))))
        .Concat(Http(plane).SelectMany(manager => HttpStats.All.Select(stat => ($"http.{manager.Key}.{stat.Name}", manager.Sum(stat.Value)))));

    /// <summary>Connection managers by prefix: several listeners may have the same.</summary>
    private static IEnumerable<IGrouping<string, HttpCounts>> Http(DataPlane plane) =>
        plane.Report.Downstream.All.SelectMany(listener => listener.Value.AllHttp).GroupBy(manager => manager.Key, manager => manager.Value, StringComparer.Ordinal);

    /// <summary>What Prometheus scrapes: of clusters, the statistics that are selected.</summary>
    /// <param name="filter">An expression that the names of the metrics to write match; empty for all.</param>
    /// <exception cref="ResourceException">The expression is invalid.</exception>
    public static string Prometheus(DataPlane plane, string filter = "")
    {
        var text = new StringBuilder();
        var match = filter.Length > 0 ? TextMatch.CompileRegex(filter, whole: false) : null;
        bool Wanted(string name) => match?.IsMatch(name) ?? true;
        WriteMesh(text, plane.MeshMetrics, Wanted);
        if (Wanted("istio_build")) text.Append($"# TYPE istio_build gauge\nistio_build{{component=\"proxy\",tag=\"{MeshLabels.Escape(ServerDumps.Version)}\"}} 1\n");
        foreach (var stat in Server(plane))
        {
            var metric = MetricName(stat.Name);
            if (!Wanted(metric)) continue;
            text.Append($"# TYPE {metric} {Kind(stat)}\n{metric}{{}} {stat.Value(plane)}\n");
        }
        WriteAccess(text, plane.Report.Access, Wanted);
        WriteClusters(text, plane, Wanted);
        WriteDownstream(text, plane, Wanted);
        return text.ToString();
    }

    /// <summary>The name of a statistic as Prometheus has it.</summary>
    internal static string MetricName(string stat) => Metric(stat) is var (name, labels) && labels.Length > 0 ? $"{name}{{{labels}}}" : name;

    /// <summary>Istio's Envoy makes a label of the class of a status.</summary>
    private static (string Name, string Labels) Metric(string stat)
    {
        const int End = 4; // _2xx
        var label = stat.EndsWith("xx", StringComparison.Ordinal) && stat.Length > End && stat[..^End].EndsWith("_rq", StringComparison.Ordinal) ? $"response_code_class=\"{stat[^(End - 1)..]}\"" : "";
        if (label.Length > 0) stat = stat[..^End];
        return ($"envoy_{string.Concat(stat.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_'))}", label);
    }

    private static void WriteClusters(StringBuilder text, DataPlane plane, Func<string, bool> wanted)
    {
        var selection = plane.Settings.Stats;
        var clusters = plane.State.Current.Clusters.Values.Where(cluster => selection.MayInclude(Beginning(cluster))).OrderBy(cluster => cluster.Config.Name, StringComparer.Ordinal)
            .Select(cluster => (cluster.Config.Name, Items: (IEnumerable<ClusterState>)[cluster])).ToList();
        WriteGroup(text, ("cluster", "cluster_name"), ClusterStats.All, clusters, selection, wanted);
        WriteGroup(text, ("cluster", "cluster_name"), ClusterStats.Checks, clusters.FindAll(cluster => cluster.Items.First().Health is not null), selection, wanted);
    }

    private static void WriteDownstream(StringBuilder text, DataPlane plane, Func<string, bool> wanted)
    {
        var selection = plane.Settings.Stats;
        var listeners = plane.Report.Downstream.All.Select(listener => (Name: ListenerStats.NameOf(listener.Key), (IEnumerable<ListenerCounts>)[listener.Value])).OrderBy(listener => listener.Name, StringComparer.Ordinal).ToList();
        WriteGroup(text, ("listener", "listener_address"), ListenerStats.All, listeners, selection, wanted);
        var managers = Http(plane).OrderBy(manager => manager.Key, StringComparer.Ordinal).Select(manager => (manager.Key, manager.AsEnumerable())).ToList();
        WriteGroup(text, ("http", "http_conn_manager_prefix"), HttpStats.All, managers, selection, wanted);
    }

    /// <param name="of">What the names begin with, and the label that says of what the statistics are.</param>
    /// <param name="all">What has the statistics, by the value of that label.</param>
    private static void WriteGroup<T>(
        StringBuilder text, (string Group, string Label) of, IReadOnlyList<Stat<T>> stats, List<(string Name, IEnumerable<T> Items)> all, StatsSelection selection, Func<string, bool> wanted)
    {
        foreach (var family in stats.Select(stat => (Stat: stat, Metric: Metric($"{of.Group}.{stat.Name}"))).GroupBy(item => item.Metric.Name, StringComparer.Ordinal))
        {
            if (!wanted(family.Key)) continue;
            var isFirst = true;
            foreach (var (stat, (metric, labels)) in family)
            {
                foreach (var (name, items) in all)
                {
                    if (!selection.Includes($"{of.Group}.{name}.{stat.Name}")) continue;
                    if (isFirst) text.Append($"# TYPE {metric} {Kind(stat)}\n");
                    isFirst = false;
                    text.Append($"{metric}{{{labels}{(labels.Length > 0 ? "," : "")}{of.Label}=\"{MeshLabels.Escape(name)}\"}} {items.Sum(stat.Value)}\n");
                }
            }
        }
    }

    private static string Beginning(ClusterState cluster) => $"cluster.{cluster.Config.Name}.";

    private static string Kind<T>(Stat<T> stat) => stat.IsGauge ? "gauge" : "counter";

    private static IEnumerable<Stat<DataPlane>> Server(DataPlane plane) => ServerStats.All.Concat(ServerStats.Ends.Where(stat => stat.Value(plane) > 0));

    /// <summary>What policies decided, with the labels that Istio gives to the results of dry runs.</summary>
    private static void WriteAccess(StringBuilder text, AccessCounts counts, Func<string, bool> wanted)
    {
        var series = counts.All.Select(item => (Name: DryRun().Replace(item.Key, ""), Label: DryRun().Match(item.Key), item.Value))
            .GroupBy(item => MetricName(item.Name), StringComparer.Ordinal).Where(group => wanted(group.Key)).OrderBy(group => group.Key, StringComparer.Ordinal);
        foreach (var group in series)
        {
            text.Append($"# TYPE {group.Key} counter\n");
            foreach (var (_, label, value) in group.OrderBy(item => item.Label.Value, StringComparer.Ordinal))
                text.Append($"{group.Key}{{{(label.Success ? $"authz_dry_run_action=\"{label.Groups[1]}\",authz_dry_run_result=\"{label.Groups[2]}\"" : "")}}} {value}\n");
        }
    }

    [GeneratedRegex(@"\.istio_dry_run_(allow|deny)_shadow_(allowed|denied)$")]
    private static partial Regex DryRun();

    private static void WriteMesh(StringBuilder text, MeshMetrics metrics, Func<string, bool> wanted)
    {
        Count("istio_requests_total", metrics.Http, c => c.Requests);
        Measure("istio_request_duration_milliseconds", metrics.Http, c => c.Duration);
        Measure("istio_request_bytes", metrics.Http, c => c.RequestBytes);
        Measure("istio_response_bytes", metrics.Http, c => c.ResponseBytes);
        Count("istio_request_messages_total", metrics.Calls.Where(c => c.RequestMessages > 0), c => c.RequestMessages);
        Count("istio_response_messages_total", metrics.Calls.Where(c => c.ResponseMessages > 0), c => c.ResponseMessages);
        Count("istio_tcp_connections_opened_total", metrics.Tcp, c => c.Opened);
        Count("istio_tcp_connections_closed_total", metrics.Tcp, c => c.Closed);
        Count("istio_tcp_received_bytes_total", metrics.Tcp, c => c.ReceivedBytes);
        Count("istio_tcp_sent_bytes_total", metrics.Tcp, c => c.SentBytes);

        void Count(string name, IEnumerable<MeshCounts> all, Func<MeshCounts, long> value)
        {
            if (wanted(name)) Counter(text, name, all, value);
        }

        void Measure(string name, IEnumerable<MeshCounts> all, Func<MeshCounts, Histogram> histogram)
        {
            if (wanted(name)) WriteHistogram(text, name, all, histogram);
        }
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
            var bounds = histogram(counts[0]).Bounds;
            for (var i = 0; i < bounds.Count; i++)
            {
                total += counts.Sum(c => histogram(c).Count(i));
                text.Append($"{name}_bucket{{{labels}{more}le=\"{bounds[i].ToString(CultureInfo.InvariantCulture)}\"}} {total}\n");
            }
            total += counts.Sum(c => histogram(c).Count(bounds.Count));
            text.Append($"{name}_bucket{{{labels}{more}le=\"+Inf\"}} {total}\n");
            text.Append($"{name}_sum{{{labels}}} {counts.Sum(c => histogram(c).Sum).ToString(CultureInfo.InvariantCulture)}\n{name}_count{{{labels}}} {total}\n");
        }
    }
}
