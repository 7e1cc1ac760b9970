using System.Globalization;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy.HttpFilters;

namespace Isthmus.Proxy.Filters;

/// <summary>A local_ratelimit filter of HTTP.</summary>
/// <param name="own">Where routes say nothing.</param>
internal sealed class LocalLimitFilter(string name, LocalLimit own) : RequestFilter(name)
{
    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<LocalRateLimit>("envoy.filters.http.local_ratelimit",
            (config, from) => new LocalLimitFilter(from.Name, LimitDecoder.Local(config, from.Notes)))
        .ForRoutes<LocalRateLimit>((config, _, notes) => LimitDecoder.Local(config, notes), isForShares: false);

    public override FilterSteps Steps => FilterSteps.Request;

    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request)
    {
        var route = request.PeekAnyRoute();
        var limit = route?.Of(Name) as LocalLimit ?? own;
        var ports = request.Ports;
        if (limit.IsIdle || !limit.Enabled.Hits(ports.Random)) return default;
        ports.Counts.Add(limit.Counted);
        var buckets = limit.Buckets(request.Connection);
        var passes = buckets.TryTake(limit.NeedsDescriptors ? Describe(limit, route?.Limits, request) : [], ports.Time, out var used);
        if (limit.TellsClient && used is not null) request.TellClient(Fields(used.Level(ports.Time)));
        ports.Counts.Add(passes ? limit.Passed : limit.TooMany);
        if (passes) return default;
        if (!limit.Enforced.Hits(ports.Random))
        {
            request.Edit(HeaderEdits.None with { Request = limit.ToUpstream });
            return default;
        }
        ports.Counts.Add(limit.Refused);
        return new(request.Refuse(new(limit.Status, "local_rate_limited"u8.ToArray(), "local_rate_limited", EndReason.RateLimited)
        {
            Fields = [LimitFields.TooMany, .. limit.ToClient], GrpcStatus = limit.GrpcStatus,
        }));
    }

    private static IEnumerable<IReadOnlyList<LimitEntry>> Describe(LocalLimit limit, RouteLimits? ofRoute, FilteredRequest request) =>
        limit.Rules is { } rules ? RouteLimits.Describe(rules, limit.Stage, LimitFields.Facts(request))
            : ofRoute?.Describe(limit.Stage, limit.Host, LimitFields.Facts(request)) ?? [];

    private static HeaderEdit[] Fields(BucketLevel level) =>
    [
        Field("x-ratelimit-limit"u8, level.Most), Field("x-ratelimit-remaining"u8, level.Left), Field("x-ratelimit-reset"u8, level.Seconds),
    ];

    private static HeaderEdit Field(ReadOnlySpan<byte> name, long value) =>
        new(name.ToArray(), value.ToString(CultureInfo.InvariantCulture), EditAction.Overwrite);
}

/// <summary>What filters for rate limits say to clients, and ask of requests.</summary>
internal static class LimitFields
{
    public static readonly HeaderEdit TooMany = new("x-envoy-ratelimited"u8.ToArray(), "true", EditAction.Overwrite);

    public static LimitFacts Facts(FilteredRequest request)
    {
        var facts = request.Facts;
        return new(request.Head, facts.Scheme, facts.RemoteAddress, request.Ports.Identity.ServiceCluster, request.Cluster);
    }
}
