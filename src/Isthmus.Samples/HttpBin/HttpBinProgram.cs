using System.Net;
using Isthmus.Samples.CommandLine;
using Isthmus.Samples.Http;

namespace Isthmus.Samples.HttpBin;

/// <summary>An HTTP server that answers with what it received. Takes the command line of gunicorn, as the images of this sample do.</summary>
public static class HttpBinProgram
{
    private static readonly Dictionary<string, string> Known = new()
    {
        ["-b"] = "bind", ["--bind"] = "bind", ["--port"] = "port", ["-k"] = "ignored", ["--worker-class"] = "ignored",
        ["-w"] = "ignored", ["--workers"] = "ignored", ["-t"] = "ignored", ["--timeout"] = "ignored", ["--threads"] = "ignored",
        ["--access-logfile"] = "ignored", ["--error-logfile"] = "ignored", ["--access-logformat"] = "ignored", ["--log-level"] = "ignored",
        ["--keep-alive"] = "ignored", ["--name"] = "ignored", ["-n"] = "ignored",
    };

    internal static Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var fromEnvironment = (Environment.GetEnvironmentVariable("GUNICORN_CMD_ARGS") ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return HttpService.RunAsync("httpbin", Handler(TimeProvider.System, new Random()), Listen(fromEnvironment, args), stop);
    }

    /// <summary>The whole service as a function of clock and chance.</summary>
    public static HttpHandler Handler(TimeProvider time, Random random)
    {
        var routes = new HttpBinRoutes(time, random);
        return routes.Answer;
    }

    private static IPEndPoint Listen(string[] fromEnvironment, string[] args)
    {
        // As in gunicorn, the command line wins over the environment.
        var options = Options.Parse("httpbin", [.. fromEnvironment.Where(word => word.StartsWith('-')), .. args], Known, lenient: true);
        if (options["bind"] is { } bind) return Options.Address("httpbin", bind);
        var port = Environment.GetEnvironmentVariable("PORT") is { } text && Options.ParsePort(text) is { } given ? given : 80;
        return new(IPAddress.IPv6Any, options.Port("port", port));
    }
}
