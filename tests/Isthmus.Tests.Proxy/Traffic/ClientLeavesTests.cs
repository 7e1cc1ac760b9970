using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Clusters;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Rigs.Proxy.H2Frames;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>A client that goes away in the middle of a request. The proxies' clock stands still: what a timer would find, is never found.</summary>
public sealed class ClientLeavesTests
{
    private const string ToUp = """ "route": {"cluster": "up", "timeout": "0s"} """;

    public enum Moment { Answer, Stream, UnreadResponse, Upload, UnreadUpload }

    public enum Way { Ends, Closes, Resets }

    public static TheoryData<Moment, Way, bool, bool> Cases()
    {
        var cases = new TheoryData<Moment, Way, bool, bool>();
        foreach (var moment in Enum.GetValues<Moment>())
            foreach (var way in Enum.GetValues<Way>())
                foreach (var (isHttp2, between) in ((bool, bool)[])[(false, false), (false, true), (true, false)])
                {
                    // The kernel sends an end after all bytes before it, for which there is no room; a reset overtakes them.
                    if (moment == Moment.UnreadUpload && way != Way.Resets && !isHttp2) continue;
                    cases.Add(moment, way, isHttp2, between);
                }
        return cases;
    }

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Both proxies and the server learn of it at once, whatever they wait for, and both say whose end it was.</summary>
    /// <param name="moment">What is going on.</param>
    /// <param name="way">How the client leaves.</param>
    /// <param name="isHttp2">What the client speaks.</param>
    /// <param name="isHttp2Between">What the proxies speak with each other.</param>
    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Every_hop_ends_the_request_at_once(Moment moment, Way way, bool isHttp2, bool isHttp2Between)
    {
        var (begun, ended) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously),
            new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        var reads = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var server = new ByteServer(proxy => ServeAsync(proxy, moment, begun, reads.Task, ended));
        using var back = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, role: "sidecar", direction: "INBOUND", time: new ManualClock());
        back.Endpoints("up", server.Port);
        using var front = new LoopbackProxy([LoopbackProxy.Cluster("up", isHttp2Between)], ToUp, role: "sidecar", time: new ManualClock());
        front.Endpoints("up", back.Port);
        using (var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            await client.ConnectAsync(IPAddress.Loopback, front.Port, Stop);
            await client.SendAsync(Request(moment, isHttp2), SocketFlags.None, Stop);
            await begun.Task.WaitAsync(Patience, Stop);
            if (moment is Moment.Stream or Moment.UnreadResponse)
                await HearAsync(client, moment is Moment.Stream ? "hello" : "xxxxx").WaitAsync(Patience, Stop);
            if (moment is Moment.UnreadUpload && !isHttp2) await FillAsync(client);
            Leave(client, way);
            await Eventually.TrueAsync(() => front.LogText.Length > 0);
            await Eventually.TrueAsync(() => back.LogText.Length > 0);
        }
        reads.TrySetResult();
        await ended.Task.WaitAsync(Patience, Stop);
        var status = moment is Moment.Stream or Moment.UnreadResponse ? 200 : 0;
        var method = moment is Moment.Upload or Moment.UnreadUpload ? "POST" : "GET";
        Assert.Equal($"{method} {status} DC downstream_remote_disconnect\n", front.LogText);
        Assert.Equal($"{method} {status} DC downstream_remote_disconnect\n", back.LogText);
        // It says nothing about the hosts.
        Assert.All((LoopbackProxy[])[front, back],
            proxy => Assert.Equal((0, 0), (Up(proxy).AllHosts.Single().Counters.Errors, Up(proxy).Counters.Resets)));
    }

    private static ClusterState Up(LoopbackProxy proxy) => proxy.Plane.State.Current.Clusters["up"];

    /// <summary>What no host has to answer needs nobody who waits.</summary>
    [Fact]
    public async Task A_client_that_has_ended_its_direction_still_gets_what_the_proxy_answers_itself()
    {
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 200, "body": {"inline_string": "here"} } """);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        await client.SendAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"u8.ToArray(), SocketFlags.None, Stop);
        await using var stream = new NetworkStream(client);
        client.Shutdown(SocketShutdown.Send);
        Assert.EndsWith("here", await new StreamReader(stream).ReadToEndAsync(Stop));
    }

    /// <summary>Without HTTP, an end of one direction is one, and a reset ends both.</summary>
    [Theory]
    [InlineData(Way.Ends)]
    [InlineData(Way.Closes)]
    [InlineData(Way.Resets)]
    public async Task A_TCP_server_sees_what_its_client_did_at_once(Way way)
    {
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var ended = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAsync("hello");
            begun.SetResult();
            try
            {
                await proxy.HearAllAsync();
                await proxy.SayAsync("bye");
                ended.SetResult("end");
            }
            catch (SocketException)
            {
                ended.SetResult("reset");
            }
        });
        using var back = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, time: new ManualClock());
        back.Endpoints("up", server.Port);
        using var inner = back.Tcp("up");
        using var front = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, time: new ManualClock());
        front.Endpoints("up", inner.Number);
        using var outer = front.Tcp("up");
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, outer.Number, Stop);
        await client.SendAsync("hello"u8.ToArray(), SocketFlags.None, Stop);
        await begun.Task.WaitAsync(Patience, Stop);
        await using var stream = new NetworkStream(client);
        Leave(client, way);
        Assert.Equal(way == Way.Resets ? "reset" : "end", await ended.Task.WaitAsync(Patience, Stop));
        if (way == Way.Ends) Assert.Equal("bye", await new StreamReader(stream).ReadToEndAsync(Stop));
    }

    /// <summary>A client may end its direction and wait for an answer that never comes. When it then leaves, no byte of the server tells the proxies.</summary>
    [Fact]
    public async Task A_client_that_leaves_after_its_end_is_noticed_while_the_server_is_silent()
    {
        var (ended, reset) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously),
            new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        using var server = new ByteServer(async proxy =>
        {
            await proxy.HearAllAsync();
            ended.SetResult();
            await Eventually.TrueAsync(() => proxy.IsReset);
            reset.SetResult();
        });
        using var back = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, time: new ManualClock());
        back.Endpoints("up", server.Port);
        using var inner = back.Tcp("up");
        using var front = new LoopbackProxy([LoopbackProxy.Cluster("up")], ToUp, time: new ManualClock());
        front.Endpoints("up", inner.Number);
        using var outer = front.Tcp("up");
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, outer.Number, Stop);
        client.Shutdown(SocketShutdown.Send);
        await ended.Task.WaitAsync(Patience, Stop);
        Assert.False(reset.Task.IsCompleted);
        Leave(client, Way.Resets);
        await reset.Task.WaitAsync(Patience, Stop);
    }

    private static void Leave(Socket client, Way way)
    {
        if (way == Way.Ends)
        {
            client.Shutdown(SocketShutdown.Send);
            return;
        }
        if (way == Way.Resets) client.LingerState = new(true, 0);
        client.Close();
    }

    private static byte[] Request(Moment moment, bool isHttp2) => (moment, isHttp2) switch
    {
        (Moment.Upload, false) => Encoding.ASCII.GetBytes("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        (Moment.UnreadUpload, false) => Encoding.ASCII.GetBytes("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n"),
        (_, false) => Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
        (Moment.Upload, true) => [.. Isthmus.Proxy.Http2.H2.Preface, .. Settings(), .. Post(1), .. Data(1, 5)],
        (Moment.UnreadUpload, true) => [.. Isthmus.Proxy.Http2.H2.Preface, .. Settings(), .. Post(1), .. Data(1, 16_000), .. Data(1, 16_000),
            .. Data(1, 16_000), .. Data(1, 16_000)],
        (_, true) => [.. Isthmus.Proxy.Http2.H2.Preface, .. Settings(), .. Get(1)],
    };

    private static async Task ServeAsync(ByteServer.Conversation proxy, Moment moment, TaskCompletionSource begun, Task reads, TaskCompletionSource ended)
    {
        try
        {
            await proxy.HearAsync("\r\n\r\n");
            if (moment is Moment.Upload) await proxy.HearAsync("5\r\n");
            if (moment is Moment.Stream) await proxy.SayAsync("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
            if (moment is Moment.UnreadResponse) await proxy.SayAsync("HTTP/1.1 200 OK\r\n\r\n");
            begun.SetResult();
            while (moment is Moment.UnreadResponse) await proxy.SayAsync(new string('x', 100_000));
            if (moment is Moment.UnreadUpload) await reads;
            await proxy.HearAllAsync();
        }
        catch (SocketException)
        {
            // That is how a client's end reaches a server, too.
        }
        ended.SetResult();
    }

    private static async Task HearAsync(Socket client, string text)
    {
        var (buffer, heard) = (new byte[4096], "");
        while (!heard.Contains(text, StringComparison.Ordinal))
        {
            var count = await client.ReceiveAsync(buffer, SocketFlags.None, Stop);
            Assert.True(count > 0, "the proxy closed");
            heard += Encoding.Latin1.GetString(buffer, 0, count);
        }
    }

    /// <summary>Sends until nobody on the way takes any more.</summary>
    private static async Task FillAsync(Socket client)
    {
        var bytes = new byte[64 * 1024];
        client.Blocking = false;
        for (var stuck = 0; stuck < 20;)
        {
            try
            {
                client.Send(bytes);
                stuck = 0;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.WouldBlock)
            {
                stuck++;
                await Task.Delay(5, Stop);
            }
        }
    }
}
