namespace Isthmus.Proxy.Clusters;

/// <summary>When a failing host is ejected for a while (Envoy's <c>OutlierDetection</c>; zero counts switch a rule off).</summary>
/// <param name="MaxPercent">Share of a cluster's hosts that may be ejected at once.</param>
/// <param name="SplitLocal">Failures to reach a host are counted apart from its answers.</param>
internal sealed record OutlierSettings(
    int Consecutive5xx, int ConsecutiveGateway, int ConsecutiveLocal, TimeSpan BaseEjection, TimeSpan MaxEjection, int MaxPercent, bool SplitLocal)
{
    /// <summary>How often ejected hosts are looked at: only then they return.</summary>
    public TimeSpan Interval { get; init; }

    /// <summary>One host may be ejected however small its share is.</summary>
    public bool AlwaysOne { get; init; }

    /// <summary>An active health check that succeeds ends the ejection of its host.</summary>
    public bool ReturnsByCheck { get; init; } = true;
}

/// <summary>How one attempt at a host ended, as outlier detection sees it.</summary>
internal enum AttemptResult { Success, ServerError, GatewayError, ConnectFailed }

/// <summary>Counts failures of the hosts of one cluster and ejects those that fail too often in a row.</summary>
/// <param name="counters">Of the cluster; null: its own.</param>
internal sealed class OutlierDetector(OutlierSettings settings, TimeProvider time, ClusterCounters? counters = null)
{
    private readonly Lock _lock = new();   // guards the hosts' outlier memories and the count of ejections
    private readonly long _begun = time.GetTimestamp();
    private readonly ClusterCounters _counters = counters ?? new();

    public long Ejections => Interlocked.Read(ref _counters.Ejections);

    /// <summary>Records an attempt; returns the timestamp until which the host is now ejected, or 0.</summary>
    public long Report(Host host, AttemptResult result, IReadOnlyList<Host> all)
    {
        // Responses through a gateway come from the services behind it, never from the gateway itself.
        if (host.Endpoint.IsGateway && result is AttemptResult.ServerError or AttemptResult.GatewayError) result = AttemptResult.Success;
        lock (_lock)
        {
            return Count(host.Outlier, result) ? TryEject(host, all) : 0;
        }
    }

    /// <summary>Ends an ejection early.</summary>
    public void Return(Host host)
    {
        var now = time.GetTimestamp();
        if (!host.IsEjected(now)) return;
        lock (_lock)
        {
            host.Outlier.Consecutive5xx = host.Outlier.ConsecutiveGateway = host.Outlier.ConsecutiveLocal = 0;
            host.Outlier.LastEjectedUntil = now;
            host.Eject(now);
        }
    }

    private bool Count(OutlierMemory memory, AttemptResult result)
    {
        switch (result)
        {
            case AttemptResult.Success:
                memory.Consecutive5xx = memory.ConsecutiveGateway = memory.ConsecutiveLocal = 0;
                return false;
            case AttemptResult.ConnectFailed when settings.SplitLocal:
                return Reached(ref memory.ConsecutiveLocal, settings.ConsecutiveLocal);
            case AttemptResult.ServerError:
                memory.ConsecutiveGateway = 0;
                memory.ConsecutiveLocal = 0;
                return Reached(ref memory.Consecutive5xx, settings.Consecutive5xx);
            default:
                if (result == AttemptResult.GatewayError) memory.ConsecutiveLocal = 0;
                return Reached(ref memory.ConsecutiveGateway, settings.ConsecutiveGateway) | Reached(ref memory.Consecutive5xx, settings.Consecutive5xx);
        }
    }

    private long AtNextLook(long until)
    {
        var interval = (long)(settings.Interval.TotalSeconds * time.TimestampFrequency);
        return interval <= 0 ? until : _begun + ((until - _begun + interval - 1) / interval * interval);
    }

    private static bool Reached(ref int count, int limit) => ++count >= limit && limit > 0;

    private long TryEject(Host host, IReadOnlyList<Host> all)
    {
        var now = time.GetTimestamp();
        if (host.IsEjected(now)) return 0;
        var ejected = all.Count(h => h.IsEjected(now));
        if ((ejected > 0 || !settings.AlwaysOne) && (ejected + 1) * 100 > settings.MaxPercent * all.Count)
        {
            Interlocked.Increment(ref _counters.EjectionOverflows);
            return 0;
        }
        var memory = host.Outlier;
        memory.Consecutive5xx = memory.ConsecutiveGateway = memory.ConsecutiveLocal = 0;
        // Each failure-free period as long as an ejection undoes one step of the growing penalty.
        if (memory.Ejections > 0)
        {
            var quiet = time.GetElapsedTime(memory.LastEjectedUntil, now);
            memory.Ejections = Math.Max(0, memory.Ejections - (int)(quiet / settings.BaseEjection));
        }
        memory.Ejections++;
        var length = settings.BaseEjection * memory.Ejections;
        if (length > settings.MaxEjection) length = settings.MaxEjection;
        memory.LastEjectedUntil = AtNextLook(now + (long)(length.TotalSeconds * time.TimestampFrequency));
        host.Eject(memory.LastEjectedUntil);
        Interlocked.Increment(ref _counters.Ejections);
        return memory.LastEjectedUntil;
    }
}
