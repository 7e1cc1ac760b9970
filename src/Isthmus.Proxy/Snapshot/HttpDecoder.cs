using System.Collections.Frozen;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.NetworkFilters;
using Manager = Isthmus.Wire.Envoy.NetworkFilters.HttpConnectionManager;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes HTTP connection managers.</summary>
internal static class HttpDecoder
{
    /// <exception cref="ResourceException">The connection manager cannot be used.</exception>
    public static HttpAction Decode(Manager http, List<string> notes)
    {
        var filters = new HttpFilters($"http.{http.StatPrefix}.", http.HttpFilters, notes);
        filters.TakeAll();
        if (!filters.HasRouter) throw new ResourceException($"http_connection_manager '{http.StatPrefix}' has no router filter");
        var inline = http.RouteSpecifierCase == Manager.RouteSpecifierOneofCase.RouteConfig ? RouteDecoder.Decode(http.RouteConfig) : null;
        if (inline is null && http.Rds?.RouteConfigName is not { Length: > 0 })
            throw new ResourceException($"http_connection_manager '{http.StatPrefix}' has no routes");
        if (http.LocalReplyConfig is not null) notes.Add("local_reply_config is ignored");
        var upgrades = http.UpgradeConfigs.Where(upgrade => upgrade.Enabled ?? true).Select(upgrade => upgrade.UpgradeType).ToList();
        upgrades.ForEach(RouteDecoder.CheckUpgrade);
        var common = http.CommonHttpProtocolOptions;
        var cert = http.SetCurrentClientCertDetails;
        if (cert is { Chain: true }) notes.Add("set_current_client_cert_details.chain is ignored");
        return new(http.StatPrefix, inline is null ? http.Rds.RouteConfigName : inline.Name, inline, new(filters.Listed),
            AccessLogDecoder.Decode(http.AccessLog, notes))
        {
            Codec = new((int)Math.Clamp(http.MaxRequestHeadersKb ?? 60u, 1, 8192) * 1024, http.HttpProtocolOptions?.AcceptHttp10 ?? false,
                http.HttpProtocolOptions?.DefaultHostForHttp10 ?? "", (int)(common?.MaxRequestsPerConnection ?? 0u),
                (int)Math.Clamp(http.Http2ProtocolOptions?.MaxConcurrentStreams ?? int.MaxValue, 1, int.MaxValue),
                http.Http2ProtocolOptions?.AllowConnect ?? false, (Underscores)(int)(common?.HeadersWithUnderscoresAction ?? 0)),
            Client = new(http.UseRemoteAddress ?? false, (int)http.XffNumTrustedHops, http.SkipXffAppend,
                (ClientCertMode)(int)http.ForwardClientCertDetails, new(cert?.Subject ?? false, cert?.Cert ?? false, cert?.Dns ?? false, cert?.Uri ?? false),
                (http.InternalAddressConfig?.CidrRanges ?? []).Select(MatchDecoder.Range).ToValueList()),
            Paths = new(http.NormalizePath ?? false, http.MergeSlashes, Slashes(http.PathWithEscapedSlashesAction), RefusesAmbiguousPaths(http),
                http.StripMatchingHostPort || http.StripAnyHostPort),
            Ids = new(http.GenerateRequestId ?? true, http.PreserveExternalRequestId, http.AlwaysSetRequestIdInResponse),
            Server = new(http.ServerName.Length > 0 ? http.ServerName : "envoy", (ServerField)(int)http.ServerHeaderTransformation, http.Via),
            Times = new(Time(http.StreamIdleTimeout, TimeSpan.FromMinutes(5)), Time(common?.IdleTimeout, TimeSpan.FromHours(1)),
                Time(common?.MaxConnectionDuration, TimeSpan.Zero), Time(http.RequestTimeout, TimeSpan.Zero),
                Time(http.RequestHeadersTimeout, TimeSpan.Zero), Time(common?.MaxStreamDuration, TimeSpan.Zero)),
            Upgrades = upgrades.Select(type => type.ToLowerInvariant()).ToValueList(),
            AlpnOverride = filters.Alpn,
            AddsEnvoyFields = filters.AddsEnvoyFields,
            Tracing = TracingDecoder.Decode(http, notes),
            Policies = filters.Policies.ToFrozenSet(StringComparer.Ordinal),
            Metrics = filters.Metrics,
        };
    }

    private static EscapedSlashes Slashes(Manager.Types.PathWithEscapedSlashesAction action) => action switch
    {
        Manager.Types.PathWithEscapedSlashesAction.RejectRequest => EscapedSlashes.Reject,
        Manager.Types.PathWithEscapedSlashesAction.UnescapeAndRedirect => EscapedSlashes.Redirect,
        Manager.Types.PathWithEscapedSlashesAction.UnescapeAndForward => EscapedSlashes.Forward,
        _ => EscapedSlashes.Keep,
    };

    private static bool RefusesAmbiguousPaths(Manager http) => http.TypedHeaderValidationConfig is { } validation
        && (validation.Name == "isthmus.strict_paths" ? true
            : throw new ResourceException($"typed_header_validation_config '{validation.Name}' is not supported"));

    private static TimeSpan Time(Duration? duration, TimeSpan otherwise) => duration?.ToTimeSpan() ?? otherwise;
}
