using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Xds;
using Xunit;
using Protocol = Isthmus.Wire.Reports.SpokenPort.Types.Protocol;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Clients that begin otherwise than the filter chains of a port expect.</summary>
public sealed class SpokenPortsTests
{
    private const string Random32 = "0123456789abcdef0123456789abcdef";
    private const string Hello =
        "\u0016\u0003\u0001\u0000\u002f\u0001\u0000\u0000\u002b\u0003\u0003" + Random32 + "\0\u0000\u0002\u0013\u0001\u0001\u0000\u0000\u0000";
    private const string Direct = """ "direct_response": {"status": 200, "body": {"inline_string": "direct"} } """;

    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public void What_is_spoken_is_told_while_it_goes_on_and_forgotten_within_a_minute()
    {
        var clock = new ManualClock();
        var ports = new SpokenPorts(clock, Minute);
        Assert.Empty(ports.Lately());
        ports.Saw(8443, Protocol.Tls);
        ports.Saw(80, Protocol.Other);
        ports.Saw(8443, Protocol.Tls);
        Assert.Equal(["80 Other 1", "8443 Tls 2"], Told());
        clock.Advance(Minute * 0.6);
        ports.Saw(8443, Protocol.Tls);
        Assert.Equal(["80 Other 1", "8443 Tls 3"], Told());
        clock.Advance(Minute * 0.6);
        Assert.Equal(["8443 Tls 1"], Told());
        clock.Advance(Minute);
        Assert.Empty(Told());

        IEnumerable<string> Told() => ports.Lately().Select(spoken => $"{spoken.Port} {spoken.Protocol} {spoken.Connections}");
    }

    [Fact]
    public void However_many_ports_there_are_only_some_are_kept_until_they_are_silent()
    {
        var clock = new ManualClock();
        var ports = new SpokenPorts(clock, Minute);
        for (var port = 1; port <= 1000; port++) ports.Saw(port, Protocol.Other);
        Assert.Equal(Enumerable.Range(1, TelemetryReports.MostSpoken), ports.Lately().Select(spoken => (int)spoken.Port));
        clock.Advance(Minute);
        ports.Saw(2000, Protocol.Other);
        Assert.Equal([2000], ports.Lately().Select(spoken => (int)spoken.Port));
    }

    [Theory]
    [InlineData("INBOUND", Hello, "Tls")]
    [InlineData("INBOUND", "SSH-2.0-OpenSSH\r\n", "Other")]
    [InlineData("INBOUND", "*1\r\n$4\r\nPING\r\n", "Other")]
    [InlineData("INBOUND", "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "")]
    [InlineData("INBOUND", "GET / HTTP/1.0\r\nhost: x\r\n\r\n", "Http10")]
    [InlineData("OUTBOUND", "GET / HTTP/1.0\r\nhost: x\r\n\r\n", "")]
    // What a client says after a request is its own fault, and not the port's.
    [InlineData("INBOUND", "GET / HTTP/1.1\r\nhost: x\r\n\r\n\0\0", "")]
    [InlineData("INBOUND", "GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", "")]
    [InlineData("OUTBOUND", Hello, "")]
    public async Task A_port_of_requests_tells_what_is_none(string direction, string bytes, string protocol)
    {
        using var proxy = new LoopbackProxy([], Direct, direction: direction);
        await proxy.RawAsync(bytes);
        Assert.Equal(protocol.Length > 0 ? [$"{proxy.Port} {protocol} 1"] : [], Told(proxy));
    }

    /// <summary>The first chain is that of the mesh, as for a permissive port of HTTP.</summary>
    [Theory]
    [InlineData("", Hello, "Tls")]
    [InlineData("", "GET / HTTP/1.1\r\n\r\n", "Http1")]
    [InlineData("", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "Http2")]
    [InlineData("", "select 1", "")]
    // A chain depends on it, so that it is expected.
    [InlineData("http_inspector", "GET / HTTP/1.1\r\n\r\n", "")]
    public async Task Where_the_first_bytes_are_looked_at_a_port_of_bytes_tells_what_is_HTTP(string more, string bytes, string protocol)
    {
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("none")], Direct);
        proxy.Endpoints("none");
        using var port = new ReservedPort();
        const string Tcp =
            """
                [{"name": "t", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t",
                  "cluster": "none"} }]
                """;
        var inspectors = ((string[])["tls_inspector", more]).Where(name => name.Length > 0).Select(name => $$"""{"name": "envoy.filters.listener.{{name}}"}""");
        Listen(proxy, $$$"""
            {"name": "tcp", "traffic_direction": "INBOUND", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port.Number}}} } },
             "listener_filters": [{{{string.Join(", ", inspectors)}}}],
             "filter_chains": [
               {"filter_chain_match": {"transport_protocol": "tls", "application_protocols": ["istio"]}, "filters": {{{Tcp}}} },
               {"filter_chain_match": {"transport_protocol": "raw_buffer"}, "filters": {{{Tcp}}} }] }
            """);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(bytes), Stop);
        // The cluster has no endpoint, so that the proxy closes in any case.
        try
        {
            Assert.Equal(0, await client.GetStream().ReadAsync(new byte[1], Stop));
        }
        catch (IOException)
        {
            // Bytes were left unread.
        }
        Assert.Equal(protocol.Length > 0 ? [$"{port.Number} {protocol} 1"] : [], Told(proxy));
    }

    /// <summary>As at a strict port of HTTP, which takes TLS of the mesh only.</summary>
    [Theory]
    [InlineData("istio-http/1.1", false)]
    [InlineData("http/1.1", true)]
    [InlineData("", true)]
    public async Task A_handshake_that_fails_is_that_of_the_application_unless_the_client_means_the_mesh(string alpn, bool isOfApplication)
    {
        using var proxy = new LoopbackProxy([], Direct);
        using var port = new ReservedPort();
        Listen(proxy, $$$"""
            {"name": "strict", "traffic_direction": "INBOUND", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port.Number}}} } },
             "listener_filters": [{"name": "envoy.filters.listener.tls_inspector"}],
             "filter_chains": [{"filter_chain_match": {"transport_protocol": "tls"},
               "filters": [{"name": "http",
                 "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                 "stat_prefix": "in", "rds": {"config_source": {"ads": {} }, "route_config_name": "r"},
                 "http_filters": [{"name": "envoy.filters.http.router",
                   "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"} }] } }],
               "transport_socket": {"name": "tls",
                 "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                 "common_tls_context": {"alpn_protocols": ["h2"], "tls_certificate_sds_secret_configs": [{"name": "kubernetes://none"}] } } } }] }
            """);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port.Number, Stop);
        await using var tls = new SslStream(client.GetStream());
        await Assert.ThrowsAnyAsync<Exception>(() => tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions { TargetHost = "x", ApplicationProtocols = alpn.Length > 0 ? [new(alpn)] : null }, Stop));
        Assert.Equal(isOfApplication ? [$"{port.Number} Tls 1"] : [], Told(proxy));
    }

    private static void Listen(LoopbackProxy proxy, string text)
    {
        var listener = WireTypes.Strict.Parse<Listener>(text);
        Assert.Empty(proxy.Plane.State.Apply(new(Isthmus.Wire.Xds.TypeUrls.Listener,
            [new NamedResource(listener.Name, "1", new Any { TypeUrl = Isthmus.Wire.Xds.TypeUrls.Listener, Value = listener.ToByteString() })], [], "1")));
        Assert.Empty(proxy.Plane.ListenerFailures);
    }

    private static IEnumerable<string> Told(LoopbackProxy proxy) =>
        proxy.Plane.Told().Spoken.Select(spoken => $"{spoken.Port} {spoken.Protocol} {spoken.Connections}");
}
