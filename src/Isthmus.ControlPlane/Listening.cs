using System.Net;
using System.Net.Security;
using Isthmus.ControlPlane.Ca;
using Isthmus.ControlPlane.Running;
using Isthmus.ControlPlane.Webhooks;
using Isthmus.Graph.Settings;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Isthmus.ControlPlane;

/// <summary>The control plane's ports, and which endpoints answer on which of them.</summary>
internal static class Listening
{
    /// <param name="address">The only address to listen on; null for all.</param>
    /// <param name="levels">Which messages the log gets.</param>
    /// <param name="log">Receives the log; null for the console.</param>
    internal static WebApplicationBuilder Builder(DiscoverySettings settings, ServingTls tls, LogLevels levels, IPAddress? address = null,
        ILoggerProvider? log = null)
    {
        // The other builders read and watch settings files below the working directory, which in a container is the whole file system.
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.Services.AddRoutingCore();
        builder.Logging.ClearProviders();
        if (log is null)
        {
            builder.Logging.AddSimpleConsole(options =>
            {
                options.SingleLine = true;
                options.ColorBehavior = LoggerColorBehavior.Disabled;
                options.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
                options.UseUtcTimestamp = true;
            });
        }
        else builder.Logging.AddProvider(log);
        builder.Logging.SetMinimumLevel(LogLevel.Trace).AddFilter(levels.IsEnabled).AddProvider(levels);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.Http2.MaxStreamsPerConnection = 1000;
            // What a client may send before anything of it is read.
            kestrel.Limits.Http2.InitialStreamWindowSize = 128 << 10;
            kestrel.Limits.Http2.InitialConnectionWindowSize = 256 << 10;
            kestrel.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
            void Listen(int port, Action<ListenOptions> configure)
            {
                if (address is null) kestrel.ListenAnyIP(port, configure);
                else kestrel.Listen(address, port, configure);
            }
            Listen(settings.Listen.Http, listen => listen.Protocols = HttpProtocols.Http1);
            Listen(settings.MonitoringPort, listen => listen.Protocols = HttpProtocols.Http1);
            // This port has no authentication, so it is not open to others.
            kestrel.Listen(address ?? IPAddress.Loopback, settings.Listen.Plain, listen => listen.Protocols = HttpProtocols.Http2);
            if (settings.ControlPort > 0) kestrel.Listen(address ?? IPAddress.Loopback, settings.ControlPort, listen => listen.Protocols = HttpProtocols.Http1);
            Listen(settings.Listen.Tls, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                listen.UseHttps(tls.Options(clients: true, [SslApplicationProtocol.Http2]));
            });
            Listen(settings.Listen.Webhook, listen =>
            {
                listen.Protocols = HttpProtocols.Http1AndHttp2;
                // API servers that have a certificate prove themselves with it.
                listen.UseHttps(tls.Options(clients: settings.Webhook.CallersSecret.Length > 0, [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
                    judged: true));
            });
        });
        return builder;
    }

    /// <summary>Passes a request only on the port that its path belongs to: webhooks are not served on the debug port, and
    /// vice versa.</summary>
    internal static void Separate(WebApplication app, DiscoverySettings settings) => app.Use((http, next) =>
    {
        var path = http.Request.Path;
        if (path.Value is ['/', '/', ..])
        {
            // istioctl asks for '//debug/…' and follows the answer that Go's servers give to it.
            http.Response.Redirect($"/{path.Value.TrimStart('/')}{http.Request.QueryString}", permanent: true);
            return Task.CompletedTask;
        }
        var port = http.Connection.LocalPort;
        var belongs = port switch
        {
            _ when port == settings.Listen.Webhook => path.StartsWithSegments("/inject") || path == "/validate" || path.StartsWithSegments(HistoryWebhook.Path),
            _ when port == settings.Listen.Tls || port == settings.Listen.Plain => http.Request.Protocol == "HTTP/2" && !path.StartsWithSegments("/debug"),
            _ when port == settings.MonitoringPort => path.StartsWithSegments("/metrics") || path.StartsWithSegments("/debug") || path == "/version",
            _ when port == settings.ControlPort => path.StartsWithSegments("/scopej"),
            _ => path.StartsWithSegments("/debug") || path == "/ready" || path == "/version" || path.StartsWithSegments("/metrics"),
        };
        if (belongs) return next(http);
        http.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    });
}
