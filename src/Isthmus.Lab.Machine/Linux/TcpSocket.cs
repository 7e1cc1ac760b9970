using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>Connects a TCP socket more than once, which the runtime does not do.</summary>
internal static unsafe class TcpSocket
{
    private const int ShutWrite = 1;

    /// <summary>Begins to connect a non-blocking socket: <see cref="SocketError.Success"/>, <see cref="SocketError.InProgress"/>, or why
    /// it cannot.</summary>
    internal static SocketError Connect(Socket socket, IPEndPoint to)
    {
        var address = to.Serialize().Buffer.Span;
        fixed (byte* bytes = address)
        {
            if (Libc.Connect((int)socket.Handle, bytes, (uint)address.Length) == 0) return SocketError.Success;
        }
        return Marshal.GetLastPInvokeError() switch
        {
            LinuxException.EInProgress => SocketError.InProgress,
            LinuxException.EConnRefused => SocketError.ConnectionRefused,
            LinuxException.EAddrNotAvail => SocketError.AddressNotAvailable,
            LinuxException.ENetUnreach => SocketError.NetworkUnreachable,
            _ => SocketError.SocketError,
        };
    }

    /// <summary>Whether the connection that <see cref="Connect"/> began is complete.</summary>
    internal static bool IsConnected(Socket socket)
    {
        Span<byte> address = stackalloc byte[28];
        var length = (uint)address.Length;
        fixed (byte* bytes = address) return Libc.GetPeerName((int)socket.Handle, bytes, &length) == 0;
    }

    internal static void EndSending(Socket socket) => LinuxException.Check(Libc.Shutdown((int)socket.Handle, ShutWrite), "shutdown");

    /// <summary>Ends the connection, by a reset if it is still open. The socket can connect again.</summary>
    internal static void Disconnect(Socket socket)
    {
        // An address of the family AF_UNSPEC.
        Span<byte> nowhere = stackalloc byte[16];
        nowhere.Clear();
        fixed (byte* bytes = nowhere) LinuxException.Check(Libc.Connect((int)socket.Handle, bytes, (uint)nowhere.Length), "disconnect");
    }
}
