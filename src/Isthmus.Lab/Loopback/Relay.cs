using System.Net;
using System.Net.Sockets;

namespace Isthmus.Lab.Loopback;

/// <summary>Connects to servers of the lab, and copies bytes between two connections.</summary>
internal static class Relay
{
    private static readonly TimeSpan DialTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Null when connected, else the reason.</summary>
    internal static async Task<string?> DialAsync(Socket server, IPEndPoint target, CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(DialTimeout);
        try
        {
            await server.ConnectAsync(target, patience.Token);
            return null;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode.ToString();
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return $"no answer within {DialTimeout.TotalSeconds:0} s";
        }
    }

    /// <summary>Copies in both directions until both have ended.</summary>
    internal static Task RunAsync(Socket one, Socket other, CancellationToken stop) => Task.WhenAll(CopyAsync(one, other, stop), CopyAsync(other, one, stop));

    private static async Task CopyAsync(Socket from, Socket to, CancellationToken stop)
    {
        var buffer = new byte[16 << 10];
        try
        {
            while (await from.ReceiveAsync(buffer, stop) is var read and > 0)
            {
                var sent = 0;
                while (sent < read) sent += await to.SendAsync(buffer.AsMemory(sent, read - sent), stop);
            }
            to.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // One side failed: close the other too, which ends the other direction.
            from.Close();
            to.Close();
        }
        catch (ObjectDisposedException)
        {
            // The other direction ended it.
        }
    }
}
