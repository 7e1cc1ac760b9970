using System.Net;
using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes LDS resources.</summary>
internal static class ListenerDecoder
{
    /// <exception cref="ResourceException">The resource cannot be used.</exception>
    public static ListenerSnapshot Decode(Listener listener) => Decode(listener, listener.ToByteString());

    /// <exception cref="ResourceException">The resource cannot be used.</exception>
    /// <exception cref="InvalidProtocolBufferException">The resource cannot be read.</exception>
    public static ListenerSnapshot Decode(ByteString bytes) => Decode(Listener.Parser.ParseFrom(bytes), bytes);

    private static ListenerSnapshot Decode(Listener listener, ByteString bytes)
    {
        if (listener.Name.Length == 0) throw new ResourceException("a listener without a name");
        if (listener.FilterChainMatcher is not null)
            throw new ResourceException("filter_chain_matcher is not supported: chains have a filter_chain_match each");
        if (listener.Address?.SocketAddress?.Protocol == Isthmus.Wire.Envoy.SocketAddress.Types.Protocol.Udp) return UdpDecoder.Decode(listener, bytes);
        var notes = new List<string>();
        var isInternal = listener.InternalListener is not null;
        if (isInternal && listener.Address is not null) throw new ResourceException("address: an internal listener has none");
        if ((isInternal ? ListenerSnapshot.Nowhere : EndpointDecoder.Address(listener.Address)) is not IPEndPoint address)
            throw new ResourceException("address: only TCP sockets are supported");
        if (listener.AdditionalAddresses.Count > 0) notes.Add("additional_addresses are ignored");
        var found = new ListenerFilters(notes);
        foreach (var filter in listener.ListenerFilters) found.Take(filter);
        if (listener.FilterChains.Count == 0 && listener.DefaultFilterChain is null) throw new ResourceException("no filter chains specified");
        var chains = listener.FilterChains.Select(c => Chain(c, notes)).ToArray();
        var byDefault = listener.DefaultFilterChain is null ? null : Chain(listener.DefaultFilterChain, notes);
        return new(
            listener.Name, address, !isInternal && (listener.BindToPort ?? true), listener.UseOriginalDst ?? false,
            found.RestoresDestination || (listener.UseOriginalDst ?? false),
            DirectionOf(listener),
            found.Tls, found.Http,
            listener.ListenerFiltersTimeout?.ToTimeSpan() ?? TimeSpan.FromSeconds(15),
            listener.ContinueOnListenerFiltersTimeout,
            new FilterChainTable(chains, byDefault),
            AccessLogDecoder.Decode(listener.AccessLog, notes),
            notes.Distinct().ToValueList(),
            bytes) { IsInternal = isInternal, ProxyHeader = found.ProxyHeader, Unsupported = found.Unsupported };
    }

    public static Direction DirectionOf(Listener listener) => listener.TrafficDirection switch
    {
        TrafficDirection.Inbound => Direction.Inbound,
        TrafficDirection.Outbound => Direction.Outbound,
        _ => Direction.Unknown,
    };

    private static FilterChainSnapshot Chain(FilterChain chain, List<string> notes)
    {
        var filters = new NetworkFilters(chain.Name, notes);
        foreach (var filter in chain.Filters) filters.Take(filter);
        return new(chain.Name, Match(chain.FilterChainMatch ?? new()), TlsSettings.From(chain.TransportSocket, downstream: true), filters.Action,
            filters.Access) { ExchangesMetadata = filters is { Exchanges: true, Action: TcpAction } };
    }

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
}
