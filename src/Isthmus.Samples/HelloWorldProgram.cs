using System.Net;
using Isthmus.Core.Flags;
using Isthmus.Samples.Http;

namespace Isthmus.Samples;

/// <summary>Answers <c>/hello</c> with its version and host name.</summary>
public static class HelloWorldProgram
{
    private static readonly Flag<string?> Version = new("--version", "VERSION", null, text => text), Instance = new("--instance", "NAME", null, text => text);

    private static readonly Flag<int> Port = Flag.Port("--port", 5000);

    private static readonly FlagSet Flags = new("helloworld", Version, Instance, Port);

    internal static Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var flags = Flags.Read(args);
        var version = flags.Get(Version) ?? Environment.GetEnvironmentVariable("SERVICE_VERSION") ?? "unknown";
        var instance = flags.Get(Instance) ?? Environment.GetEnvironmentVariable("HOSTNAME") ?? Environment.MachineName;
        return HttpService.RunAsync("helloworld", Handler(version, instance), new IPEndPoint(IPAddress.IPv6Any, flags.Get(Port)), stop);
    }

    /// <summary>The whole service as a function of its two settings.</summary>
    public static HttpHandler Handler(string version, string instance)
    {
        var hello = HttpReply.Text(200, $"Hello version: {version}, instance: {instance}\n");
        var health = HttpReply.Text(200, "Helloworld is healthy");
        return request => (request.Path, request.Method) switch
        {
            ("/hello" or "/health", not ("GET" or "HEAD")) => HttpReply.Text(405, "Method Not Allowed\n"),
            ("/hello", _) => hello,
            ("/health", _) => health,
            _ => HttpReply.Text(404, "Not Found\n"),
        };
    }
}
