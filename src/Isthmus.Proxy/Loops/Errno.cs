using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Isthmus.Proxy.Loops;

/// <summary>Errors of the C library as the runtime's exceptions.</summary>
internal static class Errno
{
    internal static SocketException Failure(int error) => new(error switch
    {
        // asm-generic/errno.h
        1 or 13 => (int)SocketError.AccessDenied,
        2 => (int)SocketError.AddressNotAvailable,
        32 => (int)SocketError.Shutdown,
        97 => (int)SocketError.AddressFamilyNotSupported,
        99 => (int)SocketError.AddressNotAvailable,
        98 => (int)SocketError.AddressAlreadyInUse,
        100 => (int)SocketError.NetworkDown,
        101 => (int)SocketError.NetworkUnreachable,
        103 => (int)SocketError.ConnectionAborted,
        104 => (int)SocketError.ConnectionReset,
        105 => (int)SocketError.NoBufferSpaceAvailable,
        107 => (int)SocketError.NotConnected,
        110 => (int)SocketError.TimedOut,
        111 => (int)SocketError.ConnectionRefused,
        112 => (int)SocketError.HostDown,
        113 => (int)SocketError.HostUnreachable,
        _ => (int)SocketError.SocketError,
    });

    /// <summary>The pending error of a socket, which the kernel then forgets; 0: none.</summary>
    internal static int Of(Socket socket)
    {
        const int SolSocket = 1, SoError = 4;
        Span<byte> error = stackalloc byte[sizeof(int)];
        socket.GetRawSocketOption(SolSocket, SoError, error);
        return MemoryMarshal.Read<int>(error);
    }
}
