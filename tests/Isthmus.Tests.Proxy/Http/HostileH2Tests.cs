using System.Net;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Proxy.Http;

/// <summary>Clients of HTTP/2 that want to use up memory and CPU.</summary>
public sealed class HostileH2Tests
{
    [Theory]
    [InlineData(H2Frame.Data)]
    [InlineData(H2Frame.Continuation)]
    internal async Task Empty_frames_without_an_end_stop_the_connection(H2Frame type)
    {
        var first = type == H2Frame.Data ? Post(1) : Frame(H2Frame.Headers, H2Flags.None, 1, Block(":method GET"));
        Assert.Equal(H2Error.EnhanceYourCalm, await FloodAsync([Settings(), first], Frame(type, H2Flags.None, 1)));
    }

    [Fact]
    public async Task Streams_that_are_opened_and_reset_at_once_stop_the_connection()
    {
        var id = -1;
        Assert.Equal(H2Error.EnhanceYourCalm, await FloodAsync([Settings()], () => [.. Get(id += 2), .. Reset(id)]));
        Assert.InRange(id, 1000, 1300);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Streams_that_the_client_makes_the_server_reset_stop_the_connection(bool isMalformed)
    {
        var id = -1;
        Assert.Equal(H2Error.EnhanceYourCalm,
            await FloodAsync([Settings()], () => isMalformed ? Get(id += 2, more: "|connection close") : [.. Get(id += 2), .. WindowUpdate(id, 0)]));
        Assert.InRange(id, 1000, 1300);
    }

    [Fact]
    public async Task A_head_without_an_end_stops_the_connection()
    {
        var first = Frame(H2Frame.Headers, H2Flags.None, 1, Block(":method GET"));
        Assert.Equal(H2Error.EnhanceYourCalm, await FloodAsync([Settings(), first], Frame(H2Frame.Continuation, H2Flags.None, 1, Block("x 1"))));
    }

    [Theory]
    [InlineData("pings")]
    [InlineData("settings")]
    [InlineData("requests")]
    public async Task Answers_that_are_not_read_stop_the_connection(string what)
    {
        var id = -1;
        var transport = new Flood([Settings()], () => what switch
        {
            "pings" => Frame(H2Frame.Ping, H2Flags.None, 0, new byte[8]),
            "settings" => Settings(),
            _ => Get(id += 2),
        }) { IsRead = false };
        await RunAsync(transport, async stream =>
        {
            var head = new ResponseHead { Status = 204 };
            head.Headers.Add("x-filler"u8, new string('x', 200));
            await stream.SendHeadAsync(head);
            await stream.EndAsync(null);
        });
        // What is queued is bounded: the server gives up long before the input ends.
        Assert.InRange(transport.Sent, 100, 20_000_000);
        Assert.True(transport.IsAborted);
    }

    [Fact]
    public async Task Tiny_frames_share_buffers()
    {
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var pieces = 0;
        var left = H2.StreamWindow;
        var transport = new Flood([Settings(), Post(1)], () =>
        {
            if (left-- > 0) return Data(1, 1);
            all.TrySetResult();
            return [];
        });
        await RunAsync(transport, async stream =>
        {
            await all.Task;
            for (var total = 0; total < H2.StreamWindow; pieces++) total += (await stream.ReadBodyAsync()).Length;
        });
        Assert.InRange(pieces, 1, 300);
    }

    [Fact]
    public void Many_small_cookies_take_time_in_proportion_to_their_number()
    {
        static long Allocated(int cookies)
        {
            var fields = new H2HeadFields();
            fields.Begin(1);
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < cookies; i++) fields.Take("cookie"u8, "0123456789abcdef0123456789abcdef"u8);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
        Allocated(10);
        Assert.InRange(Allocated(900), 0, 900 * 1000);
    }

    private static Task<H2Error> FloodAsync(byte[][] first, byte[] again) => FloodAsync(first, () => again);

    /// <summary>Sends frames until the server has had enough; the error of its GOAWAY.</summary>
    private static async Task<H2Error> FloodAsync(byte[][] first, Func<byte[]> next)
    {
        var transport = new Flood(first, next);
        await RunAsync(transport, HeldRequest.UntilEndAsync);
        return Assert.Single(Parse([.. transport.Written]), frame => frame.Type == H2Frame.GoAway).Error;
    }

    private static async Task RunAsync(Flood transport, Func<H2DownstreamStream, Task> handle)
    {
        var server = new H2Server(transport, async stream =>
        {
            try
            {
                await handle(stream);
            }
            catch (TransportException)
            {
                // The connection has ended.
            }
        });
        using var reader = new ByteReader(transport);
        await server.RunAsync(reader).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
    }

    /// <summary>A client that sends the same again and again, up to 40 MB; it ends when it has nothing more to send.</summary>
    private sealed class Flood(byte[][] first, Func<byte[]> next) : Transport
    {
        private readonly Queue<byte[]> _first = new(first);
        private readonly TaskCompletionSource _aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private byte[] _rest = [];

        internal List<byte> Written { get; } = [];

        internal bool IsRead { get; init; } = true;

        internal long Sent { get; private set; }

        internal bool IsAborted => _aborted.Task.IsCompleted;

        public override EndPoint? Local => null;

        public override EndPoint? Remote => null;

        public override bool IsQuiet => false;

        public override async ValueTask<int> ReadAsync(Memory<byte> into)
        {
            // Requests are handled in tasks of their own, which also want to run.
            await Task.Yield();
            if (IsAborted || Sent > 40_000_000) return 0;
            if (_rest.Length == 0) _rest = _first.TryDequeue(out var frame) ? frame : [.. Enumerable.Range(0, 50).SelectMany(_ => next())];
            var count = Math.Min(into.Length, _rest.Length);
            _rest.AsSpan(0, count).CopyTo(into.Span);
            _rest = _rest[count..];
            Sent += count;
            return count;
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes)
        {
            if (!IsRead)
            {
                await _aborted.Task;
                throw new TransportException(TransportFailure.Aborted, "closed");
            }
            lock (Written) Written.AddRange(bytes.Span);
        }

        public override ValueTask CloseWriteAsync() => ValueTask.CompletedTask;

        public override void Abort(bool reset = false) => _aborted.TrySetResult();
    }
}
