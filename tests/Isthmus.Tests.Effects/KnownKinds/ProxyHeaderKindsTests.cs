using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Effects.KnownKinds;

/// <summary>Headers of the PROXY protocol that other proxies read beyond their end, or did not survive.</summary>
public sealed class ProxyHeaderKindsTests
{
    private static readonly byte[] Signature = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10];
    private static readonly byte[] FromOutside = [203, 0, 113, 7, 198, 51, 100, 1, 0x12, 0x67, 1, 0xbb];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The length of the header decides alone where the request begins, whatever its fields claim.</summary>
    [Theory]
    [InlineData("no fields", "203.0.113.7")]
    [InlineData("a field of nothing", "203.0.113.7")]
    [InlineData("a field that is longer than the header", "203.0.113.7")]
    [InlineData("a field of 65,535 bytes without any", "203.0.113.7")]
    [InlineData("half a field", "203.0.113.7")]
    [InlineData("a nested field that is longer than its own", "203.0.113.7")]
    [InlineData("a field that is a request", "203.0.113.7")]
    [InlineData("as many bytes as a header can have", "203.0.113.7")]
    [InlineData("a header of its own connection with addresses", "127.0.0.1")]
    [InlineData("a Unix socket", "127.0.0.1")]
    [InlineData("datagrams", "127.0.0.1")]
    [InlineData("a family that does not exist", "127.0.0.1")]
    public async Task A_request_begins_where_the_header_ends(string what, string client)
    {
        var hidden = "GET /hidden HTTP/1.1\r\nhost: web.example\r\n\r\n"u8.ToArray();
        byte[] header = what switch
        {
            "no fields" => Header(0x21, 0x11, FromOutside),
            "a field of nothing" => Header(0x21, 0x11, [.. FromOutside, 4, 0, 0, 4, 0, 0]),
            "a field that is longer than the header" => Header(0x21, 0x11, [.. FromOutside, 2, 0, 40, .. "short"u8]),
            "a field of 65,535 bytes without any" => Header(0x21, 0x11, [.. FromOutside, 2, 0xff, 0xff]),
            "half a field" => Header(0x21, 0x11, [.. FromOutside, 2, 0]),
            "a nested field that is longer than its own" => Header(0x21, 0x11, [.. FromOutside, 0x20, 0, 8, 7, 0, 0, 0, 0, 0x21, 0xff, 0xff]),
            "a field that is a request" => Header(0x21, 0x11, [.. FromOutside, 4, 0, (byte)hidden.Length, .. hidden]),
            "as many bytes as a header can have" => Header(0x21, 0x11, [.. FromOutside, .. new byte[65_535 - FromOutside.Length]]),
            "a header of its own connection with addresses" => Header(0x20, 0x11, FromOutside),
            "a Unix socket" => Header(0x21, 0x31, [.. new byte[216]]),
            "datagrams" => Header(0x21, 0x12, FromOutside),
            _ => Header(0x21, 0xf1, FromOutside),
        };
        using var server = new ByteServer(AnswerAsync);
        using var gateway = Gateway(server.Port);
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", await SendAsync(gateway, [.. header, .. "GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n"u8]),
            StringComparison.Ordinal);
        var heard = Assert.Single(server.Heard);
        Assert.Contains($"\r\nx-forwarded-for: {client}\r\n", heard, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", heard, StringComparison.Ordinal);
        Assert.Equal(2, heard.Split("GET ").Length);
    }

    [Theory]
    [InlineData(0x11, 0x11)] // version 1
    [InlineData(0x31, 0x11)] // version 3
    [InlineData(0x22, 0x11)] // a command that does not exist
    [InlineData(0x2f, 0x11)]
    [InlineData(0x21, 0x21)] // addresses of IPv6 that are too short
    public async Task A_header_of_another_kind_ends_the_connection(byte command, byte family)
    {
        using var server = new ByteServer(AnswerAsync);
        using var gateway = Gateway(server.Port);
        Assert.Equal("",
            await SendAsync(gateway, [.. Header(command, family, FromOutside), .. "GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n"u8]));
        Assert.Empty(server.Heard);
    }

    [Theory]
    [InlineData("PROXY TCP6 fe80::1%1 fe80::2 4711 443\r\n")] // a zone is not a part of an address
    [InlineData("PROXY TCP6 fe80::1%lo fe80::2 4711 443\r\n")]
    [InlineData("PROXY TCP6 [2001:db8::7] 2001:db8::1 4711 443\r\n")]
    [InlineData("PROXY TCP4 203.0.113.007 198.51.100.1 4711 443\r\n")] // 7 or 7 in base eight
    [InlineData("PROXY TCP4 203.0.113.7 198.51.100.1 +4711 443\r\n")]
    [InlineData("PROXY TCP4 203.0.113.7\0 198.51.100.1 4711 443\r\n")]
    [InlineData("PROXY TCP4 203.0.113.7 198.51.100.1 4711 443 more\r\n")]
    [InlineData("PROXY TCP4  203.0.113.7 198.51.100.1 4711 443\r\n")]
    [InlineData("PROXY UDP4 203.0.113.7 198.51.100.1 4711 443\r\n")]
    [InlineData("PROXY \u00ff\r\n")]
    [InlineData("proxy TCP4 203.0.113.7 198.51.100.1 4711 443\r\n")]
    [InlineData("PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\n")]
    public async Task A_line_of_another_form_ends_the_connection(string line)
    {
        using var server = new ByteServer(AnswerAsync);
        using var gateway = Gateway(server.Port);
        Assert.Equal("",
            await SendAsync(gateway,
                Encoding.Latin1.GetBytes($"{line}GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n{new string(' ', 107)}\r\n")));
        Assert.Empty(server.Heard);
    }

    private static GuardedGateway Gateway(int server) => new("defaultConfig: {gatewayTopology: {proxyProtocol: {} } }", "", server, 1);

    private static byte[] Header(byte command, byte family, byte[] rest) =>
        [.. Signature, command, family, (byte)(rest.Length >> 8), (byte)rest.Length, .. rest];

    private static async Task AnswerAsync(ByteServer.Conversation proxy)
    {
        while (await proxy.HearAsync("\r\n\r\n")) await proxy.SayAsync("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }

    private static async Task<string> SendAsync(GuardedGateway gateway, byte[] bytes)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, gateway.Port, Stop);
        await using var stream = client.GetStream();
        using var all = new MemoryStream();
        try
        {
            await stream.WriteAsync(bytes, Stop);
            await stream.CopyToAsync(all, Stop);
        }
        catch (IOException)
        {
            // Closed with bytes unread.
        }
        return Encoding.Latin1.GetString(all.ToArray());
    }
}
