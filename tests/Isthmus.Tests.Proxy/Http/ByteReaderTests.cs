using System.Net;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

public sealed class ByteReaderTests
{
    [Fact]
    public async Task While_nothing_arrives_it_waits_without_a_buffer()
    {
        var transport = new SlowTransport { IsIdle = true };
        using var reader = new ByteReader(transport);
        for (var i = 0; i < 3; i++)
        {
            transport.Reads.Clear();
            transport.IsIdle = true;
            var fill = reader.FillAsync();
            Assert.Equal([0], transport.Reads);
            transport.Arrive("hello"u8.ToArray());
            Assert.Equal(5, await fill);
            Assert.Equal(2, transport.Reads.Count);
            Assert.Equal("hello"u8, reader.Span);
            reader.Consume(5);
        }
    }

    [Fact]
    public async Task Unread_bytes_stay_where_they_are()
    {
        var transport = new SlowTransport { IsIdle = true };
        using var reader = new ByteReader(transport);
        var fill = reader.FillAsync();
        transport.Arrive("he"u8.ToArray());
        await fill;
        transport.IsIdle = true;
        transport.Reads.Clear();
        fill = reader.FillAsync();
        Assert.True(Assert.Single(transport.Reads) > 0);
        transport.Arrive("llo"u8.ToArray());
        await fill;
        Assert.Equal("hello"u8, reader.Span);
    }

    [Fact]
    public async Task A_bulk_transfer_is_read_in_large_pieces_and_what_comes_after_it_in_small_ones()
    {
        var transport = new SlowTransport();
        using var reader = new ByteReader(transport);
        var sizes = new List<int>();
        for (var i = 0; i < 3; i++)
        {
            transport.Bytes = new byte[100_000];
            sizes.Add(await reader.FillAsync());
            reader.Consume(reader.Buffered);
        }
        Assert.Equal([4096, 32 * 1024, 32 * 1024], sizes);
        reader.Dispose();
        Assert.Equal(4096, await reader.FillAsync());
    }

    [Fact]
    public async Task A_bulk_transfer_of_messages_that_do_not_end_with_a_read_is_read_in_large_pieces_too()
    {
        var transport = new SlowTransport { Bytes = [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i % 251))] };
        using var reader = new ByteReader(transport);
        var (sizes, at) = (new List<int>(), 0);
        for (var i = 0; i < 3; i++)
        {
            sizes.Add(await reader.FillAsync());
            // Whole messages of 1,000 bytes.
            for (; reader.Buffered >= 1000; at += 1000)
            {
                Assert.Equal((byte)(at % 251), reader.Span[0]);
                reader.Consume(1000);
            }
        }
        Assert.Equal([4096, (32 * 1024) - 96, (32 * 1024) - 768], sizes);
    }

    /// <summary>Notes the sizes of all reads.</summary>
    private sealed class SlowTransport : Transport
    {
        private TaskCompletionSource _waiting = new();

        internal List<int> Reads { get; } = [];

        internal bool IsIdle { get; set; }

        internal byte[] Bytes { get; set; } = [];

        public override EndPoint? Local => null;

        public override EndPoint? Remote => null;

        public override bool IsQuiet => IsIdle;

        internal void Arrive(byte[] bytes)
        {
            Bytes = bytes;
            IsIdle = false;
            var waiting = _waiting;
            _waiting = new();
            waiting.SetResult();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> into)
        {
            Reads.Add(into.Length);
            if (IsIdle) await _waiting.Task;
            var count = Math.Min(into.Length, Bytes.Length);
            Bytes.AsMemory(0, count).CopyTo(into);
            Bytes = Bytes[count..];
            return count;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes) => throw new NotSupportedException();

        public override ValueTask CloseWriteAsync() => throw new NotSupportedException();

        public override void Abort(bool reset = false)
        {
        }
    }
}
