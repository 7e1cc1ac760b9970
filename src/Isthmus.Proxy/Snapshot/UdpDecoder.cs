using System.Net;
using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Matching;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.MatchInputs;
using Isthmus.Wire.Envoy.UdpFilters;
using Isthmus.Wire.Envoy.XdsMatchers;

namespace Isthmus.Proxy.Snapshot;

/// <summary>The filters of a listener for datagrams, as they are decoded.</summary>
internal sealed class UdpFilters(List<string> notes)
{
    private static readonly TimeSpan DefaultIdle = TimeSpan.FromMinutes(1);

    /// <summary>The filters that this proxy has.</summary>
    public static readonly FilterKinds<UdpFilters> Kinds = new("envoy.filters.udp_listener",
        FilterKind<UdpFilters>.Of<UdpProxyConfig>("envoy.filters.udp_listener.udp_proxy", (config, _, into) => into.Action = into.Proxy(config)));

    /// <summary>Null: no filter takes the datagrams.</summary>
    public UdpAction? Action { get; private set; }

    private UdpAction Proxy(UdpProxyConfig config)
    {
        if (config.UseOriginalSrcIp) throw new ResourceException("udp_proxy: use_original_src_ip is not supported");
        if (config.UsePerPacketLoadBalancing) throw new ResourceException("udp_proxy: use_per_packet_load_balancing is not supported");
        if (config.AccessLog.Count > 0 || config.ProxyAccessLog.Count > 0) notes.Add("udp_proxy: access logs are ignored");
        var (choices, otherwise) = config.RouteSpecifierCase == UdpProxyConfig.RouteSpecifierOneofCase.Matcher ? Choices(config.Matcher) : ([], config.Cluster);
        return new(config.StatPrefix, choices, otherwise, config.IdleTimeout?.ToTimeSpan() ?? DefaultIdle);
    }

    private static (ValueList<UdpChoice> Choices, string Otherwise) Choices(Matcher matcher) =>
        ((matcher.MatcherList?.Matchers ?? []).Select(Choice).ToValueList(), matcher.OnNoMatch is { } otherwise ? Cluster(otherwise) : "");

    private static UdpChoice Choice(Matcher.Types.MatcherList.Types.FieldMatcher field)
    {
        if (field.Predicate?.SinglePredicate is not { } predicate || predicate.Input?.TypedConfig?.TryRead(out SourcePortInput _) != true
            || predicate.ValueMatch?.SafeRegex is not { } pattern)
            throw new ResourceException("udp_proxy: only a safe_regex of the client's port is supported in a matcher");
        return new(TextMatch.CompileRegex(pattern.Regex, predicate.ValueMatch.IgnoreCase), Cluster(field.OnMatch));
    }

    private static string Cluster(Matcher.Types.OnMatch? chosen) =>
        chosen?.Action?.TypedConfig is { } action && action.TryRead(out Route route)
            ? route.Cluster
            : throw new ResourceException("udp_proxy: an action of the matcher is not a Route");
}

/// <summary>Decodes the LDS resources of listeners for datagrams.</summary>
internal static class UdpDecoder
{
    /// <param name="listener">The resource.</param>
    /// <param name="bytes">The same as bytes.</param>
    /// <exception cref="ResourceException">The resource cannot be used.</exception>
    public static ListenerSnapshot Decode(Listener listener, ByteString bytes)
    {
        if (listener.UdpListenerConfig?.QuicOptions is not null) throw new ResourceException("udp_listener_config: quic_options are not supported");
        if (listener.FilterChains.Count > 0) throw new ResourceException("filter_chains of a UDP listener are not supported");
        var socket = listener.Address.SocketAddress;
        if (!IPAddress.TryParse(socket.Address, out var ip) || socket.PortValue is 0 or > 65535)
            throw new ResourceException("address: an IP address and a port are needed");
        var notes = new List<string>();
        var filters = new UdpFilters(notes);
        foreach (var filter in listener.ListenerFilters)
            if (!UdpFilters.Kinds.Take(filter.TypedConfig ?? new(), filter.Name, filters))
                throw new ResourceException($"listener filter '{filter.Name}' is not supported for UDP");
        return new(
            listener.Name, new(ip, (int)socket.PortValue), listener.BindToPort ?? true, HandOff: false, RestoreOriginalDestination: false,
            ListenerDecoder.DirectionOf(listener),
            InspectTls: null, InspectHttp: null, TimeSpan.Zero, ContinueOnTimeout: false, new FilterChainTable([], null), [], notes.ToValueList(), bytes)
        {
            Udp = filters.Action ?? throw new ResourceException("no filter takes the datagrams"),
        };
    }
}
