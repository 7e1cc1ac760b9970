using Isthmus.Core.Tasks;
using Xunit;

namespace Isthmus.Tests.Libraries.Tasks;

public sealed class SignalTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_waiter_looks_once_however_often_it_was_told()
    {
        var signal = new Signal();
        signal.Tell();
        signal.Tell();
        await signal.NextAsync(Stop);
        var next = signal.NextAsync(Stop);
        Assert.False(next.IsCompleted);
        signal.Tell();
        await next;
    }

    [Fact]
    public async Task A_wait_that_is_stopped_loses_nothing()
    {
        var signal = new Signal();
        using var stop = new CancellationTokenSource();
        var next = signal.NextAsync(stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next);
        signal.Tell();
        await signal.NextAsync(Stop);
    }
}
