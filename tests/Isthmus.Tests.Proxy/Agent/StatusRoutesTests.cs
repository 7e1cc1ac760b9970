using System.Net;
using System.Text;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Messages;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.System;
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
        using var prober = new AppProber("127.0.0.1");
        var routes = new StatusRoutes(AppProbe.ReadAll(""), prober, () => "", null, () => ValueTask.FromResult<AdminReply?>(null), () => seen += "drain", () => seen += "quit");
        var request = new RequestHead { Method = method, Peer = IPAddress.Parse(peer) };
        request.SetTarget(Encoding.ASCII.GetBytes(path));
        Assert.Equal(status, (await routes.HandleAsync(request, TestContext.Current.CancellationToken))!.Status);
        Assert.Equal(done, seen);
    }

    [Fact]
    public async Task One_scrape_has_the_metrics_of_proxy_agent_and_application()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, http => http.Response.WriteAsync("orders_total 1\n"));
        using var prober = new AppProber("127.0.0.1");
        var application = new AppMetrics(origin.Port, "/metrics");
        Assert.Equal("envoy_server_live 1\nistio_agent_up 1\norders_total 1\n", await ScrapeAsync(application));
        Assert.Equal("envoy_server_live 1\nistio_agent_up 1\n", await ScrapeAsync(null));
        // One that is away costs only its own metrics.
        Assert.Equal("envoy_server_live 1\nistio_agent_up 1\n", await ScrapeAsync(new(1, "/")));

        async Task<string> ScrapeAsync(AppMetrics? from)
        {
            var routes = new StatusRoutes(
                AppProbe.ReadAll(""), prober, () => "istio_agent_up 1\n", from, () => ValueTask.FromResult<AdminReply?>(AdminReply.Text("envoy_server_live 1\n")), () => { }, () => { });
            var request = new RequestHead { Method = "GET" };
            request.SetTarget("/stats/prometheus"u8);
            return Encoding.UTF8.GetString((await routes.HandleAsync(request, TestContext.Current.CancellationToken))!.Body.Span);
        }
    }

    [Fact]
    public async Task Hooks_of_the_application_run_from_inside_the_Pod()
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, http =>
        {
            http.Response.StatusCode = http.Request.Path == "/start" ? 503 : 204;
            return Task.CompletedTask;
        });
        using var prober = new AppProber("127.0.0.1");
        var routes = new StatusRoutes(AppProbe.ReadAll($$"""
            {"/app-lifecycle/a/poststartz":{"httpGet":{"path":"/start","port":{{origin.Port}} } }, "/app-lifecycle/a/prestopz":{"httpGet":{"path":"/stop","port":{{origin.Port}} } },
             "/app-lifecycle/b/prestopz":{"tcpSocket":{"port":1} } }
            """), prober, () => "", null, () => ValueTask.FromResult<AdminReply?>(null), () => { }, () => { });
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
