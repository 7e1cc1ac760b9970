using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Isthmus.Cni;

/// <summary><c>isthmus install-cni</c>: the CNI agent of a node, in the DaemonSet <c>istio-cni-node</c>.</summary>
public static class CniProgram
{
    /// <exception cref="ProblemException">The Pod lacks a setting, or the image the plug-in.</exception>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var settings = CniSettings.Read(args, Environment.GetEnvironmentVariable);
        var access = KubeConfig.InCluster(Environment.GetEnvironmentVariable)
            ?? throw new ProblemException("install-cni", "this is not a Pod: KUBERNETES_SERVICE_HOST or the service account's token is missing",
                "install the agent with 'isthmus install --set components.cni.enabled=true'");
        using var client = new KubeClient(access, "isthmus-cni");
        await using var app = Build(settings);
        var agent = new NodeAgent(settings, client, TimeProvider.System, app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("cni"));
        app.Run(http =>
        {
            var isKnown = http.Request.Path == "/readyz" || http.Request.Path == "/healthz";
            var waiting = http.Request.Path == "/readyz" ? agent.Waiting : "";
            http.Response.StatusCode = !isKnown
                ? StatusCodes.Status404NotFound
                : waiting.Length == 0
                ? StatusCodes.Status200OK
                : StatusCodes.Status503ServiceUnavailable;
            return http.Response.WriteAsync(isKnown ? waiting.Length == 0 ? "ok\n" : $"not ready: {waiting}\n" : "", http.RequestAborted);
        });
        await app.StartAsync(stop);
        await agent.RunAsync(stop);
        return 0;
    }

    private static WebApplication Build(CniSettings settings)
    {
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.Logging.AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.ColorBehavior = LoggerColorBehavior.Disabled;
            options.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            options.UseUtcTimestamp = true;
        });
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("cni", settings.IsVerbose ? LogLevel.Debug : LogLevel.Information);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.ListenAnyIP(settings.ReadyPort, listen => listen.Protocols = HttpProtocols.Http1);
        });
        return builder.Build();
    }
}
