using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Isthmus.Proxy.Trace;
using Isthmus.Reports;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Trace;

/// <summary>A traced call of TCP says what the server does, and a server that waits to be asked is none that is dead.</summary>
public sealed class TcpCallTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("first", 5)]
    [InlineData("after the end", 7)]
    [InlineData("closed", 0)]
    public async Task What_the_server_does_is_told(string says, int received)
    {
        using var server = new ByteServer(async caller =>
        {
            if (says == "first") await caller.SayAsync("hello");
            if (says == "closed") return;
            await caller.HearAllAsync();
            if (says == "after the end") await caller.SayAsync("goodbye");
        });
        var answer = await CallAsync(server.Port, TimeSpan.FromSeconds(30), passes: says == "after the end");
        Assert.Equal((says, received), (answer.Says, answer.Received));
        Assert.Null(answer.Error);
        Assert.NotNull(answer.Seen!.UpstreamLocal);
    }

    /// <summary>It says nothing, and does not close either.</summary>
    [Fact]
    public async Task A_server_that_stays_silent_is_there_and_the_call_leaves_nothing_open()
    {
        var left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var server = new ByteServer(async caller =>
        {
            await caller.HearAllAsync();
            await Eventually.TrueAsync(() => caller.IsReset);
            left.SetResult();
        });
        var answer = await CallAsync(server.Port, TimeSpan.FromSeconds(2), passes: true);
        Assert.Equal(("nothing", 0), (answer.Says, answer.Received));
        Assert.Null(answer.Error);
        Assert.NotNull(answer.Seen!.UpstreamLocal);
        await left.Task.WaitAsync(TimeSpan.FromMinutes(1), Stop);
    }

    /// <summary>It answers what it is asked, before the caller ends its direction.</summary>
    [Fact]
    public async Task A_server_answers_the_data_of_the_call()
    {
        using var server = new ByteServer(async caller =>
        {
            if (await caller.HearAsync("PING")) await caller.SayAsync("PONG");
        });
        var answer = await CallAsync(server.Port, TimeSpan.FromSeconds(30), data: "PING");
        Assert.Equal(("to the data", "PONG"), (answer.Says, answer.Body));
        Assert.Null(answer.Error);
    }

    [Fact]
    public async Task A_server_that_is_not_there_fails()
    {
        using var nobody = new ReservedPort();
        Assert.Equal("UF", (await CallAsync(nobody.Number, TimeSpan.FromSeconds(30))).Seen!.Flags!.Split(',')[0]);
    }

    /// <summary>The call checks nothing, and reports what a client that does would see.</summary>
    [Fact]
    public async Task The_certificates_of_a_server_are_reported()
    {
        using var ca = new TestCa("peer");
        using var leaf = ca.Server("web.example");
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync();
        var answer = await CallAsync(((IPEndPoint)listener.LocalEndpoint).Port, TimeSpan.FromSeconds(30), kind: CallKind.Tls);
        await serving.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        Assert.Equal((204, leaf.Subject), (answer.Status, answer.Certificate));
        Assert.Equal(leaf.RawData, answer.Chain![0]);

        async Task ServeAsync()
        {
            using var client = await listener.AcceptTcpClientAsync(Stop);
            await using var tls = new SslStream(client.GetStream());
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = leaf }, Stop);
            _ = await tls.ReadAsync(new byte[4096], Stop);
            await tls.WriteAsync("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"u8.ToArray(), Stop);
        }
    }

    private static async Task<CallReport> CallAsync(int port, TimeSpan timeout, bool passes = false, CallKind kind = CallKind.Tcp,
        string data = "")
    {
        // The caller ends its direction only when this clock says so.
        var clock = new ManualClock();
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")], """ "direct_response": {"status": 200} """, role: "sidecar", time: clock);
        using var captured = new ReservedPort();
        proxy.Endpoints("up", port);
        proxy.Capture("up", captured);
        var call = new TraceCall(clock, new PlaneEntry(proxy.Plane)).RunAsync(
            new(new(IPAddress.Parse("10.9.9.9"), 6379), "", "/", "mark", kind, timeout) { Body = data }, Stop);
        for (; passes && !call.IsCompleted; await Task.Delay(10, Stop)) clock.Advance(TimeSpan.FromMilliseconds(50));
        return await call;
    }
}
