using Isthmus.Proxy.Telemetry;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Telemetry;

public sealed class LossReportTests
{
    [Fact]
    public void Losses_are_told_at_once_and_then_once_a_minute()
    {
        var (clock, counts, told) = (new ManualClock(), new AccessCounts(), new List<string>());
        var losses = new LossReport(clock, (name, count) => told.Add($"{name} {count}"));
        counts.Add("tracing.zipkin.spans_sent", 7);
        Look(0);
        Assert.Empty(told);
        counts.Add("tracing.zipkin.spans_dropped", 3);
        Look(1);
        Assert.Equal(["tracing.zipkin.spans_dropped 3", "overflows 1"], Taken());
        counts.Add("tracing.zipkin.spans_dropped", 4);
        counts.Add("access_logs.grpc_access_log.logs_dropped", 1);
        Look(1);
        Assert.Equal(["access_logs.grpc_access_log.logs_dropped 1"], Taken());
        clock.Advance(TimeSpan.FromMinutes(1));
        Look(1);
        Assert.Equal(["tracing.zipkin.spans_dropped 4"], Taken());
        clock.Advance(TimeSpan.FromHours(1));
        Look(1);
        Assert.Empty(told);

        void Look(long overflows) => losses.Look(counts, ("overflows", overflows));

        string[] Taken()
        {
            string[] taken = [.. told];
            told.Clear();
            return taken;
        }
    }
}
