using Isthmus.ControlPlane.Statuses;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Running;

/// <summary>When work that changes make necessary runs again.</summary>
public sealed class RoundsTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public void The_earlier_of_two_rounds_is_next_but_not_before_either_may_be()
    {
        Assert.Equal(new(2 * Second, 5 * Second), NextRound.Soon.Or(new(2 * Second)));
        Assert.Equal(new(2 * Second, 5 * Second), new NextRound(2 * Second).Or(NextRound.Soon));
        Assert.Equal(NextRound.Soon, NextRound.Soon.Or(NextRound.AtChange));
        Assert.Equal(NextRound.Soon, NextRound.AtChange.Or(NextRound.Soon));
        Assert.Equal(new(Second), NextRound.AtChange.Or(new(Second)));
    }

    /// <summary>A server that fails is not asked more often because something else is due.</summary>
    [Fact]
    public async Task What_could_not_be_done_is_not_tried_early_because_something_else_is_due()
    {
        var (clock, times) = (new ManualClock(), new List<DateTimeOffset>());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var twice = new TaskCompletionSource();
        var running = new Rounds(clock).RunAsync(_ =>
        {
            times.Add(clock.GetUtcNow());
            if (times.Count == 2) twice.TrySetResult();
            return Task.FromResult(NextRound.Soon.Or(new(2 * Second)));
        }, stop.Token);
        await Eventually.TrueAsync(() =>
        {
            clock.Advance(Second);
            return twice.Task.IsCompleted;
        });
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.True(times[1] - times[0] >= 5 * Second, $"after {times[1] - times[0]}");
    }
}
