using Isthmus.Wire.Reports;
using Isthmus.Wire.Xds;

namespace Isthmus.Proxy.Telemetry;

/// <summary>What is lost of a kind of telemetry, and where it was to go.</summary>
/// <param name="Counter">The counter of it.</param>
/// <param name="Target">The cluster that leads to a collector, or a file; empty: the proxy itself leaves it out.</param>
internal readonly record struct LostFlow(TelemetryLoss.Types.Kind Kind, string Counter, string Target);

/// <summary>What telemetry the proxy loses at present, for the control plane, which tells those who miss it. A loss ends a minute after it
/// was last seen if the collector has taken something since; of a collector that takes nothing, and gets nothing, nothing new is known
/// for a while.</summary>
/// <param name="usual">That minute.</param>
internal sealed class TelemetryLosses(TimeProvider time, TimeSpan usual)
{
    private const int LongestOfUsual = 10;

    private readonly Lock _guard = new(); // guards the fields below
    private readonly Dictionary<LostFlow, Loss> _losses = [];
    private readonly Dictionary<LostFlow, long> _totals = [];

    private sealed class Loss
    {
        public long At;
        public bool HasEnded;
        public TelemetryLoss.Types.Reason Reason;
        public int Status;
    }

    /// <param name="flow">What is lost.</param>
    /// <param name="reason">Why.</param>
    /// <param name="status">What the collector answers with; 0: nothing.</param>
    public void Lost(LostFlow flow, TelemetryLoss.Types.Reason reason, int status = 0)
    {
        lock (_guard)
        {
            if (!_losses.TryGetValue(flow, out var loss)) _losses[flow] = loss = new();
            loss.At = time.GetTimestamp();
            // A queue is full because the collector does not take what is in it.
            if (reason == TelemetryLoss.Types.Reason.TooSlow && loss is { HasEnded: false, Reason: not TelemetryLoss.Types.Reason.OtherReason }) return;
            (loss.HasEnded, loss.Reason, loss.Status) = (false, reason, status);
        }
    }

    /// <summary>The collector has taken what it got.</summary>
    public void Taken(LostFlow flow)
    {
        lock (_guard)
        {
            if (_losses.TryGetValue(flow, out var loss)) loss.HasEnded = true;
        }
    }

    /// <summary>The same for what is only counted.</summary>
    /// <param name="flow">What is lost.</param>
    /// <param name="reason">Why.</param>
    /// <param name="total">How much of it was lost since the start.</param>
    public void Look(LostFlow flow, TelemetryLoss.Types.Reason reason, long total)
    {
        lock (_guard)
        {
            if (_totals.GetValueOrDefault(flow) == total) return;
            _totals[flow] = total;
        }
        Lost(flow, reason);
        Taken(flow);
    }

    public TelemetryReport Report()
    {
        var report = new TelemetryReport();
        lock (_guard)
        {
            foreach (var flow in _losses.Where(item => time.GetElapsedTime(item.Value.At) >= (item.Value.HasEnded ? usual : usual * LongestOfUsual))
                .Select(item => item.Key).ToList())
                _losses.Remove(flow);
            // Always in the same order: the same losses are the same report.
            foreach (var (flow, loss) in _losses.OrderBy(item => item.Key.Counter, StringComparer.Ordinal)
                .ThenBy(item => item.Key.Target, StringComparer.Ordinal).Take(TelemetryReports.MostLosses))
                report.Losses.Add(new TelemetryLoss
                {
                    Kind = flow.Kind, Counter = flow.Counter, Target = flow.Target, Reason = loss.Reason, Status = loss.Status
                });
        }
        return report;
    }
}
