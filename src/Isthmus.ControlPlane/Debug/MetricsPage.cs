using System.Globalization;
using System.Text;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.LastKnown;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Running;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Isthmus.ControlPlane.Debug;

/// <summary><c>/metrics</c> in Prometheus' text form: istiod's metric names where they exist, otherwise Isthmus' own.</summary>
internal sealed class MetricsPage(PushEngine engine, ClusterReport clusters, LastKnownGood lastKnown, Supervisor tasks, TimeProvider time)
{
    internal void Map(IEndpointRouteBuilder endpoints) => endpoints.MapGet("/metrics", (RequestDelegate)(http =>
    {
        http.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        return http.Response.WriteAsync(Text(), http.RequestAborted);
    }));

    private string Text()
    {
        var text = new StringBuilder();
        var (now, all) = (time.GetUtcNow(), clusters.Lines());
        Family(text, "istiod_managed_clusters", "gauge", "Clusters that are watched.",
            [("cluster_type=\"local\"", 1), ("cluster_type=\"remote\"", all.Count(cluster => cluster.Status != "invalid"))]);
        Family(text, "isthmus_remote_cluster_source", "gauge", "The source of a cluster's served state: live, memory, snapshot or nothing.",
            all.Select(cluster => ($"cluster=\"{Escape(cluster.Id)}\",source=\"{cluster.Source.ToString().ToLowerInvariant()}\"", 1.0)));
        Family(text, "isthmus_remote_cluster_age_seconds", "gauge", "Time since the cluster confirmed its served state.",
            all.Where(cluster => cluster.Confirmed is not null).Select(cluster => ($"cluster=\"{Escape(cluster.Id)}\"", Math.Max(0, (now - cluster.Confirmed!.Value).TotalSeconds))));
        Family(text, "isthmus_remote_cluster_credentials_expire_seconds", "gauge", "When the credentials of a cluster expire, as a Unix time; absent when they do not.",
            all.Where(cluster => cluster.Expires is not null).Select(cluster => ($"cluster=\"{Escape(cluster.Id)}\"", (double)cluster.Expires!.Value.ToUnixTimeSeconds())));
        Family(text, "isthmus_cluster_endpoints", "gauge", "Endpoints that each cluster contributes.",
            engine.Mesh.Endpoints.Items.Values.SelectMany(host => host.Endpoints).CountBy(endpoint => endpoint.Cluster)
                .OrderBy(item => item.Key, StringComparer.Ordinal).Select(item => ($"cluster=\"{Escape(item.Key)}\"", (double)item.Value)));
        Family(text, "isthmus_snapshot_bytes", "gauge", "Size of the snapshot kept of a cluster.",
            lastKnown.Kept.OrderBy(kept => kept.Key, StringComparer.Ordinal).Select(kept => ($"cluster=\"{Escape(kept.Key)}\"", (double)kept.Value.Bytes)));
        Family(text, "isthmus_snapshot_failures_total", "counter", "Snapshots that could not be read or written.", [("", lastKnown.Failures)]);
        Family(text, "pilot_xds", "gauge", "Connected proxies by version.",
            engine.Proxies.CountBy(feed => feed.Status.Proxy.Version).OrderBy(item => item.Key, StringComparer.Ordinal).Select(item => ($"version=\"{Escape(item.Key)}\"", (double)item.Value)));
        Family(text, "isthmus_task_failures_total", "counter", "Failures of background tasks, which are restarted.",
            tasks.Failures.OrderBy(task => task.Key, StringComparer.Ordinal).Select(task => ($"task=\"{Escape(task.Key)}\"", (double)task.Value)));
        Family(text, "isthmus_live_revision", "counter", "Commits of the live graph.", [("", engine.Mesh.Graph.Revision)]);
        Family(text, "isthmus_live_failures_total", "counter", "Internal errors: transforms that failed and kept their last output, changes that could not be staged, pushes that failed.", [("", engine.Mesh.Graph.Failures + engine.Failures)]);
        Family(text, "isthmus_live_conflicts", "gauge", "Keys of the live graph that several objects make; /debug/live names them.", [("", engine.Mesh.Graph.Conflicts)]);
        return text.ToString();
    }

    private static void Family(StringBuilder text, string name, string type, string help, IEnumerable<(string Labels, double Value)> samples)
    {
        text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n");
        foreach (var (labels, value) in samples) text.Append(CultureInfo.InvariantCulture, $"{name}{(labels.Length == 0 ? "" : $"{{{labels}}}")} {value}\n");
    }

    private static string Escape(string text) => text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
