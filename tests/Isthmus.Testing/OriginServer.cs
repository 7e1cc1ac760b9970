using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;

namespace Isthmus.Testing;

/// <summary>A third-party HTTP server for the proxy to call.</summary>
public sealed class OriginServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private OriginServer(WebApplication app) => _app = app;

    public int Port { get; private set; }

    public static async Task<OriginServer> StartAsync(HttpProtocols protocols, RequestDelegate handle, X509Certificate2? certificate = null,
        bool asksClients = false, IPAddress? at = null)
    {
        // A builder with defaults would watch files of settings, of which Linux allows each user few.
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "origin" });
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(o =>
        {
            // A client of the proxy may speak plain HTTP where the server gets TLS.
            o.AllowAlternateSchemes = true;
            o.Listen(at ?? IPAddress.Loopback, 0, l =>
            {
                l.Protocols = protocols;
                if (certificate is not null) l.UseHttps(https =>
                {
                    https.ServerCertificateSelector = (_, _) => certificate;
                    if (!asksClients) return;
                    https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
                    https.AllowAnyClientCertificate();
                });
            });
        });
        var app = builder.Build();
        app.Run(handle);
        await app.StartAsync();
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return new(app) { Port = new Uri(address).Port };
    }

    /// <summary>Answers with the server name that the client sent in its TLS handshake.</summary>
    public static Task ServerNameAsync(HttpContext context) => context.Response.WriteAsync(context.Features.Get<ITlsHandshakeFeature>()?.HostName ?? "");

    /// <summary>Sends the body back as it arrives, followed by its number of bytes.</summary>
    public static async Task EchoAsync(HttpContext context)
    {
        context.Response.Headers["seen-protocol"] = context.Request.Protocol;
        context.Response.Headers["seen-path"] = context.Request.Path + context.Request.QueryString;
        if (context.Response.SupportsTrailers()) context.Response.DeclareTrailer("total");
        await context.Response.StartAsync();
        var buffer = new byte[16 * 1024];
        var total = 0L;
        while (await context.Request.Body.ReadAsync(buffer) is > 0 and var count)
        {
            total += count;
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, count));
            await context.Response.Body.FlushAsync();
        }
        if (context.Response.SupportsTrailers()) context.Response.AppendTrailer("total", total.ToString(CultureInfo.InvariantCulture));
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();
}
