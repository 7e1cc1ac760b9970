using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

public sealed class H2Tests
{
    [Fact]
    public void The_examples_of_the_specification_decode()
    {
        // RFC 7541 C.4.1 and C.4.2: Huffman, then a field from the dynamic table.
        var decoder = new HpackDecoder(4096, 65536);
        Assert.Equal(":method: GET|:scheme: http|:path: /|:authority: www.example.com", Decode(decoder, "828684418cf1e3c2e5f23a6ba0ab90f4ff"));
        Assert.Equal(":method: GET|:scheme: http|:path: /|:authority: www.example.com|cache-control: no-cache", Decode(decoder, "828684be5886a8eb10649cbf"));
    }

    [Fact]
    public void What_is_encoded_decodes_to_the_same() => Prop.ForAll(
        Arb.From(Gen.Elements(":status", "content-type", "x-own", "server", "accept-encoding")
            .Zip(Gen.Elements("", "200", "a", "gzip, deflate", new string('x', 300))).ListOf()),
        fields =>
        {
            using var block = new ByteWriter();
            foreach (var (name, value) in fields) HpackEncoder.Write(block, Encoding.ASCII.GetBytes(name), Encoding.ASCII.GetBytes(value));
            var text = new List<string>();
            new HpackDecoder(4096, 65536).Decode(block.Written.Span, (n, v) => text.Add($"{Encoding.ASCII.GetString(n)}: {Encoding.ASCII.GetString(v)}"));
            return text.SequenceEqual(fields.Select(f => $"{f.Item1}: {f.Item2}"));
        }).MustHold();

    [Fact]
    public void No_header_block_does_anything_but_decode_or_end_the_connection() => Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), bytes =>
    {
        try
        {
            new HpackDecoder(4096, 4096).Decode(bytes, (_, _) => { });
        }
        catch (H2ConnectionException)
        {
            // This is expected.
        }
        return true;
    }).MustHold(3000);

    [Fact]
    public void A_small_block_cannot_become_a_large_head()
    {
        // One large field in the table, then references to it.
        using var block = new ByteWriter();
        block.Write([0x40, 1, (byte)'a', 0x7f, 0x80 + 0x21, 0x1e]);   // a value of 4000 bytes
        block.Write(new byte[4000]);
        for (var i = 0; i < 100; i++) block.Write([0xbe]);
        Assert.Equal(H2Error.EnhanceYourCalm,
            Assert.Throws<H2ConnectionException>(() => new HpackDecoder(8192, 65536).Decode(block.Written.Span, (_, _) => { })).Error);
    }

    [Theory]
    [InlineData(":method GET|:scheme http|:path /|:authority a|connection close")]
    [InlineData(":method GET|:scheme http|:path /|:authority a|transfer-encoding chunked")]
    [InlineData(":method GET|:scheme http|:path /|:authority a|X-Upper 1")]
    [InlineData(":method GET|:scheme http|:path /|:authority a|x-a b\r\nc")]
    [InlineData(":method GET|:scheme http|:path /|x 1|:authority a")]
    [InlineData(":method GET|:method PUT|:scheme http|:path /|:authority a")]
    [InlineData(":method GET|:scheme http|:path |:authority a")]
    [InlineData(":method GET|:scheme http|:path /a b|:authority a")]
    [InlineData(":method GET|:scheme http|:authority a")]
    [InlineData(":method GET|:scheme http|:path /|:authority a|host b")]
    [InlineData(":method GET|:scheme http|:path /|:authority a|content-length 1|content-length 2")]
    [InlineData(":method GET|:scheme http|:path /|:authority a b")]
    [InlineData(":status 200")]
    public void Heads_that_HTTP_1_could_read_differently_end_the_stream(string fields) =>
        Assert.Throws<H2StreamException>(() => Fields(fields).ToRequest(new RequestHead(), isLast: false));

    [Fact]
    public void Cookies_become_one_field_and_the_host_field_gives_way()
    {
        var head = new RequestHead();
        Fields(":method GET|:scheme http|:path /x?y|:authority shop|cookie a=1|cookie b=2|host shop|te trailers").ToRequest(head, isLast: true);
        Assert.Equal(("shop", "/x?y", "a=1; b=2", BodyKind.None), (head.Authority, head.TargetText, head.Headers.GetString("cookie"u8), head.Body));
        Assert.False(head.Headers.Contains("host"u8));
    }

    [Fact]
    public void No_bytes_hang_or_break_a_server() => Prop.ForAll(Arb.From(Frame().ListOf()), Arb.From(Gen.Choose(1, 50)), (frames, step) =>
    {
        byte[] input = [.. H2Frames.Settings(), .. frames.SelectMany(f => f)];
        var server = new H2Server(new MemoryTransport(input, () => step), async stream =>
        {
            try
            {
                while (!(await stream.ReadBodyAsync()).IsEmpty)
                {
                    // The body has been read to its end.
                }
                var head = new ResponseHead { Status = 204 };
                await stream.SendHeadAsync(head);
                await stream.EndAsync(null);
            }
            catch (TransportException)
            {
                // The client disconnected.
            }
        });
        using var reader = new ByteReader(new MemoryTransport(input, () => step));
        return server.RunAsync(reader).Wait(TimeSpan.FromSeconds(10)) && server.StreamCount == 0;
    }).MustHold(500);

    [Fact]
    public async Task A_bug_while_reading_ends_the_requests_of_the_connection()
    {
        var ended = new TaskCompletionSource();
        var reads = 0;
        byte[] get = [.. H2Frames.Settings(), 0, 0, 17, 1, 4, 0, 0, 0, 1, .. Convert.FromHexString("828684418cf1e3c2e5f23a6ba0ab90f4ff")];
        var transport = new MemoryTransport(get, () => reads++ == 0 ? get.Length : throw new InvalidOperationException("bug"));
        var server = new H2Server(transport, async stream =>
        {
            await Assert.ThrowsAsync<TransportException>(async () => await stream.ReadBodyAsync());
            ended.SetResult();
        });
        using var reader = new ByteReader(transport);
        await Assert.ThrowsAsync<InvalidOperationException>(() => server.RunAsync(reader));
        await ended.Task.WaitAsync(TestContext.Current.CancellationToken);
    }

    private static Gen<byte[]> Frame()
    {
        var get = Convert.FromHexString("828684418cf1e3c2e5f23a6ba0ab90f4ff");
        var payload = Gen.OneOf(Gen.Constant(get),
            Gen.Choose(0, 40).SelectMany(n => Gen.Choose(0, 255).ArrayOf(n)).Select(a => a.Select(i => (byte)i).ToArray()));
        return from type in Gen.Choose(0, 10)
               from flags in Gen.Elements(0, 1, 4, 5, 8, 32, 37)
               from id in Gen.Elements(0, 1, 3, 5, 2)
               from body in payload
               select (byte[])[0, (byte)(body.Length >> 8), (byte)body.Length, (byte)type, (byte)flags, 0, 0, 0, (byte)id, .. body];
    }

    private static string Decode(HpackDecoder decoder, string hex)
    {
        var fields = new List<string>();
        decoder.Decode(Convert.FromHexString(hex), (n, v) => fields.Add($"{Encoding.ASCII.GetString(n)}: {Encoding.ASCII.GetString(v)}"));
        return string.Join('|', fields);
    }

    private static H2HeadFields Fields(string text)
    {
        var fields = new H2HeadFields();
        fields.Begin(1);
        foreach (var field in text.Split('|'))
        {
            var space = field.IndexOf(' ');
            fields.Take(Encoding.ASCII.GetBytes(field[..space]), Encoding.ASCII.GetBytes(field[(space + 1)..]));
        }
        return fields;
    }
}
