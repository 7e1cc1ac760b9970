using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Tokens;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.HttpFilters;
using NetworkCheck = Isthmus.Wire.Envoy.NetworkFilters.ExtAuthz;
using HttpService = Isthmus.Wire.Envoy.HttpFilters.HttpService;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes ext_authz filters.</summary>
internal static class ExternalCheckDecoder
{
    private static readonly TimeSpan DefaultPatience = TimeSpan.FromMilliseconds(200);

    /// <param name="stats">What the names of its counters begin with.</param>
    /// <exception cref="ResourceException">The filter cannot be used.</exception>
    public static ExternalCheck Decode(ExtAuthz filter, string stats)
    {
        if (filter.FilterEnabled is not null || filter.DenyAtDisable is not null)
            throw new ResourceException("ext_authz: filter_enabled and deny_at_disable are not supported");
        var applies = filter.FilterEnabledMetadata is { } matcher ? RequestMetadata.Matcher(matcher) : null;
        var prefix = filter.StatPrefix.Length > 0 ? $"{stats}ext_authz.{filter.StatPrefix}." : $"{stats}ext_authz.";
        var sent = Names(filter.AllowedHeaders);
        var (cluster, patience, authority, http) = filter.ServicesCase switch
        {
            ExtAuthz.ServicesOneofCase.GrpcService => Grpc(filter.GrpcService),
            ExtAuthz.ServicesOneofCase.HttpService => Http(filter.HttpService),
            _ => throw new ResourceException("ext_authz: no service"),
        };
        if (filter.WithRequestBody is { MaxRequestBytes: 0 or > int.MaxValue })
            throw new ResourceException("ext_authz: with_request_body.max_request_bytes is out of range");
        var (request, response) = (http?.AuthorizationRequest, http?.AuthorizationResponse);
        return new(cluster, patience, applies)
        {
            GrpcAuthority = authority,
            PathPrefix = http?.PathPrefix ?? "",
            FailsOpen = filter.FailureModeAllow,
            MarksFailure = filter.FailureModeAllowHeaderAdd,
            StatusOnError = filter.StatusOnError is { Code: not StatusCode.Empty } status ? (int)status.Code : 403,
            Body = filter.WithRequestBody is { } body ? new((int)body.MaxRequestBytes, body.AllowPartialMessage, body.PackAsBytes) : null,
            Sent = sent ?? Names(request?.AllowedHeaders),
            Withheld = Names(filter.DisallowedHeaders) ?? FieldNames.None,
            Added = [.. (request?.HeadersToAdd ?? []).Select(header => new HeaderEdit(HeadDecoder.Name(header.Key), header.Value, EditAction.Overwrite))],
            ToUpstream = Names(response?.AllowedUpstreamHeaders) ?? FieldNames.None,
            AppendedUpstream = Names(response?.AllowedUpstreamHeadersToAppend) ?? FieldNames.None,
            ToClientOnAllow = Names(response?.AllowedClientHeadersOnSuccess) ?? FieldNames.None,
            ToClientOnDeny = Names(response?.AllowedClientHeaders),
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
        var (cluster, patience, authority, _) = Grpc(filter.GrpcService ?? throw new ResourceException("ext_authz: no service"));
        return new(cluster, patience, filter.FilterEnabledMetadata is { } matcher ? RequestMetadata.Matcher(matcher) : null)
        {
            GrpcAuthority = authority,
            FailsOpen = filter.FailureModeAllow,
            TellsCertificate = filter.IncludePeerCertificate,
            TellsServerName = filter.IncludeTlsSession,
            Stats = $"ext_authz.{filter.StatPrefix}{(filter.StatPrefix.EndsWith('.') ? "" : ".")}",
        };
    }

    private static (string Cluster, TimeSpan Patience, string? Authority, HttpService? Http) Grpc(GrpcService service)
    {
        if (service.EnvoyGrpc is not { ClusterName.Length: > 0 } target) throw new ResourceException("ext_authz: only envoy_grpc is supported");
        return (target.ClusterName, service.Timeout?.ToTimeSpan() ?? DefaultPatience, target.Authority.Length > 0 ? target.Authority : target.ClusterName,
            null);
    }

    private static (string Cluster, TimeSpan Patience, string? Authority, HttpService? Http) Http(HttpService service)
    {
        if (service.ServerUri is not { Cluster.Length: > 0 } uri) throw new ResourceException("ext_authz: http_service has no cluster");
        return (uri.Cluster, uri.Timeout?.ToTimeSpan() ?? DefaultPatience, null, service);
    }

    private static FieldNames? Names(ListStringMatcher? list) => list is null ? null : new([.. list.Patterns.Select(TextMatch.From)]);
}
