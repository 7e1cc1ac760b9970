using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.ListenerFilters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.NetworkFilters.LocalLimits;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Istio.Stats;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes LDS resources.</summary>
internal static class ListenerDecoder
{
    /// <exception cref="ResourceException">The resource cannot be used.</exception>
    public static ListenerSnapshot Decode(Listener listener)
    {
        if (listener.Name.Length == 0) throw new ResourceException("a listener without a name");
        if (listener.InternalListener is not null) return Internal(listener);
        var notes = new List<string>();
        if (EndpointDecoder.Address(listener.Address) is not IPEndPoint address)
            throw new ResourceException("address: only TCP sockets are supported");
        if (listener.AdditionalAddresses.Count > 0) notes.Add("additional_addresses are ignored");
        PortPredicate? tls = null;
        PortPredicate? http = null;
        ProxyHeaderRules? header = null;
        var restores = listener.UseOriginalDst ?? false;
        foreach (var filter in listener.ListenerFilters)
        {
            if (Is(filter, "tls_inspector", "TlsInspector")) tls = Enabled(filter.FilterDisabled);
            else if (Is(filter, "http_inspector", "HttpInspector")) http = Enabled(filter.FilterDisabled);
            else if (Is(filter, "original_dst", "OriginalDst")) restores = true;
            else if (Is(filter, "proxy_protocol", "ProxyProtocol")) header = Header(filter);
            else throw new ResourceException($"listener filter '{filter.Name}' is not supported");
        }
        if (listener.FilterChains.Count == 0 && listener.DefaultFilterChain is null) throw new ResourceException("no filter chains specified");
        var chains = listener.FilterChains.Select(c => Chain(c, notes)).ToArray();
        var byDefault = listener.DefaultFilterChain is null ? null : Chain(listener.DefaultFilterChain, notes);
        return new(
            listener.Name, address, listener.BindToPort ?? true, listener.UseOriginalDst ?? false, restores,
            listener.TrafficDirection switch
            {
                TrafficDirection.Inbound => Direction.Inbound,
                TrafficDirection.Outbound => Direction.Outbound,
                _ => Direction.Unknown,
            },
            tls, http,
            listener.ListenerFiltersTimeout?.ToTimeSpan() ?? TimeSpan.FromSeconds(15),
            listener.ContinueOnListenerFiltersTimeout,
            new FilterChainTable(chains, byDefault),
            AccessLogDecoder.Decode(listener.AccessLog, notes),
            notes.Distinct().ToValueList(),
            listener) { ProxyHeader = header };
    }

    /// <summary>What only clusters of this proxy can connect to. None does: <see cref="EndpointDecoder"/> leaves such endpoints out.</summary>
    private static ListenerSnapshot Internal(Listener listener) => new(
        listener.Name, new(IPAddress.None, 0), BindToPort: false, HandOff: false, RestoreOriginalDestination: false, Direction.Unknown, InspectTls: null, InspectHttp: null,
        TimeSpan.Zero, ContinueOnTimeout: false, new FilterChainTable([], null), [], ["an internal listener: nothing connects to it"], listener);

    private static ProxyHeaderRules Header(ListenerFilter filter)
    {
        if (filter.TypedConfig?.TryRead(out ProxyProtocol config) != true) return new(IsOptional: false, AllowsV1: true, AllowsV2: true);
        if (filter.FilterDisabled is not null) throw new ResourceException($"listener filter '{filter.Name}': filter_disabled is not supported");
        var disallowed = config!.DisallowedVersions;
        return new(config.AllowRequestsWithoutProxyProtocol, !disallowed.Contains(ProxyProtocolConfig.Types.Version.V1), !disallowed.Contains(ProxyProtocolConfig.Types.Version.V2));
    }

    private static bool Is(ListenerFilter filter, string shortName, string type) =>
        filter.TypedConfig is { TypeUrl.Length: > 0 } any ? any.TypeUrl.EndsWith($".{type}", StringComparison.Ordinal) : filter.Name.EndsWith(shortName, StringComparison.Ordinal);

    private static PortPredicate Enabled(ListenerFilterChainMatchPredicate? disabled)
    {
        if (disabled is null) return PortPredicate.All;
        var predicate = Predicate(disabled);
        return new(port => !predicate(port));
    }

    private static Func<int, bool> Predicate(ListenerFilterChainMatchPredicate predicate)
    {
        switch (predicate.RuleCase)
        {
            case ListenerFilterChainMatchPredicate.RuleOneofCase.OrMatch:
                var any = predicate.OrMatch.Rules.Select(Predicate).ToArray();
                return port => Array.Exists(any, p => p(port));
            case ListenerFilterChainMatchPredicate.RuleOneofCase.AndMatch:
                var all = predicate.AndMatch.Rules.Select(Predicate).ToArray();
                return port => Array.TrueForAll(all, p => p(port));
            case ListenerFilterChainMatchPredicate.RuleOneofCase.NotMatch:
                var not = Predicate(predicate.NotMatch);
                return port => !not(port);
            case ListenerFilterChainMatchPredicate.RuleOneofCase.AnyMatch:
                return _ => true;
            case ListenerFilterChainMatchPredicate.RuleOneofCase.DestinationPortRange:
                var range = predicate.DestinationPortRange;
                return port => port >= range.Start && port < range.End;
            default:
                throw new ResourceException("filter_disabled: an empty predicate");
        }
    }

    private static FilterChainSnapshot Chain(FilterChain chain, List<string> notes)
    {
        var access = new List<AccessFilter>();
        ChainAction? action = null;
        MetricRules? metrics = null;
        var (bySni, exchanges) = (false, false);
        var rewrites = new List<ClusterRewrite>();
        foreach (var filter in chain.Filters)
        {
            if (filter.TypedConfig.TryRead(out TcpProxy tcp)) action = Tcp(tcp, notes) with { BySni = bySni ? new(rewrites.ToValueList()) : null };
            else if (filter.TypedConfig.TryRead(out HttpConnectionManager http)) action = HttpDecoder.Decode(http, notes);
            else if (filter.TypedConfig.TryRead(out RBAC rbac)) access.Add(new RbacFilter(rbac.Rules, rbac.ShadowRules, "envoy.filters.network.rbac", rbac.StatPrefix, rbac.ShadowRulesStatPrefix));
            else if (filter.TypedConfig.TryRead(out ExtAuthz external)) access.Add(ExternalCheckDecoder.Decode(external));
            else if (filter.TypedConfig.TryRead(out LocalRateLimit limit))
            {
                if (LimitDecoder.Connections(limit) is { } connections) access.Add(connections);
            }
            else if (filter.Name == "envoy.filters.network.sni_cluster") bySni = true;
            else if (filter.TypedConfig.TryRead(out TcpClusterRewrite rewrite)) rewrites.Add(new(TextMatch.CompileRegex(rewrite.ClusterPattern, whole: false), rewrite.ClusterReplacement));
            else if (filter.Name == "istio.metadata_exchange") exchanges = true;
            else if (filter.Name == "istio.stats") metrics = Metrics(filter, notes);
            else if (filter.Name == "envoy.filters.network.mongo_proxy") notes.Add($"network filter '{filter.Name}' is ignored");
            else throw new ResourceException($"filter chain '{chain.Name}': network filter '{filter.Name}' is not supported");
        }
        if (action is null) throw new ResourceException($"filter chain '{chain.Name}' ends in neither tcp_proxy nor http_connection_manager");
        if (metrics is not null) action = action with { Metrics = metrics };
        return new(chain.Name, Match(chain.FilterChainMatch ?? new()), TlsSettings.From(chain.TransportSocket, downstream: true), action, access) { ExchangesMetadata = exchanges && action is TcpAction };
    }

    private static MetricRules? Metrics(Filter filter, List<string> notes) =>
        TypedConfigs.Plain(filter.TypedConfig ?? new()).TryRead(out PluginConfig config) ? MetricRules.Of(config, notes) : null;

    private static ChainMatch Match(FilterChainMatch match) => new(
        (int)(match.DestinationPort ?? 0u),
        match.PrefixRanges.Select(MatchDecoder.Range).ToValueList(),
        match.ServerNames.ToValueList(),
        match.TransportProtocol,
        match.ApplicationProtocols.ToValueList(),
        match.DirectSourcePrefixRanges.Select(MatchDecoder.Range).ToValueList(),
        match.SourcePrefixRanges.Select(MatchDecoder.Range).ToValueList(),
        match.SourcePorts.Select(p => (int)p).ToValueList(),
        match.SourceType switch
        {
            FilterChainMatch.Types.ConnectionSourceType.SameIpOrLoopback => SourceKind.Local,
            FilterChainMatch.Types.ConnectionSourceType.External => SourceKind.External,
            _ => SourceKind.Any,
        });

    private static TcpAction Tcp(TcpProxy tcp, List<string> notes)
    {
        if (tcp.TunnelingConfig is not null) throw new ResourceException("tcp_proxy: tunneling_config is not supported");
        if (tcp.MetadataMatch is not null) notes.Add("tcp_proxy: metadata_match is ignored");
        ValueList<TcpTarget> targets = tcp.ClusterSpecifierCase == TcpProxy.ClusterSpecifierOneofCase.WeightedClusters
            ? tcp.WeightedClusters.Clusters.Select(c => new TcpTarget(c.Name, (int)Math.Min(c.Weight, int.MaxValue))).ToValueList()
            : [new(tcp.Cluster, 1)];
        if (targets.Sum(t => (long)t.Weight) == 0) throw new ResourceException("tcp_proxy: the sum of weights is zero");
        return new(
            tcp.StatPrefix, targets, tcp.IdleTimeout?.ToTimeSpan() ?? TimeSpan.FromHours(1), (int)(tcp.MaxConnectAttempts ?? 0u),
            tcp.MaxDownstreamConnectionDuration?.ToTimeSpan() ?? TimeSpan.Zero, AccessLogDecoder.Decode(tcp.AccessLog, notes),
            tcp.AccessLogOptions?.FlushAccessLogOnConnected ?? false);
    }
}
