using System.Net.Sockets;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>Passes bytes between two connections until both have ended.</summary>
internal static class ByteRelay
{
    internal static async Task RunAsync(Socket left, Socket right, CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        await Task.WhenAll(CopyAsync(left, right, over), CopyAsync(right, left, over));
    }

    private static async Task CopyAsync(Socket from, Socket to, CancellationTokenSource over)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer, SocketFlags.None, over.Token) is > 0 and var count)
            {
                for (var sent = 0; sent < count;) sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), SocketFlags.None, over.Token);
            }
            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // One side is gone, so the other ends too.
            await over.CancelAsync();
        }
    }
}
