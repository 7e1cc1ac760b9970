using System.Net;

namespace Isthmus.Proxy.Clusters;

/// <summary>
/// What this proxy knows about one upstream address: load, failures, pooled connections. It survives configuration updates as long as
/// the address stays.
/// </summary>
internal sealed class Host(Endpoint endpoint)
{
    private volatile Endpoint _endpoint = endpoint;
    private volatile bool _removed;
    private volatile bool _doubted;
    private volatile bool _leaving;
    private long _joinedAt;
    private long _ejectedUntil;
    private long _avoidUntil;
    private int _active;
    private int _connections;
    private IKeptConnections? _kept;
    private volatile HostFailure? _lastFailure;
    private long _failedAt;

    public Endpoint Endpoint { get => _endpoint; set => _endpoint = value; }

    /// <summary>When it joined its cluster, or the control plane last called it healthy after it had not, as a timestamp.</summary>
    public long JoinedAt { get => Volatile.Read(ref _joinedAt); set => Volatile.Write(ref _joinedAt, value); }

    public EndPoint Address => _endpoint.Address;

    /// <summary>The connections kept for later requests, by whoever opens them; null: there were none yet.</summary>
    public IKeptConnections? Kept => Volatile.Read(ref _kept);

    /// <summary>What keeps connections to this host: the argument, unless another thread was first.</summary>
    public IKeptConnections Keep(IKeptConnections made) => Interlocked.CompareExchange(ref _kept, made, null) ?? made;

    public HostCounters Counters { get; } = new();

    /// <summary>Requests or TCP connections in progress.</summary>
    public int Active => Volatile.Read(ref _active);

    public int Connections => Volatile.Read(ref _connections);

    /// <summary>The address left the cluster: it gets no new work.</summary>
    public bool IsRemoved => _removed;

    /// <summary>Timestamp (of the <see cref="TimeProvider"/>) until which outlier detection ejects it.</summary>
    public long EjectedUntil => Volatile.Read(ref _ejectedUntil);

    /// <summary>Consecutive failures and the number of ejections; guarded by the cluster's outlier detector.</summary>
    public OutlierMemory Outlier { get; } = new();

    /// <summary>How the last call ended that counts against it; null: none did.</summary>
    public HostFailure? LastFailure => _lastFailure;

    /// <summary>When a call ended like that, as a timestamp; 0: a later one has got through, or none did.</summary>
    public long FailedAt => Volatile.Read(ref _failedAt);

    public void Fail(HostFailure failure, long now)
    {
        _lastFailure = failure;
        Volatile.Write(ref _failedAt, now);
    }

    public void Serve()
    {
        if (FailedAt != 0) Volatile.Write(ref _failedAt, 0);
    }

    /// <summary>What active health checks say; null if it is not checked.</summary>
    public CheckMemory? Check { get; init; }

    public bool IsEjected(long now) => EjectedUntil > now;

    /// <summary>Nobody says that it should get no requests: neither the control plane, nor outlier detection, nor active health checks.</summary>
    public bool IsHealthy(long now) => _endpoint.Health == EndpointHealth.Healthy && !IsEjected(now) && Check is not { IsFailed: true };

    /// <summary>The control plane does not name it any more, but it passes its checks.</summary>
    public bool IsLeaving { get => _leaving; set => _leaving = value; }

    /// <summary>The last attempt to connect failed, and none has succeeded since.</summary>
    public bool IsDoubted => _doubted;

    /// <summary>A recent attempt to connect failed, or no later one has succeeded: other hosts are tried first while there
    /// are any.</summary>
    public bool IsAvoided(long now) => _doubted || IsResting(now);

    /// <summary>An attempt to connect failed a moment ago: not even a probe is worthwhile.</summary>
    public bool IsResting(long now) => Volatile.Read(ref _avoidUntil) > now;

    public void Begin() => Interlocked.Increment(ref _active);

    public void End() => Interlocked.Decrement(ref _active);

    public void Connected()
    {
        Interlocked.Increment(ref _connections);
        Trust();
    }

    public void Disconnected() => Interlocked.Decrement(ref _connections);

    public void Avoid(long until) => Volatile.Write(ref _avoidUntil, until);

    public void Doubt() => _doubted = true;

    /// <summary>It was reached: forgets earlier failures.</summary>
    public void Trust()
    {
        _doubted = false;
        Volatile.Write(ref _avoidUntil, 0);
    }

    public void Eject(long until) => Volatile.Write(ref _ejectedUntil, until);

    /// <summary>Retires the host: idle connections close now, busy ones when their request is done.</summary>
    public void Remove()
    {
        _removed = true;
        Kept?.CloseIdle();
    }
}

/// <summary>Counters of one host since it appeared, as <c>/clusters</c> shows them.</summary>
internal sealed class HostCounters
{
    public long Connects;
    public long ConnectFailures;
    public long Requests;
    public long Successes;
    public long Errors;
    public long Timeouts;
}

/// <summary>How a call failed at a host.</summary>
/// <param name="Status">That of the response; 0: there was none.</param>
/// <param name="Flag">Envoy's response flag for that; empty with a response.</param>
/// <param name="Reason">Envoy's text for why a connection failed; empty: there is no more to say.</param>
internal sealed record HostFailure(int Status, string Flag, string Reason);

/// <summary>Outlier detection's state for one host.</summary>
internal sealed class OutlierMemory
{
    public int Consecutive5xx;
    public int ConsecutiveGateway;
    public int ConsecutiveLocal;
    public int Ejections;
    public long LastEjectedUntil;
}
