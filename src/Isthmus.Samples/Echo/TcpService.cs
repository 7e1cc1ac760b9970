using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Problems;
using Isthmus.Core.Tasks;

namespace Isthmus.Samples.Echo;

/// <summary>Accepts TCP connections until the program ends.</summary>
internal static class TcpService
{
    /// <exception cref="ProblemException">The port is in use.</exception>
    public static async Task RunAsync(string program, int port, Func<Socket, CancellationToken, Task> serve, CancellationToken stop)
    {
        using var listener = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
        try
        {
            listener.Bind(new IPEndPoint(IPAddress.IPv6Any, port));
            listener.Listen(512);
        }
        catch (SocketException e)
        {
            throw new ProblemException(program, $"cannot listen on port {port}: {e.Message}", "choose another port, or stop the program that uses it", e);
        }
        var connections = new BackgroundTasks((_, e) => Console.Error.WriteLine($"{program}: {e.Message}"));
        Console.WriteLine($"{program} listening at tcp://[::]:{port}");
        while (true)
        {
            try
            {
                var socket = await listener.AcceptAsync(stop).ConfigureAwait(false);
                connections.Start("connection", () => ServeAsync(socket, serve, stop));
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException)
            {
                await Task.Yield();
            }
        }
    }

    private static async Task ServeAsync(Socket socket, Func<Socket, CancellationToken, Task> serve, CancellationToken stop)
    {
        using var owned = socket;
        try
        {
            await serve(socket, stop).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or System.Security.Authentication.AuthenticationException)
        {
            // The client left, or spoke no TLS.
        }
    }
}
