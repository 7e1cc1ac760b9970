using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Commands;

/// <summary><c>request METHOD PATH</c> in a Pod: asks its proxy's admin interface or its control plane's debug pages (pilot-agent, pilot-discovery).</summary>
internal static class RequestRole
{
    private const string Program = "isthmus request";

    private static readonly Flag<int> Port = Flag.Port("--port", Ports.ProxyAdmin, aliases: "--debug-port");

    private static readonly FlagSet Flags = new(Program, Port) { MaxWords = 2 };

    internal static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var flags = Flags.Read(args);
        if (flags.Words is not [var method, var path])
            throw new WrongUseException(Program, "a method and a path are required", "for example: pilot-agent request GET /config_dump");
        path = "/" + path.TrimStart('/');
        var port = flags.Get(Port, path.StartsWith("/debug", StringComparison.Ordinal) ? Ports.DiscoveryHttp : Ports.ProxyAdmin);
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
        using var request = new HttpRequestMessage(new HttpMethod(method.ToUpperInvariant()), $"http://127.0.0.1:{port}{path}");
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
            await using var output = Console.OpenStandardOutput();
            await response.Content.CopyToAsync(output, stop);
            if (response.IsSuccessStatusCode) return 0;
            throw new ProblemException($"{request.RequestUri}", $"responded with status {(int)response.StatusCode}", "");
        }
        catch (HttpRequestException e)
        {
            throw new ProblemException($"http://127.0.0.1:{port}", $"does not respond: {e.Message}",
                "check that the process in this Pod is running and serves this port", e);
        }
    }
}
