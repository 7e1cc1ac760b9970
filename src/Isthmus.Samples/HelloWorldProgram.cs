using System.Net;
using Isthmus.Samples.CommandLine;
using Isthmus.Samples.Http;

namespace Isthmus.Samples;

/// <summary>Answers <c>/hello</c> with its version and host name.</summary>
public static class HelloWorldProgram
{
    internal static Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var options = Options.Parse("helloworld", args, new Dictionary<string, string>
        {
            ["--version"] = "version", ["--port"] = "port", ["--instance"] = "instance",
        });
        var version = options["version"] ?? Environment.GetEnvironmentVariable("SERVICE_VERSION") ?? "unknown";
        var instance = options["instance"] ?? Environment.GetEnvironmentVariable("HOSTNAME") ?? Environment.MachineName;
        return HttpService.RunAsync("helloworld", Handler(version, instance), new IPEndPoint(IPAddress.IPv6Any, options.Port("port", 5000)), stop);
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
