using System.Net;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.WebConsole.Serving;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace Isthmus.WebConsole.Viewers;

/// <summary><c>isthmus console-server</c>: the console in a cluster, for viewers who log in. It has no rights of its own.</summary>
public static class ViewerProgram
{
    /// <summary>Plain HTTP, on the loopback only: for <c>kubectl port-forward</c>.</summary>
    public const int LoopbackPort = 8090;

    /// <summary>TLS, for an ingress.</summary>
    public const int TlsPort = 8443;

    /// <summary>For kubelets: <c>/ready</c>.</summary>
    public const int ReadyPort = 8080;

    /// <returns>0 when told to stop; 1 when it cannot start.</returns>
    /// <exception cref="WrongUseException">The command line is not valid.</exception>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var settings = ViewerSettings.Read(args);
        try
        {
            await ServeAsync(settings, stop);
            return 0;
        }
        catch (ProblemException problem)
        {
            await Console.Error.WriteLineAsync($"isthmus console-server: {problem.Message}");
            return 1;
        }
    }

    private static async Task ServeAsync(ViewerSettings settings, CancellationToken stop)
    {
        var time = TimeProvider.System;
        void Log(string line) => Console.WriteLine($"{time.GetUtcNow():O} {line}");
        var home = new ClusterAccess
        {
            Name = settings.Cluster, Server = settings.Server(Environment.GetEnvironmentVariable),
            CertificateAuthority = InputFile.Read($"CA of the API server ({settings.CertificateAuthority})", settings.CertificateAuthority),
        };
        await using var entrance = new ViewerEntrance(new ViewerSource(home, settings.IstioNamespace), settings.IstioNamespace, ViewerLimits.Default, time,
            Log) { Prometheus = settings.Prometheus };
        await using var server = new ConsoleServer(entrance, [.. Sites(settings, time, Log)]);
        await server.StartAsync(stop);
        await using var ready = await ReadyAsync(stop);
        Log($"serves the console of {home} on "
            + $"127.0.0.1:{LoopbackPort}{(settings.Hosts.Count > 0 ? $", and as {string.Join(", ", settings.Hosts)} on port {TlsPort}" : "")}");
        await entrance.RunAsync(stop);
    }

    /// <summary>Tokens never cross a network without TLS: plain HTTP is for the loopback of the Pod, where <c>kubectl port-forward</c> arrives.</summary>
    private static IEnumerable<ConsoleSite> Sites(ViewerSettings settings, TimeProvider time, Action<string> log)
    {
        yield return new(IPAddress.Loopback, LoopbackPort, _ => { }, _ => new("http", ["localhost", "127.0.0.1", "[::1]"], AnyPort: true));
        if (settings.Hosts.Count == 0) yield break;
        var certificate = new ServedCertificate(settings.ServerTls, time, log);
        certificate.Current();
        yield return new(null, TlsPort, listen => listen.UseHttps(certificate.Options()), _ => new("https", settings.Hosts));
    }

    private static async Task<WebApplication> ReadyAsync(CancellationToken stop)
    {
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.ListenAnyIP(ReadyPort);
        });
        var app = builder.Build();
        app.Run(http =>
        {
            http.Response.StatusCode = http.Request.Path == "/ready" ? StatusCodes.Status200OK : StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });
        await app.StartAsync(stop);
        return app;
    }
}
