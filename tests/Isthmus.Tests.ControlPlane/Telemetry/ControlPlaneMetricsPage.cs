using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Telemetry;

/// <summary>docs/reference/control-plane-metrics.md: every metric of a control plane, from its own page of metrics.</summary>
internal static partial class ControlPlaneMetricsPage
{
    internal static string Print(string metrics)
    {
        var families = Family().Matches(metrics);
        // A metric without a text for people would be missing here.
        Assert.Equal(metrics.Split('\n').Count(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)), families.Count);
        var page = new StringBuilder("""
            # Metrics of the control plane

            A control plane serves these metrics at `/metrics` on port 15014, in the text form of Prometheus. Names are istiod's where istiod has the metric; \
            the others begin with `isthmus_`. Dashboards made for istiod find what they ask for under the names below. For the metrics of proxies, see \
            [proxy-telemetry.md](proxy-telemetry.md).

            This page is generated from a running control plane. `./test --accept` writes it, and a test fails if it is out of date.

            | metric | type | meaning |
            |---|---|---|

            """);
        foreach (var family in families.OrderBy(family => family.Groups["name"].Value, StringComparer.Ordinal))
            page.Append("| `").Append(family.Groups["name"].Value).Append("` | ").Append(family.Groups["type"].Value).Append(" | ")
                .Append(family.Groups["help"].Value).Append(" |\n");
        return LongLines.Joined(page.Append("""

            ## Metrics of istiod that control planes do not have

            | metrics | why |
            |---|---|
            | `pilot_conflict_inbound_listener`, `pilot_conflict_outbound_listener_*` | They are not counted. `analyze` reports Services that declare different protocols for a port (IST0137). |
            | `pilot_xds_write_timeout`, `pilot_xds_push_timeout` | A slow proxy delays no other: its stream takes the newest configuration when it can, \
            without a timeout. `pilot_xds_send_time` shows how long it takes. |
            | `pilot_vservice_dup_domain` | It is not counted. `analyze` names VirtualServices that route the same host (IST0109). |
            | `pilot_duplicate_envoy_clusters`, `pilot_dns_cluster_without_endpoints`, `pilot_no_ip`, `pilot_endpoint_not_ready`, `endpoint_no_pod` | They are \
            not counted. `pilot_eds_no_instances` has the hosts without an endpoint. |
            | `pilot_debounce_time`, `pilot_pushcontext_init_seconds`, `pilot_xds_config_size_bytes`, `pilot_xds_cache_*` | They are not measured. `pilot_proxy_convergence_time` has the whole time. |
            | `pilot_worker_queue_*` | There are no queues of work: one writer commits all changes (`isthmus_live_revision`). |
            | `galley_validation_config_*`, `webhook_patch_*` | `isthmus_task_failures_total` has the failures of all background tasks, by task. |
            | `go_*` | The control plane is not a Go program: see `isthmus_managed_heap_bytes` and `isthmus_threads`. |
            | `envoy_cluster_*{cluster_name="xds-grpc"}` of proxies | The connection to the control plane is not one of the proxy's clusters: see `pilot_xds`. |
            | `grpc_server_*` | They are not counted. `pilot_xds_pushes` and `citadel_server_csr_count` have what the two services of the control plane do. |

            """).ToString());
    }

    [GeneratedRegex(@"^# HELP (?<name>\S+) (?<help>.+)\n# TYPE \k<name> (?<type>\w+)$", RegexOptions.Multiline)]
    private static partial Regex Family();
}
