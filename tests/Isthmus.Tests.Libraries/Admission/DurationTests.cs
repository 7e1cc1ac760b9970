using Isthmus.Core.Time;
using Xunit;

namespace Isthmus.Tests.Libraries.Admission;

public sealed class DurationTests
{
    [Theory]
    [InlineData("10s", 10)]
    [InlineData("24h0m0s", 86400)]
    [InlineData("-5s", -5)]
    [InlineData("0", 0)]
    [InlineData("1m30s", 90)]
    [InlineData("250ms", 0.25)]
    [InlineData("1.5h", 5400)]
    [InlineData("0s", 0)]
    public void Durations_are_read_as_Go_writes_them(string text, double seconds)
    {
        Assert.True(Durations.TryParse(text, out var duration));
        Assert.Equal(seconds, duration.TotalSeconds, 6);
    }

    [Theory]
    [InlineData("")]
    [InlineData("10")]
    [InlineData("s")]
    [InlineData("1 s")]
    [InlineData("1d")]
    [InlineData("999999999999999999999999h")]
    public void What_is_no_duration_is_refused(string text) => Assert.False(Durations.TryParse(text, out _));
}
