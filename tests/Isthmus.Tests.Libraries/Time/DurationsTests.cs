using Isthmus.Core.Time;
using Xunit;

namespace Isthmus.Tests.Libraries.Time;

/// <summary>How long something took, as messages have it.</summary>
public sealed class DurationsTests
{
    [Theory]
    [InlineData(0, "0 ms")]
    [InlineData(0.25, "0.3 ms")]
    [InlineData(50, "50 ms")]
    [InlineData(999, "999 ms")]
    [InlineData(1000, "1 s")]
    [InlineData(1250, "1.25 s")]
    [InlineData(600_000, "600 s")]
    public void A_duration_below_a_second_is_told_in_milliseconds(double milliseconds, string text) =>
        Assert.Equal(text, Durations.Text(TimeSpan.FromMilliseconds(milliseconds)));
}
