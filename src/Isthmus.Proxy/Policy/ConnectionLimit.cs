using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Policy;

/// <summary>A local_ratelimit filter for connections: each takes a token, and without one it is closed.</summary>
/// <param name="bucket">Shared by all connections of the filter chain.</param>
/// <param name="stats">What the names of the counters begin with.</param>
internal sealed class ConnectionLimit(TokenBucket bucket, string stats) : AccessFilter
{
    private readonly string _limited = AccessStats.ConnectionLimit.Name($"local_rate_limit.{stats}.", "rate_limited");

    /// <summary>Takes a token; false when there is none.</summary>
    public bool TryTake(TimeProvider time, AccessCounts counts)
    {
        if (bucket.TryTake(time)) return true;
        counts.Add(_limited);
        return false;
    }
}
