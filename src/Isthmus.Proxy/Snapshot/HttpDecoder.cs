using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Istio.Stats;
using Manager = Isthmus.Wire.Envoy.NetworkFilters.HttpConnectionManager;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes HTTP connection managers.</summary>
internal static class HttpDecoder
{
    /// <exception cref="ResourceException">The connection manager cannot be used.</exception>
    public static HttpAction Decode(Manager http, List<string> notes)
    {
        var filters = new Filters($"http.{http.StatPrefix}.", http.HttpFilters);
        foreach (var filter in http.HttpFilters)
        {
            filters.Taken++;
            Take(filter, filters, notes);
        }
        if (!filters.HasRouter) throw new ResourceException($"http_connection_manager '{http.StatPrefix}' has no router filter");
        var inline = http.RouteSpecifierCase == Manager.RouteSpecifierOneofCase.RouteConfig ? RouteDecoder.Decode(http.RouteConfig) : null;
        if (inline is null && http.Rds?.RouteConfigName is not { Length: > 0 })
            throw new ResourceException($"http_connection_manager '{http.StatPrefix}' has no routes");
        if (http.LocalReplyConfig is not null) notes.Add("local_reply_config is ignored");
        var common = http.CommonHttpProtocolOptions;
        var cert = http.SetCurrentClientCertDetails;
        if (cert is { Chain: true }) notes.Add("set_current_client_cert_details.chain is ignored");
        return new(
            http.StatPrefix, inline is null ? http.Rds.RouteConfigName : inline.Name, inline,
            http.ServerName.Length > 0 ? http.ServerName : "envoy",
            (ServerField)(int)http.ServerHeaderTransformation,
            http.UseRemoteAddress ?? false, (int)http.XffNumTrustedHops, http.SkipXffAppend,
            (ClientCertMode)(int)http.ForwardClientCertDetails,
            new(cert?.Subject ?? false, cert?.Cert ?? false, cert?.Dns ?? false, cert?.Uri ?? false),
            http.UpgradeConfigs.Where(u => u.Enabled ?? true).Select(u => u.UpgradeType.ToLowerInvariant()).ToValueList(),
            Time(http.StreamIdleTimeout, TimeSpan.FromMinutes(5)),
            Time(common?.IdleTimeout, TimeSpan.FromHours(1)),
            Time(common?.MaxConnectionDuration, TimeSpan.Zero),
            (int)(common?.MaxRequestsPerConnection ?? 0u),
            http.NormalizePath ?? false, http.MergeSlashes,
            http.PathWithEscapedSlashesAction switch
            {
                Manager.Types.PathWithEscapedSlashesAction.RejectRequest => EscapedSlashes.Reject,
                Manager.Types.PathWithEscapedSlashesAction.UnescapeAndRedirect => EscapedSlashes.Redirect,
                Manager.Types.PathWithEscapedSlashesAction.UnescapeAndForward => EscapedSlashes.Forward,
                _ => EscapedSlashes.Keep,
            },
            http.HttpProtocolOptions?.AcceptHttp10 ?? false, http.HttpProtocolOptions?.DefaultHostForHttp10 ?? "",
            http.GenerateRequestId ?? true, http.PreserveExternalRequestId, http.AlwaysSetRequestIdInResponse,
            http.StripMatchingHostPort || http.StripAnyHostPort, http.Via,
            filters.Alpn, filters.ExchangesMetadata, filters.Access, filters.Fault, filters.HasCors,
            (int)Math.Clamp(http.MaxRequestHeadersKb ?? 60u, 1, 8192) * 1024,
            AccessLogDecoder.Decode(http.AccessLog, notes))
        {
            Tracing = TracingDecoder.Decode(http, notes),
            RefusesAmbiguousPaths = http.TypedHeaderValidationConfig is { } validation && (validation.Name == "isthmus.strict_paths"
                ? true : throw new ResourceException($"typed_header_validation_config '{validation.Name}' is not supported")),
            RequestTimeout = Time(http.RequestTimeout, TimeSpan.Zero),
            HeadTimeout = Time(http.RequestHeadersTimeout, TimeSpan.Zero),
            MaxStreams = (int)Math.Clamp(http.Http2ProtocolOptions?.MaxConcurrentStreams ?? int.MaxValue, 1, int.MaxValue),
            Underscores = (Underscores)(int)(common?.HeadersWithUnderscoresAction ?? 0),
            MaxStreamDuration = Time(common?.MaxStreamDuration, TimeSpan.Zero),
            LateAccess = filters.Late,
            Metrics = filters.Metrics,
            CountsMessages = filters.CountsMessages,
            AddsEnvoyFields = filters.AddsEnvoyFields,
            TellsMeshOnly = filters.TellsMeshOnly,
            InternalRanges = (http.InternalAddressConfig?.CidrRanges ?? []).Select(MatchDecoder.Range).ToValueList(),
        };
    }

    /// <param name="stats">What the names of the counters of filters begin with.</param>
    /// <param name="all">All filters, in their order.</param>
    private sealed class Filters(string stats, IReadOnlyList<HttpFilter> all)
    {
        public string Stats => stats;

        public int Taken;

        /// <summary>A later filter passes the claims of tokens to routes, which are then chosen again. The token check itself does both.</summary>
        public bool ClearsRouteLater => all.Skip(Taken).Any(filter => !filter.Disabled
            && TypedConfigs.Plain(filter.TypedConfig ?? new()).TryRead(out Wire.Istio.Authn.FilterConfig claims) && !claims.DisableClearRouteCache);

        public bool HasRouter;
        public bool HasCors;
        public bool ExchangesMetadata;
        public bool TellsMeshOnly;
        public bool AddsEnvoyFields = true;
        public bool CountsMessages;
        public FaultSettings? Fault;
        public MetricRules? Metrics;
        public ValueMap<ValueList<string>> Alpn = new([]);
        public readonly List<AccessFilter> Access = [];
        public readonly List<AccessFilter> Late = [];

        /// <summary>What follows comes after the filters for CORS and faults.</summary>
        public bool IsLate;

        public void Add(AccessFilter filter) => (IsLate ? Late : Access).Add(filter);
    }

    private static void Take(HttpFilter filter, Filters into, List<string> notes)
    {
        if (filter.Disabled) return;
        if (filter.ConfigTypeCase == HttpFilter.ConfigTypeOneofCase.ConfigDiscovery)
            throw new ResourceException($"http filter '{filter.Name}': configuration by discovery is not supported");
        var config = TypedConfigs.Plain(filter.TypedConfig ?? new());
        if (config.TryRead(out Router router)) (into.HasRouter, into.AddsEnvoyFields) = (true, !router.SuppressEnvoyHeaders);
        else if (config.TryRead(out Wire.Istio.Alpn.FilterConfig alpn)) into.Alpn = Alpn(alpn);
        else if (config.TryRead(out HTTPFault fault)) (into.Fault, into.IsLate) = (RouteDecoder.Fault(fault), true);
        else if (config.TryRead(out Cors _)) into.HasCors = into.IsLate = true;
        else if (config.TryRead(out Wire.Envoy.HttpFilters.RBAC rbac)) into.Add(new RbacFilter(rbac.Rules, rbac.ShadowRules, "envoy.filters.http.rbac", into.Stats, rbac.ShadowRulesStatPrefix));
        else if (config.TryRead(out Wire.Envoy.HttpFilters.ExtAuthz external)) into.Add(ExternalCheckDecoder.Decode(external, into.Stats));
        else if (config.TryRead(out JwtAuthentication tokens)) into.Add(new TokenFilter(new(tokens), into.ClearsRouteLater || tokens.Providers.Values.Any(provider => provider.ClearRouteCache)));
        else if (config.TryRead(out LocalRateLimit limit)) into.Add(new LocalLimitFilter(filter.Name, LimitDecoder.Local(limit, notes)));
        else if (config.TryRead(out Wire.Envoy.HttpFilters.RateLimit shared)) into.Add(LimitDecoder.Global(filter.Name, shared, notes));
        else if (config.TryRead(out Wire.Istio.Authn.FilterConfig _))
        {
            // The token check before it has read what it says.
        }
        else if (config.TryRead(out Wire.Istio.Peers.Config peers))
        {
            into.ExchangesMetadata = true;
            into.TellsMeshOnly = peers.UpstreamPropagation.Any(way => way.IstioHeaders is { SkipExternalClusters: true });
        }
        else if (filter.Name == "istio.metadata_exchange") into.ExchangesMetadata = true;
        else if (config.TryRead(out PluginConfig metrics)) into.Metrics = MetricRules.Of(metrics, notes);
        else if (config.TryRead(out Wire.Envoy.HttpFilters.GrpcStats.FilterConfig messages)) into.CountsMessages = messages.EmitFilterState;
        else if (filter.Name == "istio.stats")
        {
            // Metrics are kept without it; its older forms are programs.
        }
        else if (filter.IsOptional || filter.Name is "envoy.filters.http.grpc_web") notes.Add($"http filter '{filter.Name}' is ignored");
        else throw new ResourceException($"http filter '{filter.Name}' with {config.TypeUrl} is not supported");
    }

    private static ValueMap<ValueList<string>> Alpn(Wire.Istio.Alpn.FilterConfig config) => new(config.AlpnOverride.Select(o =>
        KeyValuePair.Create(o.UpstreamProtocol.ToString().ToUpperInvariant(), o.AlpnOverride_.ToValueList())));

    private static TimeSpan Time(Duration? duration, TimeSpan otherwise) => duration?.ToTimeSpan() ?? otherwise;
}
