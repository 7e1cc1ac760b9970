using System.Net;
using System.Net.Sockets;

namespace Isthmus.Lab.Loopback;

/// <summary>Opens listeners on 127.0.0.1 of the namespace that the caller runs in. A socket stays in that namespace, whichever process
/// gets it.</summary>
internal static class LoopbackSocket
{
    /// <param name="preferredPort">The port of an earlier listener, which copies of kubeconfigs contain. If it is taken, or 0, the
    /// kernel chooses one.</param>
    internal static Socket Listen(int preferredPort)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(IPAddress.Loopback, preferredPort));
        }
        catch (SocketException) when (preferredPort != 0)
        {
            listener.Dispose();
            return Listen(0);
        }
        listener.Listen(512);
        return listener;
    }
}
