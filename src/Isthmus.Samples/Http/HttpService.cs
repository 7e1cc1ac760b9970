using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Problems;

namespace Isthmus.Samples.Http;

/// <summary>Runs an HTTP server as a whole program.</summary>
internal static class HttpService
{
    /// <summary>Serves until <paramref name="stop"/>.</summary>
    /// <exception cref="ProblemException">The port is in use or not permitted.</exception>
    internal static async Task<int> RunAsync(string program, HttpHandler handler, IPEndPoint address, CancellationToken stop)
    {
        using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true };
        using var server = new HttpServer(program, handler, TimeProvider.System, output);
        try
        {
            server.Bind(address.Address, address.Port);
        }
        catch (SocketException e)
        {
            throw new ProblemException(program, $"cannot listen on port {address.Port}: {e.Message}", "choose another port, or stop the program that uses it",
                e);
        }
        lock (output) output.WriteLine($"{program} listening at port {address.Port}");
        await server.RunAsync(stop).ConfigureAwait(false);
        return 0;
    }
}
