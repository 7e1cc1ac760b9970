using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using Isthmus.Proxy.Http2;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Requests after which another protocol follows: upgrades and CONNECT, over both versions of HTTP on both sides.</summary>
public sealed class TunnelTests
{
    private const string ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;
    private const string Allowed = """ "http2_protocol_options": {"allow_connect": true}, """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task WebSockets_pass_between_versions(bool http2Down, bool http2Up)
    {
        await using var origin = await OriginServer.StartAsync(http2Up ? HttpProtocols.Http2 : HttpProtocols.Http1, EchoAsync);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2Up)], ToUp, more: Allowed);
        proxy.Endpoints("up", origin.Port);
        using var handler = new SocketsHttpHandler();
        using var invoker = new HttpMessageInvoker(handler);
        using var client = new ClientWebSocket();
        if (http2Down) (client.Options.HttpVersion, client.Options.HttpVersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);
        await client.ConnectAsync(new Uri($"ws://127.0.0.1:{proxy.Port}/chat?room=1"), invoker, Stop);

        // More than the windows of HTTP/2 hold.
        var said = RandomNumberGenerator.GetBytes(3 << 20);
        var saying = client.SendAsync(said, WebSocketMessageType.Binary, true, Stop);
        var heard = await ReceiveAsync(client, said.Length);
        await saying;
        Assert.Equal(said, heard);
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "", Stop);

        Assert.Equal("GET 101  via_upstream", (await proxy.LoggedAsync()).Trim().Replace(" - ", "  ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_client_of_HTTP2_may_ask_only_where_it_is_told_so()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, EchoAsync);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", origin.Port);
        var said = await AskAsync(proxy, H2Frames.Block(":method CONNECT|:protocol websocket|:scheme http|:path /|:authority a"));
        Assert.Equal("reset Protocol", said);
    }

    [Theory]
    [InlineData(":method CONNECT|:scheme http|:authority a:1")]
    [InlineData(":method CONNECT|:path /|:authority a:1")]
    [InlineData(":method CONNECT|:authority a")]
    [InlineData(":method CONNECT|:authority a:x")]
    [InlineData(":method CONNECT|:authority a:1|content-length 3")]
    [InlineData(":method CONNECT|:protocol websocket|:authority a")]
    [InlineData(":method CONNECT|:protocol websocket|:protocol websocket|:scheme http|:path /|:authority a")]
    [InlineData(":method CONNECT|:protocol we b|:scheme http|:path /|:authority a")]
    [InlineData(":method CONNECT|:protocol websocket|:scheme http|:path /|:authority a|content-length 3")]
    [InlineData(":method GET|:protocol websocket|:scheme http|:path /|:authority a")]
    public async Task A_head_that_asks_for_a_tunnel_wrongly_resets_its_stream(string fields)
    {
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, more: Allowed);
        proxy.Endpoints("up");
        Assert.Equal("reset Protocol", await AskAsync(proxy, H2Frames.Block(fields)));
    }

    [Theory]
    [InlineData("CONNECT /x HTTP/1.1\r\nhost: a\r\n\r\n", "400")]
    [InlineData("CONNECT a HTTP/1.1\r\nhost: a\r\n\r\n", "400")]
    [InlineData("CONNECT a:1x HTTP/1.1\r\nhost: a\r\n\r\n", "400")]
    [InlineData("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\ncontent-length: 28\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n", "400")]
    [InlineData("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "501")]
    [InlineData("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n", "404")]
    public async Task What_follows_a_CONNECT_that_is_refused_is_no_request(string request, string status)
    {
        using var server = new ByteServer(async proxy => await proxy.HearAllAsync());
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        var text = await proxy.RawAsync(request);
        Assert.StartsWith($"HTTP/1.1 {status} ", text);
        Assert.Equal(2, text.Split("HTTP/1.1 ").Length);
        Assert.Empty(server.Heard);
    }

    [Theory]
    [InlineData("""{"name": "c", "match": {"connect_matcher": {} }, "route": {"cluster": "up"} }""")]
    [InlineData("""{"name": "c", "match": {"connect_matcher": {} }, "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "CONNECT", "enabled": false}]} }""")]
    public async Task A_route_has_to_allow_CONNECT(string routes)
    {
        using var server = new ByteServer(async proxy => await proxy.HearAllAsync());
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        proxy.Routes(routes);
        Assert.StartsWith("HTTP/1.1 403 ", await proxy.RawAsync("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"));
        Assert.StartsWith("HTTP/1.1 404 ", await proxy.RawAsync("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
        Assert.Equal("CONNECT 403 DPE upgrade_failed", (await proxy.LoggedAsync()).Split('\n')[0]);
        Assert.Empty(server.Heard);
    }

    [Fact]
    public async Task A_route_switches_an_upgrade_of_its_listener_off()
    {
        using var server = new ByteServer(async proxy => await proxy.HearAllAsync());
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")],
            """ "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "websocket", "enabled": false}]} """);
        proxy.Endpoints("up", server.Port);
        Assert.StartsWith("HTTP/1.1 403 ", await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"));
    }

    /// <summary>The client asks with HTTP/1.1, the second proxy hears it over HTTP/2 or HTTP/1.1, and ends the tunnel.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CONNECT_passes_a_proxy_and_ends_at_the_next(bool http2)
    {
        using var server = new EchoTcp();
        using var last = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        last.Endpoints("up", server.Port);
        last.Routes(Connect(""" , "connect_config": {} """));
        using var first = new LoopbackProxy([LoopbackProxy.Cluster("up", http2)], ToUp);
        first.Endpoints("up", last.Port);
        first.Routes(Connect(""));

        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, first.Port, Stop);
        await using var stream = client.GetStream();
        // The client does not wait for the answer.
        await stream.WriteAsync("CONNECT far.example:443 HTTP/1.1\r\nhost: far.example:443\r\n\r\nearly "u8.ToArray(), Stop);
        var head = await ReadHeadAsync(stream);
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", head);
        Assert.DoesNotContain("content-length", head);
        Assert.DoesNotContain("transfer-encoding", head);
        var said = RandomNumberGenerator.GetBytes(3 << 20);
        var saying = SayAsync();
        var heard = new byte[said.Length + 6];
        await stream.ReadExactlyAsync(heard, Stop);
        await saying;
        Assert.Equal("early ", Encoding.ASCII.GetString(heard, 0, 6));
        Assert.Equal(said, heard[6..]);
        Assert.Equal(0, await stream.ReadAsync(heard, Stop));
        Assert.Equal("CONNECT 200 - via_upstream", (await first.LoggedAsync()).Trim());
        Assert.Equal("CONNECT 200 - via_upstream", (await last.LoggedAsync()).Trim());
        // What is open is counted until it is closed.
        await Eventually.TrueAsync(() => last.Plane.State.Current.Clusters["up"].TryBeginConnection());

        async Task SayAsync()
        {
            await stream.WriteAsync(said, Stop);
            client.Client.Shutdown(SocketShutdown.Send);
        }
    }

    [Fact]
    public async Task A_tunnel_to_nobody_is_answered_as_any_request()
    {
        using var nobody = new ReservedPort();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", nobody.Number);
        proxy.Routes(Connect(""" , "connect_config": {} """));
        Assert.StartsWith("HTTP/1.1 503 ", await proxy.RawAsync("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"));
        Assert.StartsWith("CONNECT 503 UF", await proxy.LoggedAsync());
    }

    [Fact]
    public async Task A_refusal_of_the_next_proxy_reaches_the_client()
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 2\r\n\r\nno");
            await proxy.HearAllAsync();
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        proxy.Routes(Connect(""));
        var text = await proxy.RawAsync("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 407 ", text);
        Assert.EndsWith("\r\n\r\nno", text);
        Assert.DoesNotContain("hidden", string.Concat(server.Heard));
    }

    [Fact]
    public async Task A_tunnel_may_begin_with_the_client_that_it_carries()
    {
        using var server = new ByteServer(async proxy => await proxy.HearAllAsync());
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        proxy.Routes(Connect(""" , "connect_config": {"proxy_protocol_config": {"version": "V1"} } """));
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        await client.GetStream().WriteAsync("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\nhello"u8.ToArray(), Stop);
        var expected = $"PROXY TCP4 127.0.0.1 127.0.0.1 {((IPEndPoint)client.Client.LocalEndPoint!).Port} {proxy.Port}\r\nhello";
        await Eventually.TrueAsync(() => server.Heard is [var heard] && heard == expected);
    }

    /// <summary>Without RFC 8441 a server of HTTP/2 would take the request for a broken one.</summary>
    [Fact]
    public async Task A_host_of_HTTP2_that_takes_no_upgrades_is_not_asked()
    {
        using var server = new ScriptedH2Server(H2Frames.Settings(), _ => []);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp);
        proxy.Endpoints("up", server.Port);
        var text = await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 502 ", text);
        Assert.Contains("http2.upgrades_are_not_allowed_by_the_host", text);
    }

    [Fact]
    public async Task Trailers_in_a_tunnel_reset_its_stream()
    {
        using var server = new EchoTcp();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        proxy.Routes(Connect(""" , "connect_config": {} """));
        var said = await AskAsync(proxy, H2Frames.Block(":method CONNECT|:authority a:1"),
            H2Frames.Frame(H2Frame.Headers, H2Flags.EndHeaders | H2Flags.EndStream, 1,
                H2Frames.Block("x y")));
        Assert.Equal("reset Protocol", said);
    }

    /// <summary>Connections through a forward proxy, which is ours as well: what their clients say is TLS, which nobody on the way reads.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Connections_pass_through_a_forward_proxy(bool http2)
    {
        using var authority = new TestCa("far");
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync($"far {context.Request.Path}"),
            authority.Server("far.example"));
        using var forward = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        forward.Endpoints("up", origin.Port);
        forward.Routes(Connect(""" , "connect_config": {} """));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2)], ToUp);
        proxy.Endpoints("up", forward.Port);
        using var port = proxy.Tcp("up", """
            , "tunneling_config": {"hostname": "far.example:443", "headers_to_add": [{"header": {"key": "x-from", "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"} }] }
            """);
        using var handler = new SocketsHttpHandler { SslOptions = { TargetHost = "far.example", RemoteCertificateValidationCallback = (_, _, _, _) => true } };
        using var client = new HttpClient(handler);
        var wanted = Task.WhenAll(Enumerable.Range(0, 5).Select(number => client.GetStringAsync(new Uri($"https://127.0.0.1:{port.Number}/{number}"), Stop)));
        Assert.Equal(["far /0", "far /1", "far /2", "far /3", "far /4"], await wanted);
        handler.Dispose();
        await Eventually.TrueAsync(() => forward.LogText.Split('\n').Count(line => line.StartsWith("CONNECT 200 ", StringComparison.Ordinal)) == 5,
            $"five tunnels have ended: {forward.LogText}");
        // Streams of HTTP/2 share the connection of their event loop.
        Assert.InRange(proxy.Plane.State.Current.Clusters["up"].Counters.Http2Connects, http2 ? 1 : 0, http2 ? Environment.ProcessorCount : 0);
        Assert.Equal(http2 ? 0 : 5, proxy.Plane.State.Current.Clusters["up"].Counters.Http1Connects);
    }

    [Theory]
    [InlineData("", "CONNECT far.example:443 HTTP/1.1\r\nhost: far.example:443\r\n\r\nhello")]
    [InlineData(""", "use_post": true """, "POST / HTTP/1.1\r\nhost: far.example:443\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")]
    [InlineData(""", "use_post": true, "post_path": "/t?x=y" """,
        "POST /t?x=y HTTP/1.1\r\nhost: far.example:443\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")]
    [InlineData(""", "headers_to_add": [{"header": {"key": "proxy-authorization", "value": "Basic eA=="} }] """,
        "CONNECT far.example:443 HTTP/1.1\r\nhost: far.example:443\r\nproxy-authorization: Basic eA==\r\n\r\nhello")]
    public async Task A_forward_proxy_is_asked_as_configured(string more, string expected)
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync(expected.StartsWith("POST", StringComparison.Ordinal)
                ? "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\nwelcome\r\n0\r\n\r\n"
                : "HTTP/1.1 200 Connection established\r\n\r\nwelcome");
            await proxy.HearAsync("hello");
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        using var port = proxy.Tcp("up", $$""" , "tunneling_config": {"hostname": "far.example:443" {{more}} } """);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        await client.GetStream().WriteAsync("hello"u8.ToArray(), Stop);
        Assert.Equal("welcome", await new StreamReader(client.GetStream()).ReadToEndAsync(Stop));
        await Eventually.TrueAsync(() => server.Heard is [var heard] && heard.StartsWith(expected, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")]
    [InlineData("HTTP/1.1 407 Proxy Authentication Required\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("what?\r\n\r\n")]
    [InlineData("")]
    public async Task A_forward_proxy_that_refuses_gets_no_bytes(string answer)
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync(answer);
            if (answer.Length > 0) await proxy.HearAllAsync();
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        using var port = proxy.Tcp("up", """ , "tunneling_config": {"hostname": "far.example:443"} """);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        await client.GetStream().WriteAsync("secret"u8.ToArray(), Stop);
        var buffer = new byte[100];
        Assert.Equal(0, await ReadOrResetAsync());
        Assert.DoesNotContain("secret", string.Concat(server.Heard));
        await Eventually.TrueAsync(() => proxy.Plane.Report.Ends(Isthmus.Proxy.Telemetry.EndReason.ConnectFailed) == 1);
        // Nothing stays reserved.
        var cluster = proxy.Plane.State.Current.Clusters["up"];
        Assert.Equal(0, cluster.Hosts.All[0].Active);

        async Task<int> ReadOrResetAsync()
        {
            try
            {
                return await client.GetStream().ReadAsync(buffer, Stop);
            }
            catch (IOException)
            {
                return 0;
            }
        }
    }

    [Theory]
    [InlineData(""" "hostname": "far.example" """)]
    [InlineData(""" "hostname": "" """)]
    [InlineData(""" "hostname": "a b:1" """)]
    [InlineData(""" "hostname": "a:1", "post_path": "/x" """)]
    public void A_tunnel_needs_an_end(string tunnel) => Assert.Contains("tunneling_config", Assert.Throws<Isthmus.Proxy.Matching.ResourceException>(() =>
        Isthmus.Proxy.Snapshot.ListenerDecoder.Decode(Isthmus.Wire.WireTypes.Strict.Parse<Isthmus.Wire.Envoy.Listeners.Listener>($$$"""
            {"name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1} }, "filter_chains": [{"filters": [{"name": "tcp", "typed_config": {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x", "cluster": "c", "tunneling_config": { {{{tunnel}}} } } }] }] }
            """))).Message, StringComparison.Ordinal);

    private static string Connect(string more) =>
        $$"""{"name": "c", "match": {"connect_matcher": {} }, "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "CONNECT" {{more}} }] } }""";

    private static async Task EchoAsync(HttpContext context)
    {
        await new Microsoft.AspNetCore.WebSockets.WebSocketMiddleware(async _ =>
        {
            Assert.Equal("/chat?room=1", context.Request.Path + context.Request.QueryString);
            using var socket = await context.WebSockets.AcceptWebSocketAsync();
            var buffer = new byte[64 * 1024];
            while (await socket.ReceiveAsync(buffer, Stop) is { MessageType: WebSocketMessageType.Binary } got)
                await socket.SendAsync(buffer.AsMemory(0, got.Count), WebSocketMessageType.Binary, got.EndOfMessage, Stop);
            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", Stop);
        }, Microsoft.Extensions.Options.Options.Create(new Microsoft.AspNetCore.Builder.WebSocketOptions()),
            Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance).Invoke(context);
    }

    private static async Task<byte[]> ReceiveAsync(ClientWebSocket client, int length)
    {
        var all = new byte[length];
        for (var at = 0; at < length;) at += (await client.ReceiveAsync(all.AsMemory(at), Stop)).Count;
        return all;
    }

    private static async Task<string> ReadHeadAsync(NetworkStream stream)
    {
        var text = new StringBuilder();
        var one = new byte[1];
        while (!text.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await stream.ReadExactlyAsync(one, Stop);
            text.Append((char)one[0]);
        }
        return text.ToString();
    }

    /// <summary>How a stream ends that begins with a head: its status, or the reset.</summary>
    private static async Task<string> AskAsync(LoopbackProxy proxy, byte[] block, byte[]? then = null)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        await using var stream = client.GetStream();
        await stream.WriteAsync((byte[])[.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. H2Frames.Settings(),
            .. H2Frames.Frame(H2Frame.Headers, H2Flags.EndHeaders, 1, block), .. then ?? []], Stop);
        while (true)
        {
            var frame = await Envoys.FrameReader.ReadAsync(stream).WaitAsync(TimeSpan.FromSeconds(60), Stop);
            if (frame.Type == H2Frame.Reset) return $"reset {frame.Error}";
        }
    }

    /// <summary>Sends back what it hears.</summary>
    private sealed class EchoTcp : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

        internal EchoTcp()
        {
            _listener.Start();
            _ = ServeAsync();
        }

        internal int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public void Dispose() => _listener.Dispose();

        private async Task ServeAsync()
        {
            try
            {
                while (true) _ = EchoAsync(await _listener.AcceptTcpClientAsync());
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test has ended.
            }
        }

        private static async Task EchoAsync(TcpClient client)
        {
            using (client)
            {
                try
                {
                    await client.GetStream().CopyToAsync(client.GetStream());
                }
                catch (IOException)
                {
                    // The proxy has left.
                }
            }
        }
    }
}
