using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Http2;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Tunnels with hosts and clients that fall silent, answer otherwise than they were asked, or leave.</summary>
public sealed class TunnelFaultTests
{
    private const string ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;
    private const string Allowed = """ "http2_protocol_options": {"allow_connect": true}, """;
    private const string Ask = "GET /chat HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n";
    private const string Connect = "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n";
    private const string Switching = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
    private const string ConnectRoute =
        """{"name": "c", "match": {"connect_matcher": {} }, "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {} }] } }""";

    /// <summary>One answer that counts against a host takes it out.</summary>
    private const string Strict = """
        , "outlier_detection": {"consecutive_5xx": 1, "consecutive_gateway_failure": 1, "max_ejection_percent": 100, "base_ejection_time": "300s"}
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("leaves", "GET 0 DC downstream_remote_disconnect")]
    [InlineData("idle", "GET 504 SI stream_idle_timeout")]
    [InlineData("connect", "GET 503 UC upstream_reset_before_response_started{connection_termination")]
    public async Task A_host_that_never_says_what_it_allows_is_given_up(string end, string expected)
    {
        using var server = new ByteServer(async proxy => await proxy.HearAllAsync());
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true, connectTimeout: end == "connect" ? "1s" : "300s")], ToUp,
            more: end == "idle" ? """ "stream_idle_timeout": "1s", """ : "");
        proxy.Endpoints("up", server.Port);
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"{Ask}\r\n"), Stop);
            await Eventually.TrueAsync(() => server.Heard is [var heard] && heard.StartsWith("PRI ", StringComparison.Ordinal));
            if (end != "leaves") await proxy.LoggedAsync();
        }
        Assert.StartsWith(expected, await proxy.LoggedAsync());
    }

    [Fact]
    public async Task A_tunnel_by_POST_ends_with_its_last_chunk_and_takes_its_connection_with_it()
    {
        ByteServer.Conversation? carrying = null;
        var hasEnded = false;
        using var server = new ByteServer(async proxy =>
        {
            carrying = proxy;
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\nwelcome\r\n0\r\n\r\n");
            await proxy.HearAllAsync();
            hasEnded = true;
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        using var port = proxy.Tcp("up", """ , "tunneling_config": {"hostname": "far.example:443", "use_post": true} """);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        await client.GetStream().WriteAsync("hello"u8.ToArray(), Stop);
        Assert.Equal("welcome", await new StreamReader(client.GetStream()).ReadToEndAsync(Stop));
        client.Client.Shutdown(SocketShutdown.Send);
        await Eventually.TrueAsync(() => proxy.Plane.Report.Ends(EndReason.Completed) == 1);
        await Eventually.TrueAsync(() => carrying!.Heard.EndsWith("\r\n\r\n5\r\nhello\r\n0\r\n\r\n", StringComparison.Ordinal));
        // A reset would be an error there.
        await Eventually.TrueAsync(() => hasEnded);
        Assert.Equal(1, proxy.Plane.State.Current.Clusters["up"].Hosts.All[0].Counters.Successes);
    }

    [Fact]
    public async Task A_request_of_HTTP1_without_a_body_may_say_so()
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            var key = proxy.Heard.Split("sec-websocket-key: ")[1].Split('\r')[0];
            await proxy.SayAsync($"{Switching}sec-websocket-accept: {ProofOf(key)}\r\n\r\nwelcome");
        });
        using var last = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, more: Allowed);
        last.Endpoints("up", server.Port);
        using var first = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp);
        first.Endpoints("up", last.Port);
        var text = await first.RawAsync($"{Ask}content-length: 0\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 101 ", text);
        Assert.EndsWith("\r\n\r\nwelcome", text);
    }

    [Theory]
    [InlineData("content-length: 3\r\n\r\nabc", "HTTP/1.1 400 ")]
    [InlineData("\r\n", "HTTP/1.1 502 ")]
    public async Task A_client_that_asks_a_host_of_HTTP2_for_too_much_does_not_take_it_out(string rest, string expected)
    {
        using var server = new ScriptedH2Server(H2Frames.Settings(), _ => []);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true, more: Strict)], ToUp);
        proxy.Endpoints("up", server.Port);
        Assert.StartsWith(expected, await proxy.RawAsync(Ask + rest));
        AssertUnharmed(proxy);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 502)]
    [InlineData("HTTP/1.1 204 No Content\r\n\r\n", 502)]
    [InlineData("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", 403)]
    [InlineData($"{Switching}\r\n", 502)]
    [InlineData($"{Switching}sec-websocket-accept: x\r\n\r\n", 502)]
    public async Task A_client_of_HTTP2_gets_a_tunnel_only_from_a_server_that_agrees(string answer, int expected)
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync(answer);
            await proxy.HearAllAsync();
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", more: Strict)], ToUp, more: Allowed);
        proxy.Endpoints("up", server.Port);
        using var handler = new SocketsHttpHandler();
        using var invoker = new HttpMessageInvoker(handler);
        using var client = new ClientWebSocket();
        (client.Options.HttpVersion, client.Options.HttpVersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);
        client.Options.CollectHttpResponseDetails = true;
        await Assert.ThrowsAsync<WebSocketException>(() => client.ConnectAsync(new Uri($"ws://127.0.0.1:{proxy.Port}/chat"), invoker, Stop));
        Assert.StartsWith($"GET {expected} ", await proxy.LoggedAsync());
        AssertUnharmed(proxy);
    }

    [Fact]
    public async Task A_proof_that_the_server_did_not_give_is_not_added()
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync($"{Switching}\r\n");
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        var text = await proxy.RawAsync($"{Ask}sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 101 ", text);
        Assert.DoesNotContain("sec-websocket-accept", text);
    }

    [Fact]
    public async Task An_authorizer_is_never_asked_for_a_tunnel()
    {
        using var server = new ByteServer(async proxy => await proxy.HearAllAsync());
        using var authorizer = new ByteServer(async proxy =>
        {
            while (await proxy.HearAsync("\r\n\r\n")) await proxy.SayAsync("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up"), LoopbackProxy.Cluster("authz")], ToUp, """
            {"name": "authz", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", "failure_mode_allow": true,
              "http_service": {"server_uri": {"uri": "http://a", "cluster": "authz", "timeout": "60s"} } } },
            """);
        proxy.Endpoints("up", server.Port);
        proxy.Endpoints("authz", authorizer.Port);
        proxy.Routes($$"""{{ConnectRoute}}, {"name": "only", "match": {"prefix": "/"}, "direct_response": {"status": 204} }""");
        Assert.StartsWith("HTTP/1.1 403 ", await proxy.RawAsync($"{Connect}\r\n"));
        Assert.Empty(authorizer.Heard);
        Assert.Empty(server.Heard);
        Assert.Equal("CONNECT 403 UAEX ext_authz_connect", (await proxy.LoggedAsync()).Trim());
        Assert.StartsWith("HTTP/1.1 204 ", await proxy.RawAsync("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
        Assert.Single(authorizer.Heard);
    }

    [Theory]
    [InlineData(Connect, "HTTP/1.1 404 ")]
    [InlineData(Ask, "HTTP/1.1 403 ")]
    public async Task A_refusal_never_looks_like_a_tunnel(string request, string expected)
    {
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")],
            """ "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "websocket", "enabled": false}]} """);
        proxy.Endpoints("up");
        var text = await proxy.RawAsync($"{request}content-type: application/grpc\r\n\r\n");
        Assert.StartsWith(expected, text);
        Assert.DoesNotContain("grpc-status", text);
    }

    /// <summary>The server is silent, so that no write finds out.</summary>
    [Theory]
    [InlineData("leaves", "CONNECT 200 DC")]
    [InlineData("resets its stream", "CONNECT 200 DC")]
    [InlineData("is idle", "CONNECT 200 ")]
    public async Task A_tunnel_ends_with_a_client_that_has_ended_its_direction(string end, string expected)
    {
        var hasHeardEnd = false;
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAllAsync();
            Volatile.Write(ref hasHeardEnd, true);
            await Task.Delay(Timeout.Infinite, Stop);
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, more: end == "is idle" ? """ "stream_idle_timeout": "10s", """ : "");
        proxy.Endpoints("up", server.Port);
        proxy.Routes(ConnectRoute);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        var stream = client.GetStream();
        if (end == "resets its stream")
        {
            await stream.WriteAsync((byte[])[.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. H2Frames.Settings(),
                .. H2Frames.Frame(H2Frame.Headers, H2Flags.EndHeaders, 1, H2Frames.Block(":method CONNECT|:authority a:1")),
                .. H2Frames.Frame(H2Frame.Data, H2Flags.EndStream, 1, "bye"u8)], Stop);
        }
        else
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"{Connect}\r\nbye"), Stop);
            // A client that ends its direction before the answer has left.
            Assert.InRange(await stream.ReadAsync(new byte[4096], Stop), 1, int.MaxValue);
            client.Client.Shutdown(SocketShutdown.Send);
        }
        await Eventually.TrueAsync(() => Volatile.Read(ref hasHeardEnd));
        Assert.Equal(["bye"], server.Heard);
        if (end == "resets its stream") await stream.WriteAsync(H2Frames.Reset(1), Stop);
        if (end == "leaves")
        {
            client.LingerState = new(true, 0);
            client.Close();
        }
        Assert.StartsWith(expected, await proxy.LoggedAsync());
        await Eventually.TrueAsync(() => proxy.Plane.State.Current.Clusters["up"].Hosts.All[0].Active == 0);
    }

    [Theory]
    [InlineData(""" "present_match": true """, "HTTP/1.1 404 ")]
    [InlineData(""" "present_match": true, "invert_match": true """, "HTTP/1.1 403 ")]
    [InlineData(""" "string_match": {"safe_regex": {"regex": ".*"} } """, "HTTP/1.1 404 ")]
    public async Task CONNECT_has_no_path(string match, string expected)
    {
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up");
        proxy.Routes($$"""{"name": "c", "match": {"connect_matcher": {}, "headers": [{"name": ":path", {{match}} }] }, "direct_response": {"status": 403} }""");
        Assert.StartsWith(expected, await proxy.RawAsync($"{Connect}\r\n"));
    }

    /// <summary>Its client would take 2xx for a tunnel, and the rest of the answer for what the other end says.</summary>
    [Theory]
    [InlineData(200, "HTTP/1.1 403 ")]
    [InlineData(204, "HTTP/1.1 403 ")]
    [InlineData(404, "HTTP/1.1 404 ")]
    public async Task An_answer_of_the_proxy_itself_does_not_look_like_a_tunnel(int status, string expected)
    {
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up");
        proxy.Routes($$"""{"name": "c", "match": {"connect_matcher": {} }, "direct_response": {"status": {{status}}} }""");
        Assert.StartsWith(expected, await proxy.RawAsync($"{Connect}\r\n"));
    }

    [Fact]
    public void Datagrams_are_refused_by_name()
    {
        Refused(() => RouteDecoder.Decode(WireTypes.Strict.Parse<RouteConfiguration>("""
            {"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"},
              "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "connect-udp"}] } }] }] }
            """)));
        Refused(() => ListenerDecoder.Decode(WireTypes.Strict.Parse<Listener>("""
            {"name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1} }, "filter_chains": [{"filters": [{"name": "http", "typed_config": {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x",
              "rds": {"config_source": {"ads": {} }, "route_config_name": "r"}, "upgrade_configs": [{"upgrade_type": "CONNECT-UDP"}],
              "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"} }] } }] }] }
            """)));

        static void Refused(Action decode) => Assert.Contains("CONNECT-UDP is not supported", Assert.Throws<ResourceException>(decode).Message);
    }

    [Fact]
    public async Task The_end_of_a_tunnel_that_follows_from_its_client_is_a_host_with_a_port()
    {
        using var server = new ByteServer(async proxy => await proxy.HearAllAsync());
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        using var port = proxy.Tcp("up", """ , "tunneling_config": {"hostname": "%REQUESTED_SERVER_NAME%"} """);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        Assert.Equal(0, await client.GetStream().ReadAsync(new byte[1], Stop));
        await Eventually.TrueAsync(() => proxy.Plane.Report.Ends(EndReason.ConnectFailed) == 1);
        Assert.Empty(server.Heard);
    }

    private static void AssertUnharmed(LoopbackProxy proxy)
    {
        ClusterState cluster = proxy.Plane.State.Current.Clusters["up"];
        Assert.Equal(0, cluster.EjectedHosts);
        Assert.Equal(0, cluster.Hosts.All[0].Counters.Errors);
    }

#pragma warning disable CA5350 // The protocol says SHA-1; nothing is secret.
    private static string ProofOf(string key) =>
        Convert.ToBase64String(System.Security.Cryptography.SHA1.HashData(Encoding.ASCII.GetBytes($"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
#pragma warning restore CA5350
}
