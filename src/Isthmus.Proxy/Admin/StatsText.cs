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
        .Concat(plane.State.Current.Clusters.Values.SelectMany(cluster => ClusterStats.Of(cluster)
            .Select(stat => (Beginning(cluster) + stat.Name, stat.Value(cluster)))))
        .Concat(
            plane.Report.Downstream.All.SelectMany(listener => ListenerStats.All.Select(stat => ($"listener.{ListenerStats.NameOf(listener.Key)}.{stat.Name}",
            stat.Value(listener.Value)))))
        .Concat(Http(plane).SelectMany(manager => HttpStats.All.Select(stat => ($"http.{manager.Key}.{stat.Name}", manager.Sum(stat.Value)))))
        .Concat(plane.Report.Udp.All.SelectMany(listener => UdpStats.All.Select(stat => ($"udp.{listener.Key}.{stat.Name}", stat.Value(listener.Value)))));

    /// <summary>Connection managers by prefix: several listeners may have the same.</summary>
    private static IEnumerable<IGrouping<string, HttpCounts>> Http(DataPlane plane) =>
        plane.Report.Downstream.All.SelectMany(listener => listener.Value.AllHttp)
            .GroupBy(manager => manager.Key, manager => manager.Value, StringComparer.Ordinal);

    /// <summary>What Prometheus scrapes, in families of lines: of clusters, the statistics that are selected.</summary>
    /// <param name="filter">An expression that the names of the metrics to write match; empty for all.</param>
    /// <exception cref="ResourceException">The expression is invalid.</exception>
    public static IEnumerable<IEnumerable<string>> Prometheus(DataPlane plane, string filter = "")
    {
        var match = filter.Length > 0 ? TextMatch.CompileRegex(filter, whole: false) : null;
        bool Wanted(string name) => match?.IsMatch(name) ?? true;
        IEnumerable<string> build = Wanted("istio_build")
            ? ["# TYPE istio_build gauge\n", $"istio_build{{component=\"proxy\",tag=\"{MeshLabels.Escape(ServerDumps.Version)}\"}} 1\n"]
            : [];
        return [.. MeshText.Families(plane.MeshMetrics, Wanted), build, Process(plane, Wanted), Access(plane.Report.Access, Wanted), Clusters(plane, Wanted),
            Downstream(plane, Wanted)];
    }

    private static IEnumerable<string> Process(DataPlane plane, Func<string, bool> wanted) =>
        Server(plane).Select(stat => (Stat: stat, Metric: MetricName(stat.Name)))
        .Where(item => wanted(item.Metric)).Select(item => $"# TYPE {item.Metric} {Kind(item.Stat)}\n{item.Metric}{{}} {item.Stat.Value(plane)}\n");

    /// <summary>The name of a statistic as Prometheus has it.</summary>
    internal static string MetricName(string stat) => Metric(stat) is var (name, labels) && labels.Length > 0 ? $"{name}{{{labels}}}" : name;

    /// <summary>Istio's Envoy makes a label of the class of a status.</summary>
    private static (string Name, string Labels) Metric(string stat)
    {
        const int End = 4; // _2xx
        var label = stat.EndsWith("xx", StringComparison.Ordinal) && stat.Length > End && stat[..^End].EndsWith("_rq", StringComparison.Ordinal)
            ? $"response_code_class=\"{stat[^(End - 1)..]}\""
            : "";
        if (label.Length > 0) stat = stat[..^End];
        return ($"envoy_{string.Concat(stat.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_'))}", label);
    }

    private static IEnumerable<string> Clusters(DataPlane plane, Func<string, bool> wanted)
    {
        var selection = plane.Settings.Stats;
        var clusters = plane.State.Current.Clusters.Values.Where(cluster => selection.MayInclude(Beginning(cluster)))
            .OrderBy(cluster => cluster.Config.Name, StringComparer.Ordinal)
            .Select(cluster => (cluster.Config.Name, Items: (IEnumerable<ClusterState>)[cluster])).ToList();
        foreach (var line in Group(("cluster", "cluster_name"), ClusterStats.All, clusters, selection, wanted)) yield return line;
        foreach (var line in Group(("cluster", "cluster_name"), ClusterStats.Checks, clusters.FindAll(cluster => cluster.Items.First().Health is not null),
            selection, wanted))
            yield return line;
    }

    private static IEnumerable<string> Downstream(DataPlane plane, Func<string, bool> wanted)
    {
        var selection = plane.Settings.Stats;
        var listeners = plane.Report.Downstream.All.Select(listener => (Name: ListenerStats.NameOf(listener.Key),
            (IEnumerable<ListenerCounts>)[listener.Value]))
            .OrderBy(listener => listener.Name, StringComparer.Ordinal).ToList();
        var managers = Http(plane).OrderBy(manager => manager.Key, StringComparer.Ordinal).Select(manager => (manager.Key, manager.AsEnumerable())).ToList();
        foreach (var line in Group(("listener", "listener_address"), ListenerStats.All, listeners, selection, wanted)) yield return line;
        foreach (var line in Group(("http", "http_conn_manager_prefix"), HttpStats.All, managers, selection, wanted)) yield return line;
        var datagrams = plane.Report.Udp.All.Select(listener => (listener.Key, (IEnumerable<UdpCounts>)[listener.Value]))
            .OrderBy(listener => listener.Key, StringComparer.Ordinal).ToList();
        foreach (var line in Group(("udp", "udp_prefix"), UdpStats.All, datagrams, selection, wanted)) yield return line;
    }

    /// <param name="of">What the names begin with, and the label that says of what the statistics are.</param>
    /// <param name="all">What has the statistics, by the value of that label.</param>
    private static IEnumerable<string> Group<T>(
        (string Group, string Label) of, IReadOnlyList<Stat<T>> stats, List<(string Name, IEnumerable<T> Items)> all, StatsSelection selection,
        Func<string, bool> wanted)
    {
        foreach (var family in stats.Select(stat => (Stat: stat, Metric: Metric($"{of.Group}.{stat.Name}")))
            .GroupBy(item => item.Metric.Name, StringComparer.Ordinal))
        {
            if (!wanted(family.Key)) continue;
            var isFirst = true;
            foreach (var (stat, (metric, labels)) in family)
            {
                foreach (var (name, items) in all)
                {
                    if (!selection.Includes($"{of.Group}.{name}.{stat.Name}")) continue;
                    if (isFirst) yield return $"# TYPE {metric} {Kind(stat)}\n";
                    isFirst = false;
                    yield return $"{metric}{{{labels}{(labels.Length > 0 ? "," : "")}{of.Label}=\"{MeshLabels.Escape(name)}\"}} {items.Sum(stat.Value)}\n";
                }
            }
        }
    }

    private static string Beginning(ClusterState cluster) => $"cluster.{cluster.Config.Name}.";

    private static string Kind<T>(Stat<T> stat) => stat.IsGauge ? "gauge" : "counter";

    private static IEnumerable<Stat<DataPlane>> Server(DataPlane plane) => ServerStats.All.Concat(ServerStats.Ends.Where(stat => stat.Value(plane) > 0));

    /// <summary>What policies decided, with the labels that Istio gives to the results of dry runs.</summary>
    private static IEnumerable<string> Access(AccessCounts counts, Func<string, bool> wanted)
    {
        var series = counts.All.Select(item => (Name: DryRun().Replace(item.Key, ""), Label: DryRun().Match(item.Key), item.Value))
            .GroupBy(item => MetricName(item.Name), StringComparer.Ordinal).Where(group => wanted(group.Key))
            .OrderBy(group => group.Key, StringComparer.Ordinal);
        foreach (var group in series)
        {
            yield return $"# TYPE {group.Key} counter\n";
            foreach (var (_, label, value) in group.OrderBy(item => item.Label.Value, StringComparer.Ordinal))
            {
                var labels = label.Success ? $"authz_dry_run_action=\"{label.Groups[1]}\",authz_dry_run_result=\"{label.Groups[2]}\"" : "";
                yield return $"{group.Key}{{{labels}}} {value}\n";
            }
        }
    }

    [GeneratedRegex(@"\.istio_dry_run_(allow|deny)_shadow_(allowed|denied)$")]
    private static partial Regex DryRun();
}
