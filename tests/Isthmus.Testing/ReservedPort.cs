using System.Net;
using System.Net.Sockets;

namespace Isthmus.Testing;

/// <summary>
/// A TCP port of the loopback interface, reserved for the test until it is disposed. The port is bound but does not listen:
/// the kernel assigns it to nobody else, connections to it are refused, and a server with SO_REUSEADDR (.NET sets it) can
/// still listen on it.
/// </summary>
public sealed class ReservedPort : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public ReservedPort()
    {
        _socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
    }

    public IPEndPoint EndPoint => (IPEndPoint)_socket.LocalEndPoint!;

    public int Number => EndPoint.Port;

    public void Dispose() => _socket.Dispose();
}
