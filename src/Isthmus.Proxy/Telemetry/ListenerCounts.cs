using System.Collections.Concurrent;
using System.Net;

namespace Isthmus.Proxy.Telemetry;

/// <summary>What the connections of a listener amount to.</summary>
internal sealed class ListenerCounts
{
    private readonly ConcurrentDictionary<string, HttpCounts> _http = new(StringComparer.Ordinal);

    public long Opened, Closed, Unmatched, Handshakes, FailedHandshakes, Refused;

    /// <summary>Of its connections that carry HTTP, by the prefix of their connection manager.</summary>
    public IEnumerable<KeyValuePair<string, HttpCounts>> AllHttp => _http;

    public HttpCounts Http(string prefix) => _http.GetOrAdd(prefix, static _ => new());
}

/// <summary>What the connections and requests of a connection manager amount to. A request costs two additions: what is active follows from the rest.</summary>
internal sealed class HttpCounts
{
    private readonly long[] _answered = new long[6]; // by the first digit of the status; 0: without a response

    public long Opened, Closed, OpenedHttp2, OpenedTls, Requests, ClientResets, ProtocolErrors, TimedOut, IdleTimeouts, NoRoute, NoCluster;

    public long Completed => Enumerable.Range(1, 5).Sum(Answered);

    public long ActiveRequests => Math.Max(0, Volatile.Read(ref Requests) - Completed - Answered(0));

    public long Answered(int firstDigit) => Volatile.Read(ref _answered[firstDigit]);

    public void Ended(TrafficRecord record)
    {
        Interlocked.Increment(ref _answered[record.Status is >= 100 and < 600 ? record.Status / 100 : 0]);
        if (record.Reason != EndReason.Completed) Failed(record.Reason);
    }

    private void Failed(EndReason reason)
    {
        if (reason == EndReason.ClientClosed) Interlocked.Increment(ref ClientResets);
        else if (reason == EndReason.ClientProtocolError) Interlocked.Increment(ref ProtocolErrors);
        else if (reason == EndReason.RequestTimeout) Interlocked.Increment(ref TimedOut);
        else if (reason == EndReason.IdleTimeout) Interlocked.Increment(ref IdleTimeouts);
        else if (reason == EndReason.RouteNotFound) Interlocked.Increment(ref NoRoute);
        else if (reason == EndReason.ClusterNotFound) Interlocked.Increment(ref NoCluster);
    }
}

/// <summary>The counts of the listeners that had connections, by their place.</summary>
internal sealed class DownstreamCounts
{
    private readonly ConcurrentDictionary<EndPoint, ListenerCounts> _listeners = [];

    public IEnumerable<KeyValuePair<EndPoint, ListenerCounts>> All => _listeners;

    public ListenerCounts Of(EndPoint listener) => _listeners.GetOrAdd(listener, static _ => new());

    /// <summary>Forgets the listeners that are gone: their number over a proxy's life has no limit.</summary>
    public void Keep(IEnumerable<EndPoint> listeners)
    {
        var kept = listeners.ToHashSet();
        foreach (var (address, _) in _listeners)
            if (!kept.Contains(address)) _listeners.TryRemove(address, out _);
    }
}
