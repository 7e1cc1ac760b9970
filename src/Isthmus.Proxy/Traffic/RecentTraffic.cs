using System.Net;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Traffic;

/// <summary>One request or connection as remembered for tracing a call.</summary>
/// <param name="Id">The trace's mark; empty for a TCP connection, which carries none.</param>
/// <param name="Duration">From its start to its end; for an open TCP connection: until it was established.</param>
/// <param name="Standing">A TCP connection that was still open.</param>
internal sealed record SeenTraffic(
    string Id, Direction Direction, DateTimeOffset Start, TimeSpan Duration, TimeSpan? ResponseAfter, bool Standing, int Status, string Flags, string Details,
    string TransportFailure, string Route, string Cluster, string Upstream, EndPoint? LocalEndPoint, string UpstreamPeer, EndPoint? RemoteEndPoint,
    string DownstreamPeer,
    string ServerName, int Attempts)
{
    /// <summary>The address from which the proxy called; empty while it is not connected.</summary>
    public string UpstreamLocal => Endpoint.Text(LocalEndPoint);

    /// <summary>The address from which the proxy was called.</summary>
    public string DownstreamRemote => Endpoint.Text(RemoteEndPoint);

    public static SeenTraffic From(string id, Direction direction, TrafficRecord record, TimeSpan duration, bool standing) => new(
        id, direction, record.Start, duration, record.ResponseAfter, standing, record.Status, record.Flags,
        record.Details.Length > 0 ? record.Details : record.TerminationDetails, record.TransportFailure, record.RouteName, record.ClusterName,
        Endpoint.Text(record.Host?.Endpoint.Place), record.UpstreamLocal, record.UpstreamPeer?.Identity ?? "", record.DownstreamRemote,
        record.PeerPrincipal, record.ServerName, record.Attempts);
}

/// <summary>
/// Recent traffic, for traces: requests that carry a trace's mark, and every TCP connection, since a gateway cannot see inside.
/// New entries replace the oldest.
/// </summary>
internal sealed class RecentTraffic
{
    public const int Capacity = 512;

    private readonly SeenTraffic?[] _seen = new SeenTraffic?[Capacity];
    private long _next;

    /// <summary>The request header that marks a call to remember.</summary>
    public static ReadOnlySpan<byte> Mark => "x-isthmus-trace"u8;

    public void Http(Downstream connection, TrafficRecord record)
    {
        if (record.Request?.Headers.GetString(Mark) is { Length: > 0 and <= 64 } id)
            Add(SeenTraffic.From(id, connection.Listener.Direction, record, record.Duration, false));
    }

    public void Tcp(Downstream connection, TrafficRecord record, TimeSpan duration, bool standing) =>
        Add(SeenTraffic.From("", connection.Listener.Direction, record, duration, standing));

    /// <summary>The newest last.</summary>
    public IReadOnlyList<SeenTraffic> Find(Predicate<SeenTraffic> wanted)
    {
        var end = Interlocked.Read(ref _next);
        var found = new List<SeenTraffic>();
        for (var i = Math.Max(0, end - Capacity); i < end; i++)
            if (Volatile.Read(ref _seen[i % Capacity]) is { } seen && wanted(seen)) found.Add(seen);
        return found;
    }

    private void Add(SeenTraffic seen) => Volatile.Write(ref _seen[(Interlocked.Increment(ref _next) - 1) % Capacity], seen);
}
