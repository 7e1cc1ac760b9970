using System.Net.Sockets;
using Isthmus.Core.Tasks;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Loopback;

/// <summary>Accepts connections and serves each of them in the background.</summary>
/// <param name="name">The name of the server, for the log.</param>
/// <param name="serve">Serves one connection. The acceptor closes it afterwards.</param>
internal sealed partial class Acceptor(Socket listener, string name, Func<Socket, CancellationToken, Task> serve, ILogger log)
{
    /// <summary>Returns when accepting has been stopped and all connections have ended.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        var connections = new BackgroundTasks((_, e) => LogBug(name, e));
        while (!stop.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await listener.AcceptAsync(stop);
            }
            catch (OperationCanceledException)
            {
                break;
            }
            catch (SocketException e)
            {
                LogAcceptFailed(name, e.SocketErrorCode);
                await Task.Delay(TimeSpan.FromMilliseconds(100), CancellationToken.None);
                continue;
            }
            connections.Start("connection", () => ServeAsync(client, stop));
        }
        await connections.WhenEndedAsync();
    }

    private async Task ServeAsync(Socket client, CancellationToken stop)
    {
        using var _ = client;
        try
        {
            await serve(client, stop);
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException or InvalidDataException)
        {
            LogConnectionEnded(name, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Server} cannot accept a connection: {Error}")]
    private partial void LogAcceptFailed(string server, SocketError error);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Server}: internal error; connection closed")]
    private partial void LogBug(string server, Exception bug);

    [LoggerMessage(Level = LogLevel.Debug, Message = "A connection through {Server} ended: {Error}")]
    private partial void LogConnectionEnded(string server, string error);
}
