using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Http2;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Limits of clients, as a listener or the proxy has them.</summary>
public sealed class ClientLimitTests
{
    private const string ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("", "200 a_b=1 c-d=2")]
    [InlineData("ALLOW", "200 a_b=1 c-d=2")]
    [InlineData("DROP_HEADER", "200 c-d=2")]
    [InlineData("REJECT_REQUEST", "400")]
    public async Task Fields_with_an_underscore_in_their_name_are_dropped_or_refused(string action, string answered)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync(
            string.Concat(context.Request.Headers.Where(field => field.Key is "a_b" or "c-d").OrderBy(field => field.Key)
                .Select(field => $" {field.Key}={field.Value}"))));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp,
            more: action.Length == 0 ? "" : $$""" "common_http_protocol_options": {"headers_with_underscores_action": "{{action}}"}, """);
        proxy.Endpoints("up", origin.Port);
        using var client = new HttpClient();
        foreach (var version in (Version[])[HttpVersion.Version11, HttpVersion.Version20])
        {
            using var request = new HttpRequestMessage(HttpMethod.Get,
                $"http://127.0.0.1:{proxy.Port}/") { Version = version, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            request.Headers.Add("a_b", "1");
            request.Headers.Add("c-d", "2");
            using var response = await client.SendAsync(request, Stop);
            Assert.Equal(answered, $"{(int)response.StatusCode}{await response.Content.ReadAsStringAsync(Stop)}");
        }
        if (action == "REJECT_REQUEST") Assert.Contains("http1.unexpected_underscore", await proxy.LoggedAsync());
    }

    [Theory]
    [InlineData("", 1024u)]
    [InlineData(""" "http2_protocol_options": {"max_concurrent_streams": 2}, """, 2u)]
    [InlineData(""" "http2_protocol_options": {"max_concurrent_streams": 2000000}, """, 1024u)]
    public async Task A_client_learns_how_many_streams_it_may_have_and_those_beyond_are_refused(string options, uint most)
    {
        using var server = new ScriptedH2Server(Settings(), _ => []);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", http2: true)], ToUp, more: options);
        proxy.Endpoints("up", server.Port);
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", proxy.Port, Stop);
        var stream = client.GetStream();
        await stream.WriteAsync((byte[])[.. H2.Preface, .. Settings(),
            .. Enumerable.Range(0, 3).SelectMany(i => Frame(H2Frame.Headers, Whole, (2 * i) + 1, Block(":method GET|:scheme http|:path /|:authority a")))],
            Stop);
        var said = new List<H2Said>();
        var head = new byte[9];
        while (!said.Exists(frame => frame.Type == H2Frame.Settings && frame.Flags == H2Flags.None)
            || (most == 2 && !said.Exists(frame => frame.Type == H2Frame.Reset)))
        {
            await stream.ReadExactlyAsync(head, Stop);
            var frame = new byte[9 + ((head[0] << 16) | (head[1] << 8) | head[2])];
            head.CopyTo(frame, 0);
            await stream.ReadExactlyAsync(frame.AsMemory(9), Stop);
            said.AddRange(Parse(frame));
        }
        Assert.Equal(Settings((3, most))[9..], said.First(frame => frame.Type == H2Frame.Settings).Payload[..6]);
        Assert.All(said.Where(frame => frame.Type == H2Frame.Reset), frame => Assert.Equal((5, H2Error.RefusedStream), (frame.Id, frame.Error)));
    }

    [Fact]
    public async Task Connections_beyond_the_limit_of_the_proxy_are_closed_and_counted()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("a"));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, mostConnections: 2);
        proxy.Endpoints("up", origin.Port);
        var kept = new List<TcpClient>();
        for (var i = 0; i < 2; i++)
        {
            var client = new TcpClient();
            kept.Add(client);
            await client.ConnectAsync("127.0.0.1", proxy.Port, Stop);
            await client.GetStream().WriteAsync("GET / HTTP/1.1\r\nhost: x\r\n\r\n"u8.ToArray(), Stop);
            await client.GetStream().ReadExactlyAsync(new byte[12], Stop);
        }
        using (var refused = new TcpClient())
        {
            await refused.ConnectAsync("127.0.0.1", proxy.Port, Stop);
            Assert.Equal(0, await ReadAsync(refused));
        }
        Assert.Equal(1, proxy.Plane.Report.Downstream.All.Sum(listener => listener.Value.Refused));
        kept[0].Dispose();
        await Eventually.TrueAsync(() => proxy.Plane.Connections.Count == 1);
        Assert.StartsWith("HTTP/1.1 200", await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        kept[1].Dispose();
    }

    /// <summary>0 when the connection was closed, in whatever way.</summary>
    private static async Task<int> ReadAsync(TcpClient client)
    {
        try
        {
            return await client.GetStream().ReadAsync(new byte[1], Stop);
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
