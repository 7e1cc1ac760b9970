using System.Collections.Concurrent;

namespace Isthmus.Proxy.Telemetry;

/// <summary>What the datagrams of a listener amount to.</summary>
internal sealed class UdpCounts
{
    public long Sessions, Ended, IdleTimeouts, NoRoute, Overflows, Received, ReceivedBytes, ReceiveErrors, Sent, SentBytes, SendErrors, Lost;
}

/// <summary>The counts of all listeners for datagrams, by the prefix of their statistics. They stay when a listener changes or goes.</summary>
internal sealed class UdpReport
{
    private readonly ConcurrentDictionary<string, UdpCounts> _counts = new(StringComparer.Ordinal);

    public IEnumerable<KeyValuePair<string, UdpCounts>> All => _counts;

    public UdpCounts Of(string prefix) => _counts.GetOrAdd(prefix, static _ => new());
}
