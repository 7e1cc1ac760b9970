using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Isthmus.Proxy.Loops;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Tcp;

/// <summary>Long transfers, which pass through pipes of the kernel, on the real data plane.</summary>
public sealed class BulkRelayTests
{
    private const int Bulk = 20_000_000;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task All_bytes_arrive_and_are_counted_and_the_other_direction_outlives_the_end_of_one(bool isUp)
    {
        using var route = await Route.OpenAsync();
        var (sender, receiver) = isUp ? (route.Client, route.Server) : (route.Server, route.Client);
        var sent = Bytes(Bulk, seed: 1);
        var sending = SendAndEndAsync(sender, sent);
        Assert.Equal(Convert.ToHexString(SHA256.HashData(sent)), await HashToEndAsync(receiver));
        await sending;
        // Now the other way, with the first direction closed.
        var answer = Bytes(Bulk / 2, seed: 2);
        sending = SendAndEndAsync(receiver, answer);
        Assert.Equal(Convert.ToHexString(SHA256.HashData(answer)), await HashToEndAsync(sender));
        await sending;
        await route.EndedAsync();
        Assert.Equal(isUp ? (Bulk, Bulk / 2) : (Bulk / 2, Bulk), route.Counted);
        Assert.True(Pipe.Open > 0, "no pipe was used");
        await PipesAreBackAsync();
    }

    [Fact]
    public async Task Pieces_of_any_size_keep_their_order_in_both_directions()
    {
        using var route = await Route.OpenAsync();
        var echo = Task.Run(async () =>
        {
            var buffer = new byte[100_000];
            while (await route.Server.ReceiveAsync(buffer, Stop) is > 0 and var count) await SendAllAsync(route.Server, buffer.AsMemory(0, count));
            route.Server.Shutdown(SocketShutdown.Send);
        }, Stop);
        var sent = Bytes(Bulk, seed: 3);
        var sending = Task.Run(async () =>
        {
            var random = new Random(4);
            int[] sizes = [1, 100, 5_000, 70_000, 1_000_000];
            for (var at = 0; at < sent.Length;)
            {
                // Runs of one size: the relay changes its way when sizes change.
                var size = sizes[random.Next(sizes.Length)];
                for (var i = 0; i < 8 && at < sent.Length; i++)
                {
                    var count = Math.Min(size, sent.Length - at);
                    await SendAllAsync(route.Client, sent.AsMemory(at, count));
                    at += count;
                }
            }
            route.Client.Shutdown(SocketShutdown.Send);
        }, Stop);
        Assert.Equal(Convert.ToHexString(SHA256.HashData(sent)), await HashToEndAsync(route.Client));
        await Task.WhenAll(echo, sending);
        await route.EndedAsync();
        Assert.Equal((Bulk, Bulk), route.Counted);
        await PipesAreBackAsync();
    }

    [Fact]
    public async Task A_reader_that_does_not_read_stops_the_sender_and_gets_everything_later()
    {
        using var route = await Route.OpenAsync();
        var (piece, sent, isEnding) = (Bytes(1 << 20, seed: 5), 0L, false);
        var sending = Task.Run(async () =>
        {
            while (!Volatile.Read(ref isEnding)) Interlocked.Add(ref sent, await route.Server.SendAsync(piece, Stop));
            route.Server.Shutdown(SocketShutdown.Send);
        }, Stop);
        await StandsStillAsync(() => Interlocked.Read(ref sent));
        Assert.False(sending.IsCompleted);
        Volatile.Write(ref isEnding, true);
        var (received, buffer) = (0L, new byte[1 << 20]);
        while (await route.Client.ReceiveAsync(buffer, Stop) is > 0 and var count) received += count;
        await sending;
        Assert.Equal(sent, received);
        route.Client.Shutdown(SocketShutdown.Send);
        await route.EndedAsync();
        Assert.Equal((0, sent), route.Counted);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_reset_ends_both_sides_and_loses_no_pipe(bool byReader)
    {
        using var route = await Route.OpenAsync();
        var (piece, sent) = (Bytes(1 << 20, seed: 6), 0L);
        var sending = Task.Run(async () =>
        {
            try
            {
                while (true) Interlocked.Add(ref sent, await route.Server.SendAsync(piece, Stop));
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // That is how it ends.
            }
        }, Stop);
        await StandsStillAsync(() => Interlocked.Read(ref sent));
        Reset(byReader ? route.Client : route.Server);
        await sending;
        if (!byReader)
        {
            await Assert.ThrowsAsync<SocketException>(async () =>
            {
                var buffer = new byte[1 << 20];
                while (await route.Client.ReceiveAsync(buffer, Stop) > 0)
                {
                    // What had arrived before.
                }
            });
        }
        await route.EndedAsync();
        await PipesAreBackAsync();
    }

    [Fact]
    public async Task Without_pipes_bytes_are_copied()
    {
        var all = new List<Pipe>();
        try
        {
            while (Pipe.Rent() is { } pipe) all.Add(pipe);
            using var route = await Route.OpenAsync();
            var sent = Bytes(Bulk, seed: 7);
            var sending = SendAndEndAsync(route.Server, sent);
            Assert.Equal(Convert.ToHexString(SHA256.HashData(sent)), await HashToEndAsync(route.Client));
            await sending;
            route.Client.Shutdown(SocketShutdown.Send);
            await route.EndedAsync();
            Assert.Equal((0, Bulk), route.Counted);
        }
        finally
        {
            foreach (var pipe in all) pipe.Dispose();
        }
        await PipesAreBackAsync();
        Assert.True(Pipe.Open < all.Count, "unused pipes were not closed");
    }

    private static byte[] Bytes(int count, int seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static void Reset(Socket socket)
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Dispose();
    }

    private static async Task SendAllAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty) bytes = bytes[await socket.SendAsync(bytes, Stop)..];
    }

    private static Task SendAndEndAsync(Socket socket, byte[] bytes) => Task.Run(async () =>
    {
        await SendAllAsync(socket, bytes);
        socket.Shutdown(SocketShutdown.Send);
    }, Stop);

    private static async Task<string> HashToEndAsync(Socket socket)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[300_000];
        while (await socket.ReceiveAsync(buffer, Stop) is > 0 and var count) hash.AppendData(buffer, 0, count);
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    /// <summary>Until a number is above zero and has not grown for a while.</summary>
    private static async Task StandsStillAsync(Func<long> number)
    {
        for (var (last, same) = (0L, 0); same < 10;)
        {
            await Task.Delay(20, Stop);
            var now = number();
            same = now == last && now > 0 ? same + 1 : 0;
            last = now;
        }
    }

    /// <summary>Other tests may use pipes at the same time.</summary>
    private static Task PipesAreBackAsync() => Eventually.TrueAsync(() => Pipe.Open == Pipe.Idle);

    /// <summary>A client and a server with the proxy between them.</summary>
    private sealed class Route : IDisposable
    {
        private readonly LoopbackProxy _proxy = new([LoopbackProxy.Cluster("back")], """ "direct_response": {"status": 200} """);
        private ReservedPort _port = null!;

        internal Socket Client { get; } = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

        internal Socket Server { get; private set; } = null!;

        /// <summary>Bytes that the proxy sent to the server, and received from it.</summary>
        internal (long Up, long Down) Counted =>
            _proxy.Plane.State.Current.Clusters["back"].Counters is var counters ? (counters.BytesSent, counters.BytesReceived) : default;

        internal static async Task<Route> OpenAsync()
        {
            var route = new Route();
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            route._proxy.Endpoints("back", ((IPEndPoint)listener.LocalEndpoint).Port);
            route._port = route._proxy.Tcp("back");
            await route.Client.ConnectAsync(IPAddress.Loopback, route._port.Number, Stop);
            route.Server = await listener.AcceptSocketAsync(Stop);
            return route;
        }

        /// <summary>Until the proxy has forgotten the connection.</summary>
        internal Task EndedAsync() => Eventually.TrueAsync(() => _proxy.Plane.Connections.Count == 0);

        public void Dispose()
        {
            Client.Dispose();
            Server.Dispose();
            _proxy.Dispose();
            _port.Dispose();
        }
    }
}
