using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Traffic;
using Isthmus.Reports;
using Isthmus.Wire.Dns;

namespace Isthmus.Proxy.Trace;

/// <summary>What <c>isthmus trace</c> asks of a data plane of this process beyond Envoy's admin interface: a full dump, and recent traffic.</summary>
internal sealed class TraceRoutes(DataPlane plane, PodRoutes pod)
{
    /// <summary>Configuration with endpoints, hosts with their health, listening ports, and what a name resolves to for
    /// this Pod's applications: the name <c>host</c> or, with <c>names</c>, all that the sidecar answers itself.</summary>
    public async ValueTask<AdminReply> InspectAsync(IReadOnlyDictionary<string, string> query, Func<NameTables?>? names, ResolverSettings resolver,
        CancellationToken stop)
    {
        var extra = await pod.DescribeAsync(query, names, resolver, stop).ConfigureAwait(false);
        var dump = ConfigDumps.Tree(plane, new Dictionary<string, string> { ["include_eds"] = "" });
        return AdminReply.Json(DumpJson.Text(
            new InspectReport(dump, ClusterDumps.Tree(plane),
                extra with { Ready = plane.IsReady, Refusals = [.. Refusals()], Ejections = [.. Ejections()], Failures = [.. Failures(), .. Missing()] }),
            ProxyReports.Default.InspectReport, indented: false));
    }

    /// <summary>The clusters whose limits have refused something.</summary>
    private IEnumerable<RefusalReport> Refusals() =>
        from cluster in plane.State.Current.Clusters.Values
        let counters = cluster.Counters
        let at = Volatile.Read(ref counters.RefusedAt)
        where at != 0
        select new RefusalReport(cluster.Config.Name, counters.Refusals, (Environment.TickCount64 - at) / 1000);

    /// <summary>The hosts that get no calls because calls failed there, with how the last one did.</summary>
    private IEnumerable<EjectionReport> Ejections()
    {
        var now = plane.Ports.Time.GetTimestamp();
        return from cluster in plane.State.Current.Clusters.Values
               from host in cluster.AllHosts
               let last = host.LastFailure
               where last is not null && (host.IsEjected(now) || host.IsDoubted)
               select new EjectionReport(cluster.Config.Name, host.Endpoint.AddressText, last.Status, last.Flag, last.Reason);
    }

    /// <summary>The hosts where the last call failed within the last minute.</summary>
    private IEnumerable<FailureReport> Failures() =>
        from cluster in plane.State.Current.Clusters.Values
        from host in cluster.AllHosts
        let at = host.FailedAt
        let last = host.LastFailure
        where at != 0 && last is not null
        let ago = plane.Ports.Time.GetElapsedTime(at)
        where ago <= FailureReport.Kept
        select new FailureReport(cluster.Config.Name, host.Endpoint.AddressText, last.Status, last.Flag, last.Reason, (long)ago.TotalSeconds);

    /// <summary>The clusters that had no host for a call within the last minute.</summary>
    private IEnumerable<FailureReport> Missing() =>
        from cluster in plane.State.Current.Clusters.Values
        let at = Volatile.Read(ref cluster.Counters.NoHostAt)
        let ago = TimeSpan.FromMilliseconds(Environment.TickCount64 - at)
        where at != 0 && ago <= FailureReport.Kept
        select new FailureReport(cluster.Config.Name, "", 0, "UH", "", (long)ago.TotalSeconds);

    /// <summary>Requests with the mark <c>id</c>, and TCP connections.</summary>
    public AdminReply Recent(IReadOnlyDictionary<string, string> query)
    {
        var id = query.GetValueOrDefault("id", "");
        var found = plane.Report.Recent.Find(seen => seen.Id == id || seen.Id.Length == 0);
        return AdminReply.Json(DumpJson.Text([.. found.Select(Report)], ProxyReports.Default.Recent));
    }

    public static SeenReport Report(SeenTraffic seen) => new()
    {
        Direction = seen.Direction.ToString().ToLowerInvariant(), Start = seen.Start, DurationMs = Rounded(seen.Duration), Standing = seen.Standing,
        Status = seen.Status, Flags = seen.Flags, Attempts = seen.Attempts, ResponseAfterMs = seen.ResponseAfter is { } after ? Rounded(after) : null,
        Id = Known(seen.Id), Details = Known(seen.Details), TransportFailure = Known(seen.TransportFailure), Route = Known(seen.Route),
        Cluster = Known(seen.Cluster), Upstream = Known(seen.Upstream), UpstreamLocal = Known(seen.UpstreamLocal), UpstreamPeer = Known(seen.UpstreamPeer),
        DownstreamRemote = Known(seen.DownstreamRemote), DownstreamPeer = Known(seen.DownstreamPeer), ServerName = Known(seen.ServerName),
    };

    private static double Rounded(TimeSpan time) => Math.Round(time.TotalMilliseconds, 3);

    /// <summary>What is empty is left out.</summary>
    private static string? Known(string text) => text.Length > 0 ? text : null;
}
