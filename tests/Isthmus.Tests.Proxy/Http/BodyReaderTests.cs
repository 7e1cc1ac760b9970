using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Proxy.Messages;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

public sealed class BodyReaderTests
{
    [Fact]
    public void A_chunked_body_reads_the_same_however_it_is_cut_and_leaves_what_follows() => Prop.ForAll(
        Arb.From(Gen.Choose(1, 40).Select(n => new string('x', n)).ListOf()), Arb.From(Gen.Choose(1, 9)), (chunks, step) =>
        {
            var text = new StringBuilder();
            foreach (var chunk in chunks) text.Append(chunk.Length.ToString("x")).Append(";ext=1\r\n").Append(chunk).Append("\r\n");
            text.Append("0\r\nTrailer-One: 1\r\n\r\nGET / HTTP/1.1\r\n");
            var transport = new MemoryTransport(Encoding.ASCII.GetBytes(text.ToString()), () => step);
            using var reader = new ByteReader(transport);
            var body = new BodyReader(reader, HttpLimits.Default);
            body.Begin(BodyKind.Chunked, 0);
            var read = ReadAll(body);
            while (reader.FillAsync().AsTask().Result > 0)
            {
                // The rest belongs to the next message.
            }
            return read == string.Concat(chunks) && body.IsDone && body.Trailers.GetString("trailer-one"u8) == "1"
                && Encoding.ASCII.GetString(reader.Span) == "GET / HTTP/1.1\r\n";
        }).MustHold();

    /// <summary>Whoever sends a piece on must do it now if the next one has not come: the end of its chunk is no reason to wait.</summary>
    [Theory]
    [InlineData("5\r\nhello", false)]
    [InlineData("5\r\nhello\r", false)]
    [InlineData("5\r\nhello\r\n", false)]
    [InlineData("5\r\nhello\r\n5\r\n", false)]
    [InlineData("5\r\nhello\r\n5\r\nw", true)]
    [InlineData("5\r\nhello\r\n0\r\n\r\n", true)]
    public async Task What_comes_after_a_piece_is_another_one_or_the_end(string text, bool hasMore)
    {
        using var reader = new ByteReader(new MemoryTransport(Encoding.ASCII.GetBytes(text), () => int.MaxValue));
        var body = new BodyReader(reader, HttpLimits.Default);
        body.Begin(BodyKind.Chunked, 0);
        Assert.Equal("hello", Encoding.ASCII.GetString((await body.ReadAsync()).Span));
        Assert.Equal(hasMore, body.HasBuffered);
    }

    [Theory]
    [InlineData("-1\r\n")]
    [InlineData("0x5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("5 5\r\nhelloX\r\n")]
    [InlineData("5\r\nhelloXX0\r\n\r\n")]
    [InlineData("5\nhello\r\n0\r\n\r\n")]
    [InlineData("5;a\rb\r\nhello\r\n0\r\n\r\n")]
    [InlineData("fffffffffffffffff\r\n")]
    [InlineData("\r\n")]
    [InlineData("5\r\nhel")]
    public void Broken_chunks_are_refused(string text)
    {
        using var reader = new ByteReader(new MemoryTransport(Encoding.ASCII.GetBytes(text), () => 3));
        var body = new BodyReader(reader, HttpLimits.Default);
        body.Begin(BodyKind.Chunked, 0);
        Assert.Equal(400, Assert.Throws<HttpMessageException>(() => ReadAll(body)).Status);
    }

    [Fact]
    public void Random_chunks_never_hang_or_break_anything() =>
        Prop.ForAll(Arb.From(Gen.Elements("0", "1", "a", "\r\n", "\r", ";", "x", "\n", " ").ListOf().Select(string.Concat)), text =>
    {
        using var reader = new ByteReader(new MemoryTransport(Encoding.ASCII.GetBytes(text), () => 2));
        var body = new BodyReader(reader, HttpLimits.Default);
        body.Begin(BodyKind.Chunked, 0);
        try
        {
            return ReadAll(body).Length <= text.Length;
        }
        catch (HttpMessageException)
        {
            return true;
        }
    }).MustHold(2000);

    [Fact]
    public void A_body_of_known_length_ends_exactly_there()
    {
        using var reader = new ByteReader(new MemoryTransport("helloGET"u8.ToArray(), () => 100));
        var body = new BodyReader(reader, HttpLimits.Default);
        body.Begin(BodyKind.Length, 5);
        Assert.Equal("hello", ReadAll(body));
        Assert.Equal("GET", Encoding.ASCII.GetString(reader.Span));
    }

    private static string ReadAll(BodyReader body)
    {
        var text = new StringBuilder();
        while (true)
        {
            var piece = body.ReadAsync().AsTask().GetAwaiter().GetResult();
            if (piece.IsEmpty) return text.ToString();
            text.Append(Encoding.ASCII.GetString(piece.Span));
        }
    }
}
