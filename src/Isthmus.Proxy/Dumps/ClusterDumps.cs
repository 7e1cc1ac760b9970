using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Clusters;

namespace Isthmus.Proxy.Dumps;

/// <summary><c>/clusters</c>: this proxy's view of the hosts, in Envoy's two formats.</summary>
internal static class ClusterDumps
{
    public static string Text(DataPlane plane)
    {
        var now = plane.Ports.Time.GetTimestamp();
        var text = new StringBuilder();
        foreach (var cluster in Sorted(plane))
        {
            var name = cluster.Config.Name;
            text.Append($"{name}::observability_name::{name}\n{name}::default_priority::max_connections::{cluster.Config.Limits.Connections}\n");
            text.Append($"{name}::default_priority::max_pending_requests::{cluster.Config.Limits.Pending}\n");
            text.Append($"{name}::default_priority::max_requests::{cluster.Config.Limits.Requests}\n");
            text.Append($"{name}::default_priority::max_retries::{cluster.Config.Limits.Retries}\n{name}::added_via_api::true\n");
            foreach (var (host, locality) in Hosts(cluster))
            {
                var at = $"{name}::{host.Endpoint.AddressText}";
                foreach (var (stat, value) in Stats(host)) text.Append($"{at}::{stat}::{value}\n");
                text.Append($"{at}::health_flags::{Health(host, now)}\n{at}::weight::{host.Endpoint.Weight}\n");
                text.Append($"{at}::region::{locality?.Region}\n{at}::zone::{locality?.Zone}\n{at}::sub_zone::{locality?.Subzone}\n");
                text.Append($"{at}::canary::false\n{at}::priority::{locality?.Priority ?? 0}\n");
            }
        }
        return text.ToString();
    }

    public static string Json(DataPlane plane) => DumpJson.Text(Tree(plane));

    public static JsonObject Tree(DataPlane plane)
    {
        var now = plane.Ports.Time.GetTimestamp();
        return new() { ["cluster_statuses"] = DumpJson.List(Sorted(plane).Select(c => Status(c, now))) };
    }

    private static IEnumerable<ClusterState> Sorted(DataPlane plane) =>
        plane.State.Current.Clusters.OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => c.Value);

    private static JsonObject Status(ClusterState cluster, long now)
    {
        var json = new JsonObject { ["name"] = cluster.Config.Name, ["added_via_api"] = true };
        json["host_statuses"] = DumpJson.List(Hosts(cluster).Select(h => HostStatus(h.Host, h.Locality, now)));
        json["circuit_breakers"] = new JsonObject
        {
            ["thresholds"] = new JsonArray(new JsonObject
            {
                ["max_connections"] = cluster.Config.Limits.Connections, ["max_pending_requests"] = cluster.Config.Limits.Pending,
                ["max_requests"] = cluster.Config.Limits.Requests, ["max_retries"] = cluster.Config.Limits.Retries,
            }),
        };
        json["observability_name"] = cluster.Config.Name;
        if (cluster.Config.Kind == ClusterKind.Eds) json["eds_service_name"] = cluster.Config.AssignmentName;
        return json;
    }

    private static JsonObject HostStatus(Host host, LocalityEndpoints? locality, long now)
    {
        var health = new JsonObject();
        if (host.IsEjected(now)) health["failed_outlier_check"] = true;
        // Envoy's name for a host that fails active health checks: this proxy probes a host while it is in doubt.
        if (host.IsDoubted || host.Check is { IsFailed: true }) health["failed_active_health_check"] = true;
        if (host.Check is not { IsFailed: true } && host.IsDoubted) health["isthmus_unreachable"] = true;
        if (host.IsLeaving) health["pending_dynamic_removal"] = true;
        if (host.Check is { IsFailed: true, IsTimedOut: true }) health["active_hc_timeout"] = true;
        health["eds_health_status"] = host.Endpoint.Health switch
        {
            EndpointHealth.Unhealthy => "UNHEALTHY",
            EndpointHealth.Draining => "DRAINING",
            _ => "HEALTHY"
        };
        return new()
        {
            ["address"] = DumpJson.Address(host.Address),
            ["stats"] = DumpJson.List(Stats(host).Select(s => new JsonObject
            {
                ["type"] = s.Name.EndsWith("_active", StringComparison.Ordinal) ? "GAUGE" : "COUNTER",
                ["value"] = s.Value.ToString(System.Globalization.CultureInfo.InvariantCulture), ["name"] = s.Name,
            })),
            ["health_status"] = health,
            ["weight"] = host.Endpoint.Weight,
            ["priority"] = locality?.Priority ?? 0,
            ["locality"] = new JsonObject { ["region"] = locality?.Region ?? "", ["zone"] = locality?.Zone ?? "", ["sub_zone"] = locality?.Subzone ?? "" },
        };
    }

    private static IEnumerable<(string Name, long Value)> Stats(Host host) =>
    [
        ("cx_active", host.Connections), ("cx_connect_fail", host.Counters.ConnectFailures), ("cx_total", host.Counters.Connects), ("rq_active", host.Active),
        ("rq_error", host.Counters.Errors), ("rq_success", host.Counters.Successes), ("rq_timeout", host.Counters.Timeouts),
        ("rq_total", host.Counters.Requests),
    ];

    private static string Health(Host host, long now)
    {
        var flags = new StringBuilder();
        if (host.IsDoubted || host.Check is { IsFailed: true }) flags.Append("/failed_active_hc");
        if (host.IsEjected(now)) flags.Append("/failed_outlier_check");
        if (host.Endpoint.Health == EndpointHealth.Unhealthy) flags.Append("/failed_eds_health");
        if (host.IsLeaving) flags.Append("/pending_dynamic_removal");
        if (host.Check is { IsFailed: true, IsTimedOut: true }) flags.Append("/active_hc_timeout");
        if (host.Endpoint.Health == EndpointHealth.Draining) flags.Append("/eds_status_draining");
        return flags.Length == 0 ? "healthy" : flags.ToString();
    }

    private static IEnumerable<(Host Host, LocalityEndpoints? Locality)> Hosts(ClusterState cluster)
    {
        var localities = cluster.Assignment.Localities.SelectMany(l => l.Endpoints.Select(e => (e.AddressText, Locality: l))).DistinctBy(p => p.AddressText)
            .ToDictionary(p => p.AddressText, p => p.Locality, StringComparer.Ordinal);
        return cluster.AllHosts.Select(h => (h, localities.GetValueOrDefault(h.Endpoint.AddressText)));
    }
}
