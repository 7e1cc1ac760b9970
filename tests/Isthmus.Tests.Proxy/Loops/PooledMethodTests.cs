using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;
using Xunit;

namespace Isthmus.Tests.Proxy.Loops;

/// <summary>Async methods whose state machines are used again.</summary>
public sealed class PooledMethodTests
{
    [Fact]
    public async Task A_method_that_never_waits_has_its_result_at_once()
    {
        var call = Twice(Task.FromResult(21));
        Assert.True(call.IsCompletedSuccessfully);
        Assert.Equal(42, await call);
    }

    [Fact]
    public async Task A_method_that_waits_continues_its_caller()
    {
        var source = new TaskCompletionSource<int>();
        var call = Twice(source.Task);
        Assert.False(call.IsCompleted);
        source.SetResult(21);
        Assert.Equal(42, await call);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_exception_reaches_the_caller(bool waits)
    {
        var source = new TaskCompletionSource<int>();
        if (!waits) source.SetException(new IOException("broken"));
        var call = Twice(source.Task);
        if (waits) source.SetException(new IOException("broken"));
        Assert.True(call.IsFaulted);
        Assert.Equal("broken", (await Assert.ThrowsAsync<IOException>(async () => await call)).Message);
    }

    [Fact]
    public async Task A_cancelled_method_is_cancelled()
    {
        var source = new TaskCompletionSource<int>();
        var call = Twice(source.Task);
        source.SetCanceled(TestContext.Current.CancellationToken);
        Assert.True(call.IsCanceled);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await call);
    }

    [Fact]
    public async Task A_result_can_be_taken_once()
    {
        var source = new TaskCompletionSource<int>();
        var call = Twice(source.Task);
        source.SetResult(1);
        await call;
        // The next call may already use the same frame.
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await call);
    }

    [Fact]
    public void A_thread_uses_the_frames_of_ended_calls_again()
    {
        const int Calls = 20;
        // No other test has frames of this method.
        [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
        async ValueTask<int> Thrice(Task<int> of) => 3 * await of.ConfigureAwait(false);
        long Waits()
        {
            var sources = Enumerable.Range(0, Calls).Select(_ => new TaskCompletionSource<int>()).ToArray();
            var calls = new ValueTask<int>[Calls];
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < Calls; i++) calls[i] = Thrice(sources[i].Task);
            for (var i = 0; i < Calls; i++) sources[i].SetResult(i);
            var sum = 0;
            for (var i = 0; i < Calls; i++) sum += calls[i].GetAwaiter().GetResult();
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.Equal(3 * Enumerable.Range(0, Calls).Sum(), sum);
            return allocated;
        }
        const int LeastFrame = 100;
        var first = Waits();
        // In Debug builds, state machines are objects of their own, which are not used again.
        Assert.InRange(Waits(), 0, first - Calls * LeastFrame);
    }

    [Fact]
    public async Task The_end_and_the_wait_may_meet_on_two_threads()
    {
        for (var i = 0; i < 5_000; i++)
        {
            var source = new TaskCompletionSource<int>();
            var call = Twice(source.Task);
            using var ready = new Barrier(2);
            var ending = Task.Run(() =>
            {
                ready.SignalAndWait();
                source.SetResult(i);
            }, TestContext.Current.CancellationToken);
            ready.SignalAndWait(TestContext.Current.CancellationToken);
            Assert.Equal(2 * i, await call);
            await ending;
        }
    }

    [Fact]
    public async Task A_method_without_a_result_waits_as_well()
    {
        var source = new TaskCompletionSource();
        var seen = 0;
        [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
        async ValueTask WaitAsync()
        {
            await source.Task;
            seen++;
        }
        var call = WaitAsync();
        Assert.Equal(0, seen);
        source.SetResult();
        await call;
        Assert.Equal(1, seen);
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private static async ValueTask<int> Twice(Task<int> of) => 2 * await of.ConfigureAwait(false);
}
