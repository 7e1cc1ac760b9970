using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Testing;
using Isthmus.Wire.Xds;
using Xunit;
using Kind = Isthmus.Wire.Reports.TelemetryLoss.Types.Kind;
using Reason = Isthmus.Wire.Reports.TelemetryLoss.Types.Reason;

namespace Isthmus.Tests.Proxy.Telemetry;

public sealed class TelemetryLossesTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly LostFlow Spans = new(Kind.Spans, "spans_dropped", "one"), Lines = new(Kind.Lines, "lines_dropped", "");

    private readonly ManualClock _clock = new();
    private readonly TelemetryLosses _losses;

    public TelemetryLossesTests() => _losses = new(_clock, Minute);

    private string[] Told => [.. _losses.Report().Losses.Select(loss => $"{loss.Kind} {loss.Counter} {loss.Target} {loss.Reason} {loss.Status}")];

    [Fact]
    public void A_loss_ends_a_minute_after_it_was_seen_if_the_collector_takes_something_again()
    {
        _losses.Taken(Spans);
        Assert.Empty(Told);
        _losses.Lost(Spans, Reason.Refused, 503);
        _clock.Advance(Minute * 5);
        // Nothing was sent since, so nothing speaks against it.
        Assert.Equal(["Spans spans_dropped one Refused 503"], Told);
        _losses.Lost(Spans, Reason.Timeout);
        _losses.Taken(Spans);
        _clock.Advance(Minute * 0.9);
        Assert.Equal(["Spans spans_dropped one Timeout 0"], Told);
        _clock.Advance(Minute * 0.1);
        Assert.Empty(Told);
    }

    [Fact]
    public void A_collector_that_gets_nothing_anymore_is_forgotten()
    {
        _losses.Lost(Spans, Reason.Unreachable);
        _clock.Advance(Minute * 9.9);
        Assert.Single(Told);
        _clock.Advance(Minute);
        Assert.Empty(Told);
    }

    [Fact]
    public void What_is_only_counted_is_lost_while_it_grows()
    {
        _losses.Look(Lines, Reason.OtherReason, 0);
        Assert.Empty(Told);
        _losses.Look(Lines, Reason.OtherReason, 7);
        _clock.Advance(Minute * 0.9);
        _losses.Look(Lines, Reason.OtherReason, 8);
        _clock.Advance(Minute * 0.9);
        _losses.Look(Lines, Reason.OtherReason, 8);
        Assert.Equal(["Lines lines_dropped  OtherReason 0"], Told);
        _clock.Advance(Minute * 0.1);
        Assert.Empty(Told);
    }

    [Fact]
    public void A_report_is_bounded_and_always_in_the_same_order()
    {
        var random = new Random(1);
        int[] order = [.. Enumerable.Range(0, 200)];
        random.Shuffle(order);
        foreach (var i in order) _losses.Lost(Spans with { Target = $"{i:000}" }, Reason.NoEndpoint);
        Assert.Equal(Enumerable.Range(0, TelemetryReports.MostLosses).Select(i => $"{i:000}"), _losses.Report().Losses.Select(loss => loss.Target));
        random.Shuffle(order);
        foreach (var i in order) _losses.Lost(Spans with { Target = $"{i:000}" }, Reason.NoEndpoint);
        Assert.Equal(_losses.Report(), _losses.Report());
    }
}
