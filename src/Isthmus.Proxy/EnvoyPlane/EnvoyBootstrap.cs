using System.Globalization;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Isthmus.Core.Json;
using Isthmus.Proxy.Agent;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>What Envoy is started with. Names of clusters and statistics are those of Istio's bootstrap: control planes and tools know them.</summary>
internal static class EnvoyBootstrap
{
    /// <summary>Discovery streams are not to wait for long after a control plane is back, as with the data plane of this process.</summary>
    private const string FirstPause = "0.1s", LongestPause = "1s";

    /// <summary>The agent: its secrets, and what it is told of traced calls.</summary>
    public const string AgentCluster = "sds-grpc";

    // As Istio's bootstrap has them.
    private static readonly string[]
        StatPrefixes = ["cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm", "reporter=", "component", "istio"],
        StatSuffixes = ["rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied", "downstream_cx_active"];

    /// <summary>The labels of metrics: their names, and the expressions whose first group leaves the name of the statistic. The second group is the value.
    /// What follows the name of a cluster has an underscore, which host names do not have.</summary>
    private static readonly (string Name, string Expression)[] Tags =
    [
        ("cluster_name",
            @"^cluster\.((.+?)\.)(?:http[123]\.[a-z0-9_]+|(?:default\.)?[a-z][a-z0-9]*(?:_[a-z0-9]+)+|ssl\.(?:handshake|ciphers|curves|versions|sigalgs))(?:\.|$)"),
        ("http_conn_manager_prefix", @"^http\.((.+?)\.)[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?:\.|$)"),
        ("listener_address", @"^listener\.((.+?)\.)(?:downstream_|no_filter_|server_ssl_|connections_|ssl\.|http\.|worker_)"),
        ("tcp_prefix", @"^tcp\.((.+?)\.)[a-z][a-z0-9]*(?:_[a-z0-9]+)+$"),
        ("response_code", @"_rq(_(\d{3}))$"),
        ("response_code_class", @"_rq(_(\dxx))$"),
        ("authz_enforce_result", @"rbac(\.(allowed|denied))"),
        ("authz_dry_run_action", @"(\.istio_dry_run_(allow|deny)_)"),
        ("authz_dry_run_result", @"(\.shadow_(allowed|denied))"),
    ];

    /// <summary>The command line. Whatever is secret comes through the sockets.</summary>
    public static IReadOnlyList<string> Arguments(AgentSettings settings, EnvoySockets sockets) =>
    [
        "-c", sockets.Bootstrap,
        "--drain-time-s", Math.Ceiling(settings.ListenerDrainTime.TotalSeconds).ToString("F0", CultureInfo.InvariantCulture),
        "--drain-strategy", "immediate",
        "--file-flush-interval-msec", "1000",
        "--disable-hot-restart",
        "--concurrency", Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture),
        "--log-format", "%Y-%m-%dT%T.%fZ\t%l\tenvoy %n\t%v",
        "-l", settings.ProxyLogLevel,
        .. settings.ComponentLogLevels.Length > 0 ? ["--component-log-level", settings.ComponentLogLevels] : Array.Empty<string>(),
    ];

    public static JsonObject Write(AgentParts parts, EnvoySockets sockets)
    {
        var admin = parts.Ports.Sockets.Place(parts.Proxy.Admin!);
        return new()
        {
            ["node"] = new JsonObject
            {
                ["id"] = parts.Node.Id, ["cluster"] = parts.Node.Cluster, ["metadata"] = JsonNode.Parse(JsonFormatter.Default.Format(parts.Node.Metadata))
            },
            ["admin"] = new JsonObject
            {
                ["address"] = new JsonObject { ["socket_address"] = new JsonObject { ["address"] = admin.Address.ToString(), ["port_value"] = admin.Port } },
                ["ignore_global_conn_limit"] = true
            },
            ["layered_runtime"] = new JsonObject
            {
                ["layers"] = new JsonArray(StaticLayer(), new JsonObject { ["name"] = "admin", ["admin_layer"] = new JsonObject() })
            },
            ["overload_manager"] = new JsonObject { ["resource_monitors"] = new JsonArray(ConnectionLimit(parts.Proxy.MaxConnections)) },
            ["bootstrap_extensions"] = new JsonArray(InternalListeners()),
            ["stats_config"] = Statistics(parts.Settings),
            ["dynamic_resources"] = new JsonObject
            {
                ["lds_config"] = FromAds(),
                ["cds_config"] = FromAds(),
                ["ads_config"] = new JsonObject
                {
                    ["api_type"] = "DELTA_GRPC", ["transport_api_version"] = "V3", ["set_node_on_first_message_only"] = true,
                    ["grpc_services"] = new JsonArray(new JsonObject
                    {
                        ["envoy_grpc"] = new JsonObject { ["cluster_name"] = "xds-grpc", ["retry_policy"] = Retries() }
                    }),
                },
            },
            ["static_resources"] = new JsonObject
            {
                ["clusters"] = new JsonArray(Cluster("xds-grpc", sockets.Discovery), Cluster(AgentCluster, sockets.Secrets))
            },
        };
    }

    /// <summary>As in Istio: fragments of paths are removed, and expressions may be long.</summary>
    private static JsonObject StaticLayer() => new()
    {
        ["name"] = "isthmus",
        ["static_layer"] = new JsonObject
        {
            ["re2.max_program_size.error_level"] = 32768, ["envoy.reloadable_features.http_reject_path_with_fragment"] = false
        },
    };

    /// <summary>Tunnels of the mesh pass through listeners within Envoy.</summary>
    private static JsonObject InternalListeners() => new()
    {
        ["name"] = "envoy.bootstrap.internal_listener",
        ["typed_config"] = new JsonObject { ["@type"] = "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener" },
    };

    private static JsonObject ConnectionLimit(int most) => new()
    {
        ["name"] = "envoy.resource_monitors.global_downstream_max_connections",
        ["typed_config"] = new JsonObject
        {
            ["@type"] = "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            ["max_active_downstream_connections"] = most,
        },
    };

    private static JsonObject FromAds() => new() { ["ads"] = new JsonObject(), ["initial_fetch_timeout"] = "0s", ["resource_api_version"] = "V3" };

    private static JsonObject Retries() => new() { ["retry_back_off"] = new JsonObject { ["base_interval"] = FirstPause, ["max_interval"] = LongestPause } };

    private static JsonObject Cluster(string name, string socket) => new()
    {
        ["name"] = name,
        ["type"] = "STATIC",
        ["connect_timeout"] = "1s",
        ["typed_extension_protocol_options"] = new JsonObject
        {
            ["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"] = new JsonObject
            {
                ["@type"] = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                ["explicit_http_config"] = new JsonObject { ["http2_protocol_options"] = new JsonObject() },
            },
        },
        ["load_assignment"] = new JsonObject
        {
            ["cluster_name"] = name,
            ["endpoints"] = new JsonArray(new JsonObject
            {
                ["lb_endpoints"] = new JsonArray(new JsonObject
                {
                    ["endpoint"] = new JsonObject { ["address"] = new JsonObject { ["pipe"] = new JsonObject { ["path"] = socket } } }
                }),
            }),
        },
    };

    private static JsonObject Statistics(AgentSettings settings)
    {
        var chosen = StrictJson.Parse(settings.ProxyConfig)!["proxyStatsMatcher"];
        IEnumerable<string> Chosen(string field) => chosen?[field]?.AsArray().Select(item => item!.GetValue<string>()) ?? [];
        var patterns = new JsonArray();
        foreach (var prefix in StatPrefixes.Concat(Chosen("inclusionPrefixes"))) patterns.Add((JsonNode)new JsonObject { ["prefix"] = prefix });
        foreach (var suffix in StatSuffixes.Concat(Chosen("inclusionSuffixes"))) patterns.Add((JsonNode)new JsonObject { ["suffix"] = suffix });
        foreach (var expression in Chosen("inclusionRegexps"))
            patterns.Add((JsonNode)new JsonObject { ["safe_regex"] = new JsonObject { ["regex"] = expression } });
        var tags = new JsonArray();
        foreach (var (name, expression) in Tags) tags.Add((JsonNode)new JsonObject { ["tag_name"] = name, ["regex"] = expression });
        var statistics = new JsonObject
        {
            ["use_all_default_tags"] = false, ["stats_tags"] = tags,
            ["stats_matcher"] = new JsonObject { ["inclusion_list"] = new JsonObject { ["patterns"] = patterns } }
        };
        if (settings.HistogramBuckets.Length > 0) statistics["histogram_bucket_settings"] = Buckets(settings.HistogramBuckets);
        return statistics;
    }

    /// <param name="json">Bounds by the beginnings of names, as injection writes them; they are checked before.</param>
    private static JsonArray Buckets(string json)
    {
        var all = new JsonArray();
        foreach (var (prefix, bounds) in StrictJson.Parse(json)!.AsObject().OrderBy(item => item.Key, StringComparer.Ordinal))
            all.Add((JsonNode)new JsonObject { ["match"] = new JsonObject { ["prefix"] = prefix }, ["buckets"] = bounds!.DeepClone() });
        return all;
    }
}
