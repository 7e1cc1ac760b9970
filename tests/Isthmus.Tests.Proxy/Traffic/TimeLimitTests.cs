using System.Net;
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

/// <summary>The time limits of listeners, routes and clusters, with Envoy's codes, texts and flags.</summary>
public sealed class TimeLimitTests
{
    private const string Get11 = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    private const string ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("the stream", "504", "stream timeout", "504 SI stream_idle_timeout", """ "stream_idle_timeout": "5s", """, "")]
    [InlineData("the route", "504", "stream timeout", "504 SI stream_idle_timeout", """ "stream_idle_timeout": "0s", """, """, "idle_timeout": "5s" """)]
    [InlineData("the whole exchange", "504", "downstream duration timeout", "504 - max_duration_timeout",
        """ "stream_idle_timeout": "0s", "common_http_protocol_options": {"max_stream_duration": "5s"}, """, "")]
    [InlineData("the whole exchange by the route", "504", "downstream duration timeout", "504 - max_duration_timeout", """ "stream_idle_timeout": "0s", """,
        """, "max_stream_duration": {"max_stream_duration": "5s"} """)]
    [InlineData("an attempt", "504", "upstream max stream duration reached", "504 UMSDR upstream_max_stream_duration_reached",
        """ "stream_idle_timeout": "0s", """, "", "5s")]
    public async Task A_server_that_does_not_answer_ends_the_request(string _, string status, string text, string logged, string listener, string route,
        string cluster = "0s")
    {
        foreach (var isHttp2 in (bool[])[false, true])
        {
            await using var origin = await SilentAsync(hasHead: false);
            using var proxy = Proxy(out var clock, listener, ToUp.TrimEnd().TrimEnd('}') + route + "} ", cluster);
            proxy.Endpoints("up", origin.Port);
            using var client = await Raw.ConnectAsync(proxy, isHttp2);
            var answer = isHttp2 ? client.AskHttp2Async(Get(1)) : client.AskAsync(Get11);
            await PassAsync(clock, answer);
            Assert.Equal((status, text), ((await answer).Status, (await answer).Body));
            Assert.Equal($"GET {logged}\n", await proxy.LoggedAsync());
        }
    }

    [Theory]
    [InlineData(" \"request_timeout\": \"5s\", \"stream_idle_timeout\": \"0s\", ", "request timeout", "408 - request_overall_timeout")]
    [InlineData(" \"stream_idle_timeout\": \"5s\", ", "stream timeout", "408 SI stream_idle_timeout")]
    [InlineData(" \"stream_idle_timeout\": \"0s\", \"common_http_protocol_options\": {\"max_stream_duration\": \"5s\"}, ", "downstream duration timeout",
        "408 - max_duration_timeout")]
    public async Task A_client_that_does_not_send_its_whole_request_gets_408(string listener, string text, string logged)
    {
        foreach (var kind in (string[])["small", "chunked", "http2"])
        {
            await using var origin = await SilentAsync(hasHead: false);
            using var proxy = Proxy(out var clock, listener, ToUp);
            proxy.Endpoints("up", origin.Port);
            using var client = await Raw.ConnectAsync(proxy, kind == "http2");
            var answer = kind switch
            {
                "small" => client.AskAsync("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc"),
                "chunked" => client.AskAsync("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
                _ => client.AskHttp2Async([.. Post(1, "|content-length 10"), .. Data(1, 3)]),
            };
            await PassAsync(clock, answer);
            Assert.Equal(("408", text), ((await answer).Status, (await answer).Body));
            // The proxy waits a moment for the rest before it closes the connection.
            await PassAsync(clock, proxy.LoggedAsync());
            Assert.Equal($"POST {logged}\n", proxy.LogText);
            Assert.Equal(0, proxy.Plane.State.Current.Clusters["up"].Counters.Timeouts);
        }
    }

    [Theory]
    [InlineData(" \"request_headers_timeout\": \"5s\", ", "request header timeout", "request_header_timeout")]
    [InlineData(" \"request_headers_timeout\": \"50s\", \"request_timeout\": \"5s\", ", "request timeout", "request_overall_timeout")]
    public async Task A_client_that_does_not_complete_a_head_gets_408_and_an_idle_one_nothing(string listener, string text, string details)
    {
        using var proxy = Proxy(out var clock, listener, """ "direct_response": {"status": 204} """);
        proxy.Endpoints("up");
        using var idle = await Raw.ConnectAsync(proxy, isHttp2: false);
        using var client = await Raw.ConnectAsync(proxy, isHttp2: false);
        Assert.Equal("204", (await client.AskAsync(Get11)).Status);
        var answer = client.AskAsync("GET /late HTTP/1.1\r\nhos");
        await PassAsync(clock, answer);
        Assert.Equal(("408", text), ((await answer).Status, (await answer).Body));
        Assert.Equal(0, await client.ReadAsync());
        await LoggedAsync(proxy, $" 408 - {details}\n");
        Assert.Equal("204", (await idle.AskAsync(Get11)).Status);
    }

    [Fact]
    public async Task A_client_of_HTTP2_that_does_not_complete_a_head_loses_its_connection()
    {
        using var proxy = Proxy(out var clock, " \"request_headers_timeout\": \"5s\", ", """ "direct_response": {"status": 204} """);
        proxy.Endpoints("up");
        using var client = await Raw.ConnectAsync(proxy, isHttp2: true);
        await client.SendAsync(Frame(H2Frame.Headers, H2Flags.None, 1, Block(":method GET")));
        await PassAsync(clock, client.ReadToEndAsync());
    }

    [Fact]
    public async Task A_route_can_lift_the_limits_of_its_listener()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            asked.SetResult();
            await release.Task;
            await context.Response.WriteAsync("late");
        });
        // The connection was idle for long, too; but a request was in progress.
        using var proxy = Proxy(out var clock,
            """ "stream_idle_timeout": "5s", "common_http_protocol_options": {"max_stream_duration": "5s", "idle_timeout": "3s"}, """,
            """ "route": {"cluster": "up", "idle_timeout": "0s", "max_stream_duration": {"max_stream_duration": "0s"} } """);
        proxy.Endpoints("up", origin.Port);
        using var client = await Raw.ConnectAsync(proxy, isHttp2: false);
        var answer = client.AskAsync(Get11);
        await asked.Task.WaitAsync(Stop);
        clock.Advance(TimeSpan.FromMinutes(20));
        release.SetResult();
        Assert.Equal("200", (await answer).Status);
        await PassAsync(clock, client.ReadToEndAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_response_that_has_begun_and_stops_is_cut_short(bool isHttp2)
    {
        await using var origin = await SilentAsync(hasHead: true);
        using var proxy = Proxy(out var clock, """ "stream_idle_timeout": "5s", """, ToUp);
        proxy.Endpoints("up", origin.Port);
        using var client = await Raw.ConnectAsync(proxy, isHttp2);
        await client.SendAsync(isHttp2 ? Get(1) : Encoding.ASCII.GetBytes(Get11));
        await client.BeginAsync(isHttp2);
        await PassAsync(clock, isHttp2 ? client.FrameAsync(H2Frame.Reset) : client.ReadToEndAsync());
        await LoggedAsync(proxy, "GET 200 SI stream_idle_timeout\n");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_does_not_read_is_cut_off(bool isHttp2)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            while (!context.RequestAborted.IsCancellationRequested) await context.Response.Body.WriteAsync(new byte[100_000], context.RequestAborted);
        });
        using var proxy = Proxy(out var clock, """ "stream_idle_timeout": "5s", """, ToUp);
        proxy.Endpoints("up", origin.Port);
        using var client = await Raw.ConnectAsync(proxy, isHttp2);
        await client.SendAsync(isHttp2 ? Get(1) : Encoding.ASCII.GetBytes(Get11));
        await client.BeginAsync(isHttp2);
        await PassAsync(clock, proxy.LoggedAsync());
        Assert.Equal("GET 200 SI stream_idle_timeout\n", proxy.LogText);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_connection_that_is_too_old_ends_after_its_request(bool isHttp2)
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            asked.SetResult();
            await release.Task;
            await context.Response.WriteAsync("late");
        });
        using var proxy = Proxy(out var clock, """ "stream_idle_timeout": "0s", "common_http_protocol_options": {"max_connection_duration": "5s"}, """, ToUp);
        proxy.Endpoints("up", origin.Port);
        using var busy = await Raw.ConnectAsync(proxy, isHttp2);
        using var idle = await Raw.ConnectAsync(proxy, isHttp2);
        var answer = isHttp2 ? busy.AskHttp2Async(Get(1)) : busy.AskAsync(Get11);
        await asked.Task.WaitAsync(Stop);
        await PassAsync(clock, idle.ReadToEndAsync());
        clock.Advance(TimeSpan.FromSeconds(10));
        release.SetResult();
        Assert.Equal(("200", "late"), ((await answer).Status, (await answer).Body));
        if (!isHttp2) Assert.Contains("connection: close", (await answer).Head);
        await PassAsync(clock, busy.ReadToEndAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_connection_to_a_host_that_is_too_old_gets_no_more_requests(bool isHttp2)
    {
        await using var origin = await OriginServer.StartAsync(isHttp2 ? HttpProtocols.Http2 : HttpProtocols.Http1,
            context => context.Response.WriteAsync("up"));
        using var proxy = Proxy(out var clock, "", ToUp, age: "5s", isHttp2: isHttp2);
        proxy.Endpoints("up", origin.Port);
        using var client = await Raw.ConnectAsync(proxy, isHttp2: false);
        for (var i = 0; i < 2; i++) Assert.Equal("200", (await client.AskAsync(Get11)).Status);
        Assert.Equal(1, proxy.Plane.State.Current.Clusters["up"].Counters.Connects);
        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal("200", (await client.AskAsync(Get11)).Status);
        Assert.Equal(2, proxy.Plane.State.Current.Clusters["up"].Counters.Connects);
    }

    [Fact]
    public async Task Clients_of_gRPC_learn_that_the_deadline_is_exceeded()
    {
        await using var origin = await SilentAsync(hasHead: false);
        using var proxy = Proxy(out var clock, """ "common_http_protocol_options": {"max_stream_duration": "5s"}, """, ToUp);
        proxy.Endpoints("up", origin.Port);
        using var client = await Raw.ConnectAsync(proxy, isHttp2: false);
        var answer = client.AskAsync("GET / HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc\r\n\r\n");
        await PassAsync(clock, answer);
        Assert.Contains("grpc-status: 4\r\n", (await answer).Head);
    }

    private static LoopbackProxy Proxy(out ManualClock clock, string listener, string route, string attempt = "0s", string age = "0s", bool isHttp2 = false)
    {
        clock = new ManualClock();
        var options = $$"""
            , "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              "common_http_protocol_options": {"max_stream_duration": "{{attempt}}", "max_connection_duration": "{{age}}"},
              "explicit_http_config": { {{(isHttp2 ? "\"http2_protocol_options\"" : "\"http_protocol_options\"")}}: {} } } }
            """;
        return new LoopbackProxy([LoopbackProxy.Cluster("up", more: options)], route, more: listener, time: clock);
    }

    /// <summary>A server that answers a request with a head, or with nothing, until its client leaves.</summary>
    private static Task<OriginServer> SilentAsync(bool hasHead) => OriginServer.StartAsync(HttpProtocols.Http1, async context =>
    {
        if (hasHead) await context.Response.Body.FlushAsync();
        var left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = context.RequestAborted.Register(left.SetResult);
        await left.Task;
    });

    /// <summary>Lets seconds pass until something has happened.</summary>
    private static async Task PassAsync(ManualClock clock, Task until)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!until.IsCompleted)
        {
            await Task.Delay(10, patience.Token);
            clock.Advance(TimeSpan.FromSeconds(1));
        }
        await until;
    }

    private static Task LoggedAsync(LoopbackProxy proxy, string text) =>
        Eventually.TrueAsync(() => proxy.LogText.Contains(text, StringComparison.Ordinal), $"logged: {text}");

    private sealed record Answer(string Status, string Head, string Body);

    /// <summary>A client that sends bytes as they are.</summary>
    private sealed class Raw : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly byte[] _buffer = new byte[1024];

        internal static async Task<Raw> ConnectAsync(LoopbackProxy proxy, bool isHttp2)
        {
            var client = new Raw();
            client._socket.ReceiveBufferSize = 4096;
            await client._socket.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
            if (isHttp2) await client.SendAsync([.. H2.Preface, .. Settings()]);
            return client;
        }

        internal async Task SendAsync(byte[] bytes) => await _socket.SendAsync(bytes, SocketFlags.None, Stop);

        internal async Task<int> ReadAsync() => await _socket.ReceiveAsync(_buffer, SocketFlags.None, Stop);

        internal async Task ReadToEndAsync()
        {
            try
            {
                while (await ReadAsync() > 0)
                {
                    // Until the proxy closes.
                }
            }
            catch (SocketException)
            {
                // It may reset, too.
            }
        }

        /// <summary>Sends a request and reads the answer with its <c>content-length</c>.</summary>
        internal async Task<Answer> AskAsync(string request)
        {
            await SendAsync(Encoding.ASCII.GetBytes(request));
            var text = "";
            while (true)
            {
                var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
                var at = text.IndexOf("content-length: ", StringComparison.Ordinal);
                var isChunked = text.Contains("transfer-encoding: chunked", StringComparison.Ordinal);
                if (end > 0 && isChunked && text.EndsWith("0\r\n\r\n", StringComparison.Ordinal))
                    return new(text[9..12], text[..end], text[(end + 4)..].Split("\r\n")[1]);
                if (end > 0 && !isChunked
                    && (at < 0
                        || text.Length >= end + 4 + int.Parse(text[(at + 16)..].Split('\r')[0], System.Globalization.CultureInfo.InvariantCulture)))
                    return new(text[9..12], text[..(end + 2)], text[(end + 4)..]);
                var count = await ReadAsync();
                Assert.True(count > 0, $"closed after '{text}'");
                text += Encoding.ASCII.GetString(_buffer, 0, count);
            }
        }

        /// <summary>Sends frames and reads the answer on stream 1.</summary>
        internal async Task<Answer> AskHttp2Async(byte[] frames)
        {
            await SendAsync(frames);
            var status = "";
            var body = "";
            while (true)
            {
                var frame = await ReadFrameAsync();
                if (frame.Id != 1) continue;
                if (frame.Type == H2Frame.Headers)
                    new HpackDecoder(4096, 65536).Decode(frame.Payload,
                        (name, value) => status = name.SequenceEqual(":status"u8) ? Encoding.ASCII.GetString(value) : status);
                if (frame.Type == H2Frame.Data) body += Encoding.ASCII.GetString(frame.Payload);
                if (frame.Type is H2Frame.Headers or H2Frame.Data && frame.Flags.HasFlag(H2Flags.EndStream)) return new(status, "", body);
            }
        }

        /// <summary>Reads until the answer has begun.</summary>
        internal async Task BeginAsync(bool isHttp2)
        {
            if (isHttp2) await FrameAsync(H2Frame.Headers);
            else Assert.True(await ReadAsync() > 0);
        }

        internal async Task FrameAsync(H2Frame type)
        {
            while ((await ReadFrameAsync()).Type != type)
            {
                // Others come before it.
            }
        }

        public void Dispose() => _socket.Dispose();

        private async Task<H2Said> ReadFrameAsync()
        {
            var head = await ReadExactlyAsync(9);
            return Assert.Single(Parse([.. head, .. await ReadExactlyAsync((head[0] << 16) | (head[1] << 8) | head[2])]));
        }

        private async Task<byte[]> ReadExactlyAsync(int count)
        {
            var bytes = new byte[count];
            for (var at = 0; at < count;)
            {
                var read = await _socket.ReceiveAsync(bytes.AsMemory(at), SocketFlags.None, Stop);
                Assert.True(read > 0, "closed");
                at += read;
            }
            return bytes;
        }
    }
}
