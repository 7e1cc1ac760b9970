using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Proxy.Messages;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

public sealed class HeadParserTests
{
    [Fact]
    public void A_request_head_is_read_with_lower_case_names_and_without_fields_of_one_hop()
    {
        var head = Parse("GET /a?b=c HTTP/1.1\r\nHost: shop:80\r\nX-Thing:  one \r\nConnection: keep-alive, x-mine\r\nX-Mine: gone\r\nKeep-Alive: 5\r\n\r\n");
        Assert.Equal(("GET", "/a?b=c", "shop:80", 11, true, BodyKind.None),
            (head.Method, head.TargetText, head.Authority, head.Version, head.KeepAlive, head.Body));
        Assert.Equal(1, head.Headers.Count);
        Assert.Equal("one", head.Headers.GetString("x-thing"u8));
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501)]
    [InlineData("GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 501)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1\r\n\r\n", 400)]
    [InlineData("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400)]
    [InlineData("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400)]
    [InlineData("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400)]
    [InlineData("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505)]
    [InlineData("G\0T / HTTP/1.1\r\nHost: a\r\n\r\n", 400)]
    [InlineData("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400)]
    [InlineData("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 400)]
    [InlineData("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 501)]
    [InlineData("CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 400)]
    [InlineData("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400)]
    [InlineData("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400)]
    public void What_two_parsers_could_read_differently_is_refused(string text, int status) =>
        Assert.Equal(status, Assert.Throws<HttpMessageException>(() => Parse(text)).Status);

    [Fact]
    public void An_absolute_target_names_the_authority_itself()
    {
        var head = Parse("GET http://real:81?x=1 HTTP/1.1\r\nHost: other\r\n\r\n");
        Assert.Equal(("real:81", "/?x=1"), (head.Authority, head.TargetText));
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", BodyKind.Length)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", BodyKind.None)]
    [InlineData("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", BodyKind.None)]
    [InlineData("HTTP/1.1 204\r\n\r\n", "GET", BodyKind.None)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", "GET", BodyKind.Chunked)]
    [InlineData("HTTP/1.0 200 OK\r\n\r\n", "GET", BodyKind.UntilClose)]
    public void The_length_of_an_answer_follows_method_status_and_fields(string text, string method, BodyKind expected)
    {
        var head = new ResponseHead();
        HeadParser.ParseResponse(Encoding.Latin1.GetBytes(text), method, head, HttpLimits.Default);
        Assert.Equal(expected, head.Body);
    }

    [Fact]
    public void No_bytes_do_anything_but_parse_or_be_refused() => Prop.ForAll(
        Heads(), bytes =>
        {
            var all = bytes.Concat("\r\n\r\n"u8.ToArray()).ToArray();
            var end = HeadParser.FindEnd(all);
            try
            {
                var head = new RequestHead();
                HeadParser.ParseRequest(all.AsSpan(0, end), head, HttpLimits.Default);
                // An accepted head is written so that it parses to the same head.
                using var writer = new ByteWriter();
                HeadWriter.Request<Http1Fields>(writer, head, head.ContentLength);
                var again = new HeaderBlock();
                HeadParser.ParseFields(writer.Written.Span, again, HttpLimits.Default);
                return again.Count == head.Headers.Count + (head.ExpectsContinue && head.Body != BodyKind.None ? 1 : 0);
            }
            catch (HttpMessageException)
            {
                return true;
            }
        }).MustHold(2000);

    private static Arbitrary<byte[]> Heads()
    {
        string[] parts = ["GET ", "POST ", "/", "http://a", " HTTP/1.1", " HTTP/1.0", "\r\n", "\r", "\n", "Host: a", "host:b", "Content-Length: 5",
            "Transfer-Encoding: chunked",
            "Connection: close, upgrade", "Upgrade: websocket", "Expect: 100-continue", ": ", ":", " ", "\t", "\0", "x", "é", "TE: trailers", "Keep-Alive: 1"];
        var text = Gen.Elements(parts).ListOf().Select(list => Encoding.Latin1.GetBytes(string.Concat(list)));
        return Arb.From(text);
    }

    private static RequestHead Parse(string text)
    {
        var head = new RequestHead();
        HeadParser.ParseRequest(Encoding.Latin1.GetBytes(text), head, HttpLimits.Default);
        return head;
    }
}
