using System.Text.Json.Nodes;
using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Traffic;
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
        extra["ready"] = plane.IsReady;
        extra["refusals"] = DumpJson.List(Refusals());
        var dump = ConfigDumps.Tree(plane, new Dictionary<string, string> { ["include_eds"] = "" });
        return AdminReply.Json(DumpJson.Text(new JsonObject { ["config_dump"] = dump, ["clusters"] = ClusterDumps.Tree(plane), ["pod"] = extra },
            indented: false));
    }

    /// <summary>The clusters whose limits have refused something.</summary>
    private IEnumerable<JsonNode> Refusals() =>
        from cluster in plane.State.Current.Clusters.Values
        let counters = cluster.Counters
        let at = Volatile.Read(ref counters.RefusedAt)
        where at != 0
        select new JsonObject
        {
            ["cluster"] = cluster.Config.Name, ["count"] = counters.Refusals, ["seconds_ago"] = (Environment.TickCount64 - at) / 1000,
        };

    /// <summary>Requests with the mark <c>id</c>, and TCP connections.</summary>
    public AdminReply Recent(IReadOnlyDictionary<string, string> query)
    {
        var id = query.GetValueOrDefault("id", "");
        return AdminReply.Json(DumpJson.Text(DumpJson.List(plane.Report.Recent.Find(seen => seen.Id == id || seen.Id.Length == 0).Select(Json))));
    }

    public static JsonObject Json(SeenTraffic seen)
    {
        var json = new JsonObject
        {
            ["direction"] = seen.Direction.ToString().ToLowerInvariant(), ["start"] = DumpJson.Time(seen.Start),
            ["duration_ms"] = Math.Round(seen.Duration.TotalMilliseconds, 3),
            ["standing"] = seen.Standing, ["status"] = seen.Status, ["flags"] = seen.Flags, ["attempts"] = seen.Attempts,
        };
        if (seen.ResponseAfter is { } after) json["response_after_ms"] = Math.Round(after.TotalMilliseconds, 3);
        foreach (var (name, value) in (IEnumerable<(string, string)>)
        [
            ("id", seen.Id), ("details", seen.Details), ("transport_failure", seen.TransportFailure), ("route", seen.Route), ("cluster", seen.Cluster),
            ("upstream", seen.Upstream),
            ("upstream_local", seen.UpstreamLocal), ("upstream_peer", seen.UpstreamPeer), ("downstream_remote", seen.DownstreamRemote),
            ("downstream_peer", seen.DownstreamPeer), ("server_name", seen.ServerName),
        ])
            if (value.Length > 0) json[name] = value;
        return json;
    }
}
