using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Http2;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>What the proxy does with servers of HTTP/2 that keep or break the rules of RFC 9113; <c>docs/http2.md</c> names these tests.</summary>
public sealed class H2UpstreamRulesTests
{
    private const string ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;

    private static readonly byte[] Empty = Settings();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_preface_of_the_proxy_forbids_pushes_and_its_streams_are_odd_and_increase()
    {
        using var server = new ScriptedH2Server(Empty, id => Head(id, ":status 204", Whole));
        using (var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp))
        {
            proxy.Endpoints("up", server.Port);
            Assert.Equal(["204", "204", "204"], await AskInTurnAsync(proxy, 3));
            proxy.Endpoints("up");
        }
        var heard = await server.HeardAsync(Stop);
        Assert.Equal((H2Frame.Settings, H2Flags.None), (heard[0].Type, heard[0].Flags));
        Assert.Contains((2, 0), heard[0].Payload.Chunk(6).Select(setting => ((setting[0] << 8) | setting[1], setting[5] | setting[4])));
        Assert.Equal([1, 3, 5], heard.Where(frame => frame.Type == H2Frame.Headers).Select(frame => frame.Id));
    }

    [Theory]
    [InlineData(1u << 30)]
    [InlineData(int.MaxValue)]
    [InlineData(uint.MaxValue)]
    public async Task A_server_may_accept_any_number_of_streams(uint streams)
    {
        using var server = new ScriptedH2Server(Settings((3, streams)), id => Head(id, ":status 204", Whole));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp);
        proxy.Endpoints("up", server.Port);
        Assert.Equal(["204", "204", "204"], await AskInTurnAsync(proxy, 3));
    }

    [Theory]
    [InlineData("SETTINGS with push allowed", H2Error.Protocol)]
    [InlineData("a first frame that is not SETTINGS", H2Error.Protocol)]
    [InlineData("a push", H2Error.Protocol)]
    [InlineData("a stream of the server", H2Error.Protocol)]
    [InlineData("an answer to a request that was not sent", H2Error.Protocol)]
    [InlineData("data for a request that was not sent", H2Error.Protocol)]
    [InlineData("an acknowledgement with a payload", H2Error.FrameSize)]
    [InlineData("a head that does not decode", H2Error.Compression)]
    internal async Task A_server_that_breaks_the_connection_gets_GOAWAY_and_the_client_503(string what, H2Error error)
    {
        byte[] first = what switch
        {
            "SETTINGS with push allowed" => Settings((2, 1)),
            "a first frame that is not SETTINGS" => Frame(H2Frame.Ping, H2Flags.None, 0, new byte[8]),
            _ => Empty,
        };
        byte[] Answer(int id) => what switch
        {
            "a push" => Frame(H2Frame.PushPromise, H2Flags.EndHeaders, id, [0, 0, 0, 2, .. Block(":method GET|:scheme http|:path /|:authority a")]),
            "a stream of the server" => Head(2, ":status 200", Whole),
            "an answer to a request that was not sent" => Head(id + 2, ":status 200", Whole),
            "data for a request that was not sent" => Data(id + 2, 1),
            "an acknowledgement with a payload" => Frame(H2Frame.Settings, H2Flags.Ack, 0, new byte[6]),
            "a head that does not decode" => Frame(H2Frame.Headers, Whole, id, [0xc0]),
            _ => [],
        };
        using var server = new ScriptedH2Server(first, Answer);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp);
        proxy.Endpoints("up", server.Port);
        Assert.StartsWith("HTTP/1.1 503", await AskAsync(proxy));
        Assert.Equal(error, Assert.Single(await server.HeardAsync(Stop), frame => frame.Type == H2Frame.GoAway).Error);
    }

    [Theory]
    [InlineData("no status", ":method GET")]
    [InlineData("two statuses", ":status 200|:status 201")]
    [InlineData("an authority", ":status 200|:authority a")]
    [InlineData("a field of one hop", ":status 200|connection close")]
    [InlineData("an upper case name", ":status 200|Upper 1")]
    [InlineData("a length without a body", ":status 200|content-length 5")]
    [InlineData("an interim answer that ends the exchange", ":status 100")]
    [InlineData("101, which belongs to HTTP/1.1", ":status 101")]
    public async Task A_malformed_answer_resets_its_stream_only(string _, string fields)
    {
        using var server = new ScriptedH2Server(Empty, id => Head(id, id == 1 ? fields : ":status 204", Whole));
        List<H2Said> heard;
        using (var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp))
        {
            proxy.Endpoints("up", server.Port);
            Assert.Equal(["503", "204"], await AskInTurnAsync(proxy, 2));
            proxy.Endpoints("up");
        }
        heard = await server.HeardAsync(Stop);
        Assert.Equal((1, H2Error.Protocol), Assert.Single(heard.Where(frame => frame.Type == H2Frame.Reset).Select(frame => (frame.Id, frame.Error))));
    }

    [Theory]
    [InlineData("data before the head")]
    [InlineData("more data than announced")]
    [InlineData("less data than announced")]
    [InlineData("data after a head that has none")]
    public async Task A_malformed_body_resets_its_stream(string what)
    {
        byte[] Answer(int id) => what switch
        {
            "data before the head" => [.. Data(id, 3), .. Head(id, ":status 200", Whole)],
            "more data than announced" => [.. Head(id, ":status 200|content-length 2"), .. Data(id, 3)],
            "less data than announced" => [.. Head(id, ":status 200|content-length 4"), .. Data(id, 3, isLast: true)],
            _ => [.. Head(id, ":status 204"), .. Data(id, 3, isLast: true)],
        };
        using var server = new ScriptedH2Server(Empty, Answer);
        List<H2Said> heard;
        using (var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp))
        {
            proxy.Endpoints("up", server.Port);
            var answer = await AskOrBreakAsync(proxy);
            if (what == "data before the head") Assert.StartsWith("HTTP/1.1 503", answer);
            await server.ResetAsync(Stop);
            proxy.Endpoints("up");
            heard = await server.HeardAsync(Stop);
        }
        var (id, error) = Assert.Single(heard.Where(frame => frame.Type == H2Frame.Reset).Select(frame => (frame.Id, frame.Error)));
        Assert.Equal(1, id);
        // A head without a body may end the exchange, and with it the stream, before the data is read.
        if (what != "data after a head that has none" || error != H2Error.Cancel) Assert.Equal(H2Error.Protocol, error);
    }

    [Fact]
    public async Task Interim_answers_and_trailers_pass()
    {
        using var server = new ScriptedH2Server(
            Empty,
            id => [.. Head(id, ":status 100"), .. Head(id, ":status 103|link x"), .. Head(id, ":status 200"), .. Data(id, 3), .. Head(id, "total 3", Whole)]);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp);
        proxy.Endpoints("up", server.Port);
        var answer = await AskAsync(proxy);
        Assert.StartsWith("HTTP/1.1 200", answer);
        Assert.EndsWith("0\r\ntotal: 3\r\n\r\n", answer);
    }

    [Fact]
    public async Task A_request_that_the_server_did_not_take_before_GOAWAY_is_sent_again()
    {
        using var leaving = new ScriptedH2Server(Empty, _ => Frame(H2Frame.GoAway, H2Flags.None, 0, new byte[8]));
        using var staying = new ScriptedH2Server(Empty, id => Head(id, ":status 204", Whole));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true, more: """, "lb_policy": "ROUND_ROBIN" """)], """
            "route": {"cluster": "up", "timeout": "0s",
             "retry_policy": {"retry_on": "refused-stream", "num_retries": 3,
              "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts"}]} }
            """);
        proxy.Endpoints("up", leaving.Port, staying.Port);
        Assert.Equal(["204", "204", "204"], await AskInTurnAsync(proxy, 3));
    }

    [Fact]
    public async Task Many_refused_streams_do_not_cost_the_connection()
    {
        using var server = new ScriptedH2Server(Empty, id => id < 1200 ? Reset(id, H2Error.RefusedStream) : Head(id, ":status 204", Whole));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp);
        proxy.Endpoints("up", server.Port);
        Assert.Equal([.. Enumerable.Repeat("503", 600), "204"], await AskInTurnAsync(proxy, 601));
    }

    [Theory]
    [InlineData("data")]
    [InlineData("trailers")]
    [InlineData("no body")]
    public async Task A_server_that_answers_early_and_wants_no_more_of_the_request_is_heard(string ending)
    {
        byte[] Answer(int id) => ending switch
        {
            "data" => [.. Head(id, ":status 403"), .. Data(id, 3, isLast: true), .. Reset(id, H2Error.None)],
            "trailers" => [.. Head(id, ":status 403"), .. Data(id, 3), .. Head(id, "grpc-status 7", Whole), .. Reset(id, H2Error.None)],
            _ => [.. Head(id, ":status 403", Whole), .. Reset(id, H2Error.None)],
        };
        using var server = new ScriptedH2Server(Empty, Answer);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp);
        proxy.Endpoints("up", server.Port);
        // More than the window, so that the proxy waits for the server to take it.
        var answer = await proxy.RawAsync($"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n{new string('a', 150_000)}");
        Assert.StartsWith("HTTP/1.1 403", answer);
        if (ending != "no body") Assert.Contains("\0\0\0", answer);
        Assert.Equal("POST 403 - via_upstream", (await proxy.LoggedAsync()).Trim());
    }

    [Theory]
    [InlineData("http", "https", "http")]
    [InlineData("https", "http", "https")]
    [InlineData("ftp", "https", "https")]
    [InlineData(null, "https", "https")]
    [InlineData(null, "http", "http")]
    public async Task The_scheme_of_a_client_is_that_of_the_next_hop(string? scheme, string forwarded, string seen)
    {
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http2,
            context => context.Response.WriteAsync($"scheme={context.Request.Scheme}."));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp);
        proxy.Endpoints("up", server.Port);
        var request = scheme is null
            ? $"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: {forwarded}\r\nconnection: close\r\n\r\n"
            : Encoding.Latin1.GetString([
                .. H2.Preface, .. Empty,
                .. Frame(H2Frame.Headers, Whole, 1, Block($":method GET|:scheme {scheme}|:path /|:authority a|x-forwarded-proto {forwarded}"))]);
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", proxy.Port, Stop);
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request), Stop);
        var answer = "";
        var buffer = new byte[4096];
        while (!answer.Contains("scheme=", StringComparison.Ordinal))
        {
            var count = await client.GetStream().ReadAsync(buffer, Stop).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Stop);
            Assert.NotEqual(0, count);
            answer += Encoding.Latin1.GetString(buffer, 0, count);
        }
        Assert.Contains($"scheme={seen}.", answer);
    }

    /// <summary>The statuses of requests of one client: such requests share one connection to the server.</summary>
    private static async Task<IEnumerable<string>> AskInTurnAsync(LoopbackProxy proxy, int requests)
    {
        var last = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        var answers = await proxy.RawAsync(string.Concat(Enumerable.Repeat("GET / HTTP/1.1\r\nhost: x\r\n\r\n", requests - 1)) + last);
        return answers.Split("HTTP/1.1 ").Skip(1).Select(answer => answer[..3]);
    }

    private static Task<string> AskAsync(LoopbackProxy proxy) => proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");

    /// <summary>Empty when the proxy breaks the connection off: the answer has begun and cannot be completed.</summary>
    private static async Task<string> AskOrBreakAsync(LoopbackProxy proxy)
    {
        try
        {
            return await AskAsync(proxy);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return "";
        }
    }

    private static byte[] Head(int id, string fields, H2Flags flags = H2Flags.EndHeaders) => Frame(H2Frame.Headers, flags, id, Block(fields));
}
