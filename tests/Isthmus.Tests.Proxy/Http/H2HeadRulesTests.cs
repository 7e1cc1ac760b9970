using Isthmus.Proxy.Http2;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;
using static Isthmus.Tests.Proxy.Http.H2Conversation;

namespace Isthmus.Tests.Proxy.Http;

/// <summary>What a server of HTTP/2 does with heads, bodies and trailers that keep or break the rules of RFC 9113; <c>docs/http2.md</c> names these
/// tests.</summary>
public sealed class H2HeadRulesTests
{
    [Fact]
    public async Task A_head_in_several_frames_is_one_head()
    {
        var block = Block(":method GET|:scheme http|:path /|:authority a");
        var said = await TellAsync(
            Empty, Frame(H2Frame.Headers, H2Flags.EndStream, 1, block[..3]), Frame(H2Frame.Continuation, H2Flags.None, 1, block[3..5]),
            Frame(H2Frame.Continuation, H2Flags.EndHeaders, 1, block[5..]));
        Assert.Equal("204", Answer(said, 1));
    }

    [Fact]
    public async Task Nothing_may_come_between_the_parts_of_a_head()
    {
        var begun = Frame(H2Frame.Headers, H2Flags.EndStream, 1, Block(":method GET"));
        await EndsAsync(H2Error.Protocol, Empty, begun, Data(1, 1));
        await EndsAsync(H2Error.Protocol, Empty, begun, Get(3));
        await EndsAsync(H2Error.Protocol, Empty, begun, Frame(H2Frame.Continuation, H2Flags.EndHeaders, 3, Block(":path /")));
        await EndsAsync(H2Error.Protocol, Empty, begun, Frame((H2Frame)99, H2Flags.None, 0, new byte[3]));
        await EndsAsync(H2Error.Protocol, Empty, Get(1), Frame(H2Frame.Continuation, H2Flags.EndHeaders, 1, Block("x 1")));
    }

    [Fact]
    public async Task A_head_that_does_not_decode_ends_the_connection()
    {
        await EndsAsync(H2Error.Compression, Empty, Frame(H2Frame.Headers, Whole, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
        await EndsAsync(H2Error.Compression, Empty, Frame(H2Frame.Headers, Whole, 1, [0xc0]));
        // A larger table than the server's settings allow.
        await EndsAsync(H2Error.Compression, Empty, Frame(H2Frame.Headers, Whole, 1, [0x3f, 0xe2, 0x1f]));
    }

    [Theory]
    [InlineData("connection close")]
    [InlineData("proxy-connection close")]
    [InlineData("keep-alive 1")]
    [InlineData("transfer-encoding chunked")]
    [InlineData("upgrade websocket")]
    [InlineData("te gzip")]
    [InlineData("Upper 1")]
    [InlineData("x\u00e4 1")]
    [InlineData("x:y 1")]
    [InlineData("x a\rb")]
    [InlineData("x a\nb")]
    [InlineData("x a\0b")]
    [InlineData(":path /again")]
    [InlineData(":unknown 1")]
    [InlineData(":status 200")]
    [InlineData("content-length 1|content-length 2")]
    [InlineData("content-length -1")]
    [InlineData("host b")]
    public async Task A_malformed_head_resets_its_stream_only(string more)
    {
        var said = await TellAsync(Empty, Get(1, more: $"|{more}"), Get(3));
        Assert.Equal((1, H2Error.Protocol), Assert.Single(said.Where(frame => frame.Type == H2Frame.Reset).Select(frame => (frame.Id, frame.Error))));
        Assert.Equal("204", Answer(said, 3));
    }

    [Theory]
    [InlineData(":scheme http|:path /|:authority a")]
    [InlineData(":method GET|:path /|:authority a")]
    [InlineData(":method GET|:scheme http|:authority a")]
    [InlineData(":method GET|:scheme http|:path |:authority a")]
    [InlineData(":method GET|:scheme http|:path x|:authority a")]
    [InlineData(":method GET|:scheme http|:path *|:authority a")]
    [InlineData(":method GET|:scheme http|:path /|:authority u@a")]
    [InlineData(":method GET|x 1|:scheme http|:path /|:authority a")]
    [InlineData(":method CONNECT|:authority a")]
    public async Task A_head_that_is_not_a_request_resets_its_stream_only(string fields)
    {
        var said = await TellAsync(Empty, Frame(H2Frame.Headers, Whole, 1, Block(fields)), Get(3));
        Assert.Equal((1, H2Error.Protocol), Assert.Single(said.Where(frame => frame.Type == H2Frame.Reset).Select(frame => (frame.Id, frame.Error))));
        Assert.Equal("204", Answer(said, 3));
    }

    [Fact]
    public async Task A_body_of_another_length_than_announced_resets_its_stream()
    {
        await ResetsAsync(H2Error.Protocol, Empty, Post(1, "|content-length 3"), Data(1, 2, isLast: true));
        await ResetsAsync(H2Error.Protocol, Empty, Post(1, "|content-length 3"), Data(1, 4));
        await ResetsAsync(H2Error.Protocol, Empty, Get(1, more: "|content-length 3"));
        await ResetsAsync(H2Error.Protocol, Empty, Post(1, "|content-length 3"), Frame(H2Frame.Headers, Whole, 1, Block("x 1")));
    }

    [Fact]
    public async Task Trailers_end_a_request_and_have_no_pseudo_fields()
    {
        var trailer = "";
        var said = await TellAsync(
            async stream =>
            {
                await ReadAsync(stream);
                trailer = stream.RequestTrailers.GetString("total"u8) ?? "";
            },
            Empty, Post(1), Data(1, 5), Frame(H2Frame.Headers, Whole, 1, Block("total 5")));
        Assert.Equal(("204", "5"), (Answer(said, 1), trailer));
        await ResetsAsync(H2Error.Protocol, Empty, Post(1), Frame(H2Frame.Headers, H2Flags.EndHeaders, 1, Block("total 5")));
        await ResetsAsync(H2Error.Protocol, Empty, Post(1), Frame(H2Frame.Headers, Whole, 1, Block(":path /")));
    }
}
