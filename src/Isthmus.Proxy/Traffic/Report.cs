using Isthmus.Core.Collections;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Reports;

namespace Isthmus.Proxy.Traffic;

/// <summary>The one place where ends are reported: each connection and each request gets its access log lines and is
/// counted once.</summary>
internal sealed class Report(AccessLogWriter logs, MeshMetrics metrics, SpokenPorts spoken)
{
    private readonly long[] _ends = new long[System.Enum.GetValues<EndReason>().Length];
    private long _active;
    private long _total;

    /// <summary>The traffic that traces query.</summary>
    public RecentTraffic Recent { get; } = new();

    /// <summary>The TCP connections that are counted while they are open.</summary>
    public OpenConnections Open { get; } = new(metrics);

    /// <summary>What policies and external authorizers decided, and what became of spans.</summary>
    public AccessCounts Access { get; } = new();

    /// <summary>What listeners and connection managers count.</summary>
    public DownstreamCounts Downstream { get; } = new();

    public UdpReport Udp { get; } = new();

    /// <summary>What clients speak where it is not expected.</summary>
    public SpokenPorts Spoken { get; } = spoken;

    /// <summary>Connections open now.</summary>
    public long Active => Interlocked.Read(ref _active);

    /// <summary>Connections accepted since the start.</summary>
    public long Total => Interlocked.Read(ref _total);

    /// <summary>How many connections and requests ended with that reason.</summary>
    public long Ends(EndReason reason) => Interlocked.Read(ref _ends[(int)reason]);

    /// <summary>A connection whose listener is known.</summary>
    public void Opened(Downstream connection)
    {
        Interlocked.Increment(ref _active);
        Interlocked.Increment(ref _total);
        Interlocked.Increment(ref (connection.Counts = Downstream.Of(connection.Listener.Place)).Opened);
    }

    /// <summary>A connection to the application that does not begin as its port is declared.</summary>
    public void Unexpected(Downstream connection, SpokenPort.Types.Protocol protocol)
    {
        if (connection.Listener.Direction == Direction.Inbound) Spoken.Saw(connection.Destination.Port, protocol);
    }

    /// <summary>A connection that carries HTTP.</summary>
    public static void OpenedHttp(Downstream connection, string prefix)
    {
        var counts = connection.Http = connection.Counts!.Http(prefix);
        Interlocked.Increment(ref counts.Opened);
        if (connection.Peer is not null) Interlocked.Increment(ref counts.OpenedTls);
    }

    public void Closed(Downstream connection)
    {
        Interlocked.Decrement(ref _active);
        Interlocked.Increment(ref connection.Counts!.Closed);
        if (connection.Http is { } http) Interlocked.Increment(ref http.Closed);
    }

    /// <summary>Reports a connection that ended before it reached TCP or HTTP.</summary>
    public void Connection(Downstream connection, TrafficRecord record, ValueList<AccessLogSnapshot> to)
    {
        Interlocked.Increment(ref _ends[(int)record.Reason]);
        Recent.Tcp(connection, record, record.Duration, standing: false);
        connection.Ended?.Invoke(record);
        logs.Write(to, record);
        if (connection.Chain?.Action is TcpAction tcp && record.Reason != EndReason.NoFilterChain) logs.Write(tcp.AccessLogs, record);
    }

    public void Tcp(Downstream connection, TrafficRecord record, ValueList<AccessLogSnapshot> to)
    {
        Interlocked.Increment(ref _ends[(int)record.Reason]);
        metrics.Connection(connection.Listener.Direction, record, connection.Chain?.Action.Metrics);
        Recent.Tcp(connection, record, record.Duration, standing: false);
        connection.Ended?.Invoke(record);
        logs.Write(to, record);
        logs.Write(connection.Listener.AccessLogs, record);
    }

    /// <summary>Records an established connection, and logs it where configured; another line follows when it ends.</summary>
    public void Connected(Downstream connection, TrafficRecord record, TcpAction action, TimeSpan after)
    {
        Recent.Tcp(connection, record, after, standing: true);
        if (action.LogConnected) logs.Write(action.AccessLogs, record);
    }

    /// <summary>Counts the messages so far of a gRPC call that goes on.</summary>
    public void Messages(Downstream connection, TrafficRecord record, MetricRules? rules) => metrics.Messages(connection.Listener.Direction, record, rules);

    public void Http(Downstream connection, TrafficRecord record, ValueList<AccessLogSnapshot> to)
    {
        Interlocked.Increment(ref _ends[(int)record.Reason]);
        connection.Http?.Ended(record);
        metrics.Request(connection.Listener.Direction, record, connection.Chain?.Action.Metrics);
        Recent.Http(connection, record);
        connection.Ended?.Invoke(record);
        logs.Write(to, record);
    }
}
