using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

public sealed class AdminRepliesTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_hook_that_fails_ends_its_connection_without_an_answer()
    {
        using var port = new ReservedPort();
        using var end = new CancellationTokenSource();
        var server = new AdminServer(new(IPAddress.Loopback, port.Number), new ProcessSockets(), (_, _) => { }, (request, _) => ValueTask.FromResult<AdminReply?>(
            request.TargetText == "/none" ? AdminReply.None : AdminReply.Text("done"))).RunAsync(end.Token);
        using var client = new HttpClient();
        while (true)
        {
            try
            {
                await client.GetAsync($"http://127.0.0.1:{port.Number}/none", Stop);
                Assert.Fail("the connection must end without an answer");
            }
            catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.ResponseEnded)
            {
                break;
            }
            catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.ConnectionError)
            {
                await Task.Delay(5, Stop); // It does not listen yet.
            }
        }
        Assert.Equal("done", await client.GetStringAsync($"http://127.0.0.1:{port.Number}/", Stop));
        await end.CancelAsync();
        await server.WaitAsync(TimeSpan.FromSeconds(30), Stop);
    }

    /// <summary>The kernel would hold back the last part of an answer, which a client acknowledges only after 40 ms.</summary>
    [Fact]
    public async Task Answers_leave_at_once()
    {
        using var port = new ReservedPort();
        using var end = new CancellationTokenSource();
        var sockets = new KnownSockets();
        var server = new AdminServer(new(IPAddress.Loopback, port.Number), sockets, (_, _) => { }).RunAsync(end.Token);
        Assert.True(Assert.Single(sockets.Created).NoDelay);
        await end.CancelAsync();
        await server.WaitAsync(TimeSpan.FromSeconds(30), Stop);
    }

    private sealed class KnownSockets : ISocketFactory
    {
        internal List<Socket> Created { get; } = [];

        public Socket Create(AddressFamily family)
        {
            var created = new ProcessSockets().Create(family);
            Created.Add(created);
            return created;
        }
    }
}
