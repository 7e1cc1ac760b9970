using Isthmus.Core.Problems;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Isthmus.Samples.Echo;

/// <summary>Runs the HTTP and gRPC servers of the echo programs.</summary>
internal static class EchoServers
{
    /// <summary>A server without headers of its own.</summary>
    /// <param name="listen">Opens its ports.</param>
    public static WebApplication Build(Action<KestrelServerOptions> listen)
    {
        // A builder with defaults would watch files of settings, of which Linux allows each user few.
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            // As in the programs of the suite: proxies pass on the scheme of their caller, whether they use TLS themselves or not.
            kestrel.AllowAlternateSchemes = true;
            kestrel.Limits.MaxRequestHeadersTotalSize = 1024 * 1024;
            kestrel.Limits.MaxRequestLineSize = 64 * 1024;
            listen(kestrel);
        });
        return builder.Build();
    }

    /// <exception cref="ProblemException">A port is in use.</exception>
    public static async Task RunAsync(string program, WebApplication app, CancellationToken stop)
    {
        await using var owned = app;
        try
        {
            await app.StartAsync(stop).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw new ProblemException(program, $"cannot listen: {e.Message}", "choose other ports, or stop the program that uses them", e);
        }
        foreach (var address in app.Urls) Console.WriteLine($"{program} listening at {address}");
        try
        {
            await Task.Delay(Timeout.Infinite, stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }
}
