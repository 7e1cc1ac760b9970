using Isthmus.ControlPlane.Running;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Running;

public sealed class IdleMemoryTests
{
    private long _allocated;
    private int _collections;

    [Fact]
    public void Memory_is_returned_once_after_a_burst_and_not_during_it()
    {
        var memory = New();
        for (var i = 0; i < 3; i++) After(IdleMemory.Worth, memory);
        Assert.Equal(0, _collections);
        After(IdleMemory.Quiet, memory);
        Assert.Equal(1, _collections);
        for (var i = 0; i < 3; i++) After(IdleMemory.Quiet, memory);
        Assert.Equal(1, _collections);
    }

    [Fact]
    public void A_little_work_now_and_then_causes_a_collection_only_after_it_adds_up()
    {
        var memory = New();
        var looks = 0;
        for (; _collections == 0; looks++) After(IdleMemory.Quiet, memory);
        Assert.Equal(IdleMemory.Worth / IdleMemory.Quiet, looks);
    }

    [Fact]
    public async Task It_returns_memory_while_it_runs()
    {
        var clock = new ManualClock();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var collected = new TaskCompletionSource();
        var running = new IdleMemory(clock, () => Interlocked.Read(ref _allocated), collected.SetResult).RunAsync(stop.Token);
        Interlocked.Add(ref _allocated, IdleMemory.Worth);
        while (!collected.Task.IsCompleted)
        {
            clock.Advance(IdleMemory.Interval);
            await Task.Yield();
        }
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    private IdleMemory New() => new(TimeProvider.System, () => _allocated, () => _collections++);

    private void After(long bytes, IdleMemory memory)
    {
        _allocated += bytes;
        memory.Look();
    }
}
