using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Admin;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Messages;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

public sealed class StatusRoutesTests
{
    [Theory]
    [InlineData("/drain", "POST", "127.0.0.1", 200, "drain")]
    [InlineData("/quitquitquit", "POST", "127.0.0.1", 200, "quit")]
    [InlineData("/drain", "GET", "127.0.0.1", 405, "")]
    [InlineData("/drain", "POST", "10.0.0.9", 403, "")]
    [InlineData("/quitquitquit", "POST", "10.0.0.9", 403, "")]
    public async Task Only_the_Pod_itself_drains_and_ends_its_proxy(string path, string method, string peer, int status, string done)
    {
        var seen = "";
        using var prober = new AppProber("127.0.0.1") { AnswerTime = TimeSpan.FromMinutes(1) };
        var routes = new StatusRoutes(AppProbe.ReadAll(""), prober, () => "", new([], prober), (_, _) => ValueTask.CompletedTask, () => seen += "drain",
            () => seen += "quit");
        var request = new RequestHead { Method = method, Peer = IPAddress.Parse(peer) };
        request.SetTarget(Encoding.ASCII.GetBytes(path));
        Assert.Equal(status, (await routes.HandleAsync(request, TestContext.Current.CancellationToken))!.Status);
        Assert.Equal(done, seen);
    }

    [Fact]
    public async Task One_scrape_has_the_metrics_of_proxy_agent_and_application()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, http => http.Response.WriteAsync("orders_total 1\n"));
        using var prober = new AppProber("127.0.0.1") { AnswerTime = TimeSpan.FromMinutes(1) };
        var application = new AppMetricsSource([new(origin.Port, "/metrics")], prober);
        Assert.Equal("envoy_server_live 1\nistio_agent_up 1\norders_total 1\n", await ScrapeAsync(application));
        Assert.Equal("envoy_server_live 1\nistio_agent_up 1\n", await ScrapeAsync(new([], prober)));
        // One that is away costs only its own metrics.
        var several = new AppMetricsSource([new(1, "/"), new(origin.Port, "/metrics"), new(1, "/")], prober);
        Assert.Equal("envoy_server_live 1\nistio_agent_up 1\norders_total 1\n", await ScrapeAsync(several));
        Assert.Equal((1, 2), (several.Scrapes, several.Failures));

        // Nor do the proxy's, when one of their families fails.
        List<string> failures = [];
        Assert.Equal("a 1\nc 3\nistio_agent_up 1\norders_total 1\n",
            await ScrapeAsync(application, Scrape.Of([["a 1\n"], Failing(), ["c 3\n"]], (what, e) => failures.Add($"{what}: {e.Message}"))));
        Assert.Equal(["metrics: out of memory"], failures);

        static IEnumerable<string> Failing() => new[] { 1 }.Select(string (_) => throw new InvalidOperationException("out of memory"));

        static ValueTask Proxy(Func<ReadOnlyMemory<byte>, ValueTask> send, CancellationToken stop) => send("envoy_server_live 1\n"u8.ToArray());

        async Task<string> ScrapeAsync(AppMetricsSource from, AdminBody? own = null)
        {
            var routes = new StatusRoutes(
                AppProbe.ReadAll(""), prober, () => "istio_agent_up 1\n", from, own ?? Proxy, () => { }, () => { });
            var request = new RequestHead { Method = "GET" };
            request.SetTarget("/stats/prometheus"u8);
            return await TextAsync((await routes.HandleAsync(request, TestContext.Current.CancellationToken))!);
        }
    }

    /// <summary>Half a line at the end would spoil the scrape.</summary>
    [Theory]
    [InlineData("a 1\nb 2\n", "", "a 1\nb 2\n")]
    [InlineData("a 1\nb 2", "", "a 1\nb 2\n")]
    [InlineData("a 1\nb 2\nc{x=\"", "breaks off", "a 1\nb 2\n")]
    public async Task Metrics_of_an_application_are_copied_line_by_line(string text, string end, string expected)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var copied = CopyAsync(((IPEndPoint)listener.LocalEndpoint).Port);
        using (var application = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken))
        {
            var stream = application.GetStream();
            using var reader = new StreamReader(stream, leaveOpen: true);
            while (await reader.ReadLineAsync(TestContext.Current.CancellationToken) is { Length: > 0 })
            {
                // The head of the request.
            }
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\ncontent-length: {text.Length + end.Length}\r\n\r\n{text}"),
                TestContext.Current.CancellationToken);
        }
        Assert.Equal(expected, await copied);
    }

    [Fact]
    public async Task Metrics_of_an_application_may_be_large_and_a_line_without_end_is_left_out()
    {
        var lines = string.Concat(Enumerable.Range(0, 50_000).Select(i => $"orders_total{{shop=\"{i}\"}} {i}\n"));
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1,
            http => http.Response.WriteAsync(lines + (http.Request.Path == "/long" ? new string('x', 10_000_000) : "")));
        Assert.Equal(lines, await CopyAsync(origin.Port));
        Assert.Equal(lines, await CopyAsync(origin.Port, "/long"));
    }

    [Fact]
    public async Task Several_paths_are_asked_at_once_and_copied_in_their_order()
    {
        var asked = new TaskCompletionSource();
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async http =>
        {
            if (http.Request.Path == "/second") asked.SetResult();
            await asked.Task;
            await http.Response.WriteAsync(http.Request.Path == "/first" ? "a 1" : "b 2\n");
        });
        using var prober = new AppProber("127.0.0.1") { AnswerTime = TimeSpan.FromMinutes(1) };
        Assert.Equal("a 1\nb 2\n",
            await TextAsync(Scrape.Reply(new AppMetricsSource([new(origin.Port, "/first"), new(origin.Port, "/second")], prober).CopyAsync)));
    }

    [Fact]
    public async Task A_path_with_more_than_its_part_does_not_keep_the_next_one_out()
    {
        var line = $"x{{a=\"{new string('y', 1000)}\"}} 1\n";
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async http =>
        {
            for (var sent = 0; http.Request.Path == "/endless" && sent < 2 * AppScrape.MostBytes; sent += line.Length) await http.Response.WriteAsync(line);
            if (http.Request.Path != "/endless") await http.Response.WriteAsync("b 2\n");
        });
        using var prober = new AppProber("127.0.0.1") { AnswerTime = TimeSpan.FromMinutes(1) };
        var source = new AppMetricsSource([new(origin.Port, "/endless"), new(origin.Port, "/b")], prober);
        var text = await TextAsync(Scrape.Reply(source.CopyAsync));
        Assert.EndsWith($"{line}b 2\n", text, StringComparison.Ordinal);
        Assert.InRange(text.Length, AppScrape.MostBytes / 2, AppScrape.MostBytes + 4);
        Assert.Equal(1, source.Failures);
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("""{"scrape":"true","path":"","port":""}""", "80/metrics")]
    [InlineData("""{"scrape":"false","port":"81"}""", "")]
    [InlineData("""{"scrape":"true","path":"/a","port":"81","targets":[{"port":"81","path":"/a"},{"port":"82"}]}""", "81/a 82/metrics")]
    public void Injection_says_where_metrics_are(string json, string targets) =>
        Assert.Equal(targets, string.Join(' ', AppMetrics.Read(json).Select(target => $"{target.Port}{target.Path}")));

    private static async Task<string> CopyAsync(int port, string path = "/metrics")
    {
        using var prober = new AppProber("127.0.0.1") { AnswerTime = TimeSpan.FromMinutes(1) };
        return await TextAsync(Scrape.Reply(new AppMetricsSource([new(port, path)], prober).CopyAsync));
    }

    private static async Task<string> TextAsync(AdminReply reply)
    {
        var text = new MemoryStream();
        await reply.Stream!(piece => text.WriteAsync(piece), TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(text.ToArray());
    }

    [Fact]
    public async Task Hooks_of_the_application_run_from_inside_the_Pod()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, http =>
        {
            http.Response.StatusCode = http.Request.Path == "/start" ? 503 : 204;
            return Task.CompletedTask;
        });
        using var prober = new AppProber("127.0.0.1") { AnswerTime = TimeSpan.FromMinutes(1) };
        var routes = new StatusRoutes(AppProbe.ReadAll($$"""
            {"/app-lifecycle/a/poststartz":{"httpGet":{"path":"/start","port":{{origin.Port}} } },
              "/app-lifecycle/a/prestopz":{"httpGet":{"path":"/stop","port":{{origin.Port}} } },
             "/app-lifecycle/b/prestopz":{"tcpSocket":{"port":1} } }
            """), prober, () => "", new([], prober), (_, _) => ValueTask.CompletedTask, () => { }, () => { });
        Assert.Equal(503, (await CallAsync("/app-lifecycle/a/poststartz")).Status); // the kubelet does not care
        Assert.Equal(204, (await CallAsync("/app-lifecycle/a/prestopz")).Status);
        // An application that does not answer: the kubelet must see the hook fail.
        Assert.True((await CallAsync("/app-lifecycle/b/prestopz")).IsNone);

        async Task<AdminReply> CallAsync(string path)
        {
            var request = new RequestHead { Method = "GET" };
            request.SetTarget(Encoding.ASCII.GetBytes(path));
            return (await routes.HandleAsync(request, TestContext.Current.CancellationToken))!;
        }
    }
}
