using System.Diagnostics;
using System.Text;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.LastKnown;
using Isthmus.Graph.Metrics;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Running;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Isthmus.ControlPlane.Debug;

/// <summary><c>/metrics</c> in Prometheus' text form: istiod's metric names where they exist, otherwise Isthmus' own.</summary>
/// <param name="held">The bytes that clients of xDS make it hold.</param>
internal sealed class MetricsPage(PushEngine engine, ClusterReport clusters, LastKnownGood lastKnown, Supervisor tasks, TimeProvider time, Func<long> held,
    CertificateMetrics certificates)
{
    private readonly DateTimeOffset _started = time.GetUtcNow();
    private readonly string _version = typeof(MetricsPage).Assembly.GetName().Version?.ToString(3) ?? "";

    internal void Map(IEndpointRouteBuilder endpoints) => endpoints.MapGet("/metrics", (RequestDelegate)(http =>
    {
        http.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        return http.Response.WriteAsync(Text(), http.RequestAborted);
    }));

    /// <summary>As Prometheus' client libraries name them.</summary>
    private static void WriteProcess(StringBuilder text)
    {
        using var process = Process.GetCurrentProcess();
        MetricText.Family(text, "process_cpu_seconds_total", "counter", "CPU time of the process, in seconds.",
            [("", process.TotalProcessorTime.TotalSeconds)]);
        MetricText.Family(text, "process_resident_memory_bytes", "gauge", "Memory of the process.", [("", process.WorkingSet64)]);
        MetricText.Family(text, "process_virtual_memory_bytes", "gauge", "Address space of the process.", [("", process.VirtualMemorySize64)]);
        MetricText.Family(text, "process_open_fds", "gauge", "Open file descriptors.", [("", process.HandleCount)]);
        MetricText.Family(text, "process_start_time_seconds", "gauge", "When the process started, as a Unix time.",
            [("", new DateTimeOffset(process.StartTime.ToUniversalTime()).ToUnixTimeSeconds())]);
        MetricText.Family(text, "isthmus_managed_heap_bytes", "gauge", "Memory of objects on the managed heap.",
            [("", GC.GetTotalMemory(forceFullCollection: false))]);
        MetricText.Family(text, "isthmus_threads", "gauge", "Threads of the process.", [("", process.Threads.Count)]);
    }

    /// <summary>Several secrets may name one cluster, and a watched one may have a secret that is broken by now: each cluster has one series for each
    /// status.</summary>
    internal static IEnumerable<(string Labels, double Value)> SyncStates(IEnumerable<ClusterStatus> clusters) =>
        from cluster in clusters.GroupBy(cluster => cluster.Id, StringComparer.Ordinal)
        from status in ClusterStatus.All
        select ($"cluster=\"{MetricText.Escape(cluster.Key)}\",cluster_type=\"remote\",status=\"{status}\"",
            cluster.Any(line => line.Status == status) ? 1.0 : 0.0);

    private static IEnumerable<(string Labels, double Value)> Times(IEnumerable<ClusterStatus> clusters, Func<ClusterStatus, DateTimeOffset?> time) =>
        from cluster in clusters
        let known = time(cluster)
        where known is not null
        select ($"cluster=\"{MetricText.Escape(cluster.Id)}\"", (double)known.Value.ToUnixTimeSeconds());

    private string Text()
    {
        var text = new StringBuilder();
        var (now, all) = (time.GetUtcNow(), clusters.Lines());
        MetricText.Family(text, "istiod_managed_clusters", "gauge", "Clusters that are watched.",
            [("cluster_type=\"local\"", 1), ("cluster_type=\"remote\"", all.Count(cluster => cluster.Status != "invalid"))]);
        MetricText.Family(text, "istiod_remote_cluster_sync_status", "gauge",
            "1 for the status of a remote cluster, and 0 for the others: synced, syncing, timeout or invalid.", SyncStates(all));
        MetricText.Family(text, "isthmus_remote_cluster_source", "gauge", "The source of a cluster's served state: live, memory, snapshot or nothing.",
            all.Select(cluster => $"cluster=\"{MetricText.Escape(cluster.Id)}\",source=\"{cluster.Source.ToString().ToLowerInvariant()}\"")
                .Distinct(StringComparer.Ordinal).Select(labels => (labels, 1.0)));
        MetricText.Family(text, "isthmus_remote_cluster_age_seconds", "gauge", "Time since the cluster confirmed its served state.",
            all.Where(cluster => cluster.Confirmed is not null)
                .Select(cluster => ($"cluster=\"{MetricText.Escape(cluster.Id)}\"", Math.Max(0, (now - cluster.Confirmed!.Value).TotalSeconds))));
        MetricText.Family(text, "isthmus_remote_cluster_credentials_expire_seconds", "gauge",
            "When the credentials of a cluster expire, as a Unix time; absent when they do not.",
            Times(all, cluster => cluster.Expires));
        MetricText.Family(text, "isthmus_remote_cluster_credentials_issued_seconds", "gauge",
            "When these credentials were issued, as a Unix time; absent when they do not say.", Times(all, cluster => cluster.Issued));
        MetricText.Family(text, "isthmus_cluster_endpoints", "gauge", "Endpoints that each cluster contributes.",
            engine.Mesh.Endpoints.Items.Values.SelectMany(host => host.Endpoints).CountBy(endpoint => endpoint.Cluster)
                .OrderBy(item => item.Key, StringComparer.Ordinal).Select(item => ($"cluster=\"{MetricText.Escape(item.Key)}\"", (double)item.Value)));
        MetricText.Family(text, "isthmus_snapshot_bytes", "gauge", "Size of the snapshot kept of a cluster.",
            lastKnown.Kept.OrderBy(kept => kept.Key, StringComparer.Ordinal)
                .Select(kept => ($"cluster=\"{MetricText.Escape(kept.Key)}\"", (double)kept.Value.Bytes)));
        MetricText.Family(text, "isthmus_snapshot_failures_total", "counter", "Snapshots that could not be read or written.", [("", lastKnown.Failures)]);
        MetricText.Family(text, "pilot_xds", "gauge", "Connected proxies by version.",
            engine.Proxies.CountBy(feed => feed.Status.Proxy.Version).OrderBy(item => item.Key, StringComparer.Ordinal)
                .Select(item => ($"version=\"{MetricText.Escape(item.Key)}\"", (double)item.Value)));
        MetricText.Family(text, "isthmus_proxies_losing_telemetry", "gauge",
            "Connected proxies that say that they lose telemetry at present, by what they lose.",
            engine.Proxies.SelectMany(feed => feed.Losses.Select(loss => loss.Kind).Distinct()).CountBy(kind => kind).OrderBy(item => item.Key)
                .Select(item => ($"kind=\"{item.Key.ToString().ToLowerInvariant()}\"", (double)item.Value)));
        MetricText.Family(text, "isthmus_task_failures_total", "counter", "Failures of background tasks, which are restarted.",
            tasks.Failures.OrderBy(task => task.Key, StringComparer.Ordinal).Select(task => ($"task=\"{MetricText.Escape(task.Key)}\"", (double)task.Value)));
        MetricText.Family(text, "isthmus_xds_held_bytes", "gauge",
            "Bytes of node messages, of names that no resource has and of requests on their way, which clients of xDS make the control plane hold.",
            [("", held())]);
        MetricText.Family(text, "isthmus_live_revision", "counter", "Commits of the live graph.", [("", engine.Mesh.Graph.Revision)]);
        MetricText.Family(text, "isthmus_live_failures_total", "counter",
            "Internal errors: transforms that failed and kept their last output, changes that could not be staged, pushes that failed.",
            [("", engine.Mesh.Graph.Failures + engine.Failures)]);
        MetricText.Family(text, "isthmus_live_conflicts", "gauge", "Keys of the live graph that several objects make; /debug/live names them.",
            [("", engine.Mesh.Graph.Conflicts)]);
        engine.Metrics.Write(text);
        ControlMetrics.WriteRejects(text, engine.Proxies.SelectMany(feed => feed.RejectedTypes));
        WriteProcess(text);
        MetricText.Family(text, "pilot_info", "gauge", "The version of this control plane.", [($"version=\"{_version}\"", 1)]);
        MetricText.Family(text, "istio_build", "gauge", "The version of this component.", [($"component=\"pilot\",tag=\"{_version}\"", 1)]);
        MetricText.Family(text, "istiod_uptime_seconds", "gauge", "Time since this control plane started.", [("", (now - _started).TotalSeconds)]);
        MetricText.Family(text, "pilot_services", "gauge", "Hosts that the mesh knows.",
            [("", engine.Mesh.Services.Items.Values.Count(service => service.Pod is null))]);
        MetricText.Family(text, "pilot_virt_services", "gauge", "VirtualServices.", [("", engine.Mesh.Sources.VirtualServices.Items.Count)]);
        MetricText.Family(text, "pilot_destrule_subsets", "gauge", "Subsets of DestinationRules.",
            [("", engine.Mesh.Sources.DestinationRules.Items.Values.Sum(rule => rule.Subsets.Count))]);
        MetricText.Family(text, "pilot_total_xds_internal_errors", "counter", "Internal errors: changes that could not be staged, pushes that failed.",
            [("", engine.Failures)]);
        MetricText.Family(text, "pilot_xds_push_context_errors", "counter", "Internal errors: transforms that failed and kept their last output.",
            [("", engine.Mesh.Graph.Failures)]);
        MetricText.Family(text, "pilot_eds_no_instances", "gauge", "Hosts without an endpoint.",
            [("",
                engine.Mesh.Services.Items.Count(service => service.Value.Pod is null
                    && !(engine.Mesh.Endpoints.Items.GetValueOrDefault(service.Key)?.Endpoints.Count > 0)))]);
        certificates.Write(text, now);
        return text.ToString();
    }
}
