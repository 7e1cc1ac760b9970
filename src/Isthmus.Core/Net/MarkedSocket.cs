using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Names;

namespace Isthmus.Core.Net;

/// <summary>Sockets of the agent's own connections: they carry the proxy's mark, so that traffic capture ignores them.</summary>
public static class MarkedSocket
{
    private const int SolSocket = 1, SoMark = 36;

    public static Socket Stream(AddressFamily family) => Marked(new(family, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });

    public static Socket Datagram(AddressFamily family) => Marked(new(family, SocketType.Dgram, ProtocolType.Udp));

    /// <summary>Tries each address in turn.</summary>
    /// <exception cref="SocketException">No address accepted; carries the failure of the last one.</exception>
    public static async ValueTask<Socket> ConnectAsync(IReadOnlyList<IPAddress> addresses, int port, CancellationToken stop)
    {
        SocketException? last = null;
        foreach (var address in addresses)
        {
            var socket = Stream(address.AddressFamily);
            try
            {
                await socket.ConnectAsync(new IPEndPoint(address, port), stop).ConfigureAwait(false);
                return socket;
            }
            catch (SocketException e)
            {
                socket.Dispose();
                last = e;
            }
            catch (OperationCanceledException)
            {
                socket.Dispose();
                throw;
            }
        }
        throw last ?? new SocketException((int)SocketError.HostNotFound);
    }

    // Without CAP_NET_RAW or CAP_NET_ADMIN the kernel refuses marks; capture then exempts the proxy by user ID.
    private static Socket Marked(Socket socket)
    {
        try
        {
            socket.SetRawSocketOption(SolSocket, SoMark, BitConverter.GetBytes(ProxyUser.Mark));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AccessDenied || e.NativeErrorCode == 1)
        {
        }
        return socket;
    }
}
