using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Traffic;

/// <summary>Hosts behind a network that drops everything: connections to them neither open nor fail.</summary>
public sealed class CutOffTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Requests_go_elsewhere_long_before_the_connect_timeout_and_none_is_risked_again(bool http2)
    {
        var attempts = new List<string>();
        await using var good = await StartAsync(http2, attempts);
        await using var cut = new CutOffHost();
        using var proxy = Proxy("60s", http2);
        proxy.Endpoints("up", good.Port, cut.Port);
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(40) };
        var url = $"http://127.0.0.1:{proxy.Port}/";
        await Parallel.ForEachAsync(Enumerable.Range(0, 30), new ParallelOptions { MaxDegreeOfParallelism = 30, CancellationToken = Stop },
            async (_, stop) => Assert.Equal("good", await client.GetStringAsync(url, stop)));
        Assert.Contains("2", attempts);
        attempts.Clear();
        for (var i = 0; i < 50; i++) Assert.Equal("good", await client.GetStringAsync(url, Stop));
        Assert.All(attempts, attempt => Assert.Equal("1", attempt));
    }

    [Fact]
    public async Task A_host_is_asked_again_when_a_connection_of_the_proxys_own_reached_it()
    {
        var attempts = new List<string>();
        await using var good = await StartAsync(false, attempts);
        await using var cut = new CutOffHost();
        using var proxy = Proxy("1s", false);
        proxy.Endpoints("up", good.Port, cut.Port);
        using var client = new HttpClient();
        var url = $"http://127.0.0.1:{proxy.Port}/";
        var host = proxy.Plane.State.Current.Clusters["up"].Hosts.All.Single(h => ((IPEndPoint)h.Address).Port == cut.Port);
        while (!host.IsDoubted) Assert.Equal("good", await client.GetStringAsync(url, Stop));
        attempts.Clear();
        // Its probe fails too, at least once.
        var before = host.Counters.ConnectFailures;
        await Eventually.TrueAsync(async () =>
        {
            Assert.Equal("good", await client.GetStringAsync(url, Stop));
            return host.Counters.ConnectFailures > before;
        });
        cut.Heal();
        await Eventually.TrueAsync(async () => await client.GetStringAsync(url, Stop) is "back");
        Assert.False(host.IsDoubted);
        Assert.All(attempts, attempt => Assert.Equal("1", attempt));
    }

    private static Task<OriginServer> StartAsync(bool http2, List<string> attempts) =>
        OriginServer.StartAsync(http2 ? HttpProtocols.Http2 : HttpProtocols.Http1, async context =>
    {
        lock (attempts) attempts.Add(context.Request.Headers["x-envoy-attempt-count"].ToString());
        await context.Response.WriteAsync("good");
    });

    /// <summary>As control planes send it: Envoy's default is three retries at once.</summary>
    private const string Unlimited = ", \"circuit_breakers\": {\"thresholds\": [{\"max_retries\": 4294967295}]}";

    private static LoopbackProxy Proxy(string connectTimeout, bool http2) => new(
        [LoopbackProxy.Cluster("up", http2, Unlimited, connectTimeout)], """
        "route": {"cluster": "up", "timeout": "0s", "retry_policy": {"retry_on": "connect-failure,refused-stream", "num_retries": 2,
          "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts"}]} }
        """);

    /// <summary>A listener whose queue is full: the kernel drops SYN packets, as a cut network does. When healed, it
    /// answers "back".</summary>
    private sealed class CutOffHost : IAsyncDisposable
    {
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly List<Socket> _fill = [];

        internal CutOffHost()
        {
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _listener.Listen(0);
            // One connection fits in the queue; those after it hang.
            for (var i = 0; i < 3; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
                _fill.Add(socket);
                try { socket.Connect(_listener.LocalEndPoint!); }
                catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress) { }
                // Until the first is in the queue, the kernel would accept another.
                if (i == 0) Assert.True(socket.Poll(TimeSpan.FromSeconds(60), SelectMode.SelectWrite), "the first connection does not open");
            }
        }

        internal int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

        internal void Heal()
        {
            // A queue for one drops packets again whenever two connections come together.
            _listener.Listen(128);
            _ = AcceptAsync();
        }

        private async Task AcceptAsync()
        {
            foreach (var socket in _fill) socket.Dispose();
            while (true)
            {
                try
                {
                    _ = AnswerAsync(await _listener.AcceptAsync(Stop));
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
                {
                    return;
                }
            }
        }

        private static async Task AnswerAsync(Socket socket)
        {
            using var connection = socket;
            var buffer = new byte[4096];
            try
            {
                if (await connection.ReceiveAsync(buffer, Stop) > 0)
                    await connection.SendAsync(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nback"), Stop);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException)
            {
                // A connection that only probed.
            }
        }

        public ValueTask DisposeAsync()
        {
            foreach (var socket in _fill) socket.Dispose();
            _listener.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
