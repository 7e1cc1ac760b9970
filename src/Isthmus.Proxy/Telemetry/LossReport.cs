namespace Isthmus.Proxy.Telemetry;

/// <summary>Tells what telemetry is lost, at once and then once a minute for as long as more is lost: whoever misses spans or lines looks into the
/// proxy's log. Not thread-safe.</summary>
/// <param name="tell">The counter, and by how much it grew since the last time.</param>
internal sealed class LossReport(TimeProvider time, Action<string, long> tell)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    private readonly Dictionary<string, (long Told, long At)> _known = new(StringComparer.Ordinal);

    /// <summary>What counters of lost spans and lines end with.</summary>
    private static readonly string[] Ends = ["spans_dropped", "logs_dropped"];

    /// <summary>Called once a second.</summary>
    /// <param name="counts">What became of spans and lines, among others.</param>
    /// <param name="others">More counters, all of losses.</param>
    public void Look(AccessCounts counts, params ReadOnlySpan<(string Name, long Count)> others)
    {
        foreach (var (name, count) in counts.All)
            if (Array.Exists(Ends, end => name.EndsWith(end, StringComparison.Ordinal))) Look(name, count);
        foreach (var (name, count) in others) Look(name, count);
    }

    private void Look(string name, long count)
    {
        var (told, at) = _known.GetValueOrDefault(name);
        if (count == told || (told > 0 && time.GetElapsedTime(at) < Pause)) return;
        _known[name] = (count, time.GetTimestamp());
        tell(name, count - told);
    }
}
