using System.Net;
using System.Net.Sockets;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Loopback;

/// <summary>One use of a socket of <see cref="MachineSockets"/>. System calls connect, end and reset it, because the runtime connects a
/// socket only once. The runtime only waits, reads and writes.</summary>
/// <param name="patience">How long the server may take to end the connection after the client has.</param>
internal sealed class MachineConnection(Socket socket, TimeSpan patience)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(5);

    /// <summary>The error; null when connected.</summary>
    internal async Task<SocketError?> OpenAsync(IPEndPoint to, CancellationToken stop)
    {
        var begun = TcpSocket.Connect(socket, to);
        if (begun != SocketError.InProgress) return begun == SocketError.Success ? null : begun;
        // On a loopback interface, a connection is complete or refused at once, unless the server's queue is full.
        while (!TcpSocket.IsConnected(socket))
        {
            if (PendingError() is { } error) return error;
            await Task.Delay(PollInterval, stop);
        }
        return null;
    }

    /// <summary>Copies in both directions until both have ended, or one fails. A server that stands still in a debugger must not keep the
    /// socket when nobody waits for its answer any more.</summary>
    internal async Task RelayAsync(Socket client, CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        await Task.WhenAll(
            CopyAsync(client, socket, EndSending, over),
            CopyAsync(socket, client, () => client.Shutdown(SocketShutdown.Send), over));

        void EndSending()
        {
            TcpSocket.EndSending(socket);
            over.CancelAfter(patience);
        }
    }

    /// <summary>Ends the connection, so that the socket can connect again.</summary>
    internal void Reset()
    {
        TcpSocket.Disconnect(socket);
        // The error of the ended connection must not be reported by the next one.
        _ = PendingError();
    }

    private SocketError? PendingError() =>
        socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error) is int and not 0 and var number ? (SocketError)number : null;

    private static async Task CopyAsync(Socket from, Socket to, Action end, CancellationTokenSource over)
    {
        var buffer = new byte[16 << 10];
        try
        {
            while (await from.ReceiveAsync(buffer, over.Token) is var read and > 0)
            {
                var sent = 0;
                while (sent < read) sent += await to.SendAsync(buffer.AsMemory(sent, read - sent), over.Token);
            }
            end();
        }
        catch (Exception e) when (e is SocketException or LinuxException or OperationCanceledException)
        {
            // One side failed: the other direction ends too.
            await over.CancelAsync();
        }
    }
}
