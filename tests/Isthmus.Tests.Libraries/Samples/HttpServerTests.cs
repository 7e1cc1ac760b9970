using System.Net;
using System.Net.Sockets;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Samples;
using Isthmus.Samples.Http;
using Isthmus.Samples.HttpBin;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Samples;

public class HttpServerTests
{
    [Fact]
    public async Task Hello_names_version_and_instance()
    {
        await using var server = await Running.StartAsync(HelloWorldProgram.Handler("v9", "pod-1"));
        Assert.Equal("Hello version: v9, instance: pod-1\n", await server.Client.GetStringAsync("/hello"));
        Assert.Equal(HttpStatusCode.NotFound, (await server.Client.GetAsync("/other")).StatusCode);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await server.Client.PostAsync("/hello", null)).StatusCode);
    }

    [Fact]
    public async Task Chunked_bodies_are_read_and_a_long_stream_is_sent_in_chunks()
    {
        await using var server = await Running.StartAsync(HttpBinProgram.Handler(TimeProvider.System, new System.Random(1)));
        using var request = new HttpRequestMessage(HttpMethod.Post,
            "/post") { Content = new StringContent("a=1&b=x+y", Encoding.ASCII, "application/x-www-form-urlencoded") };
        request.Headers.TransferEncodingChunked = true;
        var posted = await (await server.Client.SendAsync(request)).Content.ReadAsStringAsync();
        Assert.Contains("\"b\": \"x y\"", posted, StringComparison.Ordinal);
        using var streamed = await server.Client.GetAsync("/stream/3");
        Assert.True(streamed.Headers.TransferEncodingChunked);
        Assert.Equal(3, (await streamed.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public async Task A_head_request_gets_no_body_and_the_connection_goes_on()
    {
        await using var server = await Running.StartAsync(HelloWorldProgram.Handler("v1", "i"));
        var text = await server.RawAsync("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        Assert.Equal(2, text.Split("HTTP/1.1 200 OK").Length - 1);
        Assert.DoesNotContain("Hello version", text, StringComparison.Ordinal);
        Assert.EndsWith("Helloworld is healthy", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET /\r\n\r\n", "400")]
    [InlineData("GET / HTTP/2.0\r\n\r\n", "505")]
    [InlineData("GET / HTTP/1.1\r\nBad Header: 1\r\n\r\n", "400")]
    [InlineData("POST /post HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "400")]
    [InlineData("POST /post HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", "413")]
    [InlineData("POST /post HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400")]
    public async Task A_request_that_breaks_the_rules_is_refused(string request, string status)
    {
        await using var server = await Running.StartAsync(HttpBinProgram.Handler(TimeProvider.System, new System.Random(1)));
        Assert.StartsWith($"HTTP/1.1 {status} ", await server.RawAsync(request), StringComparison.Ordinal);
    }

    [Fact]
    public void Any_bytes_are_a_head_or_a_bad_request() =>
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), bytes =>
        {
            try
            {
                return HttpHead.Parse([.. "GET / HTTP/1.1\r\n"u8, .. bytes, .. "\r\n\r\n"u8]).Method == "GET";
            }
            catch (BadRequestException bad)
            {
                return bad.Status is >= 400 and < 600;
            }
        }).MustHold();

    [Fact]
    public async Task While_stopping_it_answers_what_comes_and_asks_to_close()
    {
        using var stop = new CancellationTokenSource();
        var clock = new ManualClock();
        using var server = new HttpServer("test", HelloWorldProgram.Handler("v1", "i"), clock, null);
        server.Bind(IPAddress.Loopback, 0);
        var running = server.RunAsync(stop.Token);
        using var client = new HttpClient { BaseAddress = new($"http://127.0.0.1:{server.Port}") };
        await client.GetStringAsync("/hello");
        await stop.CancelAsync();
        using var last = await client.GetAsync("/hello");
        Assert.Equal(HttpStatusCode.OK, last.StatusCode);
        Assert.True(last.Headers.ConnectionClose);
        await Eventually.TrueAsync(() =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            return running.IsCompleted;
        });
        await running;
    }

    private sealed class Running(HttpServer server, Task running, CancellationTokenSource stop) : IAsyncDisposable
    {
        internal HttpClient Client { get; } = new() { BaseAddress = new($"http://127.0.0.1:{server.Port}") };

        internal static Task<Running> StartAsync(HttpHandler handler)
        {
            var server = new HttpServer("test", handler, TimeProvider.System, null);
            server.Bind(IPAddress.Loopback, 0);
            var stop = new CancellationTokenSource();
            return Task.FromResult(new Running(server, server.RunAsync(stop.Token), stop));
        }

        internal async Task<string> RawAsync(string request)
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(IPAddress.Loopback, server.Port);
            await socket.SendAsync(Encoding.Latin1.GetBytes(request));
            await using var stream = new NetworkStream(socket);
            using var reader = new StreamReader(stream, Encoding.Latin1);
            return await reader.ReadToEndAsync();
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await stop.CancelAsync();
            await running;
            server.Dispose();
            stop.Dispose();
        }
    }
}
