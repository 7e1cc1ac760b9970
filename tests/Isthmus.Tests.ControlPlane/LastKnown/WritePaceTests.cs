using Isthmus.ControlPlane.LastKnown;
using Xunit;

namespace Isthmus.Tests.ControlPlane.LastKnown;

public sealed class WritePaceTests
{
    private static readonly DateTimeOffset Begin = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_few_changes_in_a_row_are_written_as_they_come_and_endless_ones_at_the_interval()
    {
        var pace = new WritePace(TimeSpan.FromSeconds(10), burst: 4);
        Assert.Equal([0, 1, 2, 3, 10, 20, 30], Writes(pace, from: 0, to: 39, parts: 1));
        // An idle minute restores the burst.
        Assert.Equal([100, 101, 102, 103, 110], Writes(pace, from: 100, to: 115, parts: 1));
    }

    [Fact]
    public void A_large_one_counts_as_its_parts()
    {
        var pace = new WritePace(TimeSpan.FromSeconds(10), burst: 4);
        Assert.Equal([0, 30, 90], Writes(pace, from: 0, to: 100, parts: 6));
    }

    /// <summary>The seconds at which state that changes every second is written.</summary>
    private static List<int> Writes(WritePace pace, int from, int to, int parts)
    {
        var written = new List<int>();
        for (var second = from; second <= to; second++)
        {
            var now = Begin.AddSeconds(second);
            if (!pace.Allows(now)) continue;
            pace.Wrote(now, parts);
            written.Add(second);
        }
        return written;
    }
}
