using System.Runtime.CompilerServices;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Policy;

/// <summary>How many requests this proxy lets pass, on its own.</summary>
/// <param name="rule">What is taken from which bucket.</param>
internal sealed class LocalLimit(LocalBuckets rule, string stats) : IRouteOverride
{
    private readonly ConditionalWeakTable<object, LocalBuckets> _ofConnections = [];

    /// <summary>How many of the requests are counted.</summary>
    public required Fraction Enabled { get; init; }

    /// <summary>How many of the requests that are too many are refused.</summary>
    public required Fraction Enforced { get; init; }

    public int Status { get; init; } = 429;

    /// <summary>The status of a refused call of gRPC; null: as it follows from the HTTP status.</summary>
    public int? GrpcStatus { get; init; }

    public int Stage { get; init; }

    public HostLimits Host { get; init; }

    /// <summary>How requests are described, whatever their route says; null: as the route says.</summary>
    public IReadOnlyList<LimitRule>? Rules { get; init; }

    /// <summary>Each connection has buckets of its own.</summary>
    public bool PerConnection { get; init; }

    /// <summary>Clients learn what is left.</summary>
    public bool TellsClient { get; init; }

    /// <summary>Fields of refusals.</summary>
    public IReadOnlyList<HeaderEdit> ToClient { get; init; } = [];

    /// <summary>Fields of requests that are too many and not refused.</summary>
    public IReadOnlyList<HeaderEdit> ToUpstream { get; init; } = [];

    public string Counted { get; } = AccessStats.LocalRateLimit.Name($"{stats}.http_local_rate_limit.", "enabled");

    public string Passed { get; } = AccessStats.LocalRateLimit.Name($"{stats}.http_local_rate_limit.", "ok");

    public string TooMany { get; } = AccessStats.LocalRateLimit.Name($"{stats}.http_local_rate_limit.", "rate_limited");

    public string Refused { get; } = AccessStats.LocalRateLimit.Name($"{stats}.http_local_rate_limit.", "enforced");

    /// <summary>The filter counts nothing: it has neither a bucket nor descriptors.</summary>
    public bool IsIdle => rule.IsEmpty;

    public bool NeedsDescriptors => rule.HasDescriptors;

    public LocalBuckets Buckets(object connection) => PerConnection ? _ofConnections.GetValue(connection, _ => rule.Fresh()) : rule;
}

/// <summary>The buckets of a local rate limit.</summary>
/// <param name="byDefault">For requests that no descriptor is for; null if they are not limited.</param>
/// <param name="alwaysByDefault">Every request takes from that bucket, too.</param>
internal sealed class LocalBuckets(TokenBucket? byDefault, IReadOnlyList<(IReadOnlyList<LimitEntry> Entries, TokenBucket Bucket)> descriptors,
    bool alwaysByDefault)
{
    public bool IsEmpty => byDefault is null && descriptors.Count == 0;

    public bool HasDescriptors => descriptors.Count > 0;

    /// <summary>Takes a token of each bucket that the request counts for, until one has none.</summary>
    /// <param name="used">The bucket that decided; null when none is for the request.</param>
    public bool TryTake(IEnumerable<IReadOnlyList<LimitEntry>> request, TimeProvider time, out TokenBucket? used)
    {
        used = null;
        foreach (var entries in request)
        {
            foreach (var (known, bucket) in descriptors)
            {
                if (!known.SequenceEqual(entries)) continue;
                used = bucket;
                if (!bucket.TryTake(time)) return false;
                break;
            }
        }
        if (byDefault is null || (used is not null && !alwaysByDefault)) return true;
        if (!byDefault.TryTake(time))
        {
            used = byDefault;
            return false;
        }
        used ??= byDefault;
        return true;
    }

    public LocalBuckets Fresh() => new(Fresh(byDefault), [.. descriptors.Select(item => (item.Entries, Fresh(item.Bucket)!))], alwaysByDefault);

    private static TokenBucket? Fresh(TokenBucket? bucket) => bucket is null ? null : new(bucket.Most, bucket.PerFill, bucket.Interval);
}
