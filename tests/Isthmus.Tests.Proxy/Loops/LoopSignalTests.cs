using Isthmus.Proxy.Loops;
using Xunit;

namespace Isthmus.Tests.Proxy.Loops;

public sealed class LoopSignalTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_waiter_continues_on_the_loop_where_it_began_to_wait()
    {
        var signal = new LoopSignal();
        foreach (var loop in EventLoop.All)
        {
            var waits = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var continued = new TaskCompletionSource<EventLoop?>(TaskCreationOptions.RunContinuationsAsynchronously);
            async Task WaitAsync()
            {
                var wait = signal.WaitAsync();
                waits.SetResult();
                await wait;
                continued.SetResult(EventLoop.Current);
            }
            Task? waiting = null;
            loop.Post(() => waiting = WaitAsync());
            await waits.Task.WaitAsync(Stop);
            signal.Set();
            Assert.Same(loop, await continued.Task.WaitAsync(Stop));
            await waiting!;
        }
    }

    [Fact]
    public async Task Whoever_waits_never_continues_inside_the_call_that_wakes_it()
    {
        var signal = new LoopSignal();
        var order = new List<string>();
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        async Task WaitAsync()
        {
            await signal.WaitAsync();
            order.Add("continued");
            done.SetResult();
        }
        Task? waiting = null;
        EventLoop.All[0].Post(() =>
        {
            waiting = WaitAsync();
            signal.Set();
            order.Add("set");
        });
        await done.Task.WaitAsync(Stop);
        await waiting!;
        Assert.Equal(["set", "continued"], order);
    }

    [Fact]
    public async Task A_signal_that_nobody_awaited_wakes_the_next_waiter_once()
    {
        var signal = new LoopSignal();
        signal.Set();
        signal.Set();
        Assert.True(signal.WaitAsync().IsCompletedSuccessfully);
        var next = signal.WaitAsync().AsTask();
        Assert.False(next.IsCompleted);
        signal.Set();
        await next.WaitAsync(Stop);
    }

    [Fact]
    public async Task No_signal_is_lost_between_threads()
    {
        const int rounds = 20_000;
        var ping = new LoopSignal();
        var pong = new LoopSignal();
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        async Task AnswerAsync()
        {
            for (var i = 0; i < rounds; i++)
            {
                await ping.WaitAsync();
                pong.Set();
            }
            done.SetResult();
        }
        Task? answering = null;
        EventLoop.All[0].Post(() => answering = AnswerAsync());
        for (var i = 0; i < rounds; i++)
        {
            ping.Set();
            await pong.WaitAsync();
        }
        await done.Task.WaitAsync(Stop);
        await answering!;
    }
}
