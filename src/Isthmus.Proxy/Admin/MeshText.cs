using System.Globalization;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Admin;

/// <summary>Istio's standard metrics, as Prometheus reads them.</summary>
internal static class MeshText
{
    /// <summary>The lines of each metric.</summary>
    public static IEnumerable<IEnumerable<string>> Families(MeshMetrics metrics, Func<string, bool> wanted)
    {
        IEnumerable<(string Name, IEnumerable<string> Lines)> all =
        [
            Count("istio_requests_total", metrics.Http, c => c.Requests),
            Measure("istio_request_duration_milliseconds", metrics.Http, c => c.Duration),
            Measure("istio_request_bytes", metrics.Http, c => c.RequestBytes),
            Measure("istio_response_bytes", metrics.Http, c => c.ResponseBytes),
            Count("istio_request_messages_total", metrics.Calls.Where(c => c.RequestMessages > 0), c => c.RequestMessages),
            Count("istio_response_messages_total", metrics.Calls.Where(c => c.ResponseMessages > 0), c => c.ResponseMessages),
            Count("istio_tcp_connections_opened_total", metrics.Tcp, c => c.Opened),
            Count("istio_tcp_connections_closed_total", metrics.Tcp, c => c.Closed),
            Count("istio_tcp_received_bytes_total", metrics.Tcp, c => c.ReceivedBytes),
            Count("istio_tcp_sent_bytes_total", metrics.Tcp, c => c.SentBytes),
        ];
        return all.Where(metric => wanted(metric.Name)).Select(metric => metric.Lines);
    }

    private static (string, IEnumerable<string>) Count(string name, IEnumerable<MeshCounts> all,
        Func<MeshCounts, long> value) => (name, Counter(name, all, value));

    private static (string, IEnumerable<string>) Measure(string name, IEnumerable<MeshCounts> all,
        Func<MeshCounts, Histogram> histogram) => (name, Histogram(name, all, histogram));

    // Endpoints with equal labels come and go, and labels may be removed: those that are equal form one series.
    private static List<(string Labels, MeshCounts[] Counts)> Series(IEnumerable<MeshCounts> all, string metric) =>
        [.. all.Select(c => (Labels: c.TextOf(metric), Counts: c)).Where(c => c.Labels is not null)
            .GroupBy(c => c.Labels!, c => c.Counts, StringComparer.Ordinal).Select(g => (g.Key, g.ToArray()))];

    private static IEnumerable<string> Counter(string name, IEnumerable<MeshCounts> all, Func<MeshCounts, long> value)
    {
        var series = Series(all, name);
        if (series.Count == 0) yield break;
        yield return $"# TYPE {name} counter\n";
        foreach (var (labels, counts) in series) yield return $"{name}{{{labels}}} {counts.Sum(value)}\n";
    }

    private static IEnumerable<string> Histogram(string name, IEnumerable<MeshCounts> all, Func<MeshCounts, Histogram> histogram)
    {
        var series = Series(all, name);
        if (series.Count == 0) yield break;
        yield return $"# TYPE {name} histogram\n";
        foreach (var (labels, counts) in series)
        {
            var (total, more) = (0L, labels.Length > 0 ? "," : "");
            var bounds = histogram(counts[0]).Bounds;
            for (var i = 0; i < bounds.Count; i++)
            {
                total += counts.Sum(c => histogram(c).Count(i));
                yield return $"{name}_bucket{{{labels}{more}le=\"{bounds[i].ToString(CultureInfo.InvariantCulture)}\"}} {total}\n";
            }
            total += counts.Sum(c => histogram(c).Count(bounds.Count));
            yield return $"{name}_bucket{{{labels}{more}le=\"+Inf\"}} {total}\n";
            yield return $"{name}_sum{{{labels}}} {counts.Sum(c => histogram(c).Sum).ToString(CultureInfo.InvariantCulture)}\n{name}_count{{{labels}}} "
                + $"{total}\n";
        }
    }
}
