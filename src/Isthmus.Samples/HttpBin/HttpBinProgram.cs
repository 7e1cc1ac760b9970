using System.Net;
using Isthmus.Core.Flags;
using Isthmus.Core.Net;
using Isthmus.Samples.Http;

namespace Isthmus.Samples.HttpBin;

/// <summary>An HTTP server that answers with what it received. Takes the command line of gunicorn, as the images of this
/// sample do.</summary>
public static class HttpBinProgram
{
    private static readonly Flag<IPEndPoint?> Bind = new("--bind", "ADDRESS:PORT", null, ParseAddress, "-b");

    private static readonly Flag<int> Port = Flag.Port("--port", 80);

    // The image's command line names the application and flags of gunicorn's workers.
    private static readonly FlagSet Flags = new("httpbin",
    [
        Bind, Port,
        .. Flag.Ignored("-k", "--worker-class", "-w", "--workers", "-t", "--timeout", "--threads", "--access-logfile", "--error-logfile", "--access-logformat",
            "--log-level", "--keep-alive", "--name", "-n"),
    ]) { SkipsUnknown = true };

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
        var flags = Flags.Read([.. fromEnvironment.Where(word => word.StartsWith('-')), .. args]);
        if (flags.Get(Bind) is { } bind) return bind;
        var port = Environment.GetEnvironmentVariable("PORT") is { } text && PortNumber.TryParse(text, out var given) && given > 0 ? given : Port.Default;
        return new(IPAddress.IPv6Any, flags.Get(Port, port));
    }

    /// <summary>Reads <c>ADDRESS:PORT</c>, <c>:PORT</c> or <c>[IPv6]:PORT</c>.</summary>
    private static IPEndPoint ParseAddress(string text)
    {
        var colon = text.LastIndexOf(':');
        var host = colon < 0 ? "" : text[..colon].Trim('[', ']');
        IPAddress? address = host.Length == 0 || host == "*" ? IPAddress.IPv6Any : IPAddress.TryParse(host, out var parsed) ? parsed : null;
        if (address is not null && PortNumber.TryParse(text.AsSpan(colon + 1), out var port) && port > 0)
            return new(address.Equals(IPAddress.Any) ? IPAddress.IPv6Any : address, port);
        throw new FormatException("expected ADDRESS:PORT, for example 0.0.0.0:8080");
    }
}
