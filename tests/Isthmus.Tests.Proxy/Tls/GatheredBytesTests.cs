using FsCheck;
using FsCheck.Fluent;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Tls;

/// <summary>How the bytes of handshakes are read and written: many small pieces, few calls of the kernel.</summary>
public sealed class GatheredBytesTests
{
    [Fact]
    public void One_read_takes_all_that_has_arrived()
    {
        var below = new Below { Arriving = [.. Enumerable.Range(0, 100).Select(i => (byte)i)] };
        using var bytes = new GatheredBytes(below);

        Assert.Equal([0, 1, 2, 3, 4], Read(bytes, 5)!);
        Assert.True(bytes.HasUnread);
        bytes.Complete();
        Assert.Equal([.. Enumerable.Range(5, 95).Select(i => (byte)i)], Read(bytes, 1000)!);
        Assert.False(bytes.HasUnread);
        Assert.Equal(1, below.Reads);
    }

    [Fact]
    public void After_the_handshake_no_more_is_read_than_is_asked_for()
    {
        var below = new Below { Arriving = new byte[100] };
        using var bytes = new GatheredBytes(below);
        bytes.Complete();

        Assert.Equal(5, Read(bytes, 5)?.Length);
        Assert.False(bytes.HasUnread);
        Assert.Equal(95, below.Arriving.Length);
    }

    [Fact]
    public void The_pieces_of_a_flight_are_written_at_once()
    {
        var below = new Below();
        using var bytes = new GatheredBytes(below);
        Assert.Equal(3, bytes.TryWrite("abc"u8));
        Assert.Equal(3, bytes.TryWrite("def"u8));
        Assert.Equal(0, below.Writes);

        Assert.True(bytes.TryFlush());
        Assert.Equal("abcdef"u8.ToArray(), below.Written);
        Assert.Equal(1, below.Writes);
    }

    [Fact]
    public void What_is_held_when_the_handshake_is_complete_goes_with_the_next_bytes()
    {
        var below = new Below();
        using var bytes = new GatheredBytes(below);
        bytes.TryWrite("session"u8);
        bytes.Complete();
        Assert.Empty(below.Written);

        Assert.Equal(5, bytes.TryWrite(" data"u8));
        Assert.Equal("session data"u8.ToArray(), below.Written);
        Assert.Equal(1, below.Writes);
        Assert.Equal(1, bytes.TryWrite("!"u8));
        Assert.Equal("session data!"u8.ToArray(), below.Written);
    }

    [Fact]
    public void Nothing_is_lost_doubled_or_reordered() => Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
    {
        // Repeatable, and no secret.
#pragma warning disable CA5394
        var random = new Random(seed);
        var arriving = new byte[random.Next(20_000)];
        random.NextBytes(arriving);
        var below = new Below { Arriving = arriving, Random = random };
        using var bytes = new GatheredBytes(below);
        var (read, sent) = (new List<byte>(), new List<byte>());
        var pending = Array.Empty<byte>();
        for (var step = 0; step < 200 || read.Count < arriving.Length || pending.Length > 0 || !Flush(); step++)
        {
            switch (random.Next(step < 200 ? 6 : 3))
            {
                case 0 or 1:
                    if (Read(bytes, random.Next(1, 6_000)) is { } piece) read.AddRange(piece);
                    break;
                case 2 or 3:
                    // As OpenSSL does: what was not taken is offered again.
                    if (pending.Length == 0 && step < 200) random.NextBytes(pending = new byte[random.Next(1, 30_000)]);
                    if (pending.Length == 0 || bytes.TryWrite(pending) is not (> 0 and var taken)) break;
                    sent.AddRange(pending[..taken]);
                    pending = pending[taken..];
                    break;
                case 4: Flush(); break;
                default:
                    if (random.Next(10) == 0) bytes.Complete();
                    else if (random.Next(10) == 0) bytes.Gather();
                    break;
            }
        }
        Assert.Equal(arriving, read);
        Assert.Equal(sent, below.Written);

        bool Flush() => pending.Length == 0 && bytes.TryFlush();
#pragma warning restore CA5394
    }).MustHold();

    private static byte[]? Read(GatheredBytes bytes, int most)
    {
        var buffer = new byte[most];
        var count = bytes.TryRead(buffer);
        return count < 0 ? null : buffer[..count];
    }

    /// <summary>A socket that has some bytes, and takes all or, with a random generator, some or none.</summary>
    private sealed class Below : INonBlocking
    {
        public byte[] Arriving { get; set; } = [];

        public List<byte> Written { get; } = [];

        public Random? Random { get; init; }

        public int Reads { get; private set; }

        public int Writes { get; private set; }

        public bool IsQuiet => Arriving.Length == 0;

#pragma warning disable CA5394
        public int TryRead(Span<byte> into)
        {
            Reads++;
            var count = Math.Min(into.Length, Random?.Next(Arriving.Length + 1) ?? Arriving.Length);
            if (count == 0) return -1;
            Arriving.AsSpan(0, count).CopyTo(into);
            Arriving = Arriving[count..];
            return count;
        }

        public int TryWrite(ReadOnlySpan<byte> bytes)
        {
            Writes++;
            var count = Random is null ? bytes.Length : Random.Next(3) == 0 ? -1 : Random.Next(1, bytes.Length + 1);
            if (count > 0) Written.AddRange(bytes[..count]);
            return count;
        }
#pragma warning restore CA5394

        public ValueTask<int> WaitToReadAsync() => default;

        public ValueTask WaitToWriteAsync() => default;

        public ValueTask CloseWriteAsync() => default;
    }
}
