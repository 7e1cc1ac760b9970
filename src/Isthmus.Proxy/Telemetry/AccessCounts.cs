using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace Isthmus.Proxy.Telemetry;

/// <summary>What policies and external authorizers decided, and what became of spans, counted under Envoy's names. Counters outlive the
/// listeners that they are of.</summary>
internal sealed class AccessCounts
{
    private readonly ConcurrentDictionary<string, StrongBox<long>> _counts = new(StringComparer.Ordinal);

    /// <summary>All counters that are not zero.</summary>
    public IEnumerable<KeyValuePair<string, long>> All => _counts.Select(item => KeyValuePair.Create(item.Key, Interlocked.Read(ref item.Value.Value)));

    public void Add(string name, long count = 1) => Interlocked.Add(ref _counts.GetOrAdd(name, static _ => new()).Value, count);
}
