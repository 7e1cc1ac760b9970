using System.Collections.Concurrent;
using Isthmus.Core.Tasks;
using Xunit;

namespace Isthmus.Tests.Libraries.Tasks;

public sealed class BackgroundTasksTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Its_end_is_that_of_the_last_task()
    {
        var tasks = new BackgroundTasks((name, e) => Assert.Fail($"{name}: {e}"));
        Assert.True(tasks.WhenEndedAsync().IsCompleted);
        TaskCompletionSource first = new(), second = new();
        tasks.Start("first", () => first.Task);
        tasks.Start("second", () => second.Task);
        var ended = tasks.WhenEndedAsync();
        first.SetResult();
        Assert.False(ended.IsCompleted);
        second.SetResult();
        await ended.WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.True(tasks.WhenEndedAsync().IsCompleted);
        Assert.Equal(0, tasks.Failures);
    }

    [Fact]
    public async Task Each_failure_is_counted_and_reported_with_the_name_of_its_task()
    {
        var failures = new ConcurrentBag<string>();
        var tasks = new BackgroundTasks((name, e) => failures.Add($"{name}: {e.Message}"));
        tasks.Start("at once", () => throw new InvalidOperationException("one"));
        tasks.Start("later", async () =>
        {
            await Task.Yield();
            throw new IOException("two");
        });
        tasks.Start("cancelled", () => Task.FromCanceled(new CancellationToken(true)));
        tasks.Start("fine", () => Task.CompletedTask);
        await tasks.WhenEndedAsync().WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.Equal(3, tasks.Failures);
        Assert.Equal(["at once: one", "cancelled: A task was canceled.", "later: two"], failures.Order(StringComparer.Ordinal));
    }
}
