using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Http2;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>What peers can make a proxy hold or do without an end.</summary>
public sealed class EndlessKindsTests
{
    private const string ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>60 bytes of an indexed field become a head of 64 KiB, on each of 1,024 streams.</summary>
    [Theory]
    [InlineData("cookie")]
    [InlineData("x-crumb")]
    public async Task Small_blocks_cannot_fill_a_connection_with_heads(string name)
    {
        using var server = new ByteServer(proxy => proxy.HearAllAsync());
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", server.Port);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        // The first head puts a field of almost 4 KiB into the table, which the others name 15 times: 62.
        var value = new string('c', 4000);
        byte[] first = [.. Block($":method GET|:scheme http|:path /|:authority a"), 0x40, (byte)name.Length, .. Encoding.ASCII.GetBytes(name), 0x7f,
            .. Varint(4000 - 127), .. Encoding.ASCII.GetBytes(value)];
        byte[] again = [.. Block(":method GET|:scheme http|:path /|:authority a"), .. Enumerable.Repeat((byte)(0x80 | 62), 15)];
        var all = new List<byte>([.. H2.Preface, .. Settings(), .. Frame(H2Frame.Headers, Whole, 1, first)]);
        for (var id = 3; id < 2 * H2.MaxStreams; id += 2) all.AddRange(Frame(H2Frame.Headers, Whole, id, again));
        await socket.SendAsync(all.ToArray(), Stop);
        await using var stream = new NetworkStream(socket);
        var refused = new List<int>();
        // The last streams are among those that are refused.
        while (!refused.Contains(2 * H2.MaxStreams - 1))
        {
            var head = new byte[9];
            await stream.ReadExactlyAsync(head, Stop);
            var frame = new byte[9 + ((head[0] << 16) | (head[1] << 8) | head[2])];
            head.CopyTo(frame, 0);
            await stream.ReadExactlyAsync(frame.AsMemory(9), Stop);
            var said = Parse(frame)[0];
            Assert.NotEqual(H2Frame.GoAway, said.Type);
            if (said.Type != H2Frame.Reset) continue;
            Assert.Equal(H2Error.RefusedStream, said.Error);
            refused.Add(said.Id);
        }
        var open = H2.MaxStreams - refused.Count;
        Assert.InRange(open, H2.HeldHeads / H2.MaxHeaderBlock, H2.HeldHeads / (15 * 4000));
        await Eventually.TrueAsync(() => server.Heard.Count == open);
    }

    /// <summary>Nobody waits for the answer to a copy.</summary>
    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n")]
    public async Task A_mirror_that_answers_without_an_end_is_cut_off(string head)
    {
        var said = 0L;
        var isCut = new TaskCompletionSource();
        using var mirror = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("\r\n\r\n");
            await proxy.SayAsync(head);
            var piece = new string('x', 64 * 1024);
            try
            {
                for (; ; said += piece.Length) await proxy.SayAsync(piece);
            }
            finally
            {
                isCut.SetResult();
            }
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        // Time stands still: only the amount can end it.
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up"), LoopbackProxy.Cluster("copy")],
            """ "route": {"cluster": "up", "timeout": "0s", "request_mirror_policies": [{"cluster": "copy"}]} """, time: new ManualClock());
        proxy.Endpoints("up", origin.Port);
        proxy.Endpoints("copy", mirror.Port);
        Assert.EndsWith("ok\r\n0\r\n\r\n", await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        await isCut.Task.WaitAsync(Stop);
        // What the kernel has buffered counts, too.
        Assert.InRange(said, 0, 64L << 20);
    }

    [Fact]
    public async Task Copies_wait_in_no_greater_number_than_the_circuit_breaker_of_their_cluster_allows()
    {
        using var mirror = new ByteServer(proxy => proxy.HearAllAsync());
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("ok"));
        using var proxy = new LoopbackProxy(
            [LoopbackProxy.Cluster("up"), LoopbackProxy.Cluster("copy", more: ", \"circuit_breakers\": {\"thresholds\": [{\"max_requests\": 3}]}")],
            """ "route": {"cluster": "up", "timeout": "0s", "request_mirror_policies": [{"cluster": "copy"}]} """, time: new ManualClock());
        proxy.Endpoints("up", origin.Port);
        proxy.Endpoints("copy", mirror.Port);
        for (var i = 0; i < 10; i++) Assert.StartsWith("HTTP/1.1 200 OK", await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        // A copy may be counted after its request has its answer.
        await Eventually.TrueAsync(() => proxy.Plane.State.Current.Clusters["copy"].Counters.PendingOverflows == 7);
        await Eventually.TrueAsync(() => mirror.Heard.Count == 3);
    }

    [Theory]
    [InlineData(255, "200")]
    [InlineData(256, "200")]
    [InlineData(4096, "200")]
    [InlineData(50_000, "431")] // of the server, whose limit is 32 KiB
    public async Task An_authority_may_be_longer_than_any_host(int length, string status)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1,
            context => context.Response.WriteAsync($"{context.Request.Host.Value!.Length}"));
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp);
        proxy.Endpoints("up", origin.Port);
        Assert.StartsWith($"HTTP/1.1 {status} ", await proxy.RawAsync($"GET / HTTP/1.1\r\nhost: {new string('a', length)}\r\nconnection: close\r\n\r\n"));
        Assert.Equal(1, proxy.Plane.State.Current.Clusters["up"].Counters.Requests);
    }

    /// <summary>A server name holds at most 255 bytes (RFC 6066, RFC 1035): one that does not fit is not sent, and never cut.</summary>
    [Theory]
    [InlineData(250)]
    [InlineData(256)]
    [InlineData(4096)]
    public async Task An_authority_that_is_too_long_for_a_server_name_is_an_answer_and_no_fault(int length)
    {
        using var certificate = TestCa.SelfSigned("x");
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.ServerNameAsync, certificate);
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up", more: """
            , "transport_socket": {"name": "tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
              "common_tls_context": {"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"} } } },
              "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "upstream_http_protocol_options": {"auto_sni": true}, "explicit_http_config": {"http_protocol_options": {} } } }
            """)], ToUp);
        proxy.Endpoints("up", origin.Port);
        var name = string.Join('.', Enumerable.Repeat(new string('a', 49), length / 50)).PadRight(length, 'b');
        var answer = await proxy.RawAsync($"GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
        Assert.Matches("^HTTP/1.1 (200|503) ", answer);
        Assert.Equal(0, proxy.Plane.Report.Ends(Isthmus.Proxy.Telemetry.EndReason.Bug));
    }

    private static byte[] Varint(int value)
    {
        var bytes = new List<byte>();
        for (; value >= 128; value >>= 7) bytes.Add((byte)(value | 128));
        return [.. bytes, (byte)value];
    }
}
