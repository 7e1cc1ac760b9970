using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Clients of a plain HTTP port that speak something else, or another version of HTTP.</summary>
public sealed class FirstBytesTests
{
    private const string Direct = """ "direct_response": {"status": 200, "body": {"inline_string": "direct"} } """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003")]
    [InlineData("\0")]
    [InlineData("SSH-2.0-OpenSSH(\n")]
    [InlineData("GET / HTTP/1.1\nhost: x\n\n")]
    [InlineData("\nGET / HTTP/1.1\r\n")]
    public async Task Bytes_that_no_request_begins_with_are_answered_at_once(string bytes)
    {
        using var proxy = new LoopbackProxy([], Direct);
        var answer = await proxy.RawAsync(bytes);
        Assert.StartsWith("HTTP/1.1 400 Bad Request\r\n", answer);
        Assert.Contains("connection: close\r\n", answer);
        Assert.EndsWith(" 400 DPE http1.codec_error\n", await proxy.LoggedAsync());
    }

    [Fact]
    public async Task A_TLS_handshake_with_a_plain_port_fails_at_once()
    {
        using var proxy = new LoopbackProxy([], Direct);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        await using var tls = new SslStream(client.GetStream());
        await Assert.ThrowsAnyAsync<Exception>(() => tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "x", EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13
        },
            Stop));
    }

    [Fact]
    public async Task Requests_that_arrive_byte_by_byte_are_answered()
    {
        using var proxy = new LoopbackProxy([], Direct);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        foreach (var b in "\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n"u8.ToArray()) await socket.SendAsync(new[] { b }, SocketFlags.None, Stop);
        var buffer = new byte[1000];
        Assert.StartsWith("HTTP/1.1 200 OK",
            System.Text.Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer, SocketFlags.None, Stop)));
    }

    [Fact]
    public async Task HTTP_1_0_needs_the_permission_of_the_listener()
    {
        const string request = "GET / HTTP/1.0\r\n\r\n";
        using (var proxy = new LoopbackProxy([], Direct))
        {
            Assert.StartsWith("HTTP/1.1 426 Upgrade Required\r\n", await proxy.RawAsync(request));
            Assert.Equal("GET 426 DPE low_version\n", await proxy.LoggedAsync());
        }
        using var old = new LoopbackProxy([], Direct, more: """ "http_protocol_options": {"accept_http_10": true, "default_host_for_http_10": "old"}, """);
        Assert.EndsWith("direct", await old.RawAsync(request));
    }

    [Theory]
    [InlineData("h2c")]
    [InlineData("H2C")]
    public async Task An_offer_to_upgrade_to_HTTP2_is_removed_and_ignored(string name)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1,
            context => context.Response.WriteAsync(string.Join(',', context.Request.Headers.Select(field => field.Key).Order(StringComparer.Ordinal))));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "route": {"cluster": "up", "timeout": "0s"} """);
        proxy.Endpoints("up", origin.Port);
        var answer = await proxy.RawAsync(
            $"GET / HTTP/1.1\r\nhost: x\r\nupgrade: {name}\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nconnection: Upgrade, HTTP2-Settings, close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200 OK", answer);
        Assert.DoesNotContain("pgrade", answer);
        Assert.DoesNotContain("ettings", answer);
    }
}
