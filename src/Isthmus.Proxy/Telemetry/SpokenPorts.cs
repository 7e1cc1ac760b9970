using Isthmus.Wire.Reports;
using Isthmus.Wire.Xds;
using Protocol = Isthmus.Wire.Reports.SpokenPort.Types.Protocol;

namespace Isthmus.Proxy.Telemetry;

/// <summary>What clients speak on ports of a sidecar whose filter chains are made for something else: the control plane knows what the ports are declared. A
/// port is forgotten when nobody has spoken so for a while.</summary>
/// <param name="time">The clock.</param>
/// <param name="lately">That while.</param>
internal sealed class SpokenPorts(TimeProvider time, TimeSpan lately)
{
    private readonly Lock _guard = new(); // guards the field below
    private readonly Dictionary<(int Port, Protocol Protocol), Count> _counts = [];

    /// <summary>Counts the connections of a half of the while, and keeps those of the half before.</summary>
    private sealed class Count(long begun)
    {
        public long Begun = begun;
        public uint Before, Now;
    }

    /// <summary>A connection has begun like this.</summary>
    public void Saw(int port, Protocol protocol)
    {
        lock (_guard)
        {
            if (!_counts.TryGetValue((port, protocol), out var count))
            {
                if (_counts.Count >= TelemetryReports.MostSpoken) Forget();
                if (_counts.Count >= TelemetryReports.MostSpoken) return;
                _counts[(port, protocol)] = count = new(time.GetTimestamp());
            }
            Turn(count);
            if (count.Now < int.MaxValue) count.Now++;
        }
    }

    /// <summary>What was spoken lately, always in the same order.</summary>
    public IReadOnlyList<SpokenPort> Lately()
    {
        lock (_guard)
        {
            Forget();
            return [.. _counts.OrderBy(item => item.Key).Select(item => new SpokenPort
            {
                Port = (uint)item.Key.Port, Protocol = item.Key.Protocol, Connections = item.Value.Before + item.Value.Now
            })];
        }
    }

    private void Forget()
    {
        foreach (var (port, count) in _counts)
        {
            Turn(count);
            if (count.Before + count.Now == 0) _counts.Remove(port);
        }
    }

    private void Turn(Count count)
    {
        var age = time.GetElapsedTime(count.Begun);
        if (age < lately / 2) return;
        (count.Before, count.Now, count.Begun) = (age < lately ? count.Now : 0, 0, time.GetTimestamp());
    }
}
