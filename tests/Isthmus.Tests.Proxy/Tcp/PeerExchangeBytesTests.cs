using System.Buffers.Binary;
using System.Net;
using FsCheck.Fluent;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Tcp;

/// <summary>What an untrusted peer sends before its first byte.</summary>
public sealed class PeerExchangeBytesTests
{
    private static readonly byte[] Valid = PeerExchange.Introduction(Identity());

    [Fact]
    public void Whatever_a_peer_sends_in_whatever_pieces_the_bytes_after_an_introduction_arrive_whole() =>
        Prop.ForAll<int>(seed =>
        {
            var random = new Random(seed);
            var sent = Stream(random);
            var peer = new Scripted(sent, random);
            var exchange = PeerExchange.Over(peer, Valid);
            Assert.Equal(Expected(sent), ReadAll(exchange, random));
            Assert.InRange(((PeerExchange)exchange).PeerMetadata.Length, 0, 2 * PeerExchange.MostBytes);
            PeerMetadataText.Read(((PeerExchange)exchange).PeerMetadata, "spiffe://cluster.local/ns/shop/sa/web");
        }).MustHold(2000);

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100_000)]
    public void An_introduction_is_understood_in_pieces_of_any_size(int piece)
    {
        var peer = new Scripted([.. Valid, .. "select 1"u8], new Random(1)) { Piece = piece };
        var exchange = PeerExchange.Over(peer, Valid);
        Assert.Equal("select 1"u8.ToArray(), ReadAll(exchange, new Random(1)));
        Assert.Equal(Identity().PeerMetadata, ((PeerExchange)exchange).PeerMetadata);
    }

    [Fact]
    public async Task An_introduction_that_is_too_long_is_skipped_without_being_kept()
    {
        var introduction = Header(5_000_000);
        var peer = new Scripted([.. introduction, .. new byte[5_000_000], .. "select 1"u8], new Random(1)) { Piece = 4096 };
        var exchange = PeerExchange.Over(peer, Valid);
        var buffer = new byte[4096];
        var before = GC.GetAllocatedBytesForCurrentThread();
        var read = exchange.ReadAsync(buffer);
        Assert.True(read.IsCompletedSuccessfully);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, PeerExchange.MostBytes);
        Assert.Equal("select 1"u8.ToArray(), buffer[..await read]);
        Assert.Equal("", ((PeerExchange)exchange).PeerMetadata);
    }

    [Fact]
    public async Task Bytes_after_the_introduction_allocate_nothing()
    {
        var exchange = PeerExchange.Over(new Scripted([.. Valid, .. new byte[2_000_000]], new Random(1)) { Piece = 1000 }, Valid);
        var buffer = new byte[4096];
        await exchange.BeginWriteAsync();
        Assert.NotEqual(0, await exchange.ReadAsync(buffer));
        Assert.Equal(0, Allocations.Least(() =>
        {
            for (var i = 0; i < 100; i++)
            {
                Assert.True(exchange.ReadAsync(buffer).IsCompletedSuccessfully);
                Assert.True(exchange.WriteAsync(buffer).IsCompletedSuccessfully);
            }
        }));
    }

    [Fact]
    public void A_peer_that_did_not_agree_gets_its_bytes_only()
    {
        var peer = new Scripted(Valid, new Random(1), alpn: "istio");
        Assert.Same(peer, PeerExchange.Over(peer, Valid));
    }

    [Fact]
    public void Metadata_of_other_kinds_than_expected_says_nothing()
    {
        foreach (var body in (byte[][])[
            [], "garbage"u8.ToArray(), Any.Pack(new Struct()).ToByteArray(), Any.Pack(Value.ForString("x")).ToByteArray(),
            Any.Pack(new Struct { Fields = { ["x-envoy-peer-metadata"] = Value.ForString("x") } }).ToByteArray(), Deep()])
        {
            var exchange = PeerExchange.Over(new Scripted([.. Header(body.Length), .. body, 1], new Random(1)), Valid);
            Assert.Equal([1], ReadAll(exchange, new Random(1)));
            Assert.Equal("", ((PeerExchange)exchange).PeerMetadata);
        }
    }

    /// <summary>A Struct in a Struct, deeper than any parser should follow.</summary>
    private static byte[] Deep()
    {
        byte[] value = [];
        for (var i = 0; i < 1000; i++)
        {
            // Value { struct_value = 5: Struct { fields = 1: entry { value = 2: … } } }
            foreach (var tag in (byte[])[0x12, 0x0a, 0x2a]) value = [tag, .. Varint(value.Length), .. value];
        }
        var any = new Any
        {
            TypeUrl = "type.googleapis.com/google.protobuf.Struct",
            Value = ByteString.CopyFrom([0x0a, .. Varint(value.Length + 4), 0x0a, 0x01, (byte)'x', 0x12, .. Varint(value.Length), .. value])
        };
        return any.ToByteArray();
    }

    private static byte[] Varint(int number)
    {
        var bytes = new List<byte>();
        for (; number > 0x7f; number >>= 7) bytes.Add((byte)(number | 0x80));
        bytes.Add((byte)number);
        return [.. bytes];
    }

    private static byte[] Stream(Random random)
    {
        var payload = new byte[random.Next(40)];
        random.NextBytes(payload);
        var introduction = random.Next(7) switch
        {
            0 => [],
            1 => Valid[..random.Next(Valid.Length)],
            2 => Header(random.Next()),
            3 => [.. Header(PeerExchange.MostBytes + random.Next(-2, 3)), .. new byte[PeerExchange.MostBytes]],
            4 => Mutated(random),
            5 => Valid[..random.Next(1, 4)],
            _ => Valid,
        };
        return [.. introduction, .. payload];
    }

    private static byte[] Mutated(Random random)
    {
        var bytes = Valid.ToArray();
        for (var i = random.Next(1, 5); i > 0; i--) bytes[random.Next(random.Next(2) == 0 ? 12 : bytes.Length)] = (byte)random.Next(256);
        return bytes;
    }

    private static byte[] Expected(byte[] sent)
    {
        if (sent.Length < 8 || BinaryPrimitives.ReadUInt32BigEndian(sent) != 0x3D230467) return sent;
        var end = 8 + (long)BinaryPrimitives.ReadUInt32BigEndian(sent.AsSpan(4));
        return end <= sent.Length ? sent[(int)end..] : [];
    }

    private static byte[] ReadAll(Transport transport, Random random)
    {
        var all = new List<byte>();
        while (true)
        {
            var buffer = new byte[random.Next(PeerExchange.HeaderBytes, 64)];
            var read = transport.ReadAsync(buffer);
            Assert.True(read.IsCompletedSuccessfully);
            if (read.Result == 0) return [.. all];
            all.AddRange(buffer[..read.Result]);
        }
    }

    private static byte[] Header(int length)
    {
        var header = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(header, 0x3D230467);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), length);
        return header;
    }

    private static ProxyIdentity Identity()
    {
        var bare = new ProxyIdentity("sidecar~1.2.3.4~orders-1.shop~shop.svc", "orders", "shop", "orders", "v1", "orders", "v1", "c1", "orders", "");
        return bare with { PeerMetadata = PeerMetadataText.Write(bare) };
    }

    /// <summary>A peer whose bytes are all there, and arrive in pieces.</summary>
    private sealed class Scripted(byte[] sent, Random random, string alpn = "istio-peer-exchange") : Transport
    {
        private int _at;

        internal int Piece { get; init; }

        public override EndPoint? Local => null;

        public override EndPoint? Remote => null;

        public override TlsPeer? Peer { get; } = new([], [], "", "", alpn, "", "");

        public override bool IsQuiet => true;

        public override ValueTask<int> ReadAsync(Memory<byte> into)
        {
            var count = Math.Min(Math.Min(Piece > 0 ? Piece : random.Next(1, 50), into.Length), sent.Length - _at);
            sent.AsMemory(_at, count).CopyTo(into);
            _at += count;
            return new(count);
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes) => default;

        public override ValueTask CloseWriteAsync() => default;

        public override void Abort(bool reset = false)
        {
        }
    }
}
