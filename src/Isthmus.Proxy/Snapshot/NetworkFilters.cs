using System.Text;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.NetworkFilters.LocalLimits;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Istio.Stats;

namespace Isthmus.Proxy.Snapshot;

/// <summary>The network filters of a filter chain, as they are decoded.</summary>
internal sealed class NetworkFilters(string chain, List<string> notes)
{
    private const string Exchange = "istio.metadata_exchange";

    /// <summary>The filters that this proxy has.</summary>
    public static readonly FilterKinds<NetworkFilters> Kinds = new("envoy.filters.network",
        FilterKind<NetworkFilters>.Of<TcpProxy>("envoy.filters.network.tcp_proxy",
            (tcp, _, into) => into._action = Tcp(tcp, into._notes) with { BySni = into._bySni ? new(into._rewrites.ToValueList()) : null }),
        FilterKind<NetworkFilters>.Of<HttpConnectionManager>("envoy.filters.network.http_connection_manager",
            (http, _, into) => into._action = HttpDecoder.Decode(http, into._notes)),
        FilterKind<NetworkFilters>.Of<RBAC>("envoy.filters.network.rbac",
            (rbac, _, into) => into.Access.Add(new RbacFilter(rbac.Rules, rbac.ShadowRules, "envoy.filters.network.rbac", rbac.StatPrefix,
                rbac.ShadowRulesStatPrefix))),
        FilterKind<NetworkFilters>.Of<ExtAuthz>("envoy.filters.network.ext_authz",
            (external, _, into) => into.Access.Add(ExternalCheckDecoder.Decode(external))),
        FilterKind<NetworkFilters>.Of<LocalRateLimit>("envoy.filters.network.local_ratelimit", (limit, _, into) =>
        {
            if (LimitDecoder.Connections(limit) is { } connections) into.Access.Add(connections);
        }),
        FilterKind<NetworkFilters>.Of<SniCluster>("envoy.filters.network.sni_cluster", (_, _, into) => into._bySni = true),
        FilterKind<NetworkFilters>.Of<TcpClusterRewrite>("envoy.filters.network.tcp_cluster_rewrite",
            (rewrite, _, into) => into._rewrites.Add(new(TextMatch.CompileRegex(rewrite.ClusterPattern, whole: false), rewrite.ClusterReplacement))),
        FilterKind<NetworkFilters>.Of<MetadataExchange>(Exchange, (_, _, into) => into.Exchanges = true),
        FilterKind<NetworkFilters>.Of<PluginConfig>("istio.stats", (metrics, _, into) => into._metrics = MetricRules.Of(metrics, into._notes)),
        FilterKind<NetworkFilters>.Of<MongoProxy>("envoy.filters.network.mongo_proxy",
            (_, name, into) => into._notes.Add($"network filter '{name}' is ignored")));

    private readonly List<string> _notes = notes;
    private readonly List<ClusterRewrite> _rewrites = [];
    private ChainAction? _action;
    private MetricRules? _metrics;
    private bool _bySni;

    public List<AccessFilter> Access { get; } = [];

    /// <summary>Speaks <c>istio-peer-exchange</c>.</summary>
    public bool Exchanges { get; private set; }

    /// <summary>What the chain ends in.</summary>
    /// <exception cref="ResourceException">It ends in nothing.</exception>
    public ChainAction Action
    {
        get
        {
            if (_action is null && Access.Exists(filter => filter is UnsupportedFilter)) return new UnsupportedAction();
            var action = _action ?? throw new ResourceException($"filter chain '{chain}' ends in neither tcp_proxy nor http_connection_manager");
            return _metrics is null ? action : action with { Metrics = _metrics };
        }
    }

    /// <exception cref="ResourceException">The filter cannot be used.</exception>
    public void Take(Filter filter)
    {
        if (filter.Name == Exchange)
        {
            Exchanges = true; // whatever else its configuration says
            return;
        }
        if (filter.ConfigDiscovery is not null)
        {
            Unknown(filter, "configuration by discovery");
            return;
        }
        var isRead = TypedConfigs.TryPlain(filter.TypedConfig, out var config, out var fault);
        if (isRead && (config.TypeUrl.Length > 0 ? Kinds.Take(config, filter.Name, this) : Kinds.TakeBare(filter.Name, this))) return;
        // In its older form it is a program, without which metrics are kept.
        if (filter.Name != "istio.stats") Unknown(filter, isRead ? TypedConfigs.TypeOf(config) : fault);
        else if (!isRead) _notes.Add($"network filter '{filter.Name}' with {fault} is ignored");
    }

    /// <summary>The other chains are served. What the filter does with bytes is not known, so that none pass.</summary>
    private void Unknown(Filter filter, string config)
    {
        _notes.Add($"filter chain '{chain}': network filter '{filter.Name}' with {(config.Length > 0 ? config : "no configuration")} is not supported and "
            + "closes all connections");
        Access.Add(new UnsupportedFilter(filter.Name));
    }

    private static TcpAction Tcp(TcpProxy tcp, List<string> notes)
    {
        if (tcp.MetadataMatch is not null) notes.Add("tcp_proxy: metadata_match is ignored");
        ValueList<TcpTarget> targets = tcp.ClusterSpecifierCase == TcpProxy.ClusterSpecifierOneofCase.WeightedClusters
            ? tcp.WeightedClusters.Clusters.Select(c => new TcpTarget(c.Name, (int)Math.Min(c.Weight, int.MaxValue))).ToValueList()
            : [new(tcp.Cluster, 1)];
        if (targets.Sum(t => (long)t.Weight) == 0) throw new ResourceException("tcp_proxy: the sum of weights is zero");
        return new(
            tcp.StatPrefix, targets, tcp.IdleTimeout?.ToTimeSpan() ?? TimeSpan.FromHours(1), (int)(tcp.MaxConnectAttempts ?? 0u),
            tcp.MaxDownstreamConnectionDuration?.ToTimeSpan() ?? TimeSpan.Zero, AccessLogDecoder.Decode(tcp.AccessLog, notes),
            tcp.AccessLogOptions?.FlushAccessLogOnConnected ?? false)
        {
            Tunnel = tcp.TunnelingConfig is { } tunnel ? Tunnel(tunnel, notes) : null,
        };
    }

    private static TunnelSettings Tunnel(TcpProxy.Types.TunnelingConfig tunnel, List<string> notes)
    {
        var format = tunnel.Hostname.Contains('%', StringComparison.Ordinal) ? LogFormat.ParseText(tunnel.Hostname) : null;
        if (format is null && (HeadDecoder.Authority(tunnel.Hostname, "tunneling_config.hostname") is not { } hostname
            || (!tunnel.UsePost && !HeadRules.IsTunnelEnd(Encoding.UTF8.GetBytes(hostname)))))
            throw new ResourceException($"tcp_proxy: tunneling_config.hostname '{tunnel.Hostname}' is not a host with a port");
        if (tunnel.PostPath.Length > 0 && !tunnel.UsePost) throw new ResourceException("tcp_proxy: tunneling_config.post_path needs use_post");
        if (tunnel.PropagateResponseHeaders || tunnel.PropagateResponseTrailers) notes.Add("tcp_proxy: what a tunnel's response says is not kept");
        return new(tunnel.Hostname, format, tunnel.UsePost, HeadDecoder.Path(tunnel.PostPath, "tunneling_config.post_path") ?? "/",
            HeadDecoder.Edits(tunnel.HeadersToAdd, [], [], [], notes));
    }
}
