using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Tokens;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.HttpFilters;
using NetworkCheck = Isthmus.Wire.Envoy.NetworkFilters.ExtAuthz;
using HttpService = Isthmus.Wire.Envoy.HttpFilters.HttpService;

namespace Isthmus.Proxy.Policy;

/// <summary>Decodes ext_authz filters.</summary>
internal static class ExternalCheckDecoder
{
    private static readonly TimeSpan DefaultPatience = TimeSpan.FromMilliseconds(200);

    /// <param name="filter">The filter.</param>
    /// <param name="name">Its name in the listener.</param>
    /// <param name="stats">What the names of its counters begin with.</param>
    /// <exception cref="ResourceException">The filter cannot be used.</exception>
    public static ExternalCheck Decode(ExtAuthz filter, string name, string stats)
    {
        if (filter.FilterEnabled is not null || filter.DenyAtDisable is not null)
            throw new ResourceException("ext_authz: filter_enabled and deny_at_disable are not supported");
        var applies = filter.FilterEnabledMetadata is { } matcher ? RequestMetadata.Matcher(matcher) : null;
        var prefix = filter.StatPrefix.Length > 0 ? $"{stats}ext_authz.{filter.StatPrefix}." : $"{stats}ext_authz.";
        var sent = Names(filter.AllowedHeaders);
        var authorizer = filter.ServicesCase switch
        {
            ExtAuthz.ServicesOneofCase.GrpcService => Grpc(filter.GrpcService),
            ExtAuthz.ServicesOneofCase.HttpService => Http(filter.HttpService),
            _ => throw new ResourceException("ext_authz: no service"),
        };
        var older = filter.ServicesCase == ExtAuthz.ServicesOneofCase.HttpService ? filter.HttpService.AuthorizationRequest?.AllowedHeaders : null;
        return new(authorizer, applies)
        {
            Name = name,
            FailsOpen = filter.FailureModeAllow,
            MarksFailure = filter.FailureModeAllowHeaderAdd,
            StatusOnError = filter.StatusOnError is { Code: not StatusCode.Empty } status ? (int)status.Code : 403,
            Body = Body(filter.WithRequestBody),
            Sent = sent ?? Names(older),
            Withheld = Names(filter.DisallowedHeaders) ?? FieldNames.None,
            ClearsRoute = filter.ClearRouteCache,
            TellsCertificate = filter.IncludePeerCertificate,
            TellsServerName = filter.IncludeTlsSession,
            MetadataSpaces = filter.MetadataContextNamespaces.ToValueList(),
            Stats = prefix,
        };
    }

    /// <exception cref="ResourceException">The filter cannot be used.</exception>
    public static ExternalCheck Decode(NetworkCheck filter)
    {
        var authorizer = Grpc(filter.GrpcService ?? throw new ResourceException("ext_authz: no service"));
        return new(authorizer, filter.FilterEnabledMetadata is { } matcher ? RequestMetadata.Matcher(matcher) : null)
        {
            FailsOpen = filter.FailureModeAllow,
            TellsCertificate = filter.IncludePeerCertificate,
            TellsServerName = filter.IncludeTlsSession,
            Stats = $"ext_authz.{filter.StatPrefix}{(filter.StatPrefix.EndsWith('.') ? "" : ".")}",
        };
    }

    /// <summary>What a route says to the filter.</summary>
    /// <exception cref="ResourceException">It cannot be used.</exception>
    public static RouteCheck Decode(ExtAuthzPerRoute route)
    {
        if (route.OverrideCase == ExtAuthzPerRoute.OverrideOneofCase.Disabled) return new(route.Disabled);
        if (route.CheckSettings is not { } settings) throw new ResourceException("ext_authz of a route: neither disabled nor check_settings");
        if (settings is { DisableRequestBodyBuffering: true, WithRequestBody: not null })
            throw new ResourceException("ext_authz of a route: check_settings has both disable_request_body_buffering and with_request_body");
        if (settings is { GrpcService: not null, HttpService: not null })
            throw new ResourceException("ext_authz of a route: check_settings has both grpc_service and http_service");
        return new(IsOff: false)
        {
            WithholdsBody = settings.DisableRequestBodyBuffering,
            Body = Body(settings.WithRequestBody),
            Authorizer = settings.GrpcService is { } grpc ? Grpc(grpc) : settings.HttpService is { } http ? Http(http) : null,
            Context = settings.ContextExtensions.ToDictionary(StringComparer.Ordinal),
        };
    }

    private static CheckedBody? Body(BufferSettings? settings) => settings switch
    {
        null => null,
        { MaxRequestBytes: 0 or > int.MaxValue } => throw new ResourceException("ext_authz: with_request_body.max_request_bytes is out of range"),
        _ => new((int)settings.MaxRequestBytes, settings.AllowPartialMessage, settings.PackAsBytes),
    };

    private static ExternalAuthorizer Grpc(GrpcService service)
    {
        if (service.EnvoyGrpc is not { ClusterName.Length: > 0 } target) throw new ResourceException("ext_authz: only envoy_grpc is supported");
        return new(target.ClusterName, service.Timeout?.ToTimeSpan() ?? DefaultPatience)
        {
            GrpcAuthority = target.Authority.Length > 0 ? target.Authority : target.ClusterName,
        };
    }

    private static ExternalAuthorizer Http(HttpService service)
    {
        if (service.ServerUri is not { Cluster.Length: > 0 } uri) throw new ResourceException("ext_authz: http_service has no cluster");
        if (service.RetryPolicy is { RetryOn.Length: > 0 }) throw new ResourceException("ext_authz: http_service.retry_policy is not supported");
        if (service is { PathPrefix.Length: > 0, PathOverride.Length: > 0 })
            throw new ResourceException("ext_authz: http_service has both path_prefix and path_override");
        if (service.PathOverride.Length > 0 && service.PathOverride[0] != '/')
            throw new ResourceException("ext_authz: http_service.path_override does not begin with /");
        var response = service.AuthorizationResponse;
        return new(uri.Cluster, uri.Timeout?.ToTimeSpan() ?? DefaultPatience)
        {
            PathPrefix = service.PathPrefix,
            Path = service.PathOverride,
            Added = [.. (service.AuthorizationRequest?.HeadersToAdd ?? []).Select(
                header => new HeaderEdit(HeadDecoder.Name(header.Key), header.Value, EditAction.Overwrite))],
            ToUpstream = Names(response?.AllowedUpstreamHeaders) ?? FieldNames.None,
            AppendedUpstream = Names(response?.AllowedUpstreamHeadersToAppend) ?? FieldNames.None,
            ToClientOnAllow = Names(response?.AllowedClientHeadersOnSuccess) ?? FieldNames.None,
            ToClientOnDeny = Names(response?.AllowedClientHeaders),
        };
    }

    private static FieldNames? Names(ListStringMatcher? list) => list is null ? null : new([.. list.Patterns.Select(TextMatch.From)]);
}
