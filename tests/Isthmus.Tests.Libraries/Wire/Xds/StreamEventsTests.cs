using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Xds;

/// <summary>What a stream waits for: requests in their order, the newest snapshot, and the end.</summary>
public sealed class StreamEventsTests
{
    private readonly StreamEvents<string> _events = new(2);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Requests_come_in_their_order_and_snapshots_only_once()
    {
        var waiting = _events.WaitAsync();
        Assert.False(waiting.IsCompleted);
        _events.Offered();
        _events.Offered();
        Assert.True(await waiting);
        Assert.True(_events.AddAsync("a", 1, Stop).IsCompleted);
        Assert.Equal([("a", 1), (null, 0)], Taken());
        waiting = _events.WaitAsync();
        Assert.False(waiting.IsCompleted);
        Assert.True(_events.AddAsync("b", 2, Stop).IsCompleted);
        Assert.True(await waiting);
        Assert.Equal([("b", 2)], Taken());
    }

    [Fact]
    public async Task A_client_whose_queue_is_never_empty_gets_snapshots_too()
    {
        await _events.AddAsync("a", 0, Stop);
        _events.Offered();
        var taken = new List<string?>();
        foreach (var more in (string[])["b", "c", "d"])
        {
            _ = _events.AddAsync(more, 0, Stop);
            Assert.True(_events.TryTake(out var request, out _));
            taken.Add(request);
        }
        Assert.Equal(["a", null, "b"], taken);
    }

    [Fact]
    public async Task A_client_that_floods_waits_for_room()
    {
        Assert.True(_events.AddAsync("a", 0, Stop).IsCompleted);
        var full = _events.AddAsync("b", 0, Stop).AsTask();
        Assert.False(full.IsCompleted);
        Assert.True(_events.TryTake(out _, out _));
        await full;
        Assert.True(await _events.WaitAsync());
    }

    [Fact]
    public async Task What_came_before_the_end_is_still_answered()
    {
        await _events.AddAsync("a", 0, Stop);
        _events.End(null);
        Assert.True(await _events.WaitAsync());
        Assert.Equal([("a", 0)], Taken());
        Assert.False(await _events.WaitAsync());
    }

    [Fact]
    public async Task A_failure_ends_the_wait_at_once()
    {
        var waiting = _events.WaitAsync();
        _events.End(new IOException("gone"));
        _events.End(null);
        Assert.Equal("gone", (await Assert.ThrowsAsync<IOException>(async () => await waiting)).Message);
        await Assert.ThrowsAsync<IOException>(async () => await _events.WaitAsync());
    }

    /// <summary>The thread that tells a stream of a change has others to tell.</summary>
    [Fact]
    public async Task Who_tells_does_not_run_what_was_waiting()
    {
        var (teller, woken) = (0, new TaskCompletionSource<int>());
        async Task WaitAsync()
        {
            await _events.WaitAsync().ConfigureAwait(false);
            woken.SetResult(Environment.CurrentManagedThreadId);
        }

        var waiting = WaitAsync();
        var thread = new Thread(() =>
        {
            teller = Environment.CurrentManagedThreadId;
            _events.Offered();
            // The number of a thread that has ended may be that of another one.
            woken.Task.Wait(Stop);
        });
        thread.Start();
        Assert.NotEqual(await woken.Task, teller);
        await waiting;
        thread.Join();
    }

    private List<(string? Request, long Weight)> Taken()
    {
        var taken = new List<(string?, long)>();
        while (_events.TryTake(out var request, out var weight)) taken.Add((request, weight));
        return taken;
    }
}
