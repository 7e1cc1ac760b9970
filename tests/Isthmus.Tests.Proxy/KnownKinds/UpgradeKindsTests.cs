using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Http;
using Isthmus.Tests.Proxy.Traffic;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Kinds of faults that other proxies had with answers in between, and with connections that change their protocol.</summary>
public sealed class UpgradeKindsTests
{
    private const string ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;
    private const string Ask = "GET /chat HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    private const string Hidden = "GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";
    private const string Accept = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("100 Continue")]
    [InlineData("102 Processing")]
    [InlineData("103 Early Hints")]
    [InlineData("199 Whatever")]
    public async Task Answers_in_between_are_few(string status)
    {
        var few = true;
        using var server = new ByteServer(async proxy =>
        {
            while (await proxy.HearAsync("\r\n\r\n"))
            {
                var interim = $"HTTP/1.1 {status}\r\nlink: </a>\r\n\r\n";
                if (few) await proxy.SayAsync(string.Concat(Enumerable.Repeat(interim, 20)) + "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                while (!few) await proxy.SayAsync(interim);
            }
        });
        using var proxy = Proxy(server.Port);
        Assert.EndsWith("ok", await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        few = false;
        // A time limit would end it, too: there is none.
        Assert.StartsWith("HTTP/1.1 502 ", await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    }

    [Fact]
    public async Task Answers_in_between_are_few_over_HTTP2_too()
    {
        var interim = H2Frames.Frame(Isthmus.Proxy.Http2.H2Frame.Headers, Isthmus.Proxy.Http2.H2Flags.EndHeaders, 1, H2Frames.Block(":status 103"));
        using var server = new ScriptedH2Server(H2Frames.Settings(), id => [.. Enumerable.Repeat(interim, 20_000).SelectMany(frame => frame)]);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp);
        proxy.Endpoints("up", server.Port);
        Assert.StartsWith("HTTP/1.1 503 ", await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\n")]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")]
    public async Task What_comes_before_and_after_an_upgrade_reaches_the_other_protocol_whole(string before)
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync($"{before}{Accept}welcome ");
            await proxy.HearAsync("bye");
            await proxy.SayAsync("bye");
        });
        using var proxy = Proxy(server.Port);
        // The client does not wait for the answer.
        var text = await proxy.RawAsync($"{Ask}{Hidden}bye");
        Assert.StartsWith("HTTP/1.1 101 Switching Protocols\r\n", text);
        Assert.EndsWith("\r\n\r\nwelcome bye", text);
        var heard = Assert.Single(server.Heard);
        Assert.EndsWith($"\r\n\r\n{Hidden}bye", heard);
        Assert.StartsWith("GET /chat HTTP/1.1\r\n", heard);
    }

    /// <summary>What a client sends for the other protocol is no request of HTTP: the connection ends with the refusal.</summary>
    [Theory]
    [InlineData("403 Forbidden")]
    [InlineData("200 OK")]
    [InlineData("204 No Content")]
    public async Task What_comes_before_a_refused_upgrade_becomes_no_second_request(string status)
    {
        var length = status.StartsWith("204", StringComparison.Ordinal) ? "" : "content-length: 2\r\n";
        using var server = new ByteServer(async proxy =>
        {
            while (await proxy.HearAsync("\r\n\r\n")) await proxy.SayAsync($"HTTP/1.1 {status}\r\n{length}\r\n{(length.Length > 0 ? "no" : "")}");
        });
        using var proxy = Proxy(server.Port);
        var text = await proxy.RawAsync($"{Ask}{Hidden}");
        Assert.StartsWith($"HTTP/1.1 {status}\r\n", text);
        Assert.Contains("\r\nconnection: close\r\n", text);
        Assert.Equal(2, text.Split("HTTP/1.1 ").Length);
        // The connection to the host is as good as before.
        Assert.StartsWith($"HTTP/1.1 {status}\r\n", await proxy.RawAsync("GET /next HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        Assert.DoesNotContain("hidden", string.Concat(server.Heard));
        Assert.Equal(1, proxy.Plane.State.Current.Clusters["up"].Counters.Http1Connects);
    }

    [Theory]
    [InlineData(""" "direct_response": {"status": 403} """, "websocket")]
    [InlineData(ToUp, "other")]
    public async Task A_proxy_that_refuses_an_upgrade_itself_ends_the_connection(string route, string protocol)
    {
        using var server = new ByteServer(async proxy => await proxy.HearAllAsync());
        using var proxy = Proxy(server.Port, route);
        var text = await proxy.RawAsync(Ask.Replace("websocket", protocol, StringComparison.Ordinal) + Hidden);
        Assert.StartsWith("HTTP/1.1 403 Forbidden\r\n", text);
        Assert.Equal(2, text.Split("HTTP/1.1 ").Length);
        Assert.Empty(server.Heard);
    }

    /// <summary>The rest of the body would be taken for the other protocol.</summary>
    [Theory]
    [InlineData("content-length: 200000")]
    [InlineData("transfer-encoding: chunked")]
    public async Task An_upgrade_before_the_end_of_the_request_is_an_error(string framing)
    {
        var ended = new TaskCompletionSource();
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync(Accept);
            await proxy.HearAllAsync();
            ended.SetResult();
        });
        using var proxy = Proxy(server.Port);
        var text = await proxy.RawAsync(Ask.Replace("\r\n\r\n", $"\r\n{framing}\r\n\r\n", StringComparison.Ordinal));
        Assert.StartsWith("HTTP/1.1 502 ", text);
        Assert.Equal(2, text.Split("HTTP/1.1 ").Length);
        await proxy.LoggedAsync();
        Assert.Contains("502 UPE", proxy.LogText);
    }

    [Fact]
    public async Task The_body_of_a_request_comes_before_its_upgrade()
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\nbody");
            await proxy.SayAsync($"{Accept}welcome");
            await proxy.HearAllAsync();
        });
        using var proxy = Proxy(server.Port);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(Ask.Replace("\r\n\r\n", "\r\ncontent-length: 4\r\n\r\nbodytunnel", StringComparison.Ordinal)), Stop);
        await Eventually.TrueAsync(() => server.Heard is [var heard] && heard.EndsWith("\r\n\r\nbodytunnel", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_switch_that_nobody_asked_for_is_an_error()
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync($"{Accept}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            await proxy.HearAllAsync();
        });
        using var proxy = Proxy(server.Port);
        Assert.StartsWith("HTTP/1.1 502 ", await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    }

    private static LoopbackProxy Proxy(int port, string route = ToUp)
    {
        var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], route);
        proxy.Endpoints("up", port);
        return proxy;
    }
}
