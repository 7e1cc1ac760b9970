using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Filters;

/// <summary>A ratelimit filter of HTTP: a service decides which requests are too many.</summary>
internal sealed class GlobalLimitFilter(string name, GlobalLimit limit) : RequestFilter(name)
{
    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<Wire.Envoy.HttpFilters.RateLimit>("envoy.filters.http.ratelimit",
            (shared, from) => new GlobalLimitFilter(from.Name, LimitDecoder.Global(shared, from.Notes)))
        .ForRoutes<Wire.Envoy.HttpFilters.RateLimitPerRoute>((settings, _) => LimitDecoder.Global(settings));

    public override FilterSteps Steps => FilterSteps.Request;

    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request)
    {
        if (request.PeekAnyRoute() is not { } route) return default;
        var own = route.Of(Name) as GlobalRouteLimit;
        return own is { Rules.Count: > 0 } ? AskAsync(own, RouteLimits.Describe(own.Rules, limit.Stage, LimitFields.Facts(request)), request)
            : route.Limits is { } limits
            ? AskAsync(own, limits.Describe(limit.Stage, own?.Host ?? HostLimits.IfNone, LimitFields.Facts(request)), request) : default;
    }

    private async ValueTask<FilterAnswer?> AskAsync(GlobalRouteLimit? own, IEnumerable<IReadOnlyList<LimitEntry>> described, FilteredRequest request)
    {
        var descriptors = described.ToList();
        if (descriptors.Count == 0) return null;
        var answer = await request.Ports.Limits(limit, limit.DomainFor(own), descriptors).ConfigureAwait(false);
        var (counts, stats) = (request.Ports.Counts, $"cluster.{request.Cluster}{limit.Stats}");
        counts.Add(AccessStats.RateLimit.Name(stats, answer.IsOver switch { null => "error", true => "over_limit", false => "ok" }));
        if (answer.IsOver is null)
        {
            if (limit.FailsClosed) return request.Refuse(new(limit.StatusOnError, default, "rate_limiter_error", EndReason.RateLimitFailed));
            counts.Add(AccessStats.RateLimit.Name(stats, "failure_mode_allowed"));
            return null;
        }
        if (answer.IsOver is true)
            return request.Refuse(new(limit.Status, answer.Body, "request_rate_limited", EndReason.RateLimited)
            {
                Fields =
                [
                    .. limit.IsSilent ? (IEnumerable<HeaderEdit>)[] : [LimitFields.TooMany], .. answer.ToClient, .. answer.Quota, .. limit.ToClient,
                ],
                GrpcStatus = limit.GrpcStatus,
            });
        request.Edit(HeaderEdits.None with { Request = answer.ToUpstream });
        if (answer.ToClient.Count + answer.Quota.Count > 0) request.TellClient([.. answer.ToClient, .. answer.Quota]);
        return null;
    }
}
