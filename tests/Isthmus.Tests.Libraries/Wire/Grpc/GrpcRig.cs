using System.Net;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Grpc;

/// <summary>A real Kestrel on a free loopback port (plain HTTP/2) and a channel to it.</summary>
internal sealed class GrpcRig : IAsyncDisposable
{
    public static readonly GrpcMethod<IstioCertificateRequest, IstioCertificateResponse> Method =
        new("test.Echo", "Call", IstioCertificateRequest.Parser, IstioCertificateResponse.Parser);

    private readonly WebApplication _app;

    private GrpcRig(WebApplication app) => _app = app;

    public GrpcChannel Channel { get; private set; } = null!;

    public Uri Address => new(_app.Urls.First());

    public static async Task<GrpcRig> StartAsync(Action<IEndpointRouteBuilder> map, int maxMessage = 4 * 1024 * 1024)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddRouting();
        var app = builder.Build();
        map(app);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new(app) { Channel = new(new(new Uri(app.Urls.First())) { MaxMessage = maxMessage }) };
    }

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await _app.DisposeAsync();
    }
}
