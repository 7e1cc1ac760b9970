using System.Collections.Concurrent;
using System.Net.Sockets;
using Isthmus.Proxy.Listeners;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.Listeners;

public sealed class AcceptLoopTests
{
    private readonly ManualClock _clock = new();
    private readonly ConcurrentQueue<Func<Socket>> _outcomes = new();
    private readonly List<Socket> _begun = [];
    private Action<Socket>? _bug;
    private int _calls;

    [Theory]
    [InlineData(SocketError.TooManyOpenSockets)]
    [InlineData(SocketError.NoBufferSpaceAvailable)]
    public async Task Without_descriptors_it_waits_longer_each_time_and_begins_anew_after_a_success(SocketError error)
    {
        var expected = new[] { 10, 20, 40, 80, 160, 320, 640, 1000, 1000 };
        foreach (var _ in expected) Fails(error);
        Accepts();
        Fails(error);
        var loop = Loop();
        var running = RunAsync(loop);
        for (var i = 0; i < expected.Length; i++)
        {
            await Eventually.TrueAsync(() => _clock.NextDue is not null && _calls == i + 1);
            Assert.Equal(expected[i], _clock.NextDue!.Value.TotalMilliseconds);
            // Not a moment earlier: otherwise the loop would spin.
            _clock.Advance(_clock.NextDue!.Value - TimeSpan.FromTicks(1));
            Assert.Equal(i + 1, _calls);
            _clock.Advance(TimeSpan.FromTicks(1));
        }
        await Eventually.TrueAsync(() => _clock.NextDue is not null && _calls == expected.Length + 2);
        Assert.Equal(10, _clock.NextDue!.Value.TotalMilliseconds);
        Assert.Equal((1, expected.Length + 1), (loop.Accepted, loop.Pauses));
        _clock.Advance(TimeSpan.FromSeconds(1));
        await running;
    }

    [Fact]
    public async Task A_client_that_left_in_the_queue_costs_nothing_but_its_own_connection()
    {
        Fails(SocketError.ConnectionAborted);
        Accepts();
        var loop = Loop();
        await RunAsync(loop);
        Assert.Equal((1, 0), (loop.Accepted, loop.Pauses));
        Assert.Single(_begun);
    }

    [Fact]
    public async Task A_bug_while_a_connection_begins_does_not_end_the_listener()
    {
        Accepts();
        Accepts();
        var bugs = 0;
        _bug = _ =>
        {
            if (bugs++ == 0) throw new InvalidOperationException("a bug");
        };
        var loop = Loop();
        await RunAsync(loop);
        Assert.Equal(2, loop.Accepted);
        Assert.Single(_begun);
    }

    [Fact]
    public async Task A_pause_ends_with_the_listener()
    {
        using var stop = new CancellationTokenSource();
        Fails(SocketError.TooManyOpenSockets);
        var running = RunAsync(Loop(), stop.Token);
        await Eventually.TrueAsync(() => _clock.NextDue is not null);
        await stop.CancelAsync();
        await running;
        Assert.Equal(1, _calls);
    }

    private void Fails(SocketError error) => _outcomes.Enqueue(() => throw new SocketException((int)error));

    private void Accepts() => _outcomes.Enqueue(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));

    private AcceptLoop Loop() => new("in", _clock, NullLogger.Instance);

    private Task RunAsync(AcceptLoop loop, CancellationToken stop = default) => loop.RunAsync(() =>
    {
        Interlocked.Increment(ref _calls);
        // At the end of the script, the socket is closed.
        return ValueTask.FromResult(_outcomes.TryDequeue(out var outcome) ? outcome() : throw new ObjectDisposedException("socket"));
    }, socket =>
    {
        _bug?.Invoke(socket);
        _begun.Add(socket);
        socket.Dispose();
    }, stop);
}
