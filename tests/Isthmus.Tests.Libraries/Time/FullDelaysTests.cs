using System.Diagnostics;
using Isthmus.Core.Time;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Time;

public sealed class FullDelaysTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(50)]
    [InlineData(1.5)]
    [InlineData(0.1)]
    [InlineData(0)]
    [InlineData(-1)]
    public async Task A_delay_is_never_shorter_than_it_says_even_if_timers_fire_early(double milliseconds)
    {
        var delay = TimeSpan.FromMilliseconds(milliseconds);
        var begun = Stopwatch.GetTimestamp();
        await new EarlyTimers().DelayInFullAsync(delay, Stop);
        Assert.True(Stopwatch.GetElapsedTime(begun) >= delay);
    }

    [Fact]
    public async Task A_delay_may_be_longer_than_a_timer_runs()
    {
        var clock = new ManualClock();
        var delay = clock.DelayInFullAsync(TimeSpan.FromDays(100), Stop);
        while (!delay.IsCompleted)
        {
            Assert.True(clock.NextDue < TimeSpan.FromDays(49));
            clock.Advance(clock.NextDue.Value);
        }
        await delay;
        Assert.Equal(TimeSpan.FromDays(100), clock.GetUtcNow() - new ManualClock().GetUtcNow());
    }

    [Fact]
    public async Task A_delay_ends_when_it_is_canceled()
    {
        using var cancel = new CancellationTokenSource();
        var delay = TimeProvider.System.DelayInFullAsync(TimeSpan.MaxValue, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => delay);
    }
}
