using Isthmus.ControlPlane.Running;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Running;

public sealed class SupervisorTests
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    private readonly ImpatientClock _clock = new();

    private static CancellationToken Patience => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_task_that_fails_starts_again_after_growing_waits_and_is_counted()
    {
        await using var tasks = Make();
        var attempts = 0;
        var task = tasks.Start("work", _ => ++attempts <= 10 ? throw new InvalidOperationException("scripted") : Task.CompletedTask);
        await task.Completion.WaitAsync(Patience);
        Assert.Equal(11, attempts);
        Assert.Equal(10, tasks.Failures["work"]);
        Assert.Equal(10, _clock.Waits.Count);
        for (var i = 0; i < 10; i++)
        {
            var step = TimeSpan.FromTicks(Math.Min(First.Ticks << i, Longest.Ticks));
            Assert.InRange(_clock.Waits[i], step / 2, step);
        }
    }

    [Fact]
    public async Task Work_that_should_last_and_returns_has_failed()
    {
        await using var tasks = Make();
        var (attempts, again) = (0, new TaskCompletionSource());
        tasks.Keep("work", async stop =>
        {
            if (++attempts == 1) return;
            again.SetResult();
            await Task.Delay(Timeout.Infinite, stop);
        });
        await again.Task.WaitAsync(Patience);
        Assert.Equal(1, tasks.Failures["work"]);
    }

    [Fact]
    public async Task One_failing_task_leaves_the_others_alone()
    {
        await using var tasks = Make();
        var stopped = false;
        var other = tasks.Keep("other", async stop =>
        {
            try { await Task.Delay(Timeout.Infinite, stop); }
            finally { stopped = true; }
        });
        var attempts = 0;
        await tasks.Start("work", _ => ++attempts < 5 ? throw new IOException("scripted") : Task.CompletedTask).Completion.WaitAsync(Patience);
        Assert.False(stopped);
        Assert.False(other.Completion.IsCompleted);
    }

    [Fact]
    public async Task A_task_that_is_stopped_ends_and_whatever_it_throws_then_is_no_failure()
    {
        await using var tasks = Make();
        var begun = new TaskCompletionSource();
        var task = tasks.Keep("work", async stop =>
        {
            begun.SetResult();
            await Task.Delay(Timeout.Infinite, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw new IOException("closed");
        });
        await begun.Task.WaitAsync(Patience);
        await task.StopAsync().WaitAsync(Patience);
        Assert.Empty(tasks.Failures);
    }

    [Fact]
    public async Task The_end_of_the_supervisor_is_the_end_of_all_tasks_and_nothing_starts_after_it()
    {
        var tasks = Make();
        var (one, two) = (tasks.Keep("one", stop => Task.Delay(Timeout.Infinite, stop)), tasks.Keep("two", _ => throw new IOException("scripted")));
        await tasks.DisposeAsync().AsTask().WaitAsync(Patience);
        Assert.True(one.Completion.IsCompletedSuccessfully);
        Assert.True(two.Completion.IsCompletedSuccessfully);
        var late = false;
        await tasks.Start("late", _ => { late = true; return Task.CompletedTask; }).Completion;
        Assert.False(late);
    }

    [Fact]
    public async Task A_failure_that_a_task_survived_is_counted_too()
    {
        await using var tasks = Make();
        tasks.Failed("watch", new FormatException());
        tasks.Failed("watch", new FormatException());
        Assert.Equal(2, tasks.Failures["watch"]);
    }

    private Supervisor Make() => new(_clock, new Random(1), NullLogger<Supervisor>.Instance);
}
