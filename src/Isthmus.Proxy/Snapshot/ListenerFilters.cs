using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Matching;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.ListenerFilters;
using Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Proxy.Snapshot;

/// <summary>The filters of a listener, as they are decoded.</summary>
internal sealed class ListenerFilters(List<string> notes)
{
    private const string Prefix = "envoy.filters.listener.";

    /// <summary>The filters that this proxy has.</summary>
    public static readonly FilterKinds<ListenerFilters> Kinds = new("envoy.filters.listener",
        FilterKind<ListenerFilters>.Of<TlsInspector>(Prefix + "tls_inspector", (_, _, into) => into.Tls = Enabled(into._disabled)),
        FilterKind<ListenerFilters>.Of<HttpInspector>(Prefix + "http_inspector", (_, _, into) => into.Http = Enabled(into._disabled)),
        FilterKind<ListenerFilters>.Of<OriginalDst>(Prefix + "original_dst", (_, _, into) => into.RestoresDestination = true),
        FilterKind<ListenerFilters>.Of<ProxyProtocol>(Prefix + "proxy_protocol",
            (config, name, into) => into.ProxyHeader = Header(config, name, into._disabled)));

    private ListenerFilterChainMatchPredicate? _disabled; // of the filter that is taken

    public PortPredicate? Tls { get; private set; }
    public PortPredicate? Http { get; private set; }
    public ProxyHeaderRules? ProxyHeader { get; private set; }
    public bool RestoresDestination { get; private set; }
    public List<UnsupportedListenerFilter> Unsupported { get; } = [];

    /// <exception cref="ResourceException">The filter cannot be used.</exception>
    public void Take(ListenerFilter filter)
    {
        _disabled = filter.FilterDisabled;
        if (filter.ConfigDiscovery is not null)
        {
            Unknown(filter, "configuration by discovery");
            return;
        }
        if (!TypedConfigs.TryPlain(filter.TypedConfig, out var config, out var fault))
        {
            Unknown(filter, fault);
            return;
        }
        // The name counts where there is no configuration.
        if (config.TypeUrl.Length > 0
            ? Kinds.Take(config, filter.Name, this)
            : Kinds.TakeBare(Prefix + filter.Name[(filter.Name.LastIndexOf('.') + 1)..], this))
            return;
        Unknown(filter, TypedConfigs.TypeOf(config));
    }

    /// <summary>The filter could refuse a connection, say where it goes to or comes from, or choose its chain. Ports for which it is off are served.</summary>
    private void Unknown(ListenerFilter filter, string config)
    {
        notes.Add($"listener filter '{filter.Name}' with {(config.Length > 0 ? config : "no configuration")} is not supported and closes all connections"
            + (filter.FilterDisabled is null ? "" : " except those to ports for which it is disabled"));
        Unsupported.Add(new(filter.Name, Enabled(filter.FilterDisabled)));
    }

    private static ProxyHeaderRules Header(ProxyProtocol config, string name, ListenerFilterChainMatchPredicate? disabled)
    {
        if (disabled is not null) throw new ResourceException($"listener filter '{name}': filter_disabled is not supported");
        var disallowed = config.DisallowedVersions;
        return new(config.AllowRequestsWithoutProxyProtocol, !disallowed.Contains(ProxyProtocolConfig.Types.Version.V1),
            !disallowed.Contains(ProxyProtocolConfig.Types.Version.V2));
    }

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
}
