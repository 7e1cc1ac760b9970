using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Clusters;

/// <summary>What requests use of a cluster at the moment.</summary>
internal sealed class ClusterUse
{
    public long ActiveRequests;
    public long ActiveConnections;
    public long ActiveRetries;
    public long PendingRequests;
}

/// <summary>Counters of one cluster since it appeared, with the names of Envoy's statistics.</summary>
internal sealed class ClusterCounters
{
    public long Connects;
    public long ConnectFailures;
    public long ConnectTimeouts;
    public long Handshakes;
    public long TlsFailures;
    public long Http1Connects;
    public long Http2Connects;
    public long PingTimeouts;
    public long ProtocolErrors;
    public long Requests;
    public long Completed2xx;
    public long Completed3xx;
    public long Completed4xx;
    public long Completed5xx;
    public long Retries;
    public long RetrySuccesses;
    public long RetryOverflows;
    public long RetryLimits;
    public long ConnectionOverflows;
    public long PendingTotal;
    public long PendingOverflows;
    public long NoHost;
    public long Timeouts;
    public long TryTimeouts;
    public long DurationLimits;
    public long Resets;
    public long MembershipChanges;
    public long BytesSent;
    public long BytesReceived;
    public long Ejections;

    public readonly CheckCounters Checks = new();

    /// <summary>How often a host stayed because too many were ejected.</summary>
    public long EjectionOverflows;

    /// <summary>Requests and connections that were refused because of a limit. One that waits for a connection is not.</summary>
    public long Refusals;

    /// <summary>When a request or connection was last refused because of a limit, as <see cref="Environment.TickCount64"/>; 0: never.</summary>
    public long RefusedAt;

    /// <summary>A request or connection is refused because of a limit.</summary>
    public void Refused(ref long count)
    {
        Interlocked.Increment(ref count);
        Interlocked.Increment(ref Refusals);
        Volatile.Write(ref RefusedAt, Environment.TickCount64);
    }

    /// <summary>When there was last no host for a request or connection, as <see cref="Environment.TickCount64"/>; 0: never.</summary>
    public long NoHostAt;

    /// <summary>There is no host for a request or connection.</summary>
    public void FoundNoHost()
    {
        Interlocked.Increment(ref NoHost);
        Volatile.Write(ref NoHostAt, Environment.TickCount64);
    }

    /// <summary>A host did not answer in time.</summary>
    public void TimedOut(TimeLimit limit)
    {
        if (limit == TimeLimit.Try) Interlocked.Increment(ref TryTimeouts);
        else if (limit == TimeLimit.UpstreamDuration) Interlocked.Increment(ref DurationLimits);
        else Interlocked.Increment(ref Timeouts);
    }

    public void Count(int status)
    {
        if (status >= 500) Interlocked.Increment(ref Completed5xx);
        else if (status >= 400) Interlocked.Increment(ref Completed4xx);
        else if (status >= 300) Interlocked.Increment(ref Completed3xx);
        else if (status >= 200) Interlocked.Increment(ref Completed2xx);
    }
}
