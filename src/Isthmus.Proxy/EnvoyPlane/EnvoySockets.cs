using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Agent;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>
/// The directory that an agent shares with its Envoy: the bootstrap, and the sockets of discovery and secrets. Only the user of the proxy may enter it, for who
/// reads the socket of secrets has the key of the workload.
/// </summary>
internal sealed class EnvoySockets
{
    /// <summary>What fits into the address of a Unix socket.</summary>
    private const int LongestPath = 107;

    /// <summary>Configuration of large meshes comes in one message, and so do the versions of it that a proxy has.</summary>
    private const int MaxMessage = 64 * 1024 * 1024;

    private const string Folder = "envoy";

    private readonly string _directory;

    /// <exception cref="ProblemException">The directory cannot be made.</exception>
    public EnvoySockets(string parent)
    {
        if (OperatingSystem.IsWindows()) throw new ProblemException("PROXY_CONFIG binaryPath", "Envoy is run on Linux only", "remove the field");
        _directory = Path.Combine(parent, Folder);
        if (Encoding.UTF8.GetByteCount(Discovery) > LongestPath)
            throw new ProblemException("PROXY_CONFIG configPath", $"the path {Discovery} is too long for a socket",
                $"use a path of less than {LongestPath - 14} bytes");
        try
        {
            // What an earlier run left here may belong to another directory mode.
            if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
            Directory.CreateDirectory(_directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProblemException("PROXY_CONFIG configPath", $"the directory {_directory} cannot be made: {e.Message}",
                "Envoy needs a directory that the proxy may write to: mount an emptyDir there, as injection does", e);
        }
    }

    /// <summary>The directory of modules of Wasm, in the same directory.</summary>
    public static string ModulesBelow(string parent) => Path.Combine(parent, Folder, "wasm");

    /// <summary>Where Envoy takes the calls of traces: the same directory.</summary>
    public static string CallsBelow(string parent) => Path.Combine(parent, Folder);

    /// <summary>Where Envoy gets its configuration.</summary>
    public string Discovery => Path.Combine(_directory, "ads.sock");

    /// <summary>Where Envoy gets certificates and roots.</summary>
    public string Secrets => Path.Combine(_directory, "sds.sock");

    public string Bootstrap => Path.Combine(_directory, "bootstrap.json");

    /// <summary>Serves both sockets until <paramref name="stop"/>.</summary>
    public async Task<WebApplication> StartAsync(DiscoveryForward discovery, SecretServer secrets, CallReports calls, CancellationToken stop)
    {
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.ListenUnixSocket(Discovery, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.ListenUnixSocket(Secrets, listen => listen.Protocols = HttpProtocols.Http2);
        });
        builder.WebHost.UseShutdownTimeout(TimeSpan.FromSeconds(1));
        var server = builder.Build();
        server.UseRouting();
        server.MapDuplex(AdsMethods.Delta, discovery.ServeAsync, MaxMessage);
        server.MapDuplex(SocketSecrets.Method, secrets.ServeAsync);
        server.MapDuplex(CallReports.Method, calls.ServeAsync);
        await server.StartAsync(stop).ConfigureAwait(false);
        return server;
    }
}
