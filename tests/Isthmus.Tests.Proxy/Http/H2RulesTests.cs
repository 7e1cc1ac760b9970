using System.Text;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Traffic;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;
using static Isthmus.Tests.Proxy.Http.H2Conversation;

namespace Isthmus.Tests.Proxy.Http;

/// <summary>What a server of HTTP/2 does with clients that keep or break the rules of RFC 9113; <c>docs/http2.md</c> names these tests.</summary>
public sealed class H2RulesTests
{
    [Fact]
    public async Task The_preface_of_a_server_is_SETTINGS_and_those_of_the_client_are_acknowledged()
    {
        var said = await TellAsync(Empty);
        Assert.Equal((H2Frame.Settings, H2Flags.None, 0), (said[0].Type, said[0].Flags, said[0].Id));
        Assert.Single(said, frame => frame is { Type: H2Frame.Settings, Flags: H2Flags.Ack, Payload.Length: 0 });
    }

    [Fact]
    public async Task The_first_frame_of_a_client_is_SETTINGS()
    {
        await EndsAsync(H2Error.Protocol, Get(1));
        await EndsAsync(H2Error.Protocol, Frame(H2Frame.Settings, H2Flags.Ack, 0));
    }

    [Fact]
    public async Task Unknown_frames_and_flags_and_the_reserved_bit_are_ignored()
    {
        var said = await TellAsync(Empty, Frame((H2Frame)99, (H2Flags)255, 7, new byte[30]), Frame(H2Frame.Ping, (H2Flags)0xfe, int.MinValue, new byte[8]),
            Get(1));
        Assert.Single(said, frame => frame is { Type: H2Frame.Ping, Flags: H2Flags.Ack });
        Assert.Equal("204", Answer(said, 1));
    }

    [Theory]
    [InlineData(H2Frame.Data, 1, 16385)]
    [InlineData(H2Frame.Headers, 1, 16385)]
    [InlineData(H2Frame.Priority, 1, 4)]
    [InlineData(H2Frame.Priority, 1, 6)]
    [InlineData(H2Frame.Reset, 1, 3)]
    [InlineData(H2Frame.Reset, 1, 5)]
    [InlineData(H2Frame.Settings, 0, 5)]
    [InlineData(H2Frame.Settings, 0, 7)]
    [InlineData(H2Frame.Ping, 0, 7)]
    [InlineData(H2Frame.Ping, 0, 9)]
    [InlineData(H2Frame.GoAway, 0, 7)]
    [InlineData(H2Frame.WindowUpdate, 0, 3)]
    [InlineData(H2Frame.WindowUpdate, 1, 5)]
    internal async Task Frames_of_the_wrong_size_end_the_connection(H2Frame type, int id, int length) =>
        await EndsAsync(H2Error.FrameSize, Empty, Post(1), Frame(type, H2Flags.None, id, new byte[length]));

    [Theory]
    [InlineData(H2Frame.Data, 0, 1)]
    [InlineData(H2Frame.Headers, 0, 1)]
    [InlineData(H2Frame.Priority, 0, 5)]
    [InlineData(H2Frame.Reset, 0, 4)]
    [InlineData(H2Frame.PushPromise, 0, 4)]
    [InlineData(H2Frame.Continuation, 0, 1)]
    [InlineData(H2Frame.Settings, 1, 0)]
    [InlineData(H2Frame.Ping, 1, 8)]
    [InlineData(H2Frame.GoAway, 1, 8)]
    internal async Task Frames_of_the_wrong_kind_of_stream_end_the_connection(H2Frame type, int id, int length) =>
        await EndsAsync(H2Error.Protocol, Empty, Post(1), Frame(type, H2Flags.None, id, new byte[length]));

    [Theory]
    [InlineData(2, 2u, H2Error.Protocol)]
    [InlineData(2, uint.MaxValue, H2Error.Protocol)]
    [InlineData(4, 0x80000000u, H2Error.FlowControl)]
    [InlineData(5, 16383u, H2Error.Protocol)]
    [InlineData(5, 16777216u, H2Error.Protocol)]
    internal async Task Settings_with_forbidden_values_end_the_connection(int setting, uint value, H2Error error) =>
        await EndsAsync(error, Settings((setting, value)));

    [Fact]
    public async Task Settings_with_permitted_and_unknown_values_are_acknowledged()
    {
        var said = await TellAsync(Settings((1, 0), (2, 0), (2, 1), (3, 0), (4, 0), (4, int.MaxValue), (5, 16384), (5, 16777215), (6, 0), (99, 7)));
        Assert.Single(said, frame => frame is { Type: H2Frame.Settings, Flags: H2Flags.Ack });
        Assert.DoesNotContain(said, frame => frame.Type == H2Frame.GoAway);
    }

    [Fact]
    public async Task A_SETTINGS_acknowledgement_with_a_payload_ends_the_connection() =>
        await EndsAsync(H2Error.FrameSize, Empty, Frame(H2Frame.Settings, H2Flags.Ack, 0, new byte[6]));

    [Fact]
    public async Task A_ping_comes_back_with_its_bytes_and_an_acknowledgement_does_not()
    {
        var said = await TellAsync(Empty, Frame(H2Frame.Ping, H2Flags.None, 0, "12345678"u8), Frame(H2Frame.Ping, H2Flags.Ack, 0, "abcdefgh"u8));
        Assert.Equal("12345678", Encoding.ASCII.GetString(Assert.Single(said, frame => frame.Type == H2Frame.Ping).Payload));
    }

    [Fact]
    public async Task Frames_on_an_idle_stream_end_the_connection()
    {
        await EndsAsync(H2Error.Protocol, Empty, Data(1, 1));
        await EndsAsync(H2Error.Protocol, Empty, Data(2, 1));
        await EndsAsync(H2Error.Protocol, Empty, WindowUpdate(1, 1));
        await EndsAsync(H2Error.Protocol, Empty, WindowUpdate(1, 0));
        await EndsAsync(H2Error.Protocol, Empty, Get(1), WindowUpdate(3, 1));
        await EndsAsync(H2Error.Protocol, Empty, Reset(1));
        await EndsAsync(H2Error.Protocol, Empty, Frame(H2Frame.Continuation, H2Flags.EndHeaders, 1, Block("x 1")));
    }

    [Fact]
    public async Task A_stream_number_that_decreases_ends_the_connection()
    {
        await EndsAsync(H2Error.Protocol, Empty, Get(5), Get(3));
        await EndsAsync(H2Error.Protocol, Empty, Get(5), Get(7), Get(1));
        var said = await TellAsync(Empty, Get(1), Get(7), Get(9));
        Assert.Equal(["204", "204", "204"], [Answer(said, 1), Answer(said, 7), Answer(said, 9)]);
    }

    [Fact]
    public async Task A_stream_number_of_the_server_ends_the_connection() => await EndsAsync(H2Error.Protocol, Empty, Get(2));

    [Fact]
    public async Task Frames_after_the_end_of_a_stream_reset_it()
    {
        await ResetsAsync(H2Error.StreamClosed, Empty, Get(1), Data(1, 1));
        await ResetsAsync(H2Error.StreamClosed, Empty, Get(1), Get(1));
        // Those that may cross the end of the stream do not.
        var said = await TellAsync(Empty, Get(1), WindowUpdate(1, 10), Frame(H2Frame.Priority, H2Flags.None, 1, new byte[5]), Get(3));
        Assert.Equal(["204", "204"], [Answer(said, 1), Answer(said, 3)]);
    }

    [Fact]
    public async Task Late_frames_of_a_stream_that_was_reset_are_dropped()
    {
        // The head is malformed: the server resets stream 1 before it sees the rest.
        var said = await TellAsync(Empty, Post(1, "|connection close"), Data(1, 100), WindowUpdate(1, 1), WindowUpdate(1, 0),
            Frame(H2Frame.Headers, Whole, 1, Block("x 1")), Reset(1), Get(3));
        Assert.Equal(H2Error.Protocol, Assert.Single(said, frame => frame.Type == H2Frame.Reset).Error);
        Assert.Equal("204", Answer(said, 3));
    }

    [Fact]
    public async Task More_streams_than_allowed_are_refused()
    {
        byte[][] frames = [Empty, .. Enumerable.Range(0, H2.MaxStreams + 1).Select(i => Post(2 * i + 1))];
        var refused = Assert.Single(await RunAsync(HeldRequest.UntilEndAsync, Ends, frames),
            frame => frame.Type == H2Frame.Reset && frame.Error == H2Error.RefusedStream);
        Assert.Equal(2 * H2.MaxStreams + 1, refused.Id);
    }

    [Fact]
    public async Task A_stream_that_depends_on_itself_ends_the_connection()
    {
        await EndsAsync(H2Error.Protocol, Empty, Frame(H2Frame.Priority, H2Flags.None, 3, [0, 0, 0, 3, 16]));
        await EndsAsync(H2Error.Protocol, Empty,
            Frame(H2Frame.Headers, Whole | H2Flags.Priority, 3, [0x80, 0, 0, 3, 16, .. Block(":method GET|:scheme http|:path /|:authority a")]));
    }

    [Fact]
    public async Task Priorities_are_ignored()
    {
        var said = await TellAsync(
            Empty, Frame(H2Frame.Priority, H2Flags.None, 9, [0, 0, 0, 3, 16]),
            Frame(H2Frame.Headers, Whole | H2Flags.Priority, 1, [0x80, 0, 0, 11, 16, .. Block(":method GET|:scheme http|:path /|:authority a")]));
        Assert.Equal("204", Answer(said, 1));
    }

    [Fact]
    public async Task More_data_than_the_window_allows_is_refused()
    {
        byte[][] tooMuch = [Empty, Post(1), .. Enumerable.Repeat(Data(1, 16384), H2.StreamWindow / 16384), Data(1, 1)];
        await ResetsAsync(H2Error.FlowControl, tooMuch);
        byte[][] ofAll = [Empty,
            .. Enumerable.Range(0, 5).SelectMany(i => (byte[][])[Post(2 * i + 1), .. Enumerable.Repeat(Data(2 * i + 1, 16384), i == 4 ? 1 : 16)])];
        await EndsAsync(H2Error.FlowControl, ofAll);
    }

    [Fact]
    public async Task Windows_that_grow_beyond_their_limit_are_refused()
    {
        await EndsAsync(H2Error.FlowControl, Empty, WindowUpdate(0, int.MaxValue));
        await ResetsAsync(H2Error.FlowControl, Empty, Post(1), WindowUpdate(1, int.MaxValue));
        await EndsAsync(H2Error.FlowControl, Empty, Post(1), WindowUpdate(1, 1), Settings((4, int.MaxValue)));
    }

    [Fact]
    public async Task A_window_update_of_nothing_is_refused()
    {
        await EndsAsync(H2Error.Protocol, Empty, WindowUpdate(0, 0));
        await ResetsAsync(H2Error.Protocol, Empty, Post(1), WindowUpdate(1, 0));
    }

    [Fact]
    public async Task Responses_wait_for_the_window_of_the_stream_and_of_the_connection()
    {
        static async Task SendAsync(H2DownstreamStream stream)
        {
            await stream.SendHeadAsync(new ResponseHead { Status = 200, Body = BodyKind.Stream });
            await stream.SendBodyAsync(new byte[100_000]);
            await stream.EndAsync(null);
        }
        static int Sent(IEnumerable<H2Said> said) => said.Where(frame => frame.Type == H2Frame.Data).Sum(frame => frame.Payload.Length);
        static async Task<int> AsyncSent(int expected, params byte[][] frames)
        {
            var said = await RunAsync(SendAsync, client => Sent(client.Said) >= expected, frames);
            Assert.All(said, frame => Assert.InRange(frame.Payload.Length, 0, H2.MaxFrame));
            return Sent(said);
        }
        Assert.Equal(10, await AsyncSent(10, Settings((4, 10)), Get(1)));
        // A smaller initial window takes from streams that are open: theirs becomes negative.
        Assert.Equal(12, await AsyncSent(12, Settings((4, 10)), Get(1), Settings((4, 4)), WindowUpdate(1, 8)));
        Assert.Equal(H2.DefaultWindow, await AsyncSent(H2.DefaultWindow, Settings((4, 200_000)), Get(1)));
        Assert.Equal(100_000, await AsyncSent(100_000, Settings((4, 200_000)), WindowUpdate(0, 200_000), Get(1)));
    }

    [Fact]
    public async Task Padding_is_dropped_and_more_of_it_than_the_frame_has_ends_the_connection()
    {
        var read = 0;
        var said = await TellAsync(
            async stream => read = (await ReadAsync(stream)).Length,
            Empty, Frame(H2Frame.Headers, H2Flags.EndHeaders | H2Flags.Padded, 1, [3, .. Block(":method POST|:scheme http|:path /|:authority a"), 0, 0, 0]),
            Frame(H2Frame.Data, H2Flags.EndStream | H2Flags.Padded, 1, [2, 1, 2, 3, 4, 5, 0, 0]));
        Assert.Equal(("204", 5), (Answer(said, 1), read));
        await EndsAsync(H2Error.Protocol, Empty, Post(1), Frame(H2Frame.Data, H2Flags.Padded, 1, [3, 1, 2]));
        await EndsAsync(H2Error.Protocol, Empty, Frame(H2Frame.Headers, Whole | H2Flags.Padded, 1, [2, 1]));
        await EndsAsync(H2Error.Protocol, Empty, Post(1), Frame(H2Frame.Data, H2Flags.Padded, 1));
    }

    [Fact]
    public async Task A_response_before_the_end_of_the_request_asks_for_no_more_of_it()
    {
        var said = await TellAsync(
            async stream =>
            {
                await stream.SendHeadAsync(new ResponseHead { Status = 204 });
                await stream.EndAsync(null);
            },
            Empty, Post(1));
        Assert.Equal(H2Error.None, Assert.Single(said, frame => frame.Type == H2Frame.Reset).Error);
    }

    [Fact]
    public async Task A_client_that_goes_away_still_gets_its_answers()
    {
        var said = await TellAsync(Empty, Get(1), Frame(H2Frame.GoAway, H2Flags.None, 0, new byte[8]), Get(3));
        Assert.Equal(["204", "204"], [Answer(said, 1), Answer(said, 3)]);
    }

    [Fact]
    public async Task Requests_after_GOAWAY_are_dropped_with_all_their_frames()
    {
        H2Server? server = null;
        var pieces = 0;
        byte[] before = [.. Empty, .. Get(1)];
        byte[] after = [.. Post(3), .. Data(3, 100), .. WindowUpdate(3, 1), .. Reset(3), .. Post(5), .. Data(5, 3, isLast: true)];
        var transport = new MemoryTransport([.. before, .. after], () =>
        {
            // Nothing after the first piece is read before this.
            if (pieces++ == 1) server!.Close();
            return pieces == 1 ? before.Length : after.Length;
        });
        server = new H2Server(transport, stream => new ValueTask(HeldRequest.UntilEndAsync(stream)));
        using var reader = new ByteReader(transport);
        await server.RunAsync(reader);
        var last = Assert.Single(Parse([.. transport.Written]), frame => frame.Type == H2Frame.GoAway);
        Assert.Equal((1, H2Error.None), (last.Number, last.Error));
    }

    /// <summary>It may have opened them before it learnt that the server leaves.</summary>
    [Fact]
    public async Task A_client_that_is_asked_to_leave_may_still_open_streams_for_a_while()
    {
        var clock = new ManualClock();
        H2Server? server = null;
        var pieces = 0;
        byte[][] sent = [[.. Empty, .. Get(1)], Get(3), Get(5)];
        var transport = new MemoryTransport([.. sent.SelectMany(piece => piece)], () =>
        {
            if (pieces > 0) server!.Drain(DrainTimes.LastCall, clock);
            clock.Advance(DrainTimes.LastCall / 2 * pieces);
            return pieces < sent.Length ? sent[pieces++].Length : 0;
        });
        server = new H2Server(transport, stream => new ValueTask(HeldRequest.UntilEndAsync(stream)));
        using var reader = new ByteReader(transport);
        await server.RunAsync(reader);
        server.Drain(DrainTimes.LastCall, clock);
        // The second one says which was the last request that it has taken.
        Assert.Equal([int.MaxValue, 5], Parse([.. transport.Written]).Where(frame => frame.Type == H2Frame.GoAway).Select(frame => frame.Number));
    }

    [Fact]
    public async Task A_push_of_a_client_ends_the_connection() =>
        await EndsAsync(H2Error.Protocol, Empty, Get(1), Frame(H2Frame.PushPromise, H2Flags.EndHeaders, 1, [0, 0, 0, 2, .. Block(":method GET")]));
}
