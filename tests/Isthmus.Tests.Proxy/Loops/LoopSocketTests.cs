using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Loops;

public sealed class LoopSocketTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_read_waits_for_bytes_and_the_end_of_the_stream_stays_its_end()
    {
        using var pair = await Pair.ConnectAsync();
        var buffer = new byte[8];
        var read = pair.Own.ReceiveAsync(buffer);
        Assert.False(read.IsCompleted);
        Assert.True(pair.Own.IsQuiet);
        await pair.Peer.SendAsync("hello world"u8.ToArray(), Stop);
        Assert.Equal(8, await read);
        Assert.Equal("hello wo"u8, buffer);
        Assert.False(pair.Own.IsQuiet);
        Assert.Equal(3, await pair.Own.ReceiveAsync(buffer));
        pair.Peer.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await pair.Own.ReceiveAsync(buffer));
        Assert.Equal(0, await pair.Own.ReceiveAsync(buffer));
        Assert.False(pair.Own.IsQuiet);
        // The other direction goes on.
        Assert.Equal(2, await pair.Own.SendAsync("ok"u8.ToArray()));
        Assert.Equal(2, await pair.Peer.ReceiveAsync(buffer, Stop));
    }

    [Fact]
    public async Task An_empty_read_waits_for_bytes_without_taking_them_and_for_the_end()
    {
        using var pair = await Pair.ConnectAsync();
        var wait = pair.Own.ReceiveAsync(Memory<byte>.Empty);
        Assert.False(wait.IsCompleted);
        await pair.Peer.SendAsync("hello"u8.ToArray(), Stop);
        Assert.Equal(0, await wait);
        Assert.False(pair.Own.IsQuiet);
        Assert.Equal(0, await pair.Own.ReceiveAsync(Memory<byte>.Empty));
        var buffer = new byte[8];
        Assert.Equal(5, await pair.Own.ReceiveAsync(buffer));
        wait = pair.Own.ReceiveAsync(Memory<byte>.Empty);
        Assert.False(wait.IsCompleted);
        pair.Peer.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await wait);
        Assert.Equal(0, await pair.Own.ReceiveAsync(buffer));
    }

    [Fact]
    public async Task An_empty_read_ends_when_the_connection_is_closed_or_reset_and_the_next_read_shows_it()
    {
        using (var pair = await Pair.ConnectAsync())
        {
            var wait = pair.Own.ReceiveAsync(Memory<byte>.Empty);
            pair.Own.Close();
            await wait;
            await Assert.ThrowsAsync<ObjectDisposedException>(async () => await pair.Own.ReceiveAsync(new byte[8]));
            await pair.Own.ReceiveAsync(Memory<byte>.Empty);
        }
        using (var pair = await Pair.ConnectAsync())
        {
            var wait = pair.Own.ReceiveAsync(Memory<byte>.Empty);
            pair.Peer.LingerState = new LingerOption(true, 0);
            pair.Peer.Dispose();
            await wait;
            await Assert.ThrowsAsync<SocketException>(async () => await pair.Own.ReceiveAsync(new byte[8]));
        }
    }

    /// <summary>The kernel may report the last bytes and the end at once.</summary>
    [Fact]
    public async Task The_end_that_arrived_together_with_the_last_bytes_is_seen()
    {
        using var pair = await Pair.ConnectAsync();
        using (var arrived = new ManualResetEventSlim())
        {
            pair.Own.Loop.Post(arrived.Wait);
            await pair.Peer.SendAsync("last"u8.ToArray(), Stop);
            pair.Peer.Shutdown(SocketShutdown.Send);
            arrived.Set();
            var waited = new TaskCompletionSource();
            pair.Own.Loop.Post(waited.SetResult);
            await waited.Task;
        }
        Assert.Equal(4, await pair.Own.ReceiveAsync(new byte[8]));
        Assert.Equal(0, await pair.Own.ReceiveAsync(new byte[8]));
    }

    [Fact]
    public async Task A_write_waits_until_a_slow_reader_makes_room()
    {
        using var pair = await Pair.ConnectAsync();
        var piece = new byte[64 * 1024];
        long sent = 0;
        ValueTask<int> write;
        while ((write = pair.Own.SendAsync(piece)).IsCompleted) sent += await write;
        var (received, buffer) = (0L, new byte[64 * 1024]);
        while (received < sent) received += await pair.Peer.ReceiveAsync(buffer, Stop);
        sent += await write;
        while (received < sent) received += await pair.Peer.ReceiveAsync(buffer, Stop);
        Assert.Equal(sent, received);
    }

    [Fact]
    public async Task A_reset_fails_a_pending_read_with_its_reason()
    {
        using var pair = await Pair.ConnectAsync();
        var read = pair.Own.ReceiveAsync(new byte[8]);
        pair.Peer.LingerState = new LingerOption(true, 0);
        pair.Peer.Dispose();
        Assert.Equal(SocketError.ConnectionReset, (await Assert.ThrowsAsync<SocketException>(() => read.AsTask())).SocketErrorCode);
    }

    [Fact]
    public async Task Closing_fails_what_is_pending_and_what_comes_later()
    {
        using var pair = await Pair.ConnectAsync();
        var read = pair.Own.ReceiveAsync(new byte[8]);
        pair.Own.Close();
        pair.Own.Close();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => read.AsTask());
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await pair.Own.ReceiveAsync(new byte[8]));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await pair.Own.SendAsync(new byte[8]));
        Assert.False(pair.Own.IsQuiet);
    }

    [Fact]
    public async Task A_cancelled_read_takes_no_bytes_and_a_later_one_goes_on()
    {
        using var pair = await Pair.ConnectAsync();
        using var limit = new CancellationTokenSource();
        var read = pair.Own.ReceiveAsync(new byte[8], limit.Token);
        await limit.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(() => read.AsTask());
        await Assert.ThrowsAsync<OperationCanceledException>(() => pair.Own.ReceiveAsync(new byte[8], limit.Token).AsTask());
        var other = pair.Own.ReceiveAsync(new byte[8], Stop);
        await pair.Peer.SendAsync("late"u8.ToArray(), Stop);
        Assert.Equal(4, await other);
    }

    [Fact]
    public async Task Cancelling_races_with_what_arrives_and_loses_nothing()
    {
        using var pair = await Pair.ConnectAsync();
        var (received, buffer) = (0, new byte[8]);
        const int Bytes = 2000;
        var sending = Task.Run(async () => { for (var i = 0; i < Bytes; i++) await pair.Peer.SendAsync(new byte[1], Stop); }, Stop);
        while (received < Bytes)
        {
            using var limit = new CancellationTokenSource();
            var read = pair.Own.ReceiveAsync(buffer, limit.Token);
            ThreadPool.UnsafeQueueUserWorkItem(static limit => { try { limit.Cancel(); } catch (ObjectDisposedException) { } }, limit, preferLocal: false);
            try
            {
                received += await read;
            }
            catch (OperationCanceledException)
            {
                // The next one gets it.
            }
        }
        await sending;
        Assert.Equal(Bytes, received);
    }

    [Fact]
    public async Task A_refused_connection_and_one_that_takes_too_long_are_told_apart()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var nobody = (IPEndPoint)listener.LocalEndPoint!;
        using var refused = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var failure = await Assert.ThrowsAsync<SocketException>(() => LoopSocket.ConnectAsync(refused, nobody, TimeSpan.FromMinutes(1), TimeProvider.System)
            .AsTask());
        Assert.Equal(SocketError.ConnectionRefused, failure.SocketErrorCode);

        // A queue that is full takes no more.
        listener.Listen(0);
        var waiting = new List<Socket>();
        try
        {
            while (true)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                waiting.Add(socket);
                await LoopSocket.ConnectAsync(socket, nobody, TimeSpan.FromMilliseconds(200), TimeProvider.System);
            }
        }
        catch (ObjectDisposedException)
        {
            // This is the one that took too long.
        }
        finally
        {
            foreach (var socket in waiting) socket.Dispose();
        }
        Assert.NotEmpty(waiting);
    }

    [Fact]
    public async Task The_local_address_of_a_connection_is_known()
    {
        using var pair = await Pair.ConnectAsync();
        Assert.Equal(pair.Peer.RemoteEndPoint, SocketTransport.LocalOf(pair.OwnSocket));
    }

    [Fact]
    public async Task Every_loop_accepts_connections_of_one_listening_socket_until_it_is_closed()
    {
        const int Clients = 100;
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(Clients);
        var address = listener.LocalEndPoint!;
        var accepted = new ConcurrentBag<Socket>();
        var onLoops = EventLoop.All.Select(loop => new LoopListener(listener, loop)).ToList();
        var accepting = onLoops.Select(async one =>
        {
            while (true) accepted.Add(await one.AcceptAsync());
        }).ToList();
        var clients = new List<Socket>();
        for (var i = 0; i < Clients; i++)
        {
            var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            clients.Add(client);
            await client.ConnectAsync(address, Stop);
        }
        await Eventually.TrueAsync(() => accepted.Count == Clients);
        foreach (var one in onLoops) one.Close();
        foreach (var task in accepting) await Assert.ThrowsAsync<ObjectDisposedException>(() => task);
        Assert.Equal(Clients, accepted.Count);
        Assert.Equal(clients.Select(client => client.LocalEndPoint!.ToString()).Order(), accepted.Select(socket => socket.RemoteEndPoint!.ToString()).Order());
        foreach (var socket in accepted.Concat(clients)) socket.Dispose();
    }

    [Fact]
    public async Task A_loop_that_has_more_connections_than_others_hands_new_ones_over()
    {
        if (EventLoop.All.Count == 1) return;
        var pairs = new List<Pair>();
        var loop = EventLoop.All[0];
        try
        {
            while (ReferenceEquals(loop.ForAccepted(), loop))
            {
                Assert.True(pairs.Count < 5000, "it never does");
                pairs.Add(await Pair.ConnectAsync(loop));
            }
        }
        finally
        {
            foreach (var pair in pairs) pair.Dispose();
        }
    }

    /// <summary>All sockets of this test share a loop: one that always has more to read would starve the other if it were allowed to.</summary>
    [Fact]
    public async Task A_connection_that_always_has_more_to_read_leaves_time_for_others()
    {
        var pairs = new List<Pair>();
        var flooding = new CancellationTokenSource();
        var floods = new List<Task>();
        try
        {
            // More than there are loops, so that one loop has two.
            for (var i = 0; i < 2 * Environment.ProcessorCount; i++) pairs.Add(await Pair.ConnectAsync());
            foreach (var pair in pairs)
            {
                floods.Add(Task.Run(async () => { while (!flooding.IsCancellationRequested)
                    await pair.Peer.SendAsync(new byte[64 * 1024], flooding.Token); }, Stop));
                floods.Add(ReadAsync(pair.Own, flooding.Token));
            }
            using var quiet = await Pair.ConnectAsync();
            for (var i = 0; i < 20; i++)
            {
                await quiet.Peer.SendAsync("ping"u8.ToArray(), Stop);
                Assert.Equal(4, await quiet.Own.ReceiveAsync(new byte[8]));
            }
        }
        finally
        {
            await flooding.CancelAsync();
            foreach (var pair in pairs) pair.Dispose();
            await Task.WhenAll(floods).ContinueWith(_ => { }, TaskScheduler.Default);
            flooding.Dispose();
        }
    }

    private static async Task ReadAsync(LoopSocket from, CancellationToken stop)
    {
        var buffer = new byte[1024];
        while (!stop.IsCancellationRequested) await from.ReceiveAsync(buffer).ConfigureAwait(false);
    }

    /// <summary>Two ends of one connection: one on a loop, the other the runtime's.</summary>
    private sealed class Pair(Socket ownSocket, LoopSocket own, Socket peer) : IDisposable
    {
        internal Socket OwnSocket => ownSocket;

        internal LoopSocket Own => own;

        internal Socket Peer => peer;

        /// <summary>With one end on the given loop.</summary>
        internal static async Task<Pair> ConnectAsync(EventLoop loop)
        {
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            var peer = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await peer.ConnectAsync(listener.LocalEndPoint!, Stop);
            var socket = await listener.AcceptAsync(Stop);
            return new(socket, new LoopSocket(socket, loop), peer);
        }

        internal static async Task<Pair> ConnectAsync()
        {
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            var connecting = LoopSocket.ConnectAsync(socket, listener.LocalEndPoint!, TimeSpan.FromMinutes(1), TimeProvider.System);
            var peer = await listener.AcceptAsync(Stop);
            return new(socket, await connecting, peer);
        }

        public void Dispose()
        {
            own.Close();
            peer.Dispose();
        }
    }
}
