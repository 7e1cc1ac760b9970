using Isthmus.Proxy.Matching;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.RateLimits;
using Isthmus.Wire.Envoy.Routes;
using Bucket = Isthmus.Wire.Envoy.TokenBucket;
using RouteLimit = Isthmus.Wire.Envoy.Routes.RateLimit;
using TokenBucket = Isthmus.Proxy.Policy.TokenBucket;

namespace Isthmus.Proxy.Policy;

/// <summary>Decodes rate limits: those of filters, and what routes say about them.</summary>
internal static class LimitDecoder
{
    private static readonly TimeSpan DefaultPatience = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan ShortestFill = TimeSpan.FromMilliseconds(50);

    /// <exception cref="ResourceException">The filter cannot be used.</exception>
    public static LocalLimit Local(LocalRateLimit filter, List<string> notes)
    {
        if (filter.StatPrefix.Length == 0) throw new ResourceException("local_ratelimit: stat_prefix is missing");
        var descriptors = filter.Descriptors.Select(
            item => ((IReadOnlyList<LimitEntry>)[.. item.Entries.Select(entry => new LimitEntry(entry.Key, entry.Value))],
            Tokens(item.TokenBucket ?? throw new ResourceException("local_ratelimit: a descriptor without token_bucket")))).ToList();
        var byDefault = filter.TokenBucket is { } bucket ? Tokens(bucket) : null;
        return new(new(byDefault, descriptors, filter.AlwaysConsumeDefaultTokenBucket ?? true), filter.StatPrefix)
        {
            Enabled = Share(filter.FilterEnabled),
            Enforced = Share(filter.FilterEnforced),
            Status = filter.Status is { Code: >= StatusCode.BadRequest } status ? (int)status.Code : 429,
            GrpcStatus = filter.RateLimitedAsResourceExhausted ? 8 : null,
            Stage = (int)filter.Stage,
            Host = Host(filter.VhRateLimits),
            Rules = filter.RateLimits.Count == 0 ? null : [.. filter.RateLimits.Select(Rule)],
            PerConnection = filter.LocalRateLimitPerDownstreamConnection,
            TellsClient = filter.EnableXRatelimitHeaders == XRateLimitHeadersRFCVersion.DraftVersion03,
            ToClient = HeadDecoder.Edits([], [], filter.ResponseHeadersToAdd, [], notes).Response,
            ToUpstream = HeadDecoder.Edits(filter.RequestHeadersToAddWhenNotEnforced, [], [], [], notes).Request,
        };
    }

    /// <returns>Null for a filter that is switched off.</returns>
    /// <exception cref="ResourceException">The filter cannot be used.</exception>
    public static ConnectionLimit? Connections(Wire.Envoy.NetworkFilters.LocalLimits.LocalRateLimit filter)
    {
        if (filter.StatPrefix.Length == 0) throw new ResourceException("local_ratelimit: stat_prefix is missing");
        if (filter.ShareKey.Length > 0) throw new ResourceException("local_ratelimit: share_key is not supported");
        var bucket = Tokens(filter.TokenBucket ?? throw new ResourceException("local_ratelimit: token_bucket is missing"));
        return filter.RuntimeEnabled?.DefaultValue == false ? null : new(bucket, filter.StatPrefix);
    }

    /// <exception cref="ResourceException">The filter cannot be used.</exception>
    public static GlobalLimit Global(Wire.Envoy.HttpFilters.RateLimit filter, List<string> notes)
    {
        if (filter.Domain.Length == 0) throw new ResourceException("ratelimit: domain is missing");
        if (filter.RequestType is not ("" or "both")) throw new ResourceException($"ratelimit: request_type '{filter.RequestType}' is not supported");
        if (filter.RateLimitService?.GrpcService?.EnvoyGrpc is not { ClusterName.Length: > 0 } service)
            throw new ResourceException("ratelimit: only envoy_grpc is supported");
        return new(service.ClusterName, filter.Domain, filter.Timeout?.ToTimeSpan() ?? DefaultPatience)
        {
            Authority = service.Authority.Length > 0 ? service.Authority : service.ClusterName,
            Stage = (int)filter.Stage,
            FailsClosed = filter.FailureModeDeny,
            Status = filter.RateLimitedStatus is { Code: >= StatusCode.BadRequest } status ? (int)status.Code : 429,
            StatusOnError = filter.StatusOnError is { Code: not StatusCode.Empty } error ? (int)error.Code : 500,
            GrpcStatus = filter.RateLimitedAsResourceExhausted ? 8 : null,
            TellsClient = filter.EnableXRatelimitHeaders == Wire.Envoy.HttpFilters.RateLimit.Types.XRateLimitHeadersRFCVersion.DraftVersion03,
            IsSilent = filter.DisableXEnvoyRatelimitedHeader,
            ToClient = HeadDecoder.Edits([], [], filter.ResponseHeadersToAdd, [], notes).Response,
            Stats = filter.StatPrefix.Length > 0 ? $".ratelimit.{filter.StatPrefix}." : ".ratelimit.",
        };
    }

    /// <summary>What a route says about rate limits; null for nothing.</summary>
    /// <exception cref="ResourceException">A rule cannot be used.</exception>
    public static RouteLimits? Of(Route route, VirtualHost host)
    {
        var own = (IReadOnlyList<LimitRule>)[.. (route.Route_?.RateLimits ?? []).Select(Rule)];
        var ofHost = (IReadOnlyList<LimitRule>)[.. host.RateLimits.Select(Rule)];
        return own.Count + ofHost.Count == 0 ? null : new(own, ofHost, route.Route_?.IncludeVhRateLimits ?? false);
    }

    public static GlobalRouteLimit Global(RateLimitPerRoute settings) =>
        new(Host((VhRateLimitsOptions)(int)settings.VhRateLimits), [.. settings.RateLimits.Select(Rule)], settings.Domain);

    /// <exception cref="ResourceException">A kind of action that this proxy does not know.</exception>
    public static LimitRule Rule(RouteLimit limit) => new((int)(limit.Stage ?? 0u), [.. limit.Actions.Select(Action)]);

    private static Func<LimitFacts, LimitStep> Action(RouteLimit.Types.Action action)
    {
        switch (action.ActionSpecifierCase)
        {
            case RouteLimit.Types.Action.ActionSpecifierOneofCase.GenericKey:
                return LimitRule.Always(Key(action.GenericKey.DescriptorKey, "generic_key"), action.GenericKey.DescriptorValue);
            case RouteLimit.Types.Action.ActionSpecifierOneofCase.RequestHeaders:
                return LimitRule.Field(action.RequestHeaders.HeaderName, action.RequestHeaders.DescriptorKey, action.RequestHeaders.SkipIfAbsent);
            case RouteLimit.Types.Action.ActionSpecifierOneofCase.QueryParameters:
                return LimitRule.Parameter(action.QueryParameters.QueryParameterName, action.QueryParameters.DescriptorKey,
                    action.QueryParameters.SkipIfAbsent);
            case RouteLimit.Types.Action.ActionSpecifierOneofCase.RemoteAddress:
                return facts => LimitStep.Of("remote_address", $"{facts.RemoteAddress}");
            case RouteLimit.Types.Action.ActionSpecifierOneofCase.MaskedRemoteAddress:
                return LimitRule.Masked((int)Math.Min(action.MaskedRemoteAddress.V4PrefixMaskLen ?? 32u, 32),
                    (int)Math.Min(action.MaskedRemoteAddress.V6PrefixMaskLen ?? 128u, 128));
            case RouteLimit.Types.Action.ActionSpecifierOneofCase.SourceCluster:
                return facts => LimitStep.Of("source_cluster", facts.Source);
            case RouteLimit.Types.Action.ActionSpecifierOneofCase.DestinationCluster:
                return facts => facts.Destination.Length == 0 ? LimitStep.End : LimitStep.Of("destination_cluster", facts.Destination);
            case RouteLimit.Types.Action.ActionSpecifierOneofCase.HeaderValueMatch:
                // One of a field's values is enough to be limited.
                var fields = action.HeaderValueMatch.Headers.Select(MatchDecoder.Header).ToArray();
                var limited = action.HeaderValueMatch.ExpectMatch ?? true;
                var reading = limited ? Reading.Any : Reading.All;
                return LimitRule.Matching(
                    facts => Array.TrueForAll(fields, field => field.IsMatch(facts.Request, facts.Scheme, reading)), limited,
                    Key(action.HeaderValueMatch.DescriptorKey, "header_match"), action.HeaderValueMatch.DescriptorValue);
            case RouteLimit.Types.Action.ActionSpecifierOneofCase.QueryParameterValueMatch:
                var parameters = action.QueryParameterValueMatch.QueryParameters.Select(MatchDecoder.Query).ToArray();
                var expected = action.QueryParameterValueMatch.ExpectMatch ?? true;
                var each = expected ? Reading.Any : Reading.All;
                return LimitRule.Matching(
                    facts => Array.TrueForAll(parameters, parameter => parameter.IsMatch(facts.Request.Target, each)), expected,
                    Key(action.QueryParameterValueMatch.DescriptorKey, "query_match"), action.QueryParameterValueMatch.DescriptorValue);
            default:
                throw new ResourceException("rate_limits: an action that this proxy does not know");
        }
    }

    private static string Key(string given, string otherwise) => given.Length > 0 ? given : otherwise;

    private static TokenBucket Tokens(Bucket bucket)
    {
        if (bucket.MaxTokens == 0) throw new ResourceException("token_bucket: max_tokens must be greater than 0");
        if (bucket.TokensPerFill is 0u) throw new ResourceException("token_bucket: tokens_per_fill must be greater than 0");
        if (bucket.FillInterval?.ToTimeSpan() is not { } interval || interval < ShortestFill)
            throw new ResourceException("token_bucket: fill_interval must be at least 50ms");
        return new(bucket.MaxTokens, bucket.TokensPerFill ?? 1u, interval);
    }

    /// <summary>As in Envoy, a filter that does not say how many requests it is for is for none.</summary>
    private static Fraction Share(RuntimeFractionalPercent? percent) => percent?.DefaultValue is { } value ? MatchDecoder.Fraction(value) : new(0);

    private static HostLimits Host(VhRateLimitsOptions option) =>
        option switch { VhRateLimitsOptions.Include => HostLimits.Also, VhRateLimitsOptions.Ignore => HostLimits.Never, _ => HostLimits.IfNone };
}
