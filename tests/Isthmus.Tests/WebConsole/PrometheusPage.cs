using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>A server in the place of a Prometheus, over a real socket; a test writes its answers.</summary>
internal sealed class PrometheusPage : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<string> _asked = new();

    private PrometheusPage(Func<PrometheusCall, Task> answer)
    {
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        _app = builder.Build();
        _app.Run(http =>
        {
            _asked.Enqueue(http.Request.Path + http.Request.QueryString.ToString());
            return answer(new(http));
        });
    }

    public string Address => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    /// <summary>The paths and queries of all requests.</summary>
    public IReadOnlyCollection<string> Asked => _asked;

    public static async Task<PrometheusPage> StartAsync(Func<PrometheusCall, Task> answer)
    {
        var page = new PrometheusPage(answer);
        await page._app.StartAsync(TestContext.Current.CancellationToken);
        return page;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();
}

internal sealed class PrometheusCall(HttpContext http)
{
    public string Question => http.Request.Query["query"].ToString();

    public string Authorization => http.Request.Headers.Authorization.ToString();

    /// <summary>Whoever asked has left.</summary>
    public CancellationToken Ended => http.RequestAborted;

    public Task Answer(int status, string body)
    {
        http.Response.StatusCode = status;
        // Followed, it would lead to an address that answers.
        if (status == 302) http.Response.Headers.Location = "http://127.0.0.1:1/";
        return http.Response.WriteAsync(body, Ended);
    }
}
