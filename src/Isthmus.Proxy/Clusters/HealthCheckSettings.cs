using Isthmus.Core.Collections;

namespace Isthmus.Proxy.Clusters;

/// <summary>How the hosts of a cluster are checked (Envoy's <c>HealthCheck</c>).</summary>
/// <param name="Probe">What a check does.</param>
/// <param name="Timeout">How long a host may take to answer.</param>
/// <param name="Intervals">When the next check comes.</param>
/// <param name="UnhealthyThreshold">How many checks in a row must fail; an answer that is wrong counts at once.</param>
/// <param name="HealthyThreshold">How many checks in a row must succeed; the first of all counts at once.</param>
internal sealed record HealthCheckSettings(HealthProbe Probe, TimeSpan Timeout, HealthIntervals Intervals, int UnhealthyThreshold, int HealthyThreshold)
{
    /// <summary>Checks use the connection of the check before.</summary>
    public bool ReusesConnection { get; init; } = true;

    /// <summary>Hosts that the control plane takes away go at once. Otherwise, those that pass their checks stay until they fail one.</summary>
    public bool RemovesHealthy { get; init; }

    /// <summary>Every failure is logged, not only those that change something.</summary>
    public bool LogsFailures { get; init; }

    /// <summary>Labels that choose the transport socket in place of those of the endpoint; null: those of the endpoint.</summary>
    public ValueMap<string>? SocketMatch { get; init; }

    /// <summary>The protocols to offer over TLS; null: those of the cluster.</summary>
    public ValueList<string>? Alpn { get; init; }
}

/// <summary>The time between the end of a check and the next one.</summary>
/// <param name="Usual">While nothing changes, and the host passes its checks.</param>
/// <param name="Unhealthy">While the host fails them.</param>
/// <param name="UnhealthyEdge">While failures of a healthy host are counted.</param>
/// <param name="HealthyEdge">While successes of an unhealthy host are counted.</param>
/// <param name="NoTraffic">Before the cluster's first connection.</param>
/// <param name="NoTrafficHealthy">The same, for a host that passes its checks.</param>
internal sealed record HealthIntervals(TimeSpan Usual, TimeSpan Unhealthy, TimeSpan UnhealthyEdge, TimeSpan HealthyEdge, TimeSpan NoTraffic,
    TimeSpan NoTrafficHealthy)
{
    /// <summary>Before the first check, up to this time passes.</summary>
    public TimeSpan InitialJitter { get; init; }

    /// <summary>Up to this is added to each interval.</summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>Up to this part of the interval is added to each.</summary>
    public int JitterPercent { get; init; }

    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1), Longest = TimeSpan.FromDays(24);

    public TimeSpan BeforeFirst(Random random) => InitialJitter * random.NextDouble();

    public TimeSpan After(bool succeeded, HealthTransition transition, bool hasTraffic, Random random)
    {
        var pending = transition == HealthTransition.Pending;
        var wait = !hasTraffic ? succeeded && !pending ? NoTrafficHealthy : NoTraffic
            : succeeded ? pending ? HealthyEdge : Usual : pending ? UnhealthyEdge : Unhealthy;
        wait += (wait * JitterPercent / 100 * random.NextDouble()) + (Jitter * random.NextDouble());
        return wait < Shortest ? Shortest : wait > Longest ? Longest : wait;
    }
}

/// <summary>What a check does.</summary>
internal abstract record HealthProbe;
