using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Tcp;

/// <summary>Connections to a host of several addresses.</summary>
public sealed class RaceTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly ManualClock _clock = new();
    private readonly Socket _good = Listener(16), _full = Listener(0);
    private readonly List<Socket> _waiting = [];
    private readonly ReservedPort _closed = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private EndPoint Good => _good.LocalEndPoint!;

    private EndPoint Closed => new IPEndPoint(IPAddress.Loopback, _closed.Number);

    [Fact]
    public async Task An_address_that_refuses_costs_no_time()
    {
        await IsGoodAsync(RaceAsync(Closed, Closed, Good));
    }

    [Fact]
    public async Task The_next_address_is_tried_while_one_does_not_answer_and_that_connection_ends()
    {
        await FillAsync();
        var racing = RaceAsync(_full.LocalEndPoint!, Good);
        Assert.False(racing.IsCompleted);
        await Eventually.TrueAsync(() =>
        {
            _clock.Advance(TimeSpan.FromMilliseconds(100));
            return racing.IsCompleted;
        });
        await IsGoodAsync(racing);
    }

    [Fact]
    public async Task The_first_address_is_used_where_it_answers()
    {
        await IsGoodAsync(RaceAsync(Good, Closed));
    }

    [Fact]
    public async Task Without_any_that_answers_the_race_ends_with_the_reason_and_in_time()
    {
        var refused = await Assert.ThrowsAsync<TransportException>(() => RaceAsync(Closed, Closed));
        Assert.Equal(TransportFailure.Refused, refused.Failure);
        await FillAsync();
        var racing = RaceAsync(_full.LocalEndPoint!, _full.LocalEndPoint!, Closed);
        await Eventually.TrueAsync(() =>
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            return racing.IsCompleted;
        });
        Assert.Equal(TransportFailure.TimedOut, (await Assert.ThrowsAsync<TransportException>(() => racing)).Failure);
    }

    public void Dispose()
    {
        foreach (var socket in _waiting) socket.Dispose();
        _good.Dispose();
        _full.Dispose();
        _closed.Dispose();
    }

    private async Task IsGoodAsync(Task<SocketTransport> racing)
    {
        var connection = await racing;
        Assert.Equal(Good, connection.Remote);
        connection.Abort();
    }

    private Task<SocketTransport> RaceAsync(params EndPoint[] addresses) =>
        new Dialer(new ProcessSockets(), new SilenceWatch(_clock), _clock).RaceAsync(addresses, null, Patience, null).AsTask();

    /// <summary>Connects until the kernel drops what asks for another connection.</summary>
    private async Task FillAsync()
    {
        for (var i = 0; i < 4; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _waiting.Add(socket);
            var connecting = socket.ConnectAsync(_full.LocalEndPoint!, Stop).AsTask();
            if (i < 1) await connecting;
            else _ = connecting.ContinueWith(task => task.Exception, TaskScheduler.Default);
        }
    }

    private static Socket Listener(int backlog)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen(backlog);
        return socket;
    }
}
