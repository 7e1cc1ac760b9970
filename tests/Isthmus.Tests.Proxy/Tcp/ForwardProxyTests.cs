using System.Net;
using System.Text.Json;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Tcp;

/// <summary>Clusters whose hosts are behind a forward proxy (Envoy's <c>http_11_proxy</c>): TLS goes through a tunnel that it is asked for.</summary>
public sealed class ForwardProxyTests : IDisposable
{
    private const string Extensions = "type.googleapis.com/envoy.extensions.transport_sockets", Key = "envoy.http11_proxy_transport_socket.proxy_address";

    private readonly TestCa _ca = new("far");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Fact]
    public async Task A_request_reaches_its_server_through_a_tunnel_that_a_proxy_opens()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, _ca.Server("far.example"));
        using var forward = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up"} """);
        forward.Endpoints("up", origin.Port);
        forward.Routes("""
            {"name": "c", "match": {"connect_matcher": {} },
              "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {} }] } }
            """);
        // Nobody listens at the address of the host.
        using var proxy = Proxy(Through(Tls, Address(forward.Port)), "127.0.0.9");
        using var client = new HttpClient();
        Assert.Equal("far.example", await client.GetStringAsync(new Uri($"http://127.0.0.1:{proxy.Port}/"), Stop));
    }

    [Theory]
    [InlineData("", "", "CONNECT 127.0.0.9:8443 HTTP/1.1\r\nHost: 127.0.0.9:8443\r\n\r\n\u0016")]
    [InlineData("""
        , "hostname": "far.example"
        """, "", "CONNECT far.example:8443 HTTP/1.1\r\nHost: far.example:8443\r\n\r\n\u0016")]
    [InlineData("", "endpoint", "CONNECT 127.0.0.9:8443 HTTP/1.1\r\nHost: 127.0.0.9:8443\r\n\r\n\u0016")]
    [InlineData("", "locality", "CONNECT 127.0.0.9:8443 HTTP/1.1\r\nHost: 127.0.0.9:8443\r\n\r\n\u0016")]
    public async Task The_proxy_is_asked_for_the_host_and_gets_TLS_after_its_consent(string hostname, string named, string hears)
    {
        using var forward = new ByteServer(async conversation =>
        {
            await conversation.HearAsync("\r\n\r\n");
            await conversation.SayAsync("HTTP/1.1 200 Connection ");
            await conversation.SayAsync("established\r\nvia: x\r\n\r\n");
            await conversation.HearAsync("\u0016");
        });
        var told = $$""", "metadata": {"typed_filter_metadata": {"{{Key}}": {"@type": "type.googleapis.com/envoy.config.core.v3.Address", {{Address(forward.Port)[1..]}} } }""";
        using var proxy = Proxy(Through(Tls, named.Length > 0 ? "" : Address(forward.Port)), "127.0.0.9", hostname, named == "endpoint" ? told : "",
            named == "locality" ? told : "");
        await StatusAsync(proxy);
        Assert.StartsWith(hears, forward.Heard[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "the_forward_proxy_answers_407_to_CONNECT_127.0.0.9:8443")]
    [InlineData("HTTP/1.1 204 No Content\r\n\r\n", "the_forward_proxy_answers_204_to_CONNECT_127.0.0.9:8443")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n\r\n", "the_forward_proxy_breaks_the_protocol:_http1.invalid_status_line")]
    [InlineData("HTTP/1.1 200 OK\r\nx: ", "the_forward_proxy_breaks_the_protocol:_headers_too_large")]
    public async Task A_proxy_that_refuses_gets_nothing_more(string answer, string why)
    {
        using var forward = new ByteServer(async conversation =>
        {
            await conversation.HearAsync("\r\n\r\n");
            await conversation.SayAsync(answer.EndsWith('\n') ? answer : answer + new string('x', 5000));
            await conversation.HearAllAsync();
        });
        using var proxy = Proxy(Through(Tls, Address(forward.Port)), "127.0.0.9");
        Assert.Equal(503, await StatusAsync(proxy));
        Assert.Contains(why, await proxy.LoggedAsync(), StringComparison.Ordinal);
        Assert.All(forward.Heard, heard => Assert.EndsWith("\r\n\r\n", heard, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_proxy_that_says_nothing_is_given_up_when_a_connection_may_take_no_longer()
    {
        using var forward = new ByteServer(conversation => conversation.HearAllAsync());
        using var proxy = Proxy(Through(Tls, Address(forward.Port)), "127.0.0.9", connectTimeout: "0.2s");
        Assert.Equal(503, await StatusAsync(proxy));
        Assert.Contains("connection_timeout", await proxy.LoggedAsync(), StringComparison.Ordinal);
    }

    /// <summary>A forward proxy takes connections for hosts that it cannot reach, too.</summary>
    [Fact]
    public async Task A_host_counts_again_only_when_its_proxy_reaches_it()
    {
        const string away = "127.0.0.8:8443";
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, _ca.Server("far.example"));
        using var forward = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up"} """);
        forward.Endpoints("up", origin.Port);
        const string every = """
            {"match": {"connect_matcher": {} }, "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {} }] } }
            """;
        forward.Routes($$"""
            {"match": {"connect_matcher": {}, "headers": [{"name": ":authority", "string_match": {"exact": "{{away}}"} }] },
              "direct_response": {"status": 503} }, {{every}}
            """);
        using var proxy = new LoopbackProxy([$$"""
            {"name": "up", "type": "STATIC", "connect_timeout": "5s", "transport_socket": {{Through(Tls, Address(forward.Port))}},
             "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [{{Host("127.0.0.8")}}, {{Host("127.0.0.9")}}] }] } }
            """], """ "route": {"cluster": "up"} """);
        var host = proxy.Plane.State.Current.Clusters["up"].Hosts.All.Single(one => one.Address.ToString() == away);
        while (!host.IsDoubted) await StatusAsync(proxy);
        var failures = host.Counters.ConnectFailures;
        await Eventually.TrueAsync(async () =>
        {
            Assert.Equal(200, await StatusAsync(proxy));
            Assert.True(host.IsDoubted);
            return host.Counters.ConnectFailures >= failures + 2;
        });
        forward.Routes(every);
        await Eventually.TrueAsync(() => !host.IsDoubted);
        static string Host(string address) => $$"""{"endpoint": {"address": {"socket_address": {"address": "{{address}}", "port_value": 8443} } } }""";
    }

    /// <summary>As in Envoy, where the connect timeout is that of the cluster, whatever a connection is made of.</summary>
    [Fact]
    public async Task The_steps_of_a_connection_share_its_time()
    {
        var (clock, seen, steps) = (new ManualClock(), new List<TimeSpan>(), new List<ConnectStep>());
        for (var i = 0; i < 4; i++) steps.Add(new SlowStep(clock, TimeSpan.FromSeconds(2), seen));
        var start = clock.GetTimestamp();
        clock.Advance(TimeSpan.FromMilliseconds(500));
        var host = new Endpoint(new IPEndPoint(IPAddress.Loopback, 1), 1, EndpointHealth.Healthy, ValueMap<string>.Empty, Workload.Unknown, IsGateway: false);
        var late = await Assert.ThrowsAsync<TransportException>(() => new ConnectSteps(steps.ToValueList()).TakeAsync(
            new MemoryTransport([], () => 1), host, new("", null, false, null), (TimeSpan.FromSeconds(5), start), new(new NoSecrets(), clock)).AsTask());
        Assert.Equal(TransportFailure.TimedOut, late.Failure);
        Assert.Equal([4.5, 2.5, 0.5], seen.Select(left => left.TotalSeconds));
    }

    private sealed record SlowStep(ManualClock Clock, TimeSpan Takes, List<TimeSpan> Seen) : ConnectStep
    {
        public override ValueTask<Transport> TakeAsync(Transport transport, Endpoint endpoint, ConnectPurpose purpose, TimeSpan left, ConnectParts parts)
        {
            Seen.Add(left);
            Clock.Advance(Takes);
            return new(transport);
        }
    }

    /// <summary>As in Envoy.</summary>
    [Fact]
    public async Task Requests_without_TLS_go_to_the_proxy_itself_and_hosts_without_a_proxy_are_called_directly()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        var plain = $$"""{"name": "raw", "typed_config": {"@type": "{{Extensions}}.raw_buffer.v3.RawBuffer"} }""";
        using var forwarded = Proxy(Through(plain, Address(origin.Port)), "127.0.0.9");
        Assert.Equal(200, await StatusAsync(forwarded));
        await using var far = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, _ca.Server("far.example"));
        using var direct = Proxy(Through(Tls, ""), "127.0.0.1", port: far.Port);
        Assert.Equal(200, await StatusAsync(direct));
    }

    [Fact]
    public void A_proxy_that_is_a_name_is_refused() => Assert.Contains("'proxy.example' is not an IP address", Assert.Throws<ResourceException>(() =>
        ClusterDecoder.Decode(WireTypes.Strict.Parse<Cluster>($$"""
            {"name": "up", "transport_socket": {{Through(Tls, """{"socket_address": {"address": "proxy.example", "port_value": 3128} }""")}} }
            """))).Message, StringComparison.Ordinal);

    private string Tls => $$"""
        {"name": "tls", "typed_config": {"@type": "{{Extensions}}.tls.v3.UpstreamTlsContext", "sni": "far.example",
          "common_tls_context": {"validation_context": {
          "trusted_ca": {"inline_string": {{JsonSerializer.Serialize(_ca.Pem)}} }, "match_typed_subject_alt_names": [{"san_type": "DNS",
            "matcher": {"exact": "far.example"} }] } } } }
        """;

    private static string Address(int port) => $$"""{"socket_address": {"address": "127.0.0.1", "port_value": {{port}}} }""";

    /// <param name="proxy">The address of the proxy; empty: the socket names none.</param>
    private static string Through(string inner, string proxy) => $$"""
        {"name": "forward", "typed_config": {"@type": "{{Extensions}}.http_11_proxy.v3.Http11ProxyUpstreamTransport", "transport_socket": {{inner}}
          {{(proxy.Length > 0 ? $", \"default_proxy_address\": {proxy}" : "")}} } }
        """;

    private static LoopbackProxy Proxy(string socket, string address, string hostname = "", string endpoint = "", string locality = "", int port = 8443,
        string connectTimeout = "5s") => new([$$"""
        {"name": "up", "type": "STATIC", "connect_timeout": "{{connectTimeout}}", "transport_socket": {{socket}},
          "load_assignment": {"cluster_name": "up", "endpoints": [{
          "lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "{{address}}",
            "port_value": {{port}}} } {{hostname}} } {{endpoint}} }] {{locality}} }] } }
        """], """ "route": {"cluster": "up"} """);

    private static async Task<int> StatusAsync(LoopbackProxy proxy)
    {
        using var client = new HttpClient();
        using var response = await client.GetAsync(new Uri($"http://127.0.0.1:{proxy.Port}/"), Stop);
        return (int)response.StatusCode;
    }
}
