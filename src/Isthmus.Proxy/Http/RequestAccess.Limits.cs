using System.Globalization;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Upstreams;

namespace Isthmus.Proxy.Http;

/// <summary>Rate limits.</summary>
internal sealed partial class RequestAccess
{
    private static readonly HeaderEdit TooManyRequests = new("x-envoy-ratelimited"u8.ToArray(), "true", EditAction.Overwrite);

    /// <summary>Null when the request may continue.</summary>
    private Refusal? Limit(LocalLimitFilter filter, in PolicyFacts facts, TrafficRecord record)
    {
        var limits = route.Decision.Route?.Limits;
        var limit = filter.For(limits);
        if (limit.IsIdle || !limit.Enabled.Hits(parts.Ports.Random)) return null;
        var counts = parts.Report.Access;
        counts.Add(limit.Counted);
        var buckets = limit.Buckets(connection);
        var passes = buckets.TryTake(limit.NeedsDescriptors ? Describe(limit, limits, facts) : [], parts.Ports.Time, out var used);
        if (limit.TellsClient && used is not null) TellClient(used.Level(parts.Ports.Time));
        counts.Add(passes ? limit.Passed : limit.TooMany);
        if (passes) return null;
        if (!limit.Enforced.Hits(parts.Ports.Random))
        {
            HeaderEditing.Request(stream.Request, HeaderEdits.None with { Request = limit.ToUpstream }, record);
            return null;
        }
        counts.Add(limit.Refused);
        return new(limit.Status, "local_rate_limited"u8.ToArray(), "local_rate_limited",
            EndReason.RateLimited) { Fields = [TooManyRequests, .. limit.ToClient], GrpcStatus = limit.GrpcStatus };
    }

    /// <summary>Null when the request may continue.</summary>
    private async ValueTask<Refusal?> LimitAsync(GlobalLimit limit, RouteLimits limits, PolicyFacts facts, TrafficRecord record)
    {
        var own = limit.For(limits);
        var described = Described(facts);
        var descriptors = (own is { Rules.Count: > 0 }
            ? RouteLimits.Describe(own.Rules, limit.Stage, described)
            : limits.Describe(limit.Stage, own?.Host ?? HostLimits.IfNone, described))
            .ToList();
        if (descriptors.Count == 0) return null;
        var answer = await parts.Limits.AskAsync(limit, limit.DomainFor(own), descriptors).ConfigureAwait(false);
        var stats = $"cluster.{route.Cluster}{limit.Stats}";
        parts.Report.Access.Add(AccessStats.RateLimit.Name(stats, answer.IsOver switch { null => "error", true => "over_limit", false => "ok" }));
        if (answer.IsOver is null)
        {
            if (limit.FailsClosed) return new(limit.StatusOnError, default, "rate_limiter_error", EndReason.RateLimitFailed);
            parts.Report.Access.Add(AccessStats.RateLimit.Name(stats, "failure_mode_allowed"));
            return null;
        }
        if (answer.IsOver is true)
            return new(limit.Status, answer.Body, "request_rate_limited",
                EndReason.RateLimited)
                {
                    Fields = [.. limit.IsSilent ? (IEnumerable<HeaderEdit>)[] : [TooManyRequests], .. answer.ToClient, .. answer.Quota, .. limit.ToClient],
                    GrpcStatus = limit.GrpcStatus
                };
        HeaderEditing.Request(stream.Request, HeaderEdits.None with { Request = answer.ToUpstream }, record);
        if (answer.ToClient.Count + answer.Quota.Count > 0) ToClient = [.. ToClient, .. answer.ToClient, .. answer.Quota];
        return null;
    }

    private IEnumerable<IReadOnlyList<LimitEntry>> Describe(LocalLimit limit, RouteLimits? ofRoute, in PolicyFacts facts) =>
        limit.Rules is { } rules
            ? RouteLimits.Describe(rules, limit.Stage, Described(facts))
            : ofRoute?.Describe(limit.Stage, limit.Host, Described(facts)) ?? [];

    private LimitFacts Described(in PolicyFacts facts) => new(stream.Request, facts.Scheme, facts.RemoteAddress, parts.Identity.ServiceCluster, route.Cluster);

    private void TellClient(BucketLevel level) => ToClient =
    [
        .. ToClient, Told("x-ratelimit-limit"u8, level.Most), Told("x-ratelimit-remaining"u8, level.Left), Told("x-ratelimit-reset"u8, level.Seconds),
    ];

    private static HeaderEdit Told(ReadOnlySpan<byte> name, long value) =>
        new(name.ToArray(), value.ToString(CultureInfo.InvariantCulture), EditAction.Overwrite);
}
