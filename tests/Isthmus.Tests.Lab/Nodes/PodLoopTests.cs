using System.Collections.Concurrent;
using Isthmus.Lab.Nodes.Pods;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class PodLoopTests
{
    private readonly ConcurrentQueue<string> _reports = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_task_that_fails_is_reported_and_starts_over_until_it_succeeds()
    {
        var loop = NewLoop();
        var done = new TaskCompletionSource();
        var attempts = 0;
        loop.Start("a thing", async _ =>
        {
            await Task.Yield();
            if (++attempts < 3) throw new InvalidOperationException($"attempt {attempts}");
            done.SetResult();
        });
        await done.Task.WaitAsync(Stop);
        await loop.CloseAsync();
        Assert.Equal(["a thing: attempt 1", "a thing: attempt 2"], _reports);
    }

    [Fact]
    public async Task A_task_ends_unreported_with_what_it_works_on()
    {
        var loop = NewLoop();
        using var until = new CancellationTokenSource();
        var began = new TaskCompletionSource();
        loop.Start("a thing", async stop =>
        {
            began.SetResult();
            await Task.Delay(Timeout.Infinite, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw new ObjectDisposedException("what it works on");
        }, until.Token);
        await began.Task.WaitAsync(Stop);
        await until.CancelAsync();
        await loop.CloseAsync();
        Assert.Empty(_reports);
    }

    [Fact]
    public async Task What_a_letter_of_a_task_throws_fails_the_task_and_not_the_loop()
    {
        var loop = NewLoop();
        var letters = 0;
        loop.Start("a thing", stop => loop.InvokeAsync(() =>
        {
            if (++letters == 1) throw new IOException("full");
        }, stop));
        while (letters < 2) await loop.ReadAsync(null, Stop);
        await loop.CloseAsync();
        Assert.Equal(["a thing: full"], _reports);
    }

    [Fact]
    public async Task A_letter_that_fails_is_reported_and_those_after_it_run()
    {
        var loop = NewLoop();
        var ran = false;
        loop.Post(() => throw new InvalidOperationException("oops"));
        loop.Post(() => ran = true);
        await loop.ReadAsync(null, Stop);
        Assert.True(ran);
        Assert.Equal(["handling a change: oops"], _reports);
    }

    [Fact]
    public async Task A_question_to_a_loop_that_ends_is_answered_with_nothing()
    {
        var loop = NewLoop();
        var before = loop.AskAsync(() => "late");
        await loop.CloseAsync();
        Assert.Null(await before.WaitAsync(Stop));
        Assert.Null(await loop.AskAsync(() => "later").WaitAsync(Stop));
    }

    [Fact]
    public async Task The_loop_wakes_at_its_time_without_a_letter()
    {
        var loop = NewLoop();
        await loop.ReadAsync(TimeProvider.System.GetUtcNow() - TimeSpan.FromSeconds(1), Stop);
        await loop.ReadAsync(TimeProvider.System.GetUtcNow() + TimeSpan.FromMilliseconds(1), Stop);
        await loop.CloseAsync();
    }

    private PodLoop NewLoop() => new(TimeProvider.System, (what, e) => _reports.Enqueue($"{what}: {e.Message}"));
}
