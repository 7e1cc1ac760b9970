using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary>The PROXY protocol, from Istio's objects to the bytes: gateways read it (<c>gatewayTopology.proxyProtocol</c>), and DestinationRules
/// have it written (<c>proxyProtocol</c>).</summary>
public sealed class ProxyProtocolTests
{
    private const string Reads = "defaultConfig: {gatewayTopology: {proxyProtocol: {} } }";

    private static readonly ProxiedConnection FromOutside = new(new(IPAddress.Parse("203.0.113.7"), 4711), new(IPAddress.Parse("198.51.100.1"), 443));

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n", "203.0.113.7")]
    [InlineData("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7")]
    [InlineData("PROXY UNKNOWN\r\n", "127.0.0.1")]
    [InlineData("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1")]
    [InlineData("v2", "203.0.113.7")]
    [InlineData("v2 with more fields than a buffer has bytes", "203.0.113.7")]
    [InlineData("v2 of the proxy itself", "127.0.0.1")]
    public async Task A_gateway_learns_the_client_from_the_header(string header, string client)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1,
            context => context.Response.WriteAsync(context.Request.Headers["x-forwarded-for"].ToString()));
        using var gateway = new GuardedGateway(Reads, "", origin.Port, 1);
        var request = "GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n"u8.ToArray();
        Assert.EndsWith($"\r\n{client}\r\n0\r\n\r\n", await SendAsync(gateway.Port, [.. Bytes(header), .. request]), StringComparison.Ordinal);
        // It may arrive in parts.
        Assert.EndsWith($"\r\n{client}\r\n0\r\n\r\n", await SendAsync(gateway.Port, Bytes(header)[..7], [.. Bytes(header)[7..], .. request]),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nhost: web.example\r\n\r\n")]
    [InlineData("PROXY TCP4 203.0.113.7 198.51.100.1 4711\r\n")]
    [InlineData("PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n")]
    [InlineData("PROXY TCP4 0x7f.1 198.51.100.1 4711 443\r\n")]
    [InlineData("PROXY TCP4 203.0.113.7 198.51.100.1 4711 65536\r\n")]
    [InlineData("PROXY TCP4 203.0.113.7 198.51.100.1 4711 443                                                                    \r\n")]
    [InlineData("\r\n\r\n\0\r\nQUIT\n\u0031\u0011\0\u000c            ")]
    [InlineData("\r\n\r\n\0\r\nQUIT\n\u0021\u0011\0\u0004    ")]
    public async Task A_connection_without_a_valid_header_is_closed(string bytes)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("reached"));
        using var gateway = new GuardedGateway(Reads, "", origin.Port, 1);
        Assert.Equal("", await SendAsync(gateway.Port, Encoding.Latin1.GetBytes(bytes)));
    }

    [Fact]
    public async Task Without_the_setting_a_header_is_not_read()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("reached"));
        using var gateway = new GuardedGateway("", "", origin.Port, 1);
        Assert.StartsWith("HTTP/1.1 400",
            await SendAsync(gateway.Port, [.. ProxyHeader.Write(ProxyProtocolVersion.V1, FromOutside), .. "GET / HTTP/1.1\r\nhost: web.example\r\n\r\n"u8]),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("remoteIpBlocks: [203.0.113.0/24]", true)]
    [InlineData("ipBlocks: [203.0.113.0/24]", false)]
    [InlineData("ipBlocks: [127.0.0.0/8]", true)]
    [InlineData("remoteIpBlocks: [127.0.0.0/8]", false)]
    public async Task Policies_tell_the_client_from_the_load_balancer(string source, bool isDenied)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("reached"));
        using var gateway = new GuardedGateway(Reads, $$"""
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: deny, namespace: shop}
            spec: {selector: {matchLabels: {app: edge} }, action: DENY, rules: [{from: [{source: { {{source}} } }]}]}
            """, origin.Port, 1);
        var answer = await SendAsync(gateway.Port,
            [.. ProxyHeader.Write(ProxyProtocolVersion.V2, FromOutside), .. "GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n"u8]);
        Assert.StartsWith(isDenied ? "HTTP/1.1 403" : "HTTP/1.1 200", answer, StringComparison.Ordinal);
        // TCP connections have rules of the same kind.
        Assert.Equal(isDenied,
            await SendAsync(gateway.TcpPort,
                [.. ProxyHeader.Write(ProxyProtocolVersion.V2, FromOutside), .. "GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n"u8]) == "");
    }

    [Theory]
    [InlineData("proxyProtocol: {version: V1}", ProxyProtocolVersion.V1)]
    [InlineData("proxyProtocol: {version: V2}", ProxyProtocolVersion.V2)]
    [InlineData("portLevelSettings: [{port: {number: 80}, proxyProtocol: {version: V2}}, {port: {number: 9000}, proxyProtocol: {version: V2}}]",
        ProxyProtocolVersion.V2)]
    internal async Task A_host_is_told_whose_connection_it_gets(string policy, ProxyProtocolVersion version)
    {
        using var server = new HeaderServer();
        using var proxy = new SidecarProxy(Rule(policy), [(server.Port, "")]);
        Assert.Empty(proxy.Reported);
        using var client = await ConnectAsync(proxy.TcpPort);
        await client.SendAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray(), Stop);
        Assert.EndsWith($"{version} {client.LocalEndPoint}>127.0.0.1:{proxy.TcpPort} 1", await ReceiveAsync(client), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("proxyProtocol: {version: V1}")]
    [InlineData("connectionPool: {tcp: {maxConnections: 1}}, proxyProtocol: {version: V2}")]
    public async Task Requests_of_other_clients_get_connections_of_their_own(string policy)
    {
        using var server = new HeaderServer();
        using var proxy = new SidecarProxy(Rule(policy), [(server.Port, "")]);
        Assert.Empty(proxy.Reported);
        using var first = await ConnectAsync(proxy.Port);
        using var second = await ConnectAsync(proxy.Port);
        foreach (var (client, number) in ((Socket, int)[])[(first, 1), (first, 2), (second, 1), (second, 2)])
        {
            await client.SendAsync("GET / HTTP/1.1\r\nhost: web.example\r\n\r\n"u8.ToArray(), Stop);
            Assert.EndsWith($" {client.LocalEndPoint}>127.0.0.1:{proxy.Port} {number}", await ReceiveAsync(client), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void What_is_written_can_be_read()
    {
        foreach (var version in (ProxyProtocolVersion[])[ProxyProtocolVersion.V1, ProxyProtocolVersion.V2])
        {
            foreach (var carried in (ProxiedConnection?[])[FromOutside,
                new(new(IPAddress.Parse("2001:db8::7"), 1), new(IPAddress.Parse("198.51.100.1"), 65535)), null])
            {
                var bytes = ProxyHeader.Write(version, carried);
                for (var length = 0; length < bytes.Length; length++)
                    Assert.Equal(ProxyHeaderStatus.Incomplete, ProxyHeader.Read(bytes.AsSpan(0, length), out _));
                Assert.Equal(ProxyHeaderStatus.Complete, ProxyHeader.Read([.. bytes, 1, 2, 3], out var header));
                var expected = carried is { Source.AddressFamily: AddressFamily.InterNetworkV6 }
                    ? carried with { Destination = new(carried.Destination.Address.MapToIPv6(), carried.Destination.Port) }
                    : carried;
                Assert.Equal(new(version, bytes.Length, expected), header);
            }
        }
    }

    private static byte[] Bytes(string header)
    {
        if (!header.StartsWith("v2", StringComparison.Ordinal)) return Encoding.ASCII.GetBytes(header);
        var bytes = ProxyHeader.Write(ProxyProtocolVersion.V2, header.EndsWith("itself", StringComparison.Ordinal) ? null : FromOutside);
        if (!header.Contains("more", StringComparison.Ordinal)) return bytes;
        (bytes[14], bytes[15]) = (20_012 >> 8, 20_012 & 0xff);
        return [.. bytes, .. new byte[20_000]];
    }

    private static string Rule(string policy) => $$"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec: {host: web.example, trafficPolicy: { {{policy}} } }
        """;

    private static async Task<Socket> ConnectAsync(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port, Stop);
        return socket;
    }

    /// <summary>All that comes back until the connection is closed.</summary>
    private static async Task<string> SendAsync(int port, params byte[][] parts)
    {
        using var socket = await ConnectAsync(port);
        await using var stream = new NetworkStream(socket);
        using var all = new MemoryStream();
        try
        {
            foreach (var part in parts)
            {
                await stream.WriteAsync(part, Stop);
            }
            await stream.CopyToAsync(all, Stop);
        }
        catch (IOException)
        {
            // Closed with bytes unread.
        }
        return Encoding.Latin1.GetString(all.ToArray());
    }

    private static async Task<string> ReceiveAsync(Socket socket)
    {
        var text = "";
        var buffer = new byte[4096];
        while (!text.Contains("\r\n\r\n", StringComparison.Ordinal) || text.EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            var count = await socket.ReceiveAsync(buffer, Stop);
            Assert.NotEqual(0, count);
            text += Encoding.Latin1.GetString(buffer, 0, count);
        }
        return text;
    }

    /// <summary>Answers requests with the header of their connection, and their number on it.</summary>
    private sealed class HeaderServer : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

        internal HeaderServer()
        {
            _listener.Start();
            _ = AcceptAsync();
        }

        internal int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public void Dispose() => _listener.Dispose();

        private async Task AcceptAsync()
        {
            try
            {
                while (true) _ = ServeAsync(await _listener.AcceptTcpClientAsync());
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }

        private static async Task ServeAsync(TcpClient client)
        {
            using var _ = client;
            var (buffer, length, requests, said) = (new byte[4096], 0, 0, "");
            while (true)
            {
                var count = await client.GetStream().ReadAsync(buffer.AsMemory(length));
                if (count == 0) return;
                length += count;
                if (said.Length == 0 && ProxyHeader.Read(buffer.AsSpan(0, length), out var header) == ProxyHeaderStatus.Complete)
                {
                    said = $"{header.Version} {header.Carried}";
                    buffer.AsSpan(header.Length, length -= header.Length).CopyTo(buffer);
                }
                if (said.Length == 0 || !buffer.AsSpan(0, length).EndsWith("\r\n\r\n"u8)) continue;
                length = 0;
                var body = $"{said} {++requests}";
                await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\ncontent-length: {body.Length}\r\n\r\n{body}"));
            }
        }
    }
}
