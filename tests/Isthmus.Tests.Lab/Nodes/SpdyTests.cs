using System.IO.Compression;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Streaming.Spdy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class SpdyTests
{
    private const int Limit = 1 << 20;

    [Fact]
    public void The_dictionary_is_the_one_of_SPDY_3()
    {
        Assert.Equal(1423, SpdyDictionary.Bytes.Length);
        Assert.Equal(0xe3c6a7c2, Inflater.Adler32(SpdyDictionary.Bytes));
    }

    [Fact]
    public void Whatever_zlib_compresses_piece_by_piece_is_inflated_piece_by_piece() =>
        Prop.ForAll<byte[][], bool>((pieces, fast) =>
        {
            using var stream = new MemoryStream();
            using var zlib = new ZLibStream(stream, fast ? CompressionLevel.Fastest : CompressionLevel.SmallestSize);
            var inflater = new Inflater(SpdyDictionary.Bytes);
            foreach (var piece in pieces.Where(piece => piece is { Length: > 0 }))
            {
                var repeated = Enumerable.Repeat(piece, 20).SelectMany(one => one).ToArray();
                var before = stream.Length;
                zlib.Write(repeated);
                zlib.Flush();
                var compressed = stream.ToArray().AsSpan((int)before);
                Assert.Equal(repeated, inflater.Inflate(compressed, Limit));
            }
        }).MustHold();

    [Fact]
    public void A_block_that_refers_to_the_dictionary_is_inflated()
    {
        // zlib with the dictionary of SPDY/3, of the block {"streamtype": "error"}.
        var compressed = Convert.FromHexString(Compressed);
        Assert.Equal("error", new SpdyHeaders().Decode(compressed)["streamtype"]);
    }

    [Fact]
    public void Headers_come_out_as_they_went_in() =>
        Prop.ForAll<Dictionary<int, NonNull<string>>[]>(blocks =>
        {
            var (there, here) = (new SpdyHeaders(), new SpdyHeaders());
            foreach (var block in blocks.Where(block => block is not null))
            {
                var headers = block.ToDictionary(pair => $"name{pair.Key}", pair => pair.Value.Get.Replace("\ud800", ""));
                if (headers.Values.Any(value => value.Any(char.IsSurrogate))) continue;
                Assert.Equal(headers.OrderBy(pair => pair.Key), here.Decode(there.Encode(headers)).OrderBy(pair => pair.Key));
            }
        }).MustHold();

    [Fact]
    public void Any_other_bytes_are_refused_and_nothing_worse() =>
        Prop.ForAll<byte[]>(bytes =>
        {
            foreach (var input in new byte[][] { bytes, [0x78, 0x01, .. bytes], [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2, .. bytes] })
            {
                try
                {
                    new SpdyHeaders().Decode(input);
                }
                catch (InvalidDataException)
                {
                }
            }
        }).MustHold();

    [Fact]
    public void Headers_that_grow_without_end_are_cut_off()
    {
        using var stream = new MemoryStream();
        using var zlib = new ZLibStream(stream, CompressionLevel.SmallestSize);
        zlib.Write(new byte[1 << 22]);
        zlib.Flush();
        Assert.Throws<InvalidDataException>(() => new SpdyHeaders().Decode(stream.ToArray()));
    }

    [Fact]
    public async Task Frames_are_read_as_they_are_written()
    {
        await Task.Yield();
        Prop.ForAll<byte, uint, byte[]>((flags, stream, payload) =>
        {
            var frames = new SpdyFrame[] { new(SpdyFrameType.Data, flags, stream & 0x7fffffff, payload), new(SpdyFrameType.Ping, flags, 0, payload) };
            foreach (var frame in frames)
            {
                var read = SpdyFrame.ReadAsync(new MemoryStream(frame.ToBytes()), CancellationToken.None).Result!.Value;
                Assert.Equal((frame.Type, frame.Flags, frame.Stream), (read.Type, read.Flags, read.Stream));
                Assert.Equal(payload, read.Payload.ToArray());
            }
        }).MustHold();
    }

    private const string Compressed = "78f9e3c6a7c202e50e703a2b294a4dcc851625aca9a080c65a52311a00000000ffff";
}
