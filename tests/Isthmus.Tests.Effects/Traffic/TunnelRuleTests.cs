using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary>DestinationRules whose host is a forward proxy (<c>tunnel</c>), from the object to the bytes.</summary>
public sealed class TunnelRuleTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("tunnel: {targetHost: far.example, targetPort: 443}", "CONNECT far.example:443 HTTP/1.1\r\nhost: far.example:443\r\n")]
    [InlineData("tunnel: {protocol: CONNECT, targetHost: 10.1.2.3, targetPort: 5432}", "CONNECT 10.1.2.3:5432 HTTP/1.1\r\nhost: 10.1.2.3:5432\r\n")]
    [InlineData("tunnel: {protocol: CONNECT, targetHost: '2001:db8::1', targetPort: 1}", "CONNECT [2001:db8::1]:1 HTTP/1.1\r\nhost: [2001:db8::1]:1\r\n")]
    [InlineData("tunnel: {protocol: POST, targetHost: far.example, targetPort: 443}", "POST / HTTP/1.1\r\nhost: far.example:443\r\n")]
    [InlineData("portLevelSettings: [{port: {number: 9000}, tunnel: {targetHost: far.example, targetPort: 1}}]",
        "CONNECT far.example:1 HTTP/1.1\r\nhost: far.example:1\r\n")]
    public async Task A_forward_proxy_is_asked_for_a_tunnel(string policy, string expected)
    {
        var answer = expected.StartsWith("POST", StringComparison.Ordinal)
            ? "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            : "HTTP/1.1 200 OK\r\n\r\nhello";
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync(answer);
            await proxy.HearAsync("bye");
        });
        using var proxy = new SidecarProxy(Rule(policy), [(server.Port, "")]);
        Assert.Empty(proxy.Reported);
        Assert.Equal("hello", await TalkAsync(proxy.TcpPort));
        Assert.StartsWith(expected, Assert.Single(server.Heard), StringComparison.Ordinal);
    }

    /// <summary>Requests have their own way to a proxy.</summary>
    [Fact]
    public async Task Requests_of_HTTP_get_no_tunnel()
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            await proxy.HearAllAsync();
        });
        using var proxy = new SidecarProxy(Rule("tunnel: {targetHost: far.example, targetPort: 443}"), [(server.Port, "")]);
        Assert.Equal((200, "ok"), await proxy.CallAsync());
        Assert.StartsWith("GET / ", Assert.Single(server.Heard), StringComparison.Ordinal);
    }

    /// <summary>One connection cannot have two ends, nor an end and none.</summary>
    [Theory]
    [InlineData("a", "a", true)]
    [InlineData("a", "b", false)]
    [InlineData("a", "c", false)]
    public async Task Destinations_with_different_tunnels_get_no_bytes(string first, string second, bool works)
    {
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync("HTTP/1.1 200 OK\r\n\r\nhello");
            await proxy.HearAsync("bye");
        });
        using var proxy = new SidecarProxy($$"""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec:
              host: web.example
              subsets:
              - {name: a, labels: {v: x}, trafficPolicy: {tunnel: {targetHost: a.example, targetPort: 1} } }
              - {name: b, labels: {v: x}, trafficPolicy: {tunnel: {targetHost: b.example, targetPort: 1} } }
              - {name: c, labels: {v: x} }
            ---
            apiVersion: networking.istio.io/v1
            kind: VirtualService
            metadata: {name: web, namespace: shop}
            spec:
              hosts: [web.example]
              tcp: [{match: [{port: 9000}], route: [{destination: {host: web.example, subset: {{first}} }, weight: 50},
                {destination: {host: web.example, subset: {{second}} }, weight: 50}]}]
            """, [(server.Port, "v: x")]);
        Assert.Empty(proxy.Reported);
        Assert.Equal(works ? "hello" : "", await TalkAsync(proxy.TcpPort));
        Assert.Equal(works ? 1 : 0, server.Heard.Count);
    }

    private static string Rule(string policy) => $$"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: web, namespace: shop}
        spec: {host: web.example, trafficPolicy: { {{policy}} } }
        """;

    /// <summary>All that comes back.</summary>
    private static async Task<string> TalkAsync(int port)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, Stop);
        try
        {
            await client.GetStream().WriteAsync("bye"u8.ToArray(), Stop);
            return await new StreamReader(client.GetStream(), Encoding.ASCII).ReadToEndAsync(Stop);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
