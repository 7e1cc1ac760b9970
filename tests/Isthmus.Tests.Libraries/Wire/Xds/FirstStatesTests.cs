using Isthmus.Testing;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Xds;

public sealed class FirstStatesTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private readonly ManualClock _clock = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Streams_wait_for_a_place_in_the_order_in_which_they_began()
    {
        var states = new FirstStates(2, Patience, _clock);
        var turns = Enumerable.Range(0, 4).Select(_ => states.Join()).ToList();
        await turns[2].EnterAsync(Stop);
        await turns[3].EnterAsync(Stop);
        var second = turns[1].EnterAsync(Stop).AsTask();
        var first = turns[0].EnterAsync(Stop).AsTask();
        Assert.False(first.IsCompleted || second.IsCompleted);

        turns[3].Leave();
        await first;
        Assert.False(second.IsCompleted);
        turns[0].Dispose();
        await second;
    }

    [Fact]
    public async Task A_stream_that_has_a_place_keeps_it_until_it_leaves_and_leaves_once()
    {
        var states = new FirstStates(1, Patience, _clock);
        var (one, two, three) = (states.Join(), states.Join(), states.Join());
        await one.EnterAsync(Stop);
        await one.EnterAsync(Stop);
        var second = two.EnterAsync(Stop).AsTask();
        var third = three.EnterAsync(Stop).AsTask();

        one.Leave();
        one.Leave();
        await second;
        Assert.False(third.IsCompleted);
    }

    [Fact]
    public async Task A_stream_that_does_not_answer_loses_its_place_after_a_while()
    {
        var states = new FirstStates(1, Patience, _clock);
        var (silent, next, last) = (states.Join(), states.Join(), states.Join());
        await silent.EnterAsync(Stop);
        var waiting = next.EnterAsync(Stop).AsTask();
        _clock.Advance(Patience);
        await waiting;

        // It comes back late, and does not end the place of the other.
        var after = last.EnterAsync(Stop).AsTask();
        silent.Leave();
        Assert.False(after.IsCompleted);
    }

    [Fact]
    public async Task A_stream_that_ends_while_it_waits_takes_no_place()
    {
        var states = new FirstStates(1, Patience, _clock);
        var (one, gone, next) = (states.Join(), states.Join(), states.Join());
        await one.EnterAsync(Stop);
        using var ended = new CancellationTokenSource();
        var leaving = gone.EnterAsync(ended.Token).AsTask();
        var waiting = next.EnterAsync(Stop).AsTask();
        await ended.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);

        one.Leave();
        await waiting;
    }
}
