using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.HttpFilters.Composites;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Istio.Stats;
using Alpn = Isthmus.Wire.Istio.Alpn.FilterConfig;
using Authn = Isthmus.Wire.Istio.Authn.FilterConfig;

namespace Isthmus.Proxy.Filters;

/// <summary>The HTTP filters of a connection manager, as they are decoded.</summary>
/// <param name="stats">What the names of the counters of filters begin with.</param>
/// <param name="all">All filters, in their order.</param>
internal sealed class HttpFilters(string stats, IReadOnlyList<HttpFilter> all, List<string> notes)
{
    private static readonly HttpFilterKind[] All =
    [
        HttpFilterKind.Setting<Router>("envoy.filters.http.router",
            (router, into) => (into.HasRouter, into.AddsEnvoyFields) = (true, !router.SuppressEnvoyHeaders)),
        HttpFilterKind.Setting<Alpn>("istio.alpn", (alpn, into) => into.Alpn = Overrides(alpn)),
        FaultFilter.Kind,
        CorsFilter.Kind,
        PolicyFilter.Kind,
        AuthorizerFilter.Kind,
        // By itself it runs nothing: what it may run, routes say to the filter around it.
        HttpFilterKind.Setting<Composite>("envoy.filters.http.composite"),
        CompositeFilter.Kind,
        TokenFilter.Kind,
        LocalLimitFilter.Kind,
        GlobalLimitFilter.Kind,
        // The token check before it has read what it says.
        HttpFilterKind.Setting<Authn>("istio_authn"),
        PeerFilter.Kind,
        HttpFilterKind.Setting<PluginConfig>("istio.stats", (metrics, into) => into.Metrics = MetricRules.Of(metrics, into.Notes)),
        MessageFilter.Kind,
        // The cluster that the route names resolves the request's host.
        HttpFilterKind.Setting<Wire.Envoy.HttpFilters.DynamicForwardProxy.FilterConfig>("envoy.filters.http.dynamic_forward_proxy"),
        SessionFilter.Kind,
        HeaderMutationFilter.Kind,
        SetStateFilter.Kind,
        LoopFilter.Kind,
        HttpFilterKind.Setting<GrpcWeb>("envoy.filters.http.grpc_web", (_, into) => into.Notes.Add($"http filter '{into.Name}' is ignored")),
    ];

    private static readonly Dictionary<string, RouteKind> RouteKinds =
        All.Select(kind => kind.OfRoutes).OfType<RouteKind>().ToDictionary(kind => kind.Type, StringComparer.Ordinal);

    /// <summary>The filters that this proxy has.</summary>
    public static readonly FilterKinds<HttpFilters> Kinds = new("envoy.filters.http", [.. All.Select(kind => kind.Listed)]);

    public bool HasRouter { get; private set; }
    public bool AddsEnvoyFields { get; private set; } = true;
    public MetricRules? Metrics { get; private set; }
    public ValueMap<ValueList<string>> Alpn { get; private set; } = new([]);

    /// <summary>Those that do something at some step, in their order.</summary>
    public List<ListedFilter> Listed { get; } = [];

    /// <summary>The names of those that may refuse a request.</summary>
    public HashSet<string> Policies { get; } = new(StringComparer.Ordinal);

    /// <summary>What the names of the counters of filters begin with.</summary>
    public string Stats => stats;

    public List<string> Notes => notes;

    /// <summary>That of the filter which is decoded.</summary>
    public string Name { get; private set; } = "";

    private int _taken;

    /// <exception cref="ResourceException">A filter cannot be used.</exception>
    public void TakeAll()
    {
        foreach (var filter in all)
        {
            _taken++;
            if (filter.Disabled) TakeDisabled(filter);
            else Take(filter);
        }
    }

    /// <summary>The filter is off where routes say nothing. Those that do not depend on routes are off for all of them.</summary>
    private void TakeDisabled(HttpFilter filter)
    {
        var taken = new HttpFilters(stats, [filter], []);
        taken.Take(filter);
        Listed.AddRange(taken.Listed.Where(listed => !listed.Filter.Steps.HasFlag(FilterSteps.Arrival)).Select(listed => listed with { IsOff = true }));
        Policies.UnionWith(taken.Policies);
    }

    public void Add(RequestFilter filter)
    {
        Listed.Add(new(filter));
        if (filter.IsPolicy) Policies.Add(filter.Name);
    }

    /// <summary>Peers introduce themselves once.</summary>
    public void Replace(PeerFilter filter)
    {
        Listed.RemoveAll(listed => listed.Filter is PeerFilter);
        Add(filter);
    }

    /// <summary>What one of these filters is told for a route.</summary>
    /// <param name="config">The message.</param>
    /// <param name="name">The name of the filter.</param>
    /// <returns>Null: none is told that, or it is something that the proxy cannot do.</returns>
    /// <exception cref="ResourceException">It cannot be used.</exception>
    public static IRouteOverride? Read(Any config, string name, List<string> notes) => KindOf(config)?.Read(config, name, notes);

    /// <summary>Whether a filter can be told that for one cluster of several of a route.</summary>
    /// <param name="config">The message.</param>
    public static bool IsForShare(Any any, out Any config) =>
        TypedConfigs.TryForRoute(any, out var form, out config, out _) && form == RouteForm.Own && KindOf(config) is { IsForShares: true };

    /// <summary>What filters are told for one cluster of several of a route, by their names; null for nothing.</summary>
    /// <exception cref="ResourceException">It cannot be used.</exception>
    public static Dictionary<string, IRouteOverride>? OfShare(MapField<string, Any> filters, List<string> notes)
    {
        Dictionary<string, IRouteOverride>? found = null;
        foreach (var (name, any) in filters)
            if (IsForShare(any, out var config) && Read(config, name, notes) is { } told) (found ??= new(StringComparer.Ordinal))[name] = told;
        return found;
    }

    private static RouteKind? KindOf(Any config) => RouteKinds.GetValueOrDefault(config.TypeUrl[(config.TypeUrl.LastIndexOf('/') + 1)..]);

    private void Take(HttpFilter filter)
    {
        if (filter.ConfigTypeCase == HttpFilter.ConfigTypeOneofCase.ConfigDiscovery)
        {
            Unknown(filter, "configuration by discovery");
            return;
        }
        var isRead = TypedConfigs.TryPlain(filter.TypedConfig, out var config, out var fault);
        Name = filter.Name;
        if (isRead && Kinds.Take(config, filter.Name, this)) return;
        switch (filter.Name)
        {
            // In their older forms these two are programs. Metrics are kept without one.
            case "istio.metadata_exchange":
                if (!Listed.Exists(listed => listed.Filter is PeerFilter)) Add(new PeerFilter(filter.Name, tellsMeshOnly: false));
                return;
            case "istio.stats":
                if (!isRead) notes.Add($"http filter '{filter.Name}' with {fault} is ignored");
                return;
            case "envoy.filters.http.grpc_web":
                notes.Add($"http filter '{filter.Name}' is ignored");
                return;
            default:
                Unknown(filter, isRead ? TypedConfigs.TypeOf(config) : fault, isLacking: isRead || !Kinds.Has(TypedConfigs.StructTypeOf(config)));
                return;
        }
    }

    /// <summary>The rest of the listener is served. Who may call could depend on the filter, so that nobody may unless the control plane says that
    /// the proxy can do without.</summary>
    /// <param name="isLacking">The proxy has no such filter. One that it has is never optional, whatever its configuration is.</param>
    private void Unknown(HttpFilter filter, string config, bool isLacking = true)
    {
        if (filter.IsOptional && isLacking) notes.Add($"http filter '{filter.Name}' with {config} is not supported and is ignored");
        else Refuse(filter.Name, config);
    }

    public void Refuse(string name, string config)
    {
        notes.Add($"http filter '{name}' with {config} is not supported and refuses all requests");
        Add(new LackedFilter(name));
    }

    /// <summary>A later filter passes the claims of tokens to routes, which are then chosen again. The token check itself does both.</summary>
    public bool ClearsRouteLater => all.Skip(_taken).Any(filter => !filter.Disabled
        && TypedConfigs.TryPlain(filter.TypedConfig, out var config, out _) && config.TryRead(out Authn claims) && !claims.DisableClearRouteCache);

    private static ValueMap<ValueList<string>> Overrides(Alpn config) => new(config.AlpnOverride.Select(o =>
        KeyValuePair.Create(o.UpstreamProtocol.ToString().ToUpperInvariant(), o.AlpnOverride_.ToValueList())));
}
