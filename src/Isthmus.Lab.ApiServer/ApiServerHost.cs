using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Lab.ApiServer.Discovery;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Http;
using Isthmus.Lab.ApiServer.Kinds;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.OpenApi;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Writes;
using Isthmus.Wire.Tls;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.ApiServer;

/// <summary>One running API server.</summary>
public sealed class ApiServerHost : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ObjectStore _store;
    private readonly CancellationTokenSource _stopping = new();
    private readonly IReadOnlyList<IServerTask> _tasks;
    private Task _running = Task.CompletedTask;

    private readonly Bootstrap _bootstrap;

    private ApiServerHost(WebApplication app, ObjectStore store, IReadOnlyList<IServerTask> tasks, Bootstrap bootstrap)
    {
        (_app, _store, _tasks, _bootstrap) = (app, store, tasks, bootstrap);
    }

    /// <summary>Completes when a task of the server fails; otherwise never.</summary>
    public Task Running => _running;

    /// <param name="certificate">The serving certificate with its key; null serves plain HTTP, for tests.</param>
    public static ApiServerHost Build(ApiServerSettings settings, X509Certificate2? certificate, TimeProvider time, Random random,
        IReadOnlyList<IPEndPoint> endpoints)
    {
        var store = new ObjectStore(Path.Combine(settings.Directory, "state.db"), settings.SurvivePowerLoss);
        var kinds = new KindRegistry();
        var context = new ApiServerContext(settings, kinds, store, time, random);
        kinds.Add(BuiltInKinds.Create((group, kind) => Composition.Strategy(context, group, kind)));
        store.Stored = (resource, change) => Notify(kinds, resource, change);
        var parts = Composition.Parts(context);
        var registry = new ObjectRegistry(context, parts.Admission);
        var virtuals = parts.Virtual.Select(v => v.Descriptor).Concat(parts.Streaming.Select(s => s.Descriptor)).ToList();
        var handler = new ApiHandler(context, parts, registry, new DiscoveryDocuments(context, virtuals), new OpenApiDocuments(context));
        return new(App(settings, certificate, endpoints, handler), store, [.. parts.Tasks, new EventExpiry(store, time)], new Bootstrap(context, registry));
    }

    public async Task StartAsync(CancellationToken stop)
    {
        await _bootstrap.RunAsync(stop);
        await _app.StartAsync(stop);
        _running = RunTasksAsync();
    }

    /// <summary>The first task that ends, ends the server: its failure must be visible while the others run.</summary>
    private async Task RunTasksAsync()
    {
        var tasks = _tasks.Select(task => task.RunAsync(_stopping.Token)).Append(Task.Delay(Timeout.Infinite, _stopping.Token)).ToList();
        await await Task.WhenAny(tasks);
    }

    /// <summary>The addresses on which the server listens. Tests request port 0.</summary>
    public IEnumerable<string> Addresses => _app.Urls;

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _app.StopAsync(soon.Token);
        try
        {
            await _running;
        }
        catch (OperationCanceledException)
        {
            // The tasks end this way.
        }
        await _app.DisposeAsync();
        _store.Dispose();
        _stopping.Dispose();
    }

    private static void Notify(KindRegistry kinds, GroupResource resource, ObjectChange change)
    {
        foreach (var kind in kinds.All)
        {
            if (kind.Storage != resource) continue;
            kind.Strategy.Stored(change.Previous, change.Type == ChangeType.Deleted ? null : change.Object);
            return;
        }
    }

    private static WebApplication App(ApiServerSettings settings, X509Certificate2? certificate, IReadOnlyList<IPEndPoint> endpoints, ApiHandler handler)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "isthmus" });
        builder.Logging.SetMinimumLevel(LogLevel.None);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.Limits.MaxRequestBodySize = null;
            options.Limits.MaxRequestLineSize = 64 * 1024;
            options.Limits.MaxRequestHeadersTotalSize = 1024 * 1024;
            options.Limits.MaxRequestHeaderCount = 200;
            options.Limits.MinResponseDataRate = null;
            options.Limits.MinRequestBodyDataRate = null;
            options.Limits.Http2.MaxStreamsPerConnection = 1000;
            foreach (var endpoint in endpoints) options.Listen(endpoint, listen => Configure(listen, certificate));
        });
        builder.WebHost.UseShutdownTimeout(TimeSpan.FromSeconds(1));
        var app = builder.Build();
        app.Run(handler.HandleAsync);
        return app;
    }

    private static void Configure(ListenOptions listen, X509Certificate2? certificate)
    {
        if (certificate is null)
        {
            listen.Protocols = HttpProtocols.Http1;
            return;
        }
        listen.Protocols = HttpProtocols.Http1AndHttp2;
        listen.Use(PlainHttp.Refuse);
        listen.UseHttps(new HttpsConnectionAdapterOptions
        {
            ServerCertificate = certificate,
            ClientCertificateMode = ClientCertificateMode.AllowCertificate,
            // The authenticator checks certificates. An invalid one must not end the connection here.
            ClientCertificateValidation = static (_, _, _) => true,
            OnAuthenticate = static (_, tls) => tls.CertificateChainPolicy = PeerChain.Unjudged(),
            SslProtocols = System.Security.Authentication.SslProtocols.Tls12 | System.Security.Authentication.SslProtocols.Tls13,
        });
    }
}
