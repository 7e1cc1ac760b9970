using System.Globalization;
using System.Text;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Telemetry;
using Isthmus.Testing;

namespace Isthmus.Tests.Proxy.Telemetry;

/// <summary>docs/reference/proxy-telemetry.md: every metric, every operator of access logs and every attribute of spans.</summary>
internal static class ProxyTelemetryPage
{
    internal static IReadOnlyDictionary<string, string> Labels { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["reporter"] = "`source`: the caller's proxy, or a gateway; `destination`: the callee's",
        ["source_workload"] = "The caller's Deployment or other owner; `unknown` if the caller has no proxy",
        ["source_workload_namespace"] = "Its namespace",
        ["source_principal"] = "The SPIFFE identity that its certificate proves",
        ["source_app"] = "Its label `app`",
        ["source_version"] = "Its label `version`",
        ["source_canonical_service"] = "Its label `service.istio.io/canonical-name`, else `app`, else its owner's name",
        ["source_canonical_revision"] = "Its label `service.istio.io/canonical-revision`, else `version`, else `latest`",
        ["source_cluster"] = "The cluster that it runs in",
        ["destination_workload"] = "The callee's Deployment or other owner",
        ["destination_workload_namespace"] = "Its namespace",
        ["destination_principal"] = "The SPIFFE identity that its certificate proves",
        ["destination_app"] = "Its label `app`",
        ["destination_version"] = "Its label `version`",
        ["destination_canonical_service"] = "As of the source",
        ["destination_canonical_revision"] = "As of the source",
        ["destination_cluster"] = "The cluster that it runs in",
        ["destination_service"] = "The host that was called; `PassthroughCluster`, `BlackHoleCluster` and `InboundPassthroughCluster` for unknown ones",
        ["destination_service_name"] = "The name of the Service, or the host",
        ["destination_service_namespace"] = "Its namespace",
        ["request_protocol"] = "`http`, `grpc` or `tcp`",
        ["response_code"] = "The status of HTTP; not for TCP and messages",
        ["grpc_response_status"] = "The status of gRPC, as a number; not for TCP and messages",
        ["response_flags"] = "Envoy's flags, as in access logs; `-` if nothing went wrong; not for messages",
        ["connection_security_policy"] = "`mutual_tls` or `none` at the destination; `unknown` at the source",
    };

    internal static IReadOnlyDictionary<string, string> Operators { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["START_TIME"] = "When the request or connection began. In parentheses: a strftime format; `%s`, `%3f`, `%6f` and `%9f` as in Envoy",
        ["EMIT_TIME"] = "When the line is written",
        ["REQ"] = "A field of the request, `:method`, `:path`, `:authority` or `:scheme`; `REQ(A?B)` takes B where A is missing",
        ["REQ_WITHOUT_QUERY"] = "The same, up to a question mark",
        ["RESP"] = "A field of the response",
        ["TRAILER"] = "A trailer of the response",
        ["GRPC_STATUS"] = "The status of gRPC: `CAMEL_STRING` (the default), `SNAKE_STRING` or `NUMBER`",
        ["GRPC_STATUS_NUMBER"] = "The same as a number",
        ["DYNAMIC_METADATA"] = "What a filter found out: `FILTER:KEY:KEY`",
        ["CEL"] = "The value of an expression",
        ["ENVIRONMENT"] = "A variable of the proxy's environment",
        ["HOSTNAME"] = "The name of the Pod",
        ["PROTOCOL"] = "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2`",
        ["RESPONSE_CODE"] = "The status; 0 for TCP, and if there was no response",
        ["RESPONSE_CODE_DETAILS"] = "Why the response has its status",
        ["RESPONSE_FLAGS"] = "Why a request or connection failed, as Envoy's short flags",
        ["RESPONSE_FLAGS_LONG"] = "The same in words",
        ["CONNECTION_TERMINATION_DETAILS"] = "Why the proxy ended a connection",
        ["UPSTREAM_TRANSPORT_FAILURE_REASON"] = "Why the connection to the host failed",
        ["BYTES_RECEIVED"] = "Size of the request's body, or bytes that a TCP client sent",
        ["BYTES_SENT"] = "Size of the response's body, or bytes that a TCP client received",
        ["DURATION"] = "Milliseconds from the first byte of the request to the last of the response",
        ["RESPONSE_DURATION"] = "Milliseconds until the first byte of the host's response",
        ["RESPONSE_TX_DURATION"] = "Milliseconds from the first byte of the host's response to the last to the client",
        ["UPSTREAM_HOST"] = "Address and port of the host",
        ["UPSTREAM_CLUSTER"] = "The cluster that the host belongs to",
        ["UPSTREAM_CLUSTER_RAW"] = "The same",
        ["UPSTREAM_REQUEST_ATTEMPT_COUNT"] = "Attempts, retries included",
        ["UPSTREAM_REMOTE_ADDRESS"] = "Address and port of the host",
        ["UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"] = "Address of the host",
        ["UPSTREAM_REMOTE_PORT"] = "Port of the host",
        ["UPSTREAM_LOCAL_ADDRESS"] = "The proxy's side of the connection to the host",
        ["UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"] = "Its address",
        ["UPSTREAM_LOCAL_PORT"] = "Its port",
        ["UPSTREAM_PEER_URI_SAN"] = "The URIs in the host's certificate: its SPIFFE identity",
        ["UPSTREAM_PEER_DNS_SAN"] = "The DNS names in the host's certificate",
        ["UPSTREAM_PEER_SUBJECT"] = "The subject of the host's certificate",
        ["UPSTREAM_PEER_FINGERPRINT_256"] = "The SHA-256 of the host's certificate",
        ["DOWNSTREAM_LOCAL_ADDRESS"] = "Address and port that the client called",
        ["DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"] = "Its address",
        ["DOWNSTREAM_LOCAL_PORT"] = "Its port",
        ["DOWNSTREAM_REMOTE_ADDRESS"] = "Address and port of the client",
        ["DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"] = "Address of the client",
        ["DOWNSTREAM_REMOTE_PORT"] = "Port of the client",
        ["DOWNSTREAM_DIRECT_REMOTE_ADDRESS"] = "As DOWNSTREAM_REMOTE_ADDRESS",
        ["DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT"] = "As DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        ["DOWNSTREAM_DIRECT_REMOTE_PORT"] = "As DOWNSTREAM_REMOTE_PORT",
        ["DOWNSTREAM_PEER_URI_SAN"] = "The URIs in the client's certificate: its SPIFFE identity",
        ["DOWNSTREAM_PEER_DNS_SAN"] = "The DNS names in the client's certificate",
        ["DOWNSTREAM_PEER_SUBJECT"] = "The subject of the client's certificate",
        ["DOWNSTREAM_PEER_FINGERPRINT_256"] = "The SHA-256 of the client's certificate",
        ["DOWNSTREAM_LOCAL_URI_SAN"] = "The URIs in the certificate that the client was shown: the SPIFFE identity of this side",
        ["REQUESTED_SERVER_NAME"] = "The server name in the client's TLS hello (SNI)",
        ["ROUTE_NAME"] = "The name of the route",
        ["FILTER_CHAIN_NAME"] = "The name of the filter chain",
    };

    internal static IReadOnlyDictionary<string, string> Attributes { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["component"] = "`proxy`",
        ["node_id"] = "The proxy: role, address, Pod and domain",
        ["guid:x-request-id"] = "The ID of the request, also in its field `x-request-id`",
        ["http.url"] = "The URL; its path is cut at `maxPathTagLength`",
        ["http.method"] = "The method",
        ["http.protocol"] = "The version of HTTP",
        ["http.status_code"] = "The status of the response; 0 if there was none",
        ["downstream_cluster"] = "The field `x-envoy-downstream-service-cluster`",
        ["user_agent"] = "The field `user-agent`",
        ["peer.address"] = "The address of the client",
        ["request_size"] = "The size of the request's body",
        ["response_size"] = "The size of the response's body",
        ["response_flags"] = "Why the request failed, as in access logs",
        ["upstream_cluster"] = "The cluster that the request went to",
        ["upstream_cluster.name"] = "The same",
        ["upstream_address"] = "Address and port of the host",
        ["grpc.path"] = "Of gRPC: service and method",
        ["grpc.authority"] = "Of gRPC: the authority",
        ["grpc.content_type"] = "Of gRPC: the content type",
        ["grpc.timeout"] = "Of gRPC: the caller's time limit",
        ["grpc.status_code"] = "Of gRPC: the status",
        ["grpc.message"] = "Of gRPC: the text beside the status",
        ["error"] = "`true` if there was no response, or one with a status of 500 or more",
    };

    internal static string Print()
    {
        var page = new StringBuilder("""
            # Telemetry of proxies

            What sidecars and gateways tell about the traffic: metrics, operators of access logs, and attributes of spans. The names are Istio's and Envoy's, \
            so that dashboards and queries for them work. For the metrics of the control plane, see [control-plane-metrics.md](control-plane-metrics.md).

            This page is generated from the proxy. `./test --accept` writes it, and a test fails if it is out of date.

            ## Metrics

            Prometheus finds them by the annotations `prometheus.io/scrape`, `prometheus.io/port` and `prometheus.io/path` that injection sets: port 15020, \
            path `/stats/prometheus`. One scrape has the metrics of the proxy, of its agent and, if the Pod had such annotations of its own (and \
            `enablePrometheusMerge` is not `false`), of the application. The proxy fetches the latter inside the Pod, so mutual TLS does not stand in the way.

            ### Istio's standard metrics

            | metric | type | meaning |
            |---|---|---|

            """);
        foreach (var (name, type, meaning) in MeshMetrics.All) Row(page, name, type, meaning);
        Row(page, "istio_build", "gauge", "1; the label `tag` has the version of the proxy.");
        page.Append("\nA Telemetry can drop each of them, and change its labels:\n\n| label | meaning |\n|---|---|\n");
        foreach (var (name, meaning) in Labels) Row(page, name, meaning);
        page.Append(CultureInfo.InvariantCulture, $$"""

            Histograms have Envoy's buckets. The annotation `sidecar.istio.io/statsHistogramBuckets` of a Pod changes them, for example `{"istiocustom": [1, \
            5, 10, 50, 100, 500, 1000, 5000, 10000]}`, or `istiocustom.istio_request_bytes` for one of them. `reportingInterval` of a Telemetry says how often \
            open connections and calls are counted.

            ### Bounds

            What a peer tells of itself (`x-envoy-peer-metadata`, and the exchange of metadata over TCP) counts only if its certificate proves an identity of \
            the mesh, and names the same namespace and, if told, the same service account. In plain text, and for others, only the identity is counted. Texts \
            are cut at {{PeerMetadataText.MostOfText}} characters, values of tags at {{MetricRules.MostOfTag}} bytes.

            A proxy keeps {{MeshMetrics.MostSeries:N0}} series. What peers and clients choose makes fewer of them:

            | bound | beyond it |
            |---|---|
            | {{PeerClaims.MostOfIdentity}} different workloads that one identity tells of | `source_workload`, `source_app`, `source_version`, \
            `source_canonical_service`, `source_canonical_revision` and `source_cluster` (or those of the destination) are `overflow`; namespace and principal \
            are what the certificate proves |
            | {{MeshMetrics.MostToldSeries:N0}} series with what peers tell, or with tags of a Telemetry | new ones have `overflow` in place of it |
            | {{MeshMetrics.MostSeries:N0}} series | what is new is counted in one series, whose labels are all `overflow` but for `reporter` |

            `envoy_isthmus_metric_series_overflows_total` counts how often that happens. Hosts, paths, methods and server names of clients are in no label \
            unless a Telemetry puts them there (`tagOverrides`). A scrape is written piece by piece; a family of metrics that cannot be read is missing in it, \
            and takes no other with it.

            ### The process

            In `/stats` of the admin port (15000), names have dots, and no `envoy_` in front.

            | metric | type | meaning |
            |---|---|---|

            """);
        foreach (var stat in ServerStats.All.Concat(ServerStats.Ends)) Row(page, StatsText.MetricName(stat.Name), Type(stat.IsGauge), stat.Meaning);
        page.Append("""

            ### Clusters

            The label `cluster_name` names the cluster, for example `outbound|80||web.shop.svc.cluster.local`. Like Istio's, proxies leave these out of \
            scrapes unless they are selected: with `proxyStatsMatcher` in ProxyConfig, or with an annotation of the Pod, for example \
            `sidecar.istio.io/statsInclusionPrefixes: cluster.outbound` (also `statsInclusionSuffixes` and `statsInclusionRegexps`). `/stats` of the admin \
            port has all of them, as `cluster.NAME.STATISTIC`.

            | metric | type | meaning |
            |---|---|---|

            """);
        foreach (var stat in ClusterStats.All) Row(page, StatsText.MetricName($"cluster.{stat.Name}"), Type(stat.IsGauge), stat.Meaning);
        page.Append("""

            Those of clusters whose hosts are [checked](../tasks/circuit-breaking.md#check-endpoints):

            | metric | type | meaning |
            |---|---|---|

            """);
        foreach (var stat in ClusterStats.Checks) Row(page, StatsText.MetricName($"cluster.{stat.Name}"), Type(stat.IsGauge), stat.Meaning);
        page.Append("""

            ### Listeners and connection managers

            Of the listeners and connection managers that had connections. The label `listener_address` has the address of the listener, for example \
            `0.0.0.0_15006`; the label `http_conn_manager_prefix` has the prefix of the connection manager, for example `outbound_0.0.0.0_80`. Scrapes have \
            `downstream_cx_active`, and those that are selected as above, for example by `sidecar.istio.io/statsInclusionPrefixes: listener,http`. `/stats` of \
            the admin port has all of them, as `listener.ADDRESS.STATISTIC` and `http.PREFIX.STATISTIC`.

            | metric | type | meaning |
            |---|---|---|

            """);
        foreach (var stat in ListenerStats.All) Row(page, StatsText.MetricName($"listener.{stat.Name}"), Type(stat.IsGauge), stat.Meaning);
        foreach (var stat in HttpStats.All) Row(page, StatsText.MetricName($"http.{stat.Name}"), Type(stat.IsGauge), stat.Meaning);
        page.Append("""

            ### UDP listeners

            Of the listeners for UDP. The label `udp_prefix` has the address of the listener, for example `0.0.0.0_5300`. `/stats` of the admin port has them as `udp.PREFIX.STATISTIC`.

            | metric | type | meaning |
            |---|---|---|

            """);
        foreach (var stat in UdpStats.All) Row(page, StatsText.MetricName($"udp.{stat.Name}"), Type(stat.IsGauge), stat.Meaning);
        page.Append("""

            ### Policies and reports

            These appear once they are not 0. `PREFIX` and `NAME` are the names of a listener and a cluster.

            | statistic | meaning |
            |---|---|

            """);
        foreach (var family in AccessStats.All)
            page.Append("| ").AppendJoin(", ", family.Ends.Select((end, i) => $"`{(i == 0 ? family.Family : "")}{end}`")).Append(" | ").Append(family.Meaning)
                .Append(" |\n");
        page.Append("""

            ### The agent

            | metric | type | meaning |
            |---|---|---|

            """);
        foreach (var (name, isGauge, meaning) in AgentMetrics.All) Row(page, name, Type(isGauge), meaning);
        page.Append("""

            ### Statistics of Envoy that proxies do not have

            | statistics | why |
            |---|---|
            | `upstream_cx_connect_ms`, `upstream_cx_length_ms`, `upstream_rq_time`, `downstream_rq_time`, `downstream_cx_length_ms` | Histograms for each \
            cluster and listener take much memory. `istio_request_duration_milliseconds` has the times of requests, with both ends of the call. |
            | `upstream_rq_200` and others with a whole status, `internal.*`, `external.*`, `canary.*`, `zone.*`, `vhost.*` | `istio_requests_total` has the status. |
            | `upstream_rq_cancelled`, `upstream_rq_tx_reset` | Requests that the client or the proxy gave up are counted by reason (`isthmus_ended_*`). |
            | `upstream_flow_control_*`, `*_bytes_buffered` | The proxy does not count what its buffers hold. |
            | `lb_*` | The page `/clusters` of the admin port shows what each host got. |
            | `update_*`, `cluster_manager.cds.*`, `listener_manager.lds.*`, `http.*.rds.*`, `control_plane.*` | Control planes count what they send and what \
            is rejected (`pilot_xds_pushes`, `pilot_total_xds_rejects`); `isthmus_resources_rejected` is what this proxy rejects now. |
            | `circuit_breakers.high.*`, `circuit_breakers.default.cx_pool_open` | Istio sets limits for the default priority only, and none for pools. |
            | `health_check.degraded` | Hosts are healthy or not; there is nothing between. |
            | `listener.*.http.*` | The statistics `http.*` are by prefix, and a prefix names its listener. |
            | `ssl.ciphers.*`, `ssl.versions.*`, `ssl.curves.*`, `ssl.sigalgs.*` | They are not counted. |
            | `runtime.*`, `wasm.*`, `server.worker_*`, `server.watchdog_*`, `main_thread.*`, `workers.*` | The proxy has no such parts. |
            | `istio_agent_go_*`, `istio_agent_process_*` | Agent and proxy are one process, and no Go program: see `server.memory_*`. |

            """.ReplaceLineEndings("\n"));
        page.Append(
            "\n## Access logs\n\nThe operators of formats (`accessLogFormat`, `envoyFileAccessLog`, `envoyOtelAls`), as `%OPERATOR%` or "
                + "`%OPERATOR(ARGUMENT):LENGTH%`. Unknown operators are refused.\n\n| operator | value |\n|---|---|\n");
        foreach (var (name, meaning) in Operators.OrderBy(item => item.Key, StringComparer.Ordinal)) Row(page, name, meaning);
        page.Append(
            "\n## Spans\n\nA span has the attributes that apply to its request. The control plane adds `istio.canonical_service`, `istio.canonical_revision`, "
                + "`istio.namespace`, `istio.cluster_id` and `istio.mesh_id`; a Telemetry or MeshConfig adds more (`customTags`).\n\n| attribute | value "
                + "|\n|---|---|\n");
        foreach (var (name, meaning) in Attributes) Row(page, name, meaning);
        return LongLines.Joined(page.ToString());
    }

    private static string Type(bool isGauge) => isGauge ? "gauge" : "counter";

    private static void Row(StringBuilder page, string name, params ReadOnlySpan<string> cells)
    {
        page.Append("| `").Append(name).Append('`');
        foreach (var cell in cells) page.Append(" | ").Append(cell);
        page.Append(" |\n");
    }
}
