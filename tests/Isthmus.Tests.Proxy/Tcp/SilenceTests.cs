using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Transports;
using Xunit;

namespace Isthmus.Tests.Proxy.Tcp;

/// <summary>Peers that are gone, and peers that are only slow.</summary>
public sealed class SilenceTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Seconds, segments without an acknowledgment, and the second of the last one; whether the peer counts as
    /// gone at the end.</summary>
    [Theory]
    [InlineData("0:0@0 15:1@0 30:1@0", true)]
    [InlineData("0:0@0 40:1@0 54:1@0", false)] // long idle before: the silence begins with what was sent
    [InlineData("0:1@0 3:2@0 6:5@0 9:5@0 12:5@0 15:5@0", true)]
    [InlineData("0:1@0 10:2@8 18:2@8", false)] // something came in between
    [InlineData("0:1@0 10:2@8 25:2@8", true)]
    [InlineData("0:1@0 10:0@9 20:1@9 30:1@9", false)]
    public void A_peer_is_gone_that_acknowledges_nothing_of_what_waits_for_it(string story, bool gone)
    {
        var clock = new Clock();
        var silence = new Silence(clock);
        var last = false;
        foreach (var moment in story.Split(' '))
        {
            var numbers = moment.Split(':', '@').Select(int.Parse).ToArray();
            clock.Now = TimeSpan.FromSeconds(numbers[0]);
            last = silence.IsTooLong(new((uint)numbers[1], 0, TimeSpan.FromSeconds(numbers[0] - numbers[2])));
        }
        Assert.Equal(gone, last);
    }

    [Fact]
    public void A_peer_is_suspected_once_in_each_silence()
    {
        var silence = new Silence(TimeProvider.System);
        // Segments without an acknowledgment, and how often the first of them was retransmitted.
        var told = ((uint, int)[])[(0, 0), (1, 1), (2, 2), (2, 3), (5, 4), (0, 0), (1, 0), (1, 3), (1, 5)];
        Assert.Equal([false, false, false, true, false, false, false, true, false],
            told.Select(info => silence.IsSuspect(new(info.Item1, info.Item2, TimeSpan.Zero))));
    }

    [Fact]
    public async Task A_peer_that_lives_and_does_not_read_is_not_silent()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var clock = new Clock();
        var watch = new SilenceWatch(clock);
        var connection = await new Dialer(new ProcessSockets(), watch, TimeProvider.System).ConnectAsync(listener.LocalEndPoint!, null,
            TimeSpan.FromSeconds(10), null);
        using var peer = await listener.AcceptAsync(Stop);
        connection.Socket.Blocking = false;
        try
        {
            for (var full = 0; full < 20; full++)
            {
                // More than both buffers hold: the peer's window closes.
                try { while (true) connection.Socket.Send(new byte[64 * 1024]); }
                catch (SocketException e) when (e.SocketErrorCode == SocketError.WouldBlock) { await Task.Delay(20, Stop); }
                clock.Now += TimeSpan.FromSeconds(1);
                watch.Look();
            }
            Assert.NotNull(TcpInfo.Read(connection.Socket));
            Assert.Equal(0u, TcpInfo.Read(connection.Socket)!.Value.Unacknowledged);
        }
        finally
        {
            connection.Abort();
        }
        Assert.Null(TcpInfo.Read(connection.Socket));
    }

    [Theory]
    [InlineData(null, 10, 3, 3)]
    [InlineData("60 20 5", 60, 20, 5)]
    public async Task Connections_ask_whether_their_peer_lives_as_they_are_told_or_within_20_seconds(string? told, int idle, int interval, int probes)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var numbers = told?.Split(' ').Select(int.Parse).ToArray();
        var keepalive = numbers is null ? null : new KeepaliveSettings(numbers[0], numbers[1], numbers[2]);
        var watch = new SilenceWatch(TimeProvider.System);
        var connection = await new Dialer(new ProcessSockets(), watch, TimeProvider.System).ConnectAsync(listener.LocalEndPoint!, null,
            TimeSpan.FromSeconds(10), keepalive);
        watch.Look();
        int Option(SocketOptionLevel level, SocketOptionName name) => (int)connection.Socket.GetSocketOption(level, name)!;
        Assert.NotEqual(0, Option(SocketOptionLevel.Socket, SocketOptionName.KeepAlive));
        Assert.Equal((idle, interval, probes),
            (Option(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime), Option(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval),
                Option(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount)));
        connection.Abort();
    }

    /// <summary>Many connections end within a second. The watch must neither keep their memory nor ask their sockets.</summary>
    [Fact]
    public async Task A_connection_that_is_closed_is_not_watched_any_more()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var watch = new SilenceWatch(TimeProvider.System);
        var dialer = new Dialer(new ProcessSockets(), watch, TimeProvider.System);
        var (one, other) = (await dialer.ConnectAsync(listener.LocalEndPoint!, null, TimeSpan.FromSeconds(10), null),
            await dialer.ConnectAsync(listener.LocalEndPoint!, null, TimeSpan.FromSeconds(10), null));
        Assert.Equal(2, watch.Count);
        one.Abort();
        Assert.Equal(1, watch.Count);
        other.Abort(reset: true);
        Assert.Equal(0, watch.Count);
    }

    /// <summary>Time that passes only when a test advances it.</summary>
    private sealed class Clock : TimeProvider
    {
        internal TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
