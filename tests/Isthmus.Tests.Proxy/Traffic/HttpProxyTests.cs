using System.Net;
using System.Net.WebSockets;
using System.Text;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>The whole data plane between third-party clients and servers, on the loopback interface.</summary>
public sealed class HttpProxyTests
{
    private const string ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Bodies_pass_whole_in_both_directions_over_every_pair_of_versions(bool http2Down, bool http2Up)
    {
        await using var origin = await OriginServer.StartAsync(http2Up ? HttpProtocols.Http2 : HttpProtocols.Http1, OriginServer.EchoAsync);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2Up)], ToUp);
        proxy.Endpoints("up", origin.Port);
        using var client = Client(http2Down);
        var body = new byte[700_000];
        new Random(1).NextBytes(body);
        await Parallel.ForEachAsync(Enumerable.Range(0, 12), Stop, async (i, stop) =>
        {
            using var request = Request(proxy, http2Down, $"/echo?i={i}");
            // Half of them with a Content-Length, half without.
            request.Content = i % 2 == 0 ? new ByteArrayContent(body) : new StreamContent(new MemoryStream(body)) { Headers = { ContentLength = null } };
            if (i % 2 == 1) request.Headers.TransferEncodingChunked = !http2Down;
            using var response = await client.SendAsync(request, stop);
            Assert.True(response.StatusCode == HttpStatusCode.OK, $"{response.StatusCode}: {await response.Content.ReadAsStringAsync(stop)}");
            Assert.Equal(http2Up ? "HTTP/2" : "HTTP/1.1", response.Headers.GetValues("seen-protocol").Single());
            Assert.Equal($"/echo?i={i}", response.Headers.GetValues("seen-path").Single());
            Assert.Equal(body, await response.Content.ReadAsByteArrayAsync(stop));
            if (http2Up) Assert.Equal("700000", response.TrailingHeaders.GetValues("total").Single());
        });
        Assert.Equal(0, proxy.Plane.Report.Ends(Isthmus.Proxy.Telemetry.EndReason.Bug));
        // One connection for each event loop.
        if (http2Up) Assert.InRange(proxy.Plane.State.Current.Clusters["up"].Counters.Connects, 1, Environment.ProcessorCount);
    }

    [Fact]
    public async Task A_conversation_over_HTTP2_flows_both_ways_at_once()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http2, OriginServer.EchoAsync);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp);
        proxy.Endpoints("up", origin.Port);
        using var client = Client(http2: true);
        using var request = Request(proxy, true, "/talk");
        var talk = new Talk();
        request.Content = talk;
        // .NET's client sends nothing at all before the first flush.
        var sending = client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stop);
        await talk.SayAsync("zero");
        using var response = await sending;
        await using var answer = await response.Content.ReadAsStreamAsync(Stop);
        foreach (var word in new[] { "zero", "one", "two", "three" })
        {
            if (word != "zero") await talk.SayAsync(word);
            var read = new byte[word.Length];
            await answer.ReadExactlyAsync(read, Stop);
            Assert.Equal(word, Encoding.ASCII.GetString(read));
        }
        talk.End();
        Assert.Equal(0, await answer.ReadAsync(new byte[1], Stop));
    }

    /// <summary>A stream of events has each as soon as its server sends it, also in chunks of HTTP/1.1.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_event_arrives_before_the_next_is_sent(bool http2Down)
    {
        using var heard = new SemaphoreSlim(0);
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nzero\r\n");
            foreach (var word in (string[])["one", "two"])
            {
                await heard.WaitAsync(Stop);
                await proxy.SayAsync($"3\r\n{word}\r\n");
            }
            await heard.WaitAsync(Stop);
            await proxy.SayAsync("0\r\n\r\n");
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        using var client = Client(http2Down);
        using var request = Request(proxy, http2Down, "/events");
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stop).WaitAsync(TimeSpan.FromMinutes(1), Stop);
        await using var answer = await response.Content.ReadAsStreamAsync(Stop);
        foreach (var word in (string[])["zero", "one", "two"])
        {
            var read = new byte[word.Length];
            await answer.ReadExactlyAsync(read, Stop).AsTask().WaitAsync(TimeSpan.FromMinutes(1), Stop);
            Assert.Equal(word, Encoding.ASCII.GetString(read));
            heard.Release();
        }
        Assert.Equal(0, await answer.ReadAsync(new byte[1], Stop));
    }

    [Theory]
    [InlineData(false, false, false)]
    [InlineData(false, true, true)]
    [InlineData(true, false, true)]
    [InlineData(true, true, false)]
    public async Task A_client_that_leaves_takes_its_request_along(bool http2Down, bool http2Up, bool hasBegun)
    {
        TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously), ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var origin = await OriginServer.StartAsync(http2Up ? HttpProtocols.Http2 : HttpProtocols.Http1, async context =>
        {
            using var abort = context.RequestAborted.Register(ended.SetResult);
            if (hasBegun) await context.Response.Body.FlushAsync();
            asked.SetResult();
            await ended.Task;
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2Up)], ToUp);
        proxy.Endpoints("up", origin.Port);
        using var client = Client(http2Down);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var request = Request(proxy, http2Down, "/never");
        var answer = client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, patience.Token);
        await asked.Task.WaitAsync(Stop);
        if (hasBegun) (await answer).Dispose();
        await patience.CancelAsync();
        await ended.Task.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        if (!hasBegun) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer);
        Assert.Equal([$"POST {(hasBegun ? 200 : 0)} DC downstream_remote_disconnect"], await LinesAsync(proxy, 1));
    }

    [Fact]
    public async Task Pipelined_requests_are_answered_in_order_and_HEAD_has_no_body()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, c => c.Response.WriteAsync($"<{c.Request.Path}>"));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", origin.Port);
        var text = await proxy.RawAsync(
            "GET /a HTTP/1.1\r\nhost: x\r\n\r\nHEAD /b HTTP/1.1\r\nhost: x\r\n\r\n\r\nPOST /c HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabcGET /d "
                + "HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        Assert.Equal(4, text.Split("HTTP/1.1 200 OK").Length - 1);
        Assert.Equal(["</a>", "</c>", "</d>"], new[] { "</a>", "</b>", "</c>", "</d>" }.Where(p => text.Contains(p, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_request_that_could_hide_another_is_refused_and_the_connection_ends()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, c => c.Response.WriteAsync("never"));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", origin.Port);
        var text = await proxy.RawAsync(
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: x\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 400 Bad Request", text);
        Assert.Single(text.Split("HTTP/1.1 ", StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(0, proxy.Plane.State.Current.Clusters["up"].Counters.Requests);
    }

    /// <summary>The server says so, when it reads the body.</summary>
    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_client_that_waits_for_100_is_told_to_go_on(bool http2Down, bool http2Up)
    {
        await using var origin = await OriginServer.StartAsync(http2Up ? HttpProtocols.Http2 : HttpProtocols.Http1, async context =>
        {
            using var body = new StreamReader(context.Request.Body);
            await context.Response.WriteAsync($"{context.Request.Headers.Expect} {await body.ReadToEndAsync()}");
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2Up)], ToUp);
        proxy.Endpoints("up", origin.Port);
        using var client = Client(http2Down);
        using var request = Request(proxy, http2Down, "/");
        request.Content = new StringContent("waited");
        request.Headers.ExpectContinue = true;
        Assert.Equal("100-continue waited", await (await client.SendAsync(request, Stop)).Content.ReadAsStringAsync(Stop));
    }

    [Fact]
    public async Task WebSockets_become_a_tunnel()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            await new Microsoft.AspNetCore.WebSockets.WebSocketMiddleware(async _ =>
            {
                using var socket = await context.WebSockets.AcceptWebSocketAsync();
                var buffer = new byte[100];
                var got = await socket.ReceiveAsync(buffer, Stop);
                await socket.SendAsync(buffer.AsMemory(0, got.Count), WebSocketMessageType.Text, true, Stop);
                await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", Stop);
            }, Microsoft.Extensions.Options.Options.Create(new WebSocketOptions()),
            Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance).Invoke(context);
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", origin.Port);
        using var client = new ClientWebSocket();
        await client.ConnectAsync(new Uri($"ws://127.0.0.1:{proxy.Port}/chat"), Stop);
        await client.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, Stop);
        var answer = new byte[100];
        var received = await client.ReceiveAsync(answer, Stop);
        Assert.Equal("hello", Encoding.ASCII.GetString(answer, 0, received.Count));
    }

    [Fact]
    public async Task What_an_upstream_does_wrong_is_told_as_Envoy_tells_it()
    {
        await using var slow = await OriginServer.StartAsync(HttpProtocols.Http1,
            c => Task.Delay(Timeout.Infinite, c.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up"), LoopbackProxy.Cluster("empty")], ToUp);
        using var nobody = new ReservedPort();
        proxy.Endpoints("up", nobody.Number);
        proxy.Endpoints("empty");
        async Task<string> AskAsync() => await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        var refused = await AskAsync();
        Assert.StartsWith("HTTP/1.1 503 Service Unavailable", refused);
        Assert.Contains("upstream connect error or disconnect/reset before headers. reset reason: connection failure", refused);
        proxy.Route(""" "route": {"cluster": "empty"} """);
        Assert.Contains("no healthy upstream", await AskAsync());
        proxy.Route(""" "route": {"cluster": "nowhere"} """);
        Assert.StartsWith("HTTP/1.1 503", await AskAsync());
        proxy.Route(""" "direct_response": {"status": 418, "body": {"inline_string": "short and stout"} } """);
        Assert.EndsWith("short and stout", await AskAsync());
        proxy.Route(""" "redirect": {"host_redirect": "other", "https_redirect": true, "path_redirect": "/new"} """);
        Assert.Contains("location: https://other/new", await AskAsync());
        proxy.Endpoints("up", slow.Port);
        proxy.Route(""" "route": {"cluster": "up", "timeout": "0.2s"} """);
        Assert.Contains("upstream request timeout", await AskAsync());
        Assert.Equal(
            ["GET 503 UF upstream_reset_before_response_started{connection_failure|delayed_connect_error:_111}", "GET 503 UH no_healthy_upstream",
                "GET 503 NC cluster_not_found",
                "GET 418 - direct_response", "GET 301 - direct_response", "GET 504 UT upstream_response_timeout"],
            await LinesAsync(proxy, 6));
    }

    [Fact]
    public async Task Requests_go_to_another_host_when_one_refuses_answers_503_or_breaks_off()
    {
        await using var good = await OriginServer.StartAsync(HttpProtocols.Http1, c => c.Response.WriteAsync("good"));
        await using var sick = await OriginServer.StartAsync(HttpProtocols.Http1, c =>
        {
            c.Response.StatusCode = 503;
            return Task.CompletedTask;
        });
        await using var rude = await OriginServer.StartAsync(HttpProtocols.Http1, c =>
        {
            c.Abort();
            return Task.CompletedTask;
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """
            "route": {"cluster": "up", "timeout": "0s", "retry_policy": {"retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", "num_retries": 3,
              "retriable_status_codes": [503], "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts"}]} }
            """);
        using var nobody = new ReservedPort();
        proxy.Endpoints("up", good.Port, sick.Port, rude.Port, nobody.Number);
        using var client = Client(false);
        for (var i = 0; i < 40; i++) Assert.Equal("good", await client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/", Stop));
        // A removed address gets no more requests, and gets them again when it is back.
        proxy.Endpoints("up", good.Port);
        var before = proxy.Plane.State.Current.Clusters["up"].Counters.Retries;
        for (var i = 0; i < 20; i++) Assert.Equal("good", await client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/", Stop));
        Assert.Equal(before, proxy.Plane.State.Current.Clusters["up"].Counters.Retries);
    }

    [Fact]
    public async Task Policies_deny_by_path_and_allow_the_rest()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, c => c.Response.WriteAsync("in"));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, """
            {"name": "envoy.filters.http.rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "rules": {"action": "DENY", "policies": {"no-admin": {
              "permissions": [{"url_path": {"path": {"prefix": "/admin"} } }], "principals": [{"any": true}]} } } } },
            """);
        proxy.Endpoints("up", origin.Port);
        var text = await proxy.RawAsync("GET /x/../admin HTTP/1.1\r\nhost: x\r\n\r\nGET /shop HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        Assert.Contains("HTTP/1.1 403 Forbidden", text);
        Assert.Contains("RBAC: access denied", text);
        Assert.Contains("HTTP/1.1 200 OK", text);
        Assert.Contains("GET 403 - rbac_access_denied_matched_policy[no-admin]", await LinesAsync(proxy, 2));
    }

    [Fact]
    public async Task Changed_routes_hold_for_the_next_request_of_a_kept_connection()
    {
        await using var one = await OriginServer.StartAsync(HttpProtocols.Http1, c => c.Response.WriteAsync("one"));
        await using var two = await OriginServer.StartAsync(HttpProtocols.Http1, c => c.Response.WriteAsync("two"));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up"), LoopbackProxy.Cluster("other")], ToUp);
        proxy.Endpoints("up", one.Port);
        proxy.Endpoints("other", two.Port);
        using var client = Client(false);
        Assert.Equal("one", await client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/", Stop));
        proxy.Route(""" "route": {"cluster": "other"} """);
        Assert.Equal("two", await client.GetStringAsync($"http://127.0.0.1:{proxy.Port}/", Stop));
        Assert.Equal(1, proxy.Plane.Report.Total);
    }

    /// <summary>A body that is sent one word at a time.</summary>
    private sealed class Talk : HttpContent
    {
        private readonly TaskCompletionSource<Stream> _stream = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal async Task SayAsync(string word)
        {
            var stream = await _stream.Task;
            await stream.WriteAsync(Encoding.ASCII.GetBytes(word), Stop);
            await stream.FlushAsync(Stop);
        }

        internal void End() => _end.SetResult();

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            _stream.SetResult(stream);
            return _end.Task;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }

    private static async Task<IReadOnlyList<string>> LinesAsync(LoopbackProxy proxy, int count)
    {
        string[] lines = [];
        await Eventually.TrueAsync(() => (lines = proxy.LogText.Split('\n', StringSplitOptions.RemoveEmptyEntries)).Length >= count, $"{count} lines");
        return lines;
    }

    private static HttpClient Client(bool http2) =>
        new(new SocketsHttpHandler { EnableMultipleHttp2Connections = false, Expect100ContinueTimeout = TimeSpan.FromSeconds(10) })
    {
        DefaultRequestVersion = http2 ? HttpVersion.Version20 : HttpVersion.Version11,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    private static HttpRequestMessage Request(LoopbackProxy proxy, bool http2, string path) => new(HttpMethod.Post, $"http://127.0.0.1:{proxy.Port}{path}")
    {
        Version = http2 ? HttpVersion.Version20 : HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };
}
