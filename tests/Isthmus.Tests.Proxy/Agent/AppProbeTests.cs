using System.Net;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Agent;
using Isthmus.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Proxy.Agent;

public sealed class AppProbeTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Probe_asks_the_application_what_the_kubelet_would_have_asked()
    {
        string? seen = null;
        await using var app = await ServeAsync(http =>
        {
            seen = $"{http.Connection.RemoteIpAddress} {http.Request.Host} {http.Request.Path}{http.Request.QueryString} {http.Request.Headers["x-a"]}";
            http.Response.StatusCode = http.Request.Path == "/ready" ? 204 : 503;
        });
        using var prober = new AppProber("127.0.0.1");
        var probes = AppProbe.ReadAll("""
            {"/app-health/shop/readyz":{"httpGet":{"path":"ready?x=1","port":PORT,"httpHeaders":[{"name":"X-A","value":"1"},{"name":"Host","value":"shop.test"}]},"timeoutSeconds":60},
             "/app-health/shop/livez":{"httpGet":{"path":"/live","port":PORT},"timeoutSeconds":60},
             "/app-health/db/livez":{"tcpSocket":{"port":PORT},"timeoutSeconds":60},
             "/app-health/db/readyz":{"tcpSocket":{"port":1},"timeoutSeconds":60},
             "/app-health/db/startupz":{"tcpSocket":{"port":1}}}
            """.Replace("PORT", app.Port.ToString(), StringComparison.Ordinal));

        Assert.Equal(TimeSpan.FromSeconds(1), probes["/app-health/db/startupz"].Timeout);
        Assert.Equal(204, (await prober.ProbeAsync(probes["/app-health/shop/readyz"], Stop)).Status);
        Assert.Equal("127.0.0.6 shop.test /ready?x=1 1", seen);
        Assert.Equal(503, (await prober.ProbeAsync(probes["/app-health/shop/livez"], Stop)).Status);
        Assert.Equal(200, (await prober.ProbeAsync(probes["/app-health/db/livez"], Stop)).Status);
        var (status, text) = await prober.ProbeAsync(probes["/app-health/db/readyz"], Stop);
        Assert.Equal(500, status);
        Assert.Contains("port 1:", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 200)]
    [InlineData(2, 500)]
    public async Task A_gRPC_service_is_as_healthy_as_it_says(byte health, int status)
    {
        var service = "";
        await using var app = await OriginServer.StartAsync(HttpProtocols.Http2, async http =>
        {
            var question = new MemoryStream();
            await http.Request.Body.CopyToAsync(question);
            service = Encoding.ASCII.GetString(question.ToArray().AsSpan(7));
            http.Response.ContentType = "application/grpc";
            await http.Response.Body.WriteAsync(new byte[] { 0, 0, 0, 0, 2, 8, health });
            http.Response.AppendTrailer("grpc-status", "0");
        });
        using var prober = new AppProber("127.0.0.1");
        var probe = AppProbe.ReadAll($$"""{"/app-health/db/livez":{"grpc":{"port":{{app.Port}},"service":"db"},"timeoutSeconds":60} }""").Values.Single();
        Assert.Equal((status, "db"), ((await prober.ProbeAsync(probe, Stop)).Status, service));
    }

    [Fact]
    public async Task A_probe_by_HTTPS_accepts_any_certificate_as_kubelets_do()
    {
        using var ca = new TestCa("own");
        using var certificate = ca.Server("own");
        await using var app = await OriginServer.StartAsync(HttpProtocols.Http1, http => http.Response.WriteAsync(http.Request.Scheme), certificate);
        using var prober = new AppProber("127.0.0.1");
        var probe = AppProbe.ReadAll(
            $$"""{"/app-health/web/livez":{"httpGet":{"path":"/","port":{{app.Port}},"scheme":"HTTPS"},"timeoutSeconds":60} }""").Values.Single();
        Assert.Equal(200, (await prober.ProbeAsync(probe, Stop)).Status);
    }

    [Fact]
    public async Task Metrics_of_the_application_are_read_where_its_annotations_say()
    {
        await using var app = await ServeAsync(http => http.Response.WriteAsync("orders_total 1\n"));
        using var prober = new AppProber("127.0.0.1") { AnswerTime = TimeSpan.FromMinutes(1) };
        var metrics = AppMetrics.Read($$"""{"scrape":"true","port":"{{app.Port}}","path":"/m"}""");

        Assert.Equal("orders_total 1\n", await CopyAsync(Assert.Single(metrics)));
        Assert.Equal("", await CopyAsync(new(1, "/")));
        Assert.Empty(AppMetrics.Read("""{"scrape":"false","port":"80"}"""));

        async Task<string> CopyAsync(AppMetrics target)
        {
            using var text = new MemoryStream();
            await new AppMetricsSource([target], prober).CopyAsync(piece => text.WriteAsync(piece), Stop);
            return Encoding.UTF8.GetString(text.ToArray());
        }
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("""{"/a":{"exec":{}}}""")]
    [InlineData("""{"/a":{"httpGet":{}}}""")]
    public void Unreadable_probes_are_a_clear_error(string json) =>
        Assert.Contains("ISTIO_KUBE_APP_PROBERS", Assert.Throws<ProblemException>(() => AppProbe.ReadAll(json)).Message, StringComparison.Ordinal);

    private static async Task<Served> ServeAsync(Action<HttpContext> handle)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        app.Run(http =>
        {
            handle(http);
            return Task.CompletedTask;
        });
        await app.StartAsync(Stop);
        return new(app);
    }

    private sealed class Served(WebApplication app) : IAsyncDisposable
    {
        public int Port => new Uri(app.Urls.First()).Port;

        public ValueTask DisposeAsync() => app.DisposeAsync();
    }
}
