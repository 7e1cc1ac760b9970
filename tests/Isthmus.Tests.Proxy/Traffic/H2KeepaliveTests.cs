using Isthmus.Proxy.Http2;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Http;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>PINGs on connections to hosts (<c>connection_keepalive</c>): 30 s after the last answer, and 5 s for the next.</summary>
public sealed class H2KeepaliveTests
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30 * 1.15), Timeout = TimeSpan.FromSeconds(5);

    private const string Cluster = """
        {"name": "up", "type": "EDS", "connect_timeout": "30s", "eds_cluster_config": {"eds_config": {"ads": {} } },
         "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
           "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"} } } } } }
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_connection_to_a_host_that_is_gone_ends_and_so_do_its_requests()
    {
        var clock = new ManualClock();
        using var server = new ScriptedH2Server(Settings(), _ => []);
        using var proxy = Proxy(server, clock);
        var answer = AskAsync(proxy);
        await server.AskedAsync(Stop);
        clock.Advance(Interval);
        await server.PingedAsync(Stop);
        Assert.False(answer.IsCompleted);
        AdvanceToTheEnd(proxy, clock);
        Assert.StartsWith("HTTP/1.1 503", await answer);
        Assert.Single(await server.HeardAsync(Stop), frame => frame.Type == H2Frame.Ping);
    }

    [Fact]
    public async Task A_connection_whose_host_answers_stays()
    {
        var clock = new ManualClock();
        // The proxy answers the host's own PING when it has read the answer before it.
        using var server = new ScriptedH2Server(Settings(), _ => [],
            ping => ping.Flags.HasFlag(H2Flags.Ack)
                ? []
                : [.. Frame(H2Frame.Ping, H2Flags.Ack, 0, ping.Payload), .. Frame(H2Frame.Ping, H2Flags.None, 0, new byte[8])]);
        using var proxy = Proxy(server, clock);
        var answer = AskAsync(proxy);
        await server.AskedAsync(Stop);
        for (var round = 0; round < 3; round++)
        {
            clock.Advance(round == 0 ? Interval : Interval - Timeout);
            await server.PingedAsync(Stop);
            await server.PingedAsync(Stop);
            // Without the answer, the connection would end here.
            clock.Advance(Timeout);
        }
        Assert.False(answer.IsCompleted);
        Assert.Equal(0, proxy.Plane.State.Current.Clusters["up"].Counters.PingTimeouts);
    }

    [Fact]
    public async Task Any_frame_is_a_sign_of_life()
    {
        var clock = new ManualClock();
        using var server = new ScriptedH2Server(Settings(), _ => [],
            ping => ping.Flags.HasFlag(H2Flags.Ack) ? [] : Frame(H2Frame.Ping, H2Flags.None, 0, new byte[8]));
        using var proxy = Proxy(server, clock);
        var answer = AskAsync(proxy);
        await server.AskedAsync(Stop);
        clock.Advance(Interval);
        await server.PingedAsync(Stop);
        // The proxy has answered the host's own PING, so it has read it.
        await server.PingedAsync(Stop);
        clock.Advance(Timeout);
        Assert.Equal(0, proxy.Plane.State.Current.Clusters["up"].Counters.PingTimeouts);
        Assert.False(answer.IsCompleted);
        AdvanceToTheEnd(proxy, clock);
        Assert.StartsWith("HTTP/1.1 503", await answer);
    }

    private static LoopbackProxy Proxy(ScriptedH2Server server, ManualClock clock)
    {
        var proxy = new LoopbackProxy([Cluster], """ "route": {"cluster": "up", "timeout": "0s"} """, time: clock);
        proxy.Endpoints("up", server.Port);
        return proxy;
    }

    /// <summary>From timer to timer, and none beyond it: the proxy waits for some time until the client has read its answer. A frame that was read only now
    /// makes it wait once more.</summary>
    private static void AdvanceToTheEnd(LoopbackProxy proxy, ManualClock clock)
    {
        for (var end = clock.GetUtcNow() + (3 * Timeout); proxy.Plane.State.Current.Clusters["up"].Counters.PingTimeouts == 0;)
        {
            Assert.InRange(clock.GetUtcNow(), DateTimeOffset.MinValue, end);
            clock.Advance(clock.NextDue!.Value);
        }
    }

    private static Task<string> AskAsync(LoopbackProxy proxy) => proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
}
