using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.HttpFilters.Composites;
using Isthmus.Wire.Envoy.HttpFilters.HeaderMutations;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Istio.Stats;
using Alpn = Isthmus.Wire.Istio.Alpn.FilterConfig;
using Authn = Isthmus.Wire.Istio.Authn.FilterConfig;
using GrpcStats = Isthmus.Wire.Envoy.HttpFilters.GrpcStats.FilterConfig;

namespace Isthmus.Proxy.Snapshot;

/// <summary>The HTTP filters of a connection manager, as they are decoded.</summary>
/// <param name="stats">What the names of the counters of filters begin with.</param>
/// <param name="all">All filters, in their order.</param>
internal sealed class HttpFilters(string stats, IReadOnlyList<HttpFilter> all, List<string> notes)
{
    /// <summary>The filters that this proxy has.</summary>
    public static readonly FilterKinds<HttpFilters> Kinds = new("envoy.filters.http",
        FilterKind<HttpFilters>.Of<Router>("envoy.filters.http.router",
            (router, _, into) => (into.HasRouter, into.AddsEnvoyFields) = (true, !router.SuppressEnvoyHeaders)),
        FilterKind<HttpFilters>.Of<Alpn>("istio.alpn", (alpn, _, into) => into.Alpn = Overrides(alpn)),
        FilterKind<HttpFilters>.Of<HTTPFault>("envoy.filters.http.fault",
            (fault, name, into) => into.Add(new FaultFilter(name, RouteFilters.Fault(fault)), name)),
        FilterKind<HttpFilters>.Of<Cors>("envoy.filters.http.cors", static (_, name, into) => into.Add(new CorsFilter(name), name)),
        FilterKind<HttpFilters>.Of<Wire.Envoy.HttpFilters.RBAC>("envoy.filters.http.rbac",
            (rbac, name, into) => into.Add(
                new RbacFilter(rbac.Rules, rbac.ShadowRules, "envoy.filters.http.rbac", into.Stats, rbac.ShadowRulesStatPrefix), name)),
        FilterKind<HttpFilters>.Of<Wire.Envoy.HttpFilters.ExtAuthz>("envoy.filters.http.ext_authz",
            (external, name, into) => into.Add(ExternalCheckDecoder.Decode(external, name, into.Stats), name)),
        // By itself it runs nothing: what it may run, routes say to the filter around it.
        FilterKind<HttpFilters>.Of<Composite>("envoy.filters.http.composite", static (_, _, _) => { }),
        FilterKind<HttpFilters>.Of<ExtensionWithMatcher>("envoy.filters.http.match_delegate", static (around, name, into) => into.Add(around, name)),
        FilterKind<HttpFilters>.Of<JwtAuthentication>("envoy.filters.http.jwt_authn",
            (tokens, name, into) => into.Add(new TokenFilter(new(tokens),
                into.ClearsRouteLater || tokens.Providers.Values.Any(provider => provider.ClearRouteCache)), name)),
        FilterKind<HttpFilters>.Of<LocalRateLimit>("envoy.filters.http.local_ratelimit",
            (limit, name, into) => into.Add(new LocalLimitFilter(name, LimitDecoder.Local(limit, into.Notes)), name)),
        FilterKind<HttpFilters>.Of<Wire.Envoy.HttpFilters.RateLimit>("envoy.filters.http.ratelimit",
            (shared, name, into) => into.Add(LimitDecoder.Global(name, shared, into.Notes), name)),
        // The token check before it has read what it says.
        FilterKind<HttpFilters>.Of<Authn>("istio_authn", static (_, _, _) => { }),
        FilterKind<HttpFilters>.Of<Wire.Istio.Peers.Config>("istio.metadata_exchange", (peers, _, into) =>
        {
            into.ExchangesMetadata = true;
            into.TellsMeshOnly = peers.UpstreamPropagation.Any(way => way.IstioHeaders is { SkipExternalClusters: true });
        }),
        FilterKind<HttpFilters>.Of<PluginConfig>("istio.stats", (metrics, _, into) => into.Metrics = MetricRules.Of(metrics, into.Notes)),
        FilterKind<HttpFilters>.Of<GrpcStats>("envoy.filters.http.grpc_stats", (messages, _, into) => into.CountsMessages = messages.EmitFilterState),
        // The cluster that the route names resolves the request's host.
        FilterKind<HttpFilters>.Of<Wire.Envoy.HttpFilters.DynamicForwardProxy.FilterConfig>("envoy.filters.http.dynamic_forward_proxy", (_, _, _) => { }),
        FilterKind<HttpFilters>.Of<StatefulSession>("envoy.filters.http.stateful_session",
            (session, name, into) => into.Add(new SessionFilter(name, SessionSettings.Of(session)), name)),
        FilterKind<HttpFilters>.Of<HeaderMutation>("envoy.filters.http.header_mutation", (filter, name, into) => into.Add(
            new HeaderMutationFilter(name, HeaderMutationFilter.Decode(filter.Mutations, into.Notes), filter.MostSpecificHeaderMutationsWins), name)),
        FilterKind<HttpFilters>.Of<GrpcWeb>("envoy.filters.http.grpc_web", (_, name, into) => into.Notes.Add($"http filter '{name}' is ignored")));

    public bool HasRouter { get; private set; }
    public bool ExchangesMetadata { get; private set; }
    public bool TellsMeshOnly { get; private set; }
    public bool AddsEnvoyFields { get; private set; } = true;
    public bool CountsMessages { get; private set; }
    public MetricRules? Metrics { get; private set; }
    public ValueMap<ValueList<string>> Alpn { get; private set; } = new([]);

    /// <summary>Those that may answer a request, in their order.</summary>
    public List<ListedFilter> All { get; } = [];

    /// <summary>The names of those that may refuse a request.</summary>
    public HashSet<string> Policies { get; } = new(StringComparer.Ordinal);

    private string Stats => stats;
    private List<string> Notes => notes;

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

    /// <summary>The filter is off where routes say nothing. Those that cannot answer a request are off for all routes.</summary>
    private void TakeDisabled(HttpFilter filter)
    {
        var taken = new HttpFilters(stats, [filter], []);
        taken.Take(filter);
        All.AddRange(taken.All.Select(listed => listed with { IsOff = true }));
        Policies.UnionWith(taken.Policies);
    }

    private void Add(AccessFilter filter, string name) => All.Add(new(filter, name));

    private void Add(ExtensionWithMatcher around, string name)
    {
        if (around is { Matcher: null, XdsMatcher: null } && around.ExtensionConfig?.TypedConfig.TryRead(out Composite _) == true)
            Add(new RouteFilter(name), name);
        else Refuse(name, "a matcher, or around another filter than a composite one");
    }

    private void Take(HttpFilter filter)
    {
        if (filter.ConfigTypeCase == HttpFilter.ConfigTypeOneofCase.ConfigDiscovery)
        {
            Unknown(filter, "configuration by discovery");
            return;
        }
        var isRead = TypedConfigs.TryPlain(filter.TypedConfig, out var config, out var fault);
        var before = All.Count;
        if (isRead && Kinds.Take(config, filter.Name, this))
        {
            if (All.Count > before && All[^1].Filter is not (FaultFilter or CorsFilter or SessionFilter or HeaderMutationFilter)) Policies.Add(filter.Name);
            return;
        }
        switch (filter.Name)
        {
            // In their older forms these two are programs. Metrics are kept without one.
            case "istio.metadata_exchange":
                ExchangesMetadata = true;
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

    private void Refuse(string name, string config)
    {
        notes.Add($"http filter '{name}' with {config} is not supported and refuses all requests");
        Add(new UnsupportedFilter(name), name);
        Policies.Add(name);
    }

    /// <summary>A later filter passes the claims of tokens to routes, which are then chosen again. The token check itself does both.</summary>
    private bool ClearsRouteLater => all.Skip(_taken).Any(filter => !filter.Disabled
        && TypedConfigs.TryPlain(filter.TypedConfig, out var config, out _) && config.TryRead(out Authn claims) && !claims.DisableClearRouteCache);

    private static ValueMap<ValueList<string>> Overrides(Alpn config) => new(config.AlpnOverride.Select(o =>
        KeyValuePair.Create(o.UpstreamProtocol.ToString().ToUpperInvariant(), o.AlpnOverride_.ToValueList())));
}
